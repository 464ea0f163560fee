"""Forms: the model's place is exact in any split; ambiguity is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base.errors import BadRequest
from proxy.wire.multipart import ModelPart, Part, boundary_of
from tests.unit.wire.wire_splits import bytewise, splits

B = b"----form_0123456789"


def part(name: bytes, value: bytes, extra: bytes = b"") -> bytes:
    return b"--%b\r\nContent-Disposition: form-data; name=%b%b\r\n\r\n%b\r\n" % (
        B,
        name,
        extra,
        value,
    )


def form(*parts: bytes, before: bytes = b"", behind: bytes = b"\r\n") -> bytes:
    return before + b"".join(parts) + b"--" + B + b"--" + behind


FILE = part(
    b'"file"',
    b"RIFF\r\n--no\r\n\r\nname=model\r\n--" + B[:-1] + b"\n\r--",
    b'; filename="a b;c.wav"\r\nContent-Type: audio/wav',
)


def model(value: bytes = b"whisper-1") -> bytes:
    return part(b'"model"', value)


def looked(pieces: list[bytes]) -> Part | None:
    finder = ModelPart(B)
    for piece in pieces:
        finder.feed(piece)
    return finder.found


def refused(body: bytes) -> None:
    for pieces in ([body], bytewise(body)):
        with pytest.raises(BadRequest):
            looked(pieces)


FORMS = {
    "model first": form(model(), FILE),
    "model last": form(FILE, model()),
    "preamble": form(FILE, model(), before=b"to whom it may concern\r\n"),
    "epilogue": form(model(), FILE, behind=b"\r\n--" + B + b"\r\nbye"),
    "no break behind": form(model(), behind=b""),
    "padding": form(model().replace(B, B + b" \t"), FILE),
    "padding at the end": form(model(), behind=b"  \r\n"),
    "empty part": form(part(b'"prompt"', b""), model()),
    "no head": form(b"--" + B + b"\r\n\r\nbare\r\n", model()),
    "token": form(part(b"model", b"whisper-1")),
    "other fields": form(part(b'"model"', b"whisper-1", b"\r\nContent-Type: text/plain"), FILE),
    "plain coding": form(part(b'"model"', b"whisper-1", b"\r\nContent-Transfer-Encoding: 8bit")),
    "name last": form(
        b"--" + B + b"\r\ncontent-disposition: form-data; filename=x; name=model\r\n"
        b"\r\nwhisper-1\r\n"
    ),
    "near names": form(part(b'"models"', b"x"), part(b'"the_model"', b"y"), model()),
    "boundary in a line": form(part(b'"a"', b"x--" + B + b"y"), model()),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_the_model_is_found_where_it_stands(body: bytes) -> None:
    for pieces in ([body], bytewise(body)):
        found = looked(pieces)
        assert found is not None
        assert found.value == "whisper-1"
        assert body[found.start : found.end] == b"whisper-1"


@given(st.sampled_from(sorted(FORMS.values())), st.data())
def test_any_split_finds_the_same(body: bytes, data: st.DataObject) -> None:
    assert looked(data.draw(splits(body))) == looked([body])


@pytest.mark.parametrize("value", [b"", b"a", b"\r\n", b"a\r\n--b", b"m" * 1024, "mödel".encode()])
def test_values_are_exact(value: bytes) -> None:
    body = form(FILE, model(value), FILE)
    for pieces in ([body], bytewise(body)):
        found = looked(pieces)
        assert found is not None
        assert found.value.encode() == value == body[found.start : found.end]


def test_a_big_file_runs_through() -> None:
    finder = ModelPart(B)
    finder.feed(part(b'"file"', b"")[:-2])
    before = len(part(b'"file"', b"")[:-2])
    for _ in range(64):
        finder.feed(b"\r\n--\x00" * 16_384)
        assert len(finder._buffer) < 100
    finder.feed(b"\r\n" + form(model()))
    assert finder.found is not None
    assert finder.found.start == before + 64 * 5 * 16_384 + 2 + len(model()) - len(b"whisper-1\r\n")


def test_a_form_without_a_model_has_none() -> None:
    assert looked([form(FILE)]) is None
    assert looked([b""]) is None
    assert looked(bytewise(form(FILE, part(b'""', b"x")))) is None


def test_nothing_behind_the_end_counts() -> None:
    body = form(FILE, behind=b"\r\n" + model())
    assert looked([body]) is None
    assert looked(bytewise(body)) is None


REFUSED = {
    "two models": form(model(), model()),
    "two models, file between": form(model(b"a"), FILE, model(b"b")),
    "too long": form(model(b"m" * 1025)),
    "no end of a long value": model(b"m" * 5000)[:-2],
    "not UTF-8": form(model(b"\xff")),
    "long head": form(part(b'"x"', b"", b"; filename=" + b"f" * 9000)),
    "endless head": b"--" + B + b"\r\nX: " + b"x" * 9000,
    "endless padding": b"--" + B + b" " * 9000,
    "bare LF before a boundary": form(
        model(), part(b'"f"', b"x\n--" + B + b'\nContent-Disposition: form-data; name="model"\n\ny')
    ),
    "bare CR before a boundary": form(model(), part(b'"f"', b"x\r--" + B)),
    "text behind a boundary": form(part(b'"f"', b"x\r\n--" + B + b"y\r\nA: b\r\n\r\n"), model()),
    "text behind the end": form(model(), behind=b"y\r\n"),
    "bare LF behind the end": form(model(), behind=b"\n" + model()),
    "LF only": form(model()).replace(b"\r\n", b"\n"),
    "LF in a head": form(part(b'"a"', b"x", b"\nContent-Disposition: form-data; name=model")),
    "folded field": form(part(b'"a"', b"x", b';\r\n name="model"')),
    "no field": form(part(b'"a"', b"x", b"\r\nnonsense")),
    "boundary in a head": form(part(b'"a"', b"x", b"\r\n--" + B), model()),
    "two dispositions": form(
        part(b'"a"', b"x", b'\r\nContent-Disposition: form-data; name="model"')
    ),
    "two names": form(part(b'"a"', b"x", b'; name="model"')),
    "name in a file's name": form(part(b'"model"', b"x", b'; filename="; name=a"')),
    "extended name": form(part(b'"a"', b"x").replace(b"name=", b"name*=UTF-8''")),
    "quote not closed": form(part(b'"model', b"x")),
    "escaped letter": form(part(b'"mod\\el"', b"x")),
    "single quotes": form(part(b"'model'", b"x")),
    "white space in the name": form(part(b'" model"', b"x")),
    "other case": form(part(b'"Model"', b"x")),
    "array": form(part(b'"model[]"', b"x")),
    "encoded value": form(part(b'"model"', b"eA==", b"\r\nContent-Transfer-Encoding: base64")),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    refused(body)


@given(st.binary(max_size=300), st.data())
def test_random_bytes_raise_nothing_else(body: bytes, data: st.DataObject) -> None:
    try:
        looked(data.draw(splits(body)))
    except BadRequest as error:
        assert error.code in {"invalid_multipart", "duplicate_field", None}


@given(st.sampled_from(sorted(FORMS.values())), st.data())
def test_a_damaged_form_is_judged_alike_in_any_split(body: bytes, data: st.DataObject) -> None:
    raw = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b'\r\n-" ;=\xffm'))

    def judged(pieces: list[bytes]) -> Part | str | None:
        try:
            return looked(pieces)
        except BadRequest:
            return "refused"

    whole = judged([bytes(raw)])
    assert judged(data.draw(splits(bytes(raw)))) == whole
    assert judged(bytewise(bytes(raw))) == whole


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b\'()+_,-./:=?"', b"a b'()+_,-./:=?"),
        ("multipart/form-data;boundary=----WebKitFormBoundaryX ; x=y", b"----WebKitFormBoundaryX"),
    ],
)
def test_boundaries(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=ä",
        "multipart/form-data; boundary=\udcff",
        'multipart/form-data; boundary="a\\"b"',
        "multipart/form-data; boundary=" + "a" * 201,
        "multipart/form-data; xboundary=a",
    ],
)
def test_boundaries_that_cannot_be_used(content_type: str) -> None:
    with pytest.raises(BadRequest):
        boundary_of(content_type)
