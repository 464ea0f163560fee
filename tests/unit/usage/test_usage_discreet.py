"""Records of `telemetry.content: none`: no name in them that the request chose."""

from dataclasses import replace

from proxy.core.caller import Caller, ModelPatterns
from proxy.core.labels import Labels
from proxy.core.target import Target
from proxy.usage.discreet import DiscreetLines
from proxy.usage.pricer import Pricer
from proxy.usage.prices.files import in_force
from proxy.usage.prices.table import PriceTable
from proxy.usage.recording import Identity, record_of_exchange
from proxy.wire.record import Content, UsageRecord
from proxy.wire.record_reader import record_of
from tests.fakes.caller import FakeIncoming
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeTransport

CHOSEN = Labels("chosen", "chosen", "chosen", ("own", "chosen"))
ALICE = Caller(
    "alice", ModelPatterns.of(("*",)), team="blue", user="al", project="p", tags=("own",)
)
PRICER = Pricer(PriceTable(in_force), {}, {})
WHO = Identity("worker-0")


def both(model: str, route: str | None) -> tuple[UsageRecord, UsageRecord]:
    """The record as it is by default, and the discreet one."""
    run = runtime({"m": (Target(provider("p", FakeTransport())),)})
    x = exchange(run, FakeIncoming(b"{}"))
    x.labels = CHOSEN
    x.caller = ALICE
    x.model = model
    if route is not None:
        found = run.catalogue.route("m")
        assert found is not None
        x.route = replace(found, model=route)
    x.content = Content("in", "out")
    return (
        record_of_exchange(x, WHO, PRICER),
        record_of(DiscreetLines(WHO, PRICER).of(x)),
    )


def test_what_the_request_chose_is_gone_and_the_rest_stays() -> None:
    usual, discreet = both("m", "m")
    assert "chosen" in (usual.customer, *usual.tags)
    assert (discreet.customer, discreet.agent, discreet.session) == (None, None, None)
    assert discreet.tags == ("own",)
    assert discreet.content is None
    assert (discreet.key, discreet.team, discreet.user) == ("alice", "blue", "al")
    assert (discreet.model, discreet.route) == ("m", "m")
    assert (discreet.id, discreet.operation) == (usual.id, usual.operation)


def test_a_model_is_named_as_it_is_configured() -> None:
    usual, discreet = both("x/chosen", "x/*")
    assert (usual.model, discreet.model) == ("x/chosen", "x/*")
    usual, discreet = both("not there", None)
    assert (usual.model, discreet.model) == ("not there", None)


def test_a_key_among_the_names_is_blotted_out_in_any_case() -> None:
    usual, _ = both("sk-abcdef0123456789", None)
    assert usual.model == "sk-***"
