"""Exchanges for tests: the real middlewares, routing and adapter, on fake transports."""

from collections.abc import Mapping

from proxy.build.order import middlewares
from proxy.core.caller import Callers
from proxy.core.exchange import Exchange
from proxy.core.outgoing import Timeouts
from proxy.core.runtime import Runtime
from proxy.core.steps import Step
from proxy.core.target import Provider, Route, Target
from proxy.providers.keyring import Keys
from proxy.providers.openai import OpenAIAdapter
from proxy.routing.catalogue import Models
from proxy.wire import operations
from tests.fakes.caller import FakeIncoming
from tests.fakes.ledger import FakeLedger
from tests.fakes.wire import FakeTransport


def provider(name: str, transport: FakeTransport, off: str | None = None) -> Provider:
    """An OpenAI-compatible vendor with a key, below /v1."""
    return Provider(
        name=name,
        transport=transport,
        timeouts=Timeouts(),
        adapters={"": OpenAIAdapter()},
        base_path="/v1",
        headers=((b"X-Account", b"ours"),),
        replaced=frozenset((b"x-account",)),
        keys=Keys([((b"authorization", b"Bearer sk-vendor"), 1.0)]),
        off=off,
    )


def runtime(
    models: Mapping[str, tuple[Target, ...]],
    passthrough: Target | None = None,
    callers: Callers | None = None,
    steps: tuple[Step, ...] | None = None,
    max_body: int = 1_000_000,
) -> Runtime:
    """A runtime; `steps` in place of all middlewares that are built."""
    targets = [*(target for found in models.values() for target in found)]
    return Runtime(
        version="v",
        middlewares=middlewares() if steps is None else steps,
        catalogue=Models(Route(name, found) for name, found in models.items()),
        callers=callers,
        passthrough=passthrough,
        providers={target.provider.name: Target(target.provider) for target in targets},
        ledger=FakeLedger(),
        max_body=max_body,
    )


def exchange(run: Runtime, incoming: FakeIncoming) -> Exchange:
    """The exchange of a request that has just arrived."""
    found = operations.find(incoming.method, incoming.path)
    assert found is not None
    return Exchange(run, incoming, *found)


def simple(
    transport: FakeTransport, incoming: FakeIncoming, model: str = "m", upstream: str = "m"
) -> Exchange:
    """A request to a proxy with one provider, `p`, one model, and passthrough to `p`."""
    target = Target(provider("p", transport), upstream)
    return exchange(runtime({model: (target,)}, Target(target.provider)), incoming)
