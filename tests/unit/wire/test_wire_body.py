"""Bodies: a change touches only its value, tricks are refused, nothing but BadRequest escapes."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.base.jsonio import loads
from proxy.wire.body import Body

spaces = st.text(" \t\r\n", max_size=3)
letters = st.characters(exclude_categories=["Cs"])
numbers = st.sampled_from(
    ["0", "-0", "1", "-1.50", "1e5", "1E+400", "1e-400", "9" * 40, "0.10000000000000000001"]
)
escapes = st.sampled_from(["\\u0041", "\\/", "\\n", '\\"', "\\\\", "\\ud83d\\ude00", "\\u0000"])


@st.composite
def strings(draw: st.DrawFn) -> str:
    """The JSON text of a string, escaped where it must be and sometimes where it need not."""
    pieces = draw(st.lists(st.one_of(escapes, st.text(letters, max_size=8).map(plain)), max_size=4))
    return '"' + "".join(pieces) + '"'


def plain(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


names = st.one_of(strings(), st.sampled_from(['"model"', '"a\\"model"', '"stream"', '"messages"']))


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(inner, max_size=3), spaces).map(
        lambda drawn: "[" + drawn[1] + ("," + drawn[1]).join(drawn[0]) + "]"
    )


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(names, spaces, spaces, inner, spaces)
    written = member.map(lambda m: f"{m[0]}{m[1]}:{m[2]}{m[3]}{m[4]}")
    return st.lists(written, max_size=3).map(lambda members: "{ " + ",".join(members) + "}")


values = st.recursive(
    st.one_of(numbers, strings(), st.sampled_from(["true", "false", "null", '"gpt"'])),
    lambda inner: st.one_of(lists(inner), objects(inner)),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A body with one `model`, as the text before its value, the value, and the text behind."""
    others = draw(
        st.lists(
            st.tuples(st.text(letters, max_size=6).filter(lambda n: n != "model"), values),
            max_size=5,
            unique_by=lambda member: member[0],
        )
    )
    at = draw(st.integers(0, len(others)))
    quoted = draw(st.sampled_from(['"model"', '"mod\\u0065l"', '"\\u006Dodel"']))

    def member(name: str, value: str) -> str:
        return f"{draw(spaces)}{name}{draw(spaces)}:{draw(spaces)}{value}{draw(spaces)}"

    texts = [member(f'"{plain(name)}"', value) for name, value in others]
    model = draw(strings())
    head = draw(spaces) + "{" + "".join(text + "," for text in texts[:at])
    head += f"{draw(spaces)}{quoted}{draw(spaces)}:{draw(spaces)}"
    tail = draw(spaces) + "".join("," + text for text in texts[at:]) + "}" + draw(spaces)
    return head.encode(), model.encode(), tail.encode()


@given(bodies(), strings())
@example((b'{"x":{"model":"a"},"mod\\u0065l":', b'"a"', b"}"), '"b"')
@example((b'{"\\"model":"a","model":', b'"a"', b"}"), '"b"')
@example((b'{"model":', b'"a"', b',"x":{"model":"a"}}'), '"b"')
def test_setting_the_model_changes_its_bytes_only(
    body: tuple[bytes, bytes, bytes], new: str
) -> None:
    before, model, behind = body
    parsed = Body(before + model + behind)
    assert parsed.text("model") == loads(model)
    parsed.set("model", new.encode())
    assert parsed.raw == before + new.encode() + behind
    assert parsed.text("model") == loads(new)


@given(bodies(), values)
def test_a_new_member_is_put_at_the_end(body: tuple[bytes, bytes, bytes], value: str) -> None:
    raw = b"".join(body)
    parsed = Body(raw)
    if "fresh" in parsed:
        return
    parsed.set("fresh", value.encode())
    stem = raw.rstrip()[:-1]
    assert parsed.raw.startswith(stem)
    added = parsed.raw.removeprefix(stem).decode()
    assert re.fullmatch(r',"fresh":' + re.escape(value) + r"\}\s*", added)


@pytest.mark.parametrize("raw", [b"{}", b" { } ", b"{\n}\n"])
def test_a_member_added_to_an_empty_object(raw: bytes) -> None:
    body = Body(raw)
    body.set("model", b'"m"')
    assert loads(body.raw) == {"model": "m"}


def test_setting_twice_is_like_setting_once() -> None:
    body = Body(b'{"model" : "a", "n": 1.0}')
    body.set("model", b'"longer"')
    body.set("n", b"2")
    body.set("model", b'"b"')
    assert body.raw == b'{"model" : "b", "n": 2}'


def test_names_we_do_not_read_may_be_doubled_and_then_the_rest_survives() -> None:
    body = Body(b'{"a": 1.50, "a": 2.50 , "model": "m"}')
    body.set("model", b'"n"')
    assert body.raw == b'{"a":2.50,"model":"n"}'


DOUBLED = [
    b'{"model":"a","model":"b"}',
    b'{"model":"a","model":"a"}',
    b'{"model":1,"model":12}',
    b'{"model":12,"model":1}',
    b'{"model":"a","mod\\u0065l":"b"}',
    b'{"\\u006dodel":"a","x":[{"model":1}],"model":"b"}',
    b'{"stream":true,"x":"\\u00e9","stream":false}',
    b'{"\\u0073tream\\u005foptions":{},"stream_options":{}}',
    b'{"x":"model","model":"a","y":{"model":"b"},"model":"a"}',
    b'{"n":128,"n":1}',  # The shortest of all: six bytes too many.
    b'{"n":128,"\\u006e":1}',
    b'{"user":1,"user":"a"}',
    b'{"prompt":["a","b"],"prompt":"a"}',
    b'{"documents":["a","b"],"documents":[]}',
    b'{"prediction":{"content":"long"},"prediction":0}',
    b'{"messages":[1],"messages":[]}',
    b'{"input":"a","input":""}',
]
PAD = b'"pad": "' + b"x" * 20_000 + b'"'
"""Of a text longer than this the members are walked over before names are searched for."""


@pytest.mark.parametrize("raw", DOUBLED)
def test_doubled_names_are_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        Body(raw)
    assert caught.value.code == "duplicate_field"
    assert caught.value.param is not None
    assert msgspec.json.decode(raw)[caught.value.param] is not None


@pytest.mark.parametrize("raw", DOUBLED)
@pytest.mark.parametrize("first", [True, False])
def test_doubled_names_are_refused_in_a_long_text(raw: bytes, first: bool) -> None:
    long = b"{" + PAD + b", " + raw[1:] if first else raw[:-1] + b" , " + PAD + b"}\n"
    with pytest.raises(BadRequest) as caught:
        Body(long)
    with pytest.raises(BadRequest) as short:
        Body(raw)
    assert (caught.value.code, caught.value.param) == ("duplicate_field", short.value.param)


def test_a_long_text_that_is_not_compact() -> None:
    text = b'{"model": "a", ' + PAD + b', "messages": [{"content": "\\"model\\": 1"}], "n": 1}\n'
    body = Body(text)
    body.set("model", b'"longer"')
    body.set("new", b"[]")
    body.remove("n")
    changed = text.replace(b'"a"', b'"longer"').replace(b', "n": 1}', b',"new":[]}')
    assert loads(body.raw) == loads(changed)
    assert body.raw.startswith(b'{"model": "longer", ' + PAD + b', "messages": [{"content": "')


def test_names_we_do_not_read_may_be_doubled_in_a_long_text() -> None:
    body = Body(b'{"a": 1.50, ' + PAD + b', "a": 2.50 , "model": "m"}')
    body.set("model", b'"n"')
    assert body.raw == b'{"a":2.50,' + PAD.replace(b": ", b":") + b',"model":"n"}'


def test_many_members_of_a_long_text() -> None:
    """They are not walked over: that would take long."""
    many = b"".join(b'"m%d": %d, ' % (number, number) for number in range(3000))
    body = Body(b"{" + many + b'"model": "a"}')
    assert body.text("model") == "a"
    with pytest.raises(BadRequest, match="given twice"):
        Body(b"{" + many + b'"model": "a", "model": "b"}')


@pytest.mark.parametrize("letter", [*map(chr, range(0x80)), "\xa0", "\u20ac", "\U0001f600"])
def test_no_name_is_ever_written_shorter_than_it_is_measured(letter: str) -> None:
    """Else its members could hide a doubled one, whose bytes would be missing nowhere."""
    shortest = min(
        (
            text
            for text in (
                f'"{letter}"',
                f'"\\{letter}"',
                *(f'"\\{e}"' for e in "bfnrt"),
                SPELT % ord(letter),
            )
            if spells(text, letter)
        ),
        key=lambda text: len(text.encode()),
        default="",
    )
    assert len(msgspec.json.encode({letter: 0})) == len(shortest.encode()) + len("{:0}")
    hidden = f'{{{shortest}:0,"model":"a","model":"b"}}'.encode()
    with pytest.raises(BadRequest, match="given twice"):
        Body(hidden)


SPELT = '"\\u%04x"'


def spells(text: str, letter: str) -> bool:
    try:
        return bool(msgspec.json.decode(text.encode()) == letter)
    except msgspec.DecodeError:
        return False


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","tools":[{"model":"b","stream":1},{"model":"c"}]}',
        b'{"messages":[{"content":"\\u0041 \\"model\\": twice \\"model\\":"}],"model":"a"}',
        b'{"response_format":{"properties":{"model":{},"mod\\u0065l":{}}},"model":"a"}',
    ],
)
def test_nested_doubles_are_nobodys_business(raw: bytes) -> None:
    assert Body(raw).text("model") == "a"


NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \n",
    "cut": b'{"model":"a"',
    "trailing": b'{"model":"a"} x',
    "two": b"{}{}",
    "comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "leading zero": b'{"a":01}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a":1}'.encode("utf-16"),
    "NUL": b'{"a":"\x00"}',
    "NUL behind": b"{}\x00",
    "line break in text": b'{"a":"\n"}',
    "bad escape": b'{"a":"\\x"}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone surrogate in a name": b'{"\\udfff":1}',
    "invalid UTF-8 in a value": b'{"a":"\xff"}',
    "overlong": b'{"a":"\xc0\xae"}',
    "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "invalid UTF-8 in a name": b'{"\xfe":1}',
    "deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and cut": b'{"a":' + b'{"a":' * 100_000,
    "deep with doubles": b'{"model":1,"model":2,"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        Body(raw)
    assert caught.value.code == "invalid_json"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"model"', b"1", b"true"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="must be a JSON object"):
        Body(raw)


def test_huge_numbers_are_left_alone() -> None:
    raw = b'{"seed":' + b"9" * 100_000 + b',"t":1e999999999,"model":"m"}'
    body = Body(raw)
    body.set("model", b'"n"')
    assert body.raw == raw.replace(b'"m"', b'"n"')


READS: list[tuple[str, Callable[[Body], object], bytes]] = [
    ("text", lambda body: body.text("f"), b"1"),
    ("text", lambda body: body.text("f"), b'["a"]'),
    ("flag", lambda body: body.flag("f"), b'"true"'),
    ("flag", lambda body: body.flag("f"), b"1"),
    ("members", lambda body: body.members("f"), b"[]"),
    ("members", lambda body: body.members("f"), b"true"),
]


@pytest.mark.parametrize(("_name", "read", "value"), READS)
def test_a_wrong_type_is_refused(_name: str, read: Callable[[Body], object], value: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read(Body(b'{"f":' + value + b"}"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", "f")


@pytest.mark.parametrize("raw", [b"{}", b'{"f":null}', b'{"f" : null }'])
def test_absent_and_null_are_the_same(raw: bytes) -> None:
    body = Body(raw)
    assert body.text("f") is None
    assert body.flag("f") is False
    assert body.members("f") is None


def test_members_keep_their_text() -> None:
    members = Body(b'{"f":{"a": 1.00,"b":[ ]}}').members("f")
    assert members is not None
    assert {name: bytes(value) for name, value in members.items()} == {"a": b"1.00", "b": b"[ ]"}


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    try:
        body = Body(raw)
    except BadRequest:
        return
    assert isinstance(loads(raw), dict)
    assert body.raw is raw


@given(bodies(), st.data())
def test_a_damaged_body_raises_nothing_else(
    body: tuple[bytes, bytes, bytes], data: st.DataObject
) -> None:
    raw = bytearray(b"".join(body))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from(b'"{}[],:\\ \x00\xffu0a'))
    try:
        parsed = Body(bytes(raw))
        parsed.text("model")
        parsed.flag("stream")
        parsed.members("stream_options")
        parsed.set("model", b'"n"')
    except BadRequest:
        return
    assert Body(parsed.raw).text("model") == "n"


def test_many_nested_models_cost_one_pass() -> None:
    """Trying each place by decoding anew would take 60 times as long: minutes here."""
    raw = b'{"x":[' + b'{"model":"a"},' * 63 + b"1," * 2_000_000 + b'1],"model":"a"}'
    body = Body(raw)
    body.set("model", b'"b"')
    assert body.raw == raw[:-4] + b'"b"}'
