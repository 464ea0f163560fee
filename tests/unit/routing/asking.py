"""Facts of requests, for tests."""

from typing import Any

from proxy.base import jsonio
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.labels import Labels
from proxy.routing.facts import Facts
from proxy.wire import operations as op
from proxy.wire.body import Body

EVERYTHING = ModelPatterns.of(("*",))


def chat(text: object = "Hello", **more: Any) -> dict[str, Any]:
    """The body of a chat request that says one thing."""
    return {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}


def facts(
    body: object = None,
    operation: op.Operation = op.CHAT,
    *,
    caller: Caller | None = None,
    labels: Labels | None = None,
    task: str | None = None,
) -> Facts:
    """Of a request with this body; bytes are taken as they are, None is no JSON."""
    raw = body if isinstance(body, bytes) else jsonio.dumps(body)
    return Facts(
        "gpt",
        operation,
        Body(raw) if body is not None else None,
        caller or Caller("ada", EVERYTHING),
        labels or Labels(),
        task=task,
    )


class Counting(Facts):
    """Facts that write down what is asked of them."""

    __slots__ = ("asked",)

    def __init__(self, of: Facts) -> None:
        super().__init__(of.model, of.operation, of._body, of.caller, of.labels)
        self.asked: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "asked":
            self.asked.append(name)
        return super().__getattribute__(name)
