"""Runs exchanges to their end and checks what must hold for every one of them, however it ended."""

from dataclasses import dataclass, field

from proxy.build.order import middlewares
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.core.reply import Reply
from proxy.core.steps import Step
from proxy.core.target import Target
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeAnswer, FakeTransport

CHAT = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","messages":[],"stream":true}'
CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


@dataclass
class Case:
    """One exchange with its fakes. `replies`: what the vendors of the plan do, one list each."""

    replies: list[list[FakeAnswer | Exception]]
    incoming: FakeIncoming = field(default_factory=lambda: FakeIncoming(CHAT))
    gone: BaseException | None = None
    last_step: Step | None = None

    def __post_init__(self) -> None:
        self.out = FakeOut(self.gone)
        self.transports = [FakeTransport(*replies) for replies in self.replies]
        # Weight 0 keeps the order in which they are written.
        targets = tuple(
            Target(provider(f"p{place}", transport), "m", 0.0 if place else 1.0)
            for place, transport in enumerate(self.transports)
        )
        self.ended: list[str] = []
        steps = (self._first, *middlewares(), *([self.last_step] if self.last_step else ()))
        self.x = exchange(
            runtime({"m": targets}, Target(targets[0].provider) if targets else None, None, steps),
            self.incoming,
        )

    def _first(self, x: Exchange) -> Reply | None:
        x.at_end(lambda _: self.ended.append("first"))
        x.at_end(lambda _: self.ended.append("second"))
        return None

    async def run(self) -> None:
        await serve(self.x, self.out)

    def check(self) -> None:
        """What holds for every exchange that came as far as its first step."""
        assert self.ended == ["second", "first"], "settled once, last in first out"
        for answer in (answer for transport in self.transports for answer in transport.given):
            assert {"end", "abort"} & set(answer.did), "an answer was left open"
        self.x.settle()
        assert self.ended == ["second", "first"], "settled twice"
        body = self.out.body
        if b"event: error" in body:
            assert body.count(b"event: error") == 1
            assert b"[DONE]" not in body
            assert not self.x.finished
        if "cut" in self.out.did:
            assert b"[DONE]" not in body
            assert not self.x.finished
        if self.x.finished:
            assert self.out.did[-1] in {"whole", "end"}
