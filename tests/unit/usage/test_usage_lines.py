"""The quick way to a line says what the plain way says, whatever the exchange was like."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.errors import Cut, NotAuthenticated, Unreachable
from proxy.base.jsonio import dumps, loads
from proxy.core.attempt import Attempt
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.exchange import Exchange
from proxy.core.labels import Labels
from proxy.core.reply import Reply
from proxy.core.target import Route, Target
from proxy.core.tracing import Trace
from proxy.usage import lines as lines_module
from proxy.usage.lines import Lines
from proxy.usage.pricer import Pricer, Vendor
from proxy.usage.prices.files import in_force
from proxy.usage.prices.price import Price
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, Moment, record_of_exchange
from proxy.usage.usual_usage import usual_usage
from proxy.wire.body import Body
from proxy.wire.measure import reported
from proxy.wire.record import Content, Passing, Standing, Usage, UsageRecord, line_of, record_of
from proxy.wire.tail import Tail
from proxy.wire.usage import DetailedUsage
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import provider, simple
from tests.fakes.wire import FakeTransport

BODY = b'{"model":"m","messages":[]}'
TABLE = PriceTable(in_force)
PRICES = Pricer(
    TABLE,
    {"p": Vendor("openai", "http://127.0.0.1"), "real": Vendor("openai", "")},
    {("p", "m"): Price.of({"input": 2_500_000_000, "output": 10_000_000_000})},
)
IDENTITY = Identity("worker-0")
USAGES = (
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}',
    b'"usage": {\n "prompt_tokens": 1000,\n "completion_tokens": 50,\n "total_tokens": 1050,\n'
    b' "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},\n'
    b' "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0,\n'
    b' "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}',
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":20}',  # Hidden reasoning.
    b'"usage":{"input_tokens":7,"output_tokens":3,"cache_read_input_tokens":5}',
    b'"usage":{"prompt_tokens":90,"completion_tokens":4,"total_tokens":94,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":20}}',
    b'"usage":null',
    b'"content":"no usage at all"',
)
PATHS = ("/chat/completions", "/completions", "/embeddings", "/moderations", "/images/generations")


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> str:
    """Read off the loop, as a worker does when it starts."""
    return TABLE.catalogue.version


def some_exchange(chance: random.Random) -> Exchange:
    """An exchange at its end: mostly as it usually is, each part sometimes not."""

    def rarely() -> bool:
        return chance.random() < 0.15

    x = simple(FakeTransport(), FakeIncoming(BODY, path=chance.choice(PATHS[:1] * 5 + PATHS)))
    x.labels = Labels(
        "acme" if rarely() else None,
        "ö" * 128 if rarely() else None,
        "se\u2028ssion" if rarely() else None,
        ("t", "u") if rarely() else (),
    )
    x.model = chance.choice(("m", "gpt-4o", 'quote"\\', None))
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
    )
    if rarely():
        x.trace = Trace("a" * 32, "b" * 16, "c" * 16, chance.choice(("00", "01", "03")))
    _answer(x, chance)
    if rarely():
        x.counted = Usage(11, 12)
    if rarely():
        x.content = Content("said", "heard")
    return x


def _answer(x: Exchange, chance: random.Random) -> None:
    def rarely() -> bool:
        return chance.random() < 0.15

    for number in range(chance.choice((1, 1, 1, 1, 0, 2, 3))):
        name, model = chance.choice((("p", "m"), ("p", ""), ("real", "gpt-4o"), ("free", "l")))
        target = Target(provider(name, FakeTransport()), model)
        x.route = Route(chance.choice(("m", "*")), (target,))
        attempt = Attempt(target, chance.choice((None, "d" * 16)))
        attempt.started = x.arrived + number / 100 + chance.random() / 100
        if not rarely():
            attempt.head = attempt.started + 0.001
            attempt.first_byte = x.first_byte = attempt.head + chance.random()
            attempt.status = 200 if not rarely() else 404
        elif rarely():
            attempt.error, attempt.ended = "connect", attempt.started + 0.002
        x.attempts.append(attempt)
    if rarely():
        x.route = None
    x.tail.feed(b'{"choices":[],' + chance.choice(USAGES[:2] * 3 + USAGES) + b"}")
    x.finished = not rarely()
    if x.finished or rarely():
        x.reply = Reply(chance.choice((200, 200, 201)), [], body=b"body")
    if not x.finished or rarely():
        errors = (Cut("gone"), NotAuthenticated("no"), Unreachable("no"), asyncio.CancelledError())
        x.error = chance.choice(errors)


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_make_the_same_record(seed: int) -> None:
    chance = random.Random(seed)
    lines = Lines(IDENTITY, PRICES)
    quick = 0
    for _ in range(250):
        x = some_exchange(chance)
        ended = Moment(x.received + 2 + chance.random(), 1_763_640_000 + chance.random() * 10**6)
        plain = record_of_exchange(x, IDENTITY, PRICES, ended)
        line = lines.of(x, ended)
        assert record_of(line) == record_of(line_of(plain))
        # What the decoder leaves out is the same too: details of usage.
        assert loads(line[9:]) == loads(line_of(plain)[9:])
        quick += line != line_of(plain)
    assert quick > 60


def test_the_two_parts_of_a_record_are_the_whole_record() -> None:
    kinds = UsageRecord.__annotations__
    parts = Standing.__annotations__ | Passing.__annotations__
    later = {"error", "code", "rule", "cache"}  # Not of what ends as usual.
    assert parts.keys() == kinds.keys() - later
    assert all(parts[name] == kinds[name] for name in parts)
    assert not Standing.__annotations__.keys() & Passing.__annotations__.keys()


def test_beginnings_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_KEPT", 3)
    lines = Lines(IDENTITY, PRICES)
    chance = random.Random(1)
    for number in range(20):
        x = some_exchange(chance)
        x.model = f"m{number}"
        assert record_of(lines.of(x)).model == f"m{number}"
        assert len(lines._known) <= 3


def test_a_price_that_changes_is_seen_in_the_second_it_changes() -> None:
    class Changing(Pricer):
        __slots__ = ()

        def price(
            self, provider: str, model: str, at: float | None = None, tier: str = ""
        ) -> Price | None:
            return Price.of({"input": 10**9 if at is None or at < 100 else 10**12, "output": 0})

    lines = Lines(IDENTITY, Changing(TABLE, {}))
    x = simple(FakeTransport(), FakeIncoming(BODY))
    attempt = Attempt(Target(provider("p", FakeTransport()), "m"))
    attempt.head = attempt.first_byte = x.first_byte = attempt.started
    attempt.status = 200
    x.attempts.append(attempt)
    x.reply, x.finished = Reply(200, []), True
    x.tail.feed(b"{" + USAGES[0] + b"}")
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


counts = st.integers(0, 10**9 + 5)
usage_objects = st.fixed_dictionaries(
    {"prompt_tokens": counts, "completion_tokens": counts, "total_tokens": counts},
    optional={
        "prompt_tokens_details": st.fixed_dictionaries(
            {"cached_tokens": counts}, optional={"audio_tokens": st.sampled_from((0, 0, 0, 5))}
        ),
        "completion_tokens_details": st.fixed_dictionaries(
            {"reasoning_tokens": counts, "audio_tokens": st.sampled_from((0, 0, 3))},
            optional={"accepted_prediction_tokens": counts, "rejected_prediction_tokens": counts},
        ),
        "cost": st.floats(0, 1),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    usage=usage_objects, agrees=st.booleans(), after=st.sampled_from((b"", b'"billed_units":{}'))
)
def test_one_look_sees_what_a_closer_look_sees(
    usage: dict[str, object], agrees: bool, after: bytes
) -> None:
    if agrees:
        usage["total_tokens"] = int(str(usage["prompt_tokens"])) + int(
            str(usage["completion_tokens"])
        )
    tail = Tail()
    tail.feed(b'{"id":"x","usage":null,"usage":' + dumps(usage) + b"," + after + b"}")
    found = usual_usage(tail.last())
    assert found is None or found == reported(tail)


@pytest.mark.parametrize("text", USAGES[:2])
def test_the_usual_is_seen_at_one_look(text: bytes) -> None:
    tail = Tail()
    tail.feed(b"{" + text + b"}")
    assert usual_usage(tail.last()) == reported(tail)
    assert usual_usage(tail.last()) is not None


@pytest.mark.parametrize(
    "text",
    [
        b'{"usage":{"prompt_tokens":09,"completion_tokens":4,"total_tokens":13}}',
        b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13',
        b'{"usage":{"prompt_tokens":-9,"completion_tokens":4,"total_tokens":-5}}',
        b'{"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":1}}',
        b"",
    ],
    ids=["zeros", "torn", "negative", "more", "empty"],
)
def test_what_is_unusual_is_left_to_a_closer_look(text: bytes) -> None:
    assert usual_usage(text) is None
