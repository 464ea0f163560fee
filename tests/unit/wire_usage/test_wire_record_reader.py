"""Reading many records: the same as one by one, whatever came before."""

import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire import record_reader
from proxy.wire.brief import Brief, More, Numbers, Standing
from proxy.wire.record import AttemptRecord, BadLine, Content, Cost, Usage, UsageRecord, line_of
from proxy.wire.record_reader import RecordReader, record_of
from tests.examples import examples

TRICKY = st.sampled_from(
    [
        "",
        "a",
        "ü",
        "\\",
        '"',
        ',"numbers":[',
        '\\",\\"numbers\\":[',
        '{"v":2,"standing":',
        "x" * 5_000,
    ]
)
MAYBE = st.none() | TRICKY
COUNTS = st.integers(0, (1 << 53) - 1)
STANDINGS = st.builds(
    Standing,
    **dict.fromkeys(("worker", "config", "operation", "provider", "target", "key"), TRICKY),
    **dict.fromkeys(("team", "user", "project", "model", "route", "rule", "via"), MAYBE),
    stream=st.booleans(),
    prices=MAYBE,
)
NUMBERS = st.tuples(TRICKY, *[COUNTS] * 14, *[MAYBE] * 4).map(
    lambda parts: msgspec.convert(parts, Numbers)
)
MORE = st.builds(
    More,
    usage=st.none() | st.builds(Usage, *[COUNTS] * 8),
    usage_source=st.sampled_from([None, "upstream", "counted"]),
    cost=st.none() | st.builds(Cost, *[COUNTS] * 10),
    **dict.fromkeys(("attempt", "trace", "span", "parent", "customer", "agent", "session"), MAYBE),
    sampled=st.booleans(),
    tags=st.lists(TRICKY, max_size=2).map(tuple),
    content=st.none() | st.builds(Content, input=MAYBE, output=MAYBE),
)
WHOLE = UsageRecord(
    *("req_1", 1, "w", "c", ',"numbers":[', "failed", 502, 9),
    attempts=(AttemptRecord("p", "m", 1, 2),),
)
STANDING = Standing("w", "c", "chat", "p", "m")
ZEROS = msgspec.convert(["req_1", *[0] * 14], Numbers)


def summed(text: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(text), text)


def written(standing: Standing, numbers: Numbers, more: More | None = None) -> bytes:
    """The line of a brief, as its parts say it."""
    text = msgspec.json.encode(Brief(standing, numbers, more))
    return summed(text[:-1].removesuffix(b',"more":null') + b"}")


@settings(max_examples=examples(150))
@given(
    st.lists(STANDINGS, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), NUMBERS, st.none() | MORE), max_size=6),
)
def test_the_same_as_one_by_one(
    standings: list[Standing], rest: list[tuple[int, Numbers, More | None]]
) -> None:
    reader = RecordReader()
    for which, numbers, more in rest:
        line = written(standings[which % len(standings)], numbers, more)
        assert reader.read(line) == record_of(line)
        assert reader.read(line_of(WHOLE)) == WHOLE
        assert reader.read(line.rstrip(b"\n")) == record_of(line)


def test_fields_of_a_brief_stand_in_their_places() -> None:
    """Each field has a value of its own, so that two cannot have changed places."""

    def own(names: tuple[str, ...], **others: object) -> dict[str, Any]:
        return {**dict(zip(names, names, strict=True)), **others}

    standing = Standing(**own(Standing.__struct_fields__, stream=True))
    numbers = Numbers("id", *range(101, 115))
    usage, cost = Usage(*range(1, 9)), Cost(*range(11, 21))
    others = {"usage": usage, "usage_source": "counted", "cost": cost, "sampled": False}
    content = Content("i", "o")
    more = More(**own(More.__struct_fields__, **others, tags=("t",), content=content))
    made = RecordReader().read(written(standing, numbers, more))
    expected: dict[str, Any] = {
        name: getattr(standing, name)
        for name in ("worker", "config", "operation", "key", "team", "user", "project", "model")
    }
    expected |= {name: getattr(standing, name) for name in ("route", "rule", "stream", "prices")}
    expected |= {name: getattr(numbers, name) for name in Numbers.__struct_fields__[:9]}
    expected |= {
        name: getattr(more, name)
        for name in ("usage", "usage_source", "trace", "span", "parent", "sampled", "tags")
    }
    expected |= {name: getattr(more, name) for name in ("customer", "agent", "session", "content")}
    attempt = AttemptRecord(
        provider=standing.provider,
        model=standing.target,
        started=numbers.started,
        ended=numbers.done,
        head=numbers.head,
        first_byte=numbers.first_token,
        status=200,
        usage=usage,
        usage_source="counted",
        cost=cost,
        span=more.attempt,
        route=standing.via,
    )
    assert made == UsageRecord(
        outcome="completed",
        status=200,
        served_provider=standing.provider,
        served_model=standing.target,
        cost=cost.total,
        attempts=(attempt,),
        **expected,
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"00000000 {}",
        summed(b"{}"),
        summed(b'{"v":2,"standing":'),
        summed(b'{"v":2,"standing":{},"numbers":[]}'),
        written(STANDING, ZEROS)[:-4],
        summed(written(STANDING, ZEROS)[9:-3]),
        summed(written(STANDING, ZEROS)[9:-1].replace(b"[", b"[{},")),
    ],
)
def test_what_is_no_record_is_none_here_too(line: bytes) -> None:
    reader = RecordReader()
    assert reader.read(written(STANDING, ZEROS)).id == "req_1"
    with pytest.raises(BadLine):
        record_of(line)
    with pytest.raises(BadLine):
        reader.read(line)


def test_what_is_kept_is_bounded() -> None:
    reader = RecordReader()
    for number in range(2 * record_reader.KEPT):
        line = written(Standing("w", "c", "chat", "p", f"m-{number}"), ZEROS)
        assert reader.read(line) == reader.read(line)
        assert len(reader._known) <= record_reader.KEPT
    before = dict(reader._known)
    _ = reader.read(written(Standing("w", "c", "chat", "p", "m" * 5_000), ZEROS))
    assert reader._known == before
