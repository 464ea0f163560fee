"""The quick way to a line says what the plain way says, whatever the exchange was like."""

import asyncio
import random
import zlib
from collections.abc import Callable

import msgspec
import pytest

from proxy.base.errors import Cut, NotAuthenticated, Unreachable
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.labels import Labels
from proxy.core.reply import Reply
from proxy.core.rules import Rule
from proxy.core.target import Route, Target
from proxy.core.tracing import Trace
from proxy.usage import lines as lines_module
from proxy.usage.lines import Lines
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, Moment, record_of_exchange
from proxy.usage.said import said
from proxy.wire.body import Body
from proxy.wire.brief_line import is_ids
from proxy.wire.record import BadLine, Content, Usage, line_of
from proxy.wire.record_reader import record_of
from proxy.wire.usage import DetailedUsage
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport
from tests.unit.usage.usages import USAGES

BRIEF, MORE = b'{"v":2,', b'],"more":{'
BODY = b'{"model":"m","messages":[]}'
TABLE = PriceTable(in_force)
PRICES = Pricer(
    TABLE,
    {"p": Vendor("openai", "http://127.0.0.1"), "real": Vendor("openai", "")},
    {("p", "m"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})},
)
IDENTITY = Identity("worker-0")
PATHS = ("/chat/completions", "/completions", "/embeddings", "/moderations", "/images/generations")


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> str:
    """Read off the loop, as a worker does when it starts."""
    return TABLE.catalogue.version


def some_exchange(chance: random.Random) -> Exchange:
    """An exchange at its end: mostly as it usually is, each part sometimes not."""

    def rarely() -> bool:
        return chance.random() < 0.06

    x = simple(FakeTransport(), FakeIncoming(BODY, path=chance.choice(PATHS[:1] * 5 + PATHS)))
    if rarely():
        x.labels = Labels(
            chance.choice((None, "acme")),
            chance.choice((None, "ö" * 128)),
            chance.choice((None, "se\u2028ssion")),
            chance.choice(((), ("t", "u"))),
        )
    x.model = chance.choice(("m", "gpt-4o", 'quote"\\', "100%d", "sk-0123456789abcdef", None))
    x.stream = chance.random() < 0.5
    x.body = Body(BODY) if not rarely() else None
    x.arrived = x.received + chance.random() / 1000
    x.admitted = x.arrived + chance.random() / 1000 if not rarely() else 0.0
    x.caller = Caller(
        chance.choice(("one", "two")),
        ModelPatterns.of(("*",)),
        team=chance.choice((None, "red")),
        user=chance.choice((None, "ädä")),
        project=chance.choice((None, "apollo")),
        tags=("own",) if rarely() else (),
        agent="own" if rarely() else None,
    )
    if rarely():
        x.trace = Trace("a" * 32, "b" * 16, "c" * 16, chance.choice(("00", "01", "03")))
    _answer(x, chance)
    x.rule = chance.choice((None, None, Rule("short"), Rule("long")))
    if rarely():
        x.counted = Usage(11, 12)
    if rarely():
        x.content = Content("said", "heard")
    return x


def _answer(x: Exchange, chance: random.Random) -> None:
    def rarely() -> bool:
        return chance.random() < 0.06

    for number in range(chance.choice((1, 1, 1, 1, 1, 1, 1, 0, 2, 3))):
        name, model = chance.choice(
            (("p", "m"),) * 5 + (("p", ""), ("real", "gpt-4o"), ("free", "l"))
        )
        own = chance.choice(("m", "*", ""))
        target = Target(provider(name, FakeTransport()), model, route=own)
        x.route = Route(chance.choice(("m", "*")), (target,))
        attempt = Attempt(target, "d" * 16 if x.trace.span is not None else None)
        attempt.hedge = number > 0 and rarely()
        attempt.started = x.arrived + number / 100 + (chance.random() - 0.01) / 100
        if not rarely():
            attempt.head = attempt.started + 0.001 if not rarely() else 0.0
            attempt.first_byte = x.first_byte = attempt.head + chance.random()
            attempt.status = 200 if not rarely() else 404
            if rarely():
                x.first_byte += 0.001
        elif rarely():
            attempt.error, attempt.ended = "connect", attempt.started + 0.002
        if rarely():
            attempt.ended = attempt.started + 1.5
        x.attempts.append(attempt)
    if rarely():
        x.route = None
    x.tail.feed(b'{"choices":[],' + chance.choice(USAGES[:1] * 7 + USAGES[:2] * 2 + USAGES) + b"}")
    x.finished = not rarely()
    if x.finished or rarely():
        x.reply = Reply(chance.choice((200,) * 9 + (201,)), [], body=b"body")
    if not x.finished or rarely():
        errors = (Cut("gone"), NotAuthenticated("no"), Unreachable("no"), asyncio.CancelledError())
        x.error = chance.choice(errors)


def usual_exchange() -> Exchange:
    """Nothing about it is unusual."""
    x = simple(FakeTransport(), FakeIncoming(BODY))
    target = Target(provider("p", FakeTransport()), "m")
    x.body, x.model, x.route, x.admitted = Body(BODY), "m", Route("m", (target,)), x.arrived
    attempt = Attempt(target)
    attempt.head = attempt.first_byte = x.first_byte = attempt.started
    attempt.status = 200
    x.attempts.append(attempt)
    x.reply, x.finished = Reply(200, []), True
    x.tail.feed(b"{" + USAGES[0] + b"}")
    return x


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_make_the_same_record(seed: int) -> None:
    chance = random.Random(seed)
    lines = Lines(IDENTITY, PRICES)
    plain = detailed = 0
    for _ in range(250):
        x = some_exchange(chance)
        ended = Moment(x.received + 2 + chance.random(), 1_763_640_000 + chance.random() * 10**6)
        record = record_of_exchange(x, IDENTITY, PRICES, ended)
        told = [(attempt.usage, attempt.cost) for attempt in x.attempts]
        line = lines.of(x, ended)
        assert record_of(line) == record_of(line_of(record))
        assert [(attempt.usage, attempt.cost) for attempt in x.attempts] == told
        plain += BRIEF in line and MORE not in line
        detailed += BRIEF in line and MORE in line
    assert plain > 8
    assert detailed > 40


def test_the_usual_adds_nothing_but_numbers() -> None:
    x = usual_exchange()
    line = Lines(IDENTITY, PRICES).of(x)
    assert BRIEF in line
    assert MORE not in line
    assert record_of(line).cost == 9 * 2_500 + 4 * 10_000
    assert x.attempts[0].usage == Usage(9, 4)
    assert x.attempts[0].cost == 62_500


def test_rules_and_fallbacks_have_lines_of_their_own() -> None:
    lines = Lines(IDENTITY, PRICES)
    found = []
    for rule, own in ((None, "m"), (Rule("long"), "m"), (Rule("long"), "spare"), (None, "")):
        x = usual_exchange()
        x.rule = rule
        x.attempts[0].target = Target(provider("p", FakeTransport()), "m", route=own)
        line = lines.of(x)
        assert BRIEF in line
        assert MORE not in line
        record = record_of(line)
        found.append((record.route, record.rule, record.attempts[0].route))
    assert found == [
        ("m", None, None), ("m", "long", None), ("m", "long", "spare"), ("m", None, None),
    ]  # fmt: skip


UNUSUAL: dict[str, Callable[[Exchange], None]] = {
    "not finished": lambda x: setattr(x, "finished", False),
    "an error": lambda x: setattr(x, "error", Cut("gone")),
    "no reply": lambda x: setattr(x, "reply", None),
    "status": lambda x: setattr(x.reply, "status", 201),
    "vendor's status": lambda x: setattr(x.attempts[0], "status", 201),
    "failed attempt": lambda x: setattr(x.attempts[0], "error", "cut"),
    "ended before": lambda x: setattr(x.attempts[0], "ended", x.received + 1),
    "no head": lambda x: setattr(x.attempts[0], "head", 0.0),
    "no first byte": lambda x: setattr(x, "first_byte", 0.0),
    "two first bytes": lambda x: setattr(x, "first_byte", x.first_byte + 1),
    "not admitted": lambda x: setattr(x, "admitted", 0.0),
    "no body": lambda x: setattr(x, "body", None),
    "no attempt": lambda x: x.attempts.clear(),
    "two attempts": lambda x: x.attempts.append(x.attempts[0]),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_not_as_always_takes_the_plain_way(change: Callable[[Exchange], None]) -> None:
    x = usual_exchange()
    change(x)
    ended = Moment(x.received + 2, 1_763_640_000.5)
    line = Lines(IDENTITY, PRICES).of(x, ended)
    assert BRIEF not in line
    assert line == line_of(record_of_exchange(x, IDENTITY, PRICES, ended))


@pytest.mark.parametrize("usage", USAGES[3:5], ids=["cached", "reasoning"])
def test_parts_of_the_whole_are_paid_at_their_own_rates(usage: bytes) -> None:
    rates = {"input": 10**9, "output": 10**9, "cached_input": 10**8, "reasoning": 10**10}
    prices = Pricer(TABLE, {}, {("p", "m"): Price.of(rates)})
    x = usual_exchange()
    x.tail.feed(b"{" + usage + b"}")
    ended = Moment(x.received + 2, 1_763_640_000.5)
    line = Lines(IDENTITY, prices).of(x, ended)
    assert MORE in line
    assert record_of(line) == record_of_exchange(x, IDENTITY, prices, ended)


@pytest.mark.parametrize(
    ("rates", "more"),
    [
        ({"input": 3, "output": 10**15}, False),
        ({"input": 0, "output": 0}, False),
        ({"input": 5, "output": 7, "request": 10**6}, True),
        ({"input": 5}, True),
        ({"output": 5}, True),
    ],
)
def test_a_price_is_flat_where_only_the_number_of_tokens_decides(
    rates: dict[str, int], more: bool
) -> None:
    prices = Pricer(TABLE, {}, {("p", "m"): Price.of(rates)})
    x = usual_exchange()
    ended = Moment(x.received + 2, 1_763_640_000.5)
    line = Lines(IDENTITY, prices).of(x, ended)
    assert (MORE in line) is more
    assert record_of(line) == record_of_exchange(x, IDENTITY, prices, ended)


def test_a_price_that_rises_with_the_context_is_not_flat() -> None:
    dear = Price.of({"input": 2 * 10**9, "output": 10**9})
    above = Price.of({"input": 10**9, "output": 10**9}, above=((8, dear),))
    tiered = Price.of({"input": 10**9, "output": 10**9}, tiers=frozenset(("priority",)))
    for price, cost in ((above, 9 * 2_000 + 4_000), (tiered, 13_000)):
        line = Lines(IDENTITY, Pricer(TABLE, {}, {("p", "m"): price})).of(usual_exchange())
        assert MORE in line
        assert record_of(line).cost == cost


@pytest.mark.parametrize("place", [0, 12, 200, -3])
def test_a_brief_that_is_damaged_is_no_record(place: int) -> None:
    line = bytearray(Lines(IDENTITY, PRICES).of(usual_exchange()))
    line[place] ^= 1
    with pytest.raises(BadLine):
        record_of(bytes(line))


def test_a_brief_without_its_numbers_is_no_record() -> None:
    text = Lines(IDENTITY, PRICES).of(usual_exchange())[9:-1].partition(b"[")[0] + b"[]}"
    with pytest.raises(BadLine, match="array"):
        record_of(b"%08x %b\n" % (zlib.crc32(text), text))


def test_beginnings_are_kept_within_bounds() -> None:
    most = lines_module._KEPT
    lines = Lines(IDENTITY, PRICES)
    chance = random.Random(1)
    for number in range(most + 20):
        x = some_exchange(chance)
        x.model = f"m{number}"
        assert record_of(lines.of(x)).model == f"m{number}"
        assert len(lines._known) <= most


def test_a_price_that_changes_is_seen_in_the_second_it_changes() -> None:
    class Changing(Pricer):
        __slots__ = ()

        def price(
            self, provider: str, model: str, at: float | None = None, tier: str = ""
        ) -> Price | None:
            return Price.of({"input": 10**9 if at is None or at < 100 else 10**12, "output": 0})

    lines, x = Lines(IDENTITY, Changing(TABLE, {})), usual_exchange()
    moments = (99.2, 99.9, 100.0, 100.5)
    costs = [record_of(lines.of(x, Moment(x.received + 1, at))).cost for at in moments]
    assert costs == [9_000, 9_000, 9_000_000, 9_000_000]


def test_details_of_usage_survive_a_sum() -> None:
    x = simple(FakeTransport(), FakeIncoming(BODY))
    x.body = Body(BODY)
    target = Target(provider("p", FakeTransport()), "m")
    attempt = Attempt(target)
    x.attempts += [Attempt(target), attempt]
    attempt.first_byte = x.first_byte = attempt.started
    attempt.status = 200
    x.reply, x.finished = Reply(200, []), True
    x.tail.feed(b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"num_search_queries":3}}')
    usage = record_of_exchange(x, IDENTITY, PRICES).usage
    assert isinstance(usage, DetailedUsage)
    assert usage.searches == 3
    assert usage.input == 9 + 7  # Of the first attempt: 27 bytes of a request that was taken.


SPAN = "d" * 16
SAYING: dict[str, Callable[[Exchange], None]] = {
    "nothing": lambda x: None,
    "a span": lambda x: setattr(x, "trace", Trace("a" * 32, None, "c" * 16)),
    "a span below another": lambda x: setattr(x, "trace", Trace("a" * 32, "b" * 16, "c" * 16)),
    "not sampled": lambda x: setattr(x, "trace", Trace("a" * 32, "b" * 16, "c" * 16, "00")),
    "other flags": lambda x: setattr(x, "trace", Trace("a" * 32, "b" * 16, "c" * 16, "03")),
    "the caller's trace": lambda x: setattr(x, "trace", Trace("a" * 32, "b" * 16)),
    "labels": lambda x: setattr(x, "labels", Labels("ö", 'a"', "s\u2028", ("t",))),
    "the key's tags": lambda x: setattr(
        x, "caller", Caller("k", ModelPatterns.of(("*",)), tags=("own",))
    ),
}


@pytest.mark.parametrize("change", SAYING.values(), ids=SAYING.keys())
@pytest.mark.parametrize("rates", [(10**9, 10**9), (0, 10**9), (10**9, 0)])
@pytest.mark.parametrize("held", [False, True])
def test_what_a_request_says_is_written_as_it_would_be_encoded(
    change: Callable[[Exchange], None], rates: tuple[int, int], held: bool
) -> None:
    """Byte for byte, also where its hold had it rendered before."""
    prices = Pricer(TABLE, {}, {("p", "m"): Price.of({"input": rates[0], "output": rates[1]})})
    x = usual_exchange()
    change(x)
    attempt = x.attempts[0]
    attempt.span = SPAN if x.trace.span is not None else None
    if held:
        attempt.said = said(x, attempt, x.labels)
    ended = Moment(x.received + 2, 1_763_640_000.5)
    line = Lines(IDENTITY, prices).of(x, ended)
    assert record_of(line) == record_of_exchange(x, IDENTITY, prices, ended)
    told = said(x, attempt, x.labels)
    assert (MORE in line) is (bool(told) and not is_ids(told))
    if told and MORE not in line:
        named = (attempt.span, x.trace.trace, x.trace.span, x.trace.parent)
        given = msgspec.json.encode([each for each in named if each is not None])
        assert line.endswith(b",%b}\n" % given[1:])
    if MORE in line:
        more = Lines(IDENTITY, prices)._more(x, attempt, Usage(9, 4), prices.price("p", "m"))
        assert line.endswith(b',"more":%b}\n' % msgspec.json.encode(more))


def test_usage_that_was_seen_is_not_looked_for_again() -> None:
    x = usual_exchange()
    x.tail.seen = x.tail.total, Usage(90, 40)
    assert record_of(Lines(IDENTITY, PRICES).of(x)).usage == Usage(90, 40)
    x.tail.feed(b" ")  # More has come: what was seen may not be the last.
    assert record_of(Lines(IDENTITY, PRICES).of(x)).usage == Usage(9, 4)
