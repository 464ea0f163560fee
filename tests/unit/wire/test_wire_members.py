"""Long strings are passed over and nobody can tell: the same members, byte for byte."""

import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.wire.body import Body
from proxy.wire.content import prompt
from proxy.wire.members import check, members_of
from proxy.wire.operations import CHAT

_AGAIN = re.compile(rb"(?s)(.{1,24}?)\1{9,}")
_ONCE = rb"<\1...>"
ALL = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Text(bytes):
    """Told in few words where an example fails."""

    def __repr__(self) -> str:
        return f"Text({_AGAIN.sub(_ONCE, self)!r})"


# What a long string is made of, repeated. Where a stretch begins and ends falls anywhere in them.
STUFF = [
    b"a",
    b"iVBORw0KGgo=",
    b"of plain words ",
    b"a line\\n",
    b"\\\\",
    b"\\u00e9",
    b"\\ud83d\\ude00",
    "é€😀".encode(),
    Text(b'a \\"quoted\\" word ' + b"and many that are not " * 1700),
    Text(b'\\"' + b"." * 16_379),
    b"{}[],:",
]


lengths = st.tuples(
    st.sampled_from([100_000, 70_000, 131_072, 40_000, 20_000, 100]), st.integers(0, 40)
).map(sum)
longs = st.tuples(st.sampled_from(STUFF), lengths).map(
    lambda drawn: b'"' + drawn[0] * (drawn[1] // len(drawn[0]) + 1) + b'"'
)
numbers = st.integers(1, 40_000).map(lambda count: b"[" + b"1," * count + b"2]")
spaced = st.integers(1, 60_000).map(lambda count: b"null" + b" " * count)
shorts = st.sampled_from([b"null", b'"gpt-4o"', b"[]", b"{}", b"-1.5e7", b'"a\\"b"'])
values = st.recursive(
    st.one_of(longs, longs, numbers, spaced, shorts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: b"[" + b", ".join(found) + b"]"),
        st.lists(inner, max_size=3).map(
            lambda found: b"{" + b",".join(b'"k%d":%b' % each for each in enumerate(found)) + b"}"
        ),
    ),
    max_leaves=4,
)
usual = st.sampled_from([b'"model"', b'"messages"', b'"mod\\u0065l"', b'"a b"', b'"n"', b'"user"'])
names = st.one_of(usual, usual, usual, longs)
bodies = st.lists(st.tuples(names, values), min_size=1, max_size=4).map(
    lambda members: Text(b"{" + b" ,\n".join(b"%b : %b" % each for each in members) + b"}")
)


def chat(content: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":"%b"}],"n":1}' % content


def spelled(members: object) -> list[tuple[str, bytes]]:
    assert isinstance(members, dict)
    return [(name, bytes(value)) for name, value in members.items()]


@settings(max_examples=200)
@given(bodies)
@example(chat(b"\\\\" * 60_000))
@example(chat(b"a" + b"\\\\" * 60_000))
@example(Text(b'{"model":"m","%b":1}' % ("é€😀".encode() * 12_000)))
@example(b'{"model":"m","model":"' + b"a" * 100_000 + b'"}')
def test_the_members_are_those_that_a_full_reading_finds(raw: bytes) -> None:
    found, unread = members_of(raw)
    assert spelled(found) == spelled(ALL.decode(raw))
    for name in unread:
        check(found[name])


@settings(max_examples=200)
@given(bodies, st.floats(0, 1), st.binary(max_size=2), st.integers(0, 2))
def test_what_is_wrong_is_found_at_once_or_by_who_reads_it(
    raw: bytes, place: float, put: bytes, instead_of: int
) -> None:
    at = int(place * len(raw))
    raw = raw[:at] + put + raw[at + instead_of :]
    try:
        raw.decode()
        whole = ALL.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        wrong = str(error)
    else:
        assert spelled(members_of(raw)[0]) == spelled(whole)
        return
    try:
        found, unread = members_of(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        assert str(error) == wrong
        return
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        for name in unread:
            check(found[name])
            msgspec.json.decode(found[name])


def test_a_long_string_is_passed_over() -> None:
    _, unread = members_of(chat(b"a" * 100_000))
    assert unread == {"messages"}
    for shift in range(12):
        _, unread = members_of(chat(b"a" * shift + "é€😀".encode() * 12_000))
        assert unread == {"messages"}
    _, unread = members_of(chat(b"a" * 60_000))
    assert not unread


@pytest.mark.parametrize("behind", range(8))
@pytest.mark.parametrize("stuff", [b"\xff", b"\xf0", b"\xf0\x9f\x98", b"\x80"])
def test_no_half_of_a_character_reaches_a_quote(stuff: bytes, behind: int) -> None:
    """Some readers take what follows for more of it, and must not take a quote."""
    with pytest.raises(BadRequest, match="UTF-8"):
        Body(chat(b"a" * 100_000 + stuff + b"a" * behind))
    with pytest.raises(BadRequest, match="UTF-8"):
        Body(chat(b"a" * behind + stuff + b"a" * 100_000))


def test_what_is_no_text_at_all_is_refused() -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        Body(chat(b"\x80" * 200_000))


@pytest.mark.parametrize(
    "stuff", [b"a\n", b"a\x01", b"\\q a", b"a\\u12zz ", b"\xff", b"\xed\xa0\x80 "]
)
def test_who_reads_a_long_string_finds_what_is_wrong_in_it(stuff: bytes) -> None:
    raw = chat(b"a" * 50_000 + stuff + b"a" * 50_000)
    body = Body(raw)
    assert (body.raw, body.text("model"), body.count("n", 9)) == (raw, "m", 1)
    for read in (body.value, body.text, body.object, body.members, body.flag):
        with pytest.raises(BadRequest) as caught:
            read("messages")
        assert caught.value.code == "invalid_json"
    kept = prompt(CHAT, body)  # What is kept of it goes into a record: that is never refused.
    assert kept is not None
    assert kept.startswith('{"messages":[{"role":"user","content":"aaaa')
    body.set("model", b'"other"')
    assert body.raw == raw.replace(b'"m"', b'"other"', 1)


def test_a_name_that_is_given_twice_is_refused_beside_long_strings() -> None:
    for again in (b'"model":"n"', b'"messages":[]', b'"mod\\u0065l":"n"'):
        with pytest.raises(BadRequest, match="is given twice"):
            Body(chat(b"a" * 100_000)[:-1] + b"," + again + b"}")
