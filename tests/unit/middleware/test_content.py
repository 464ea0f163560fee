"""What a request leaves in its record with `telemetry.content: full`, whatever its end was."""

import gc
import gzip
from contextlib import suppress
from typing import Any

import pytest

from proxy.base.errors import Cut, ProxyError, Unreachable
from proxy.base.jsonio import dumps, loads
from proxy.build.order import middlewares
from proxy.core.exchange import Exchange
from proxy.core.life import serve
from proxy.core.reply import Reply, json_reply
from proxy.core.steps import Step
from proxy.core.target import Target
from proxy.middleware.content import Heard, content
from proxy.wire.record import Content
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.ledger import FakeLedger
from tests.fakes.wire import EVENTS, JSON, FakeAnswer, FakeTransport

ASKED = {"messages": [{"role": "user", "content": "Weather in Paris?"}]}
CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "Rain."}}]
ANSWER = dumps({"id": "1", "choices": CHOICES, "usage": {"prompt_tokens": 1}})
DELTAS = [
    b"data: " + dumps({"choices": [{"index": 0, "delta": {"content": word}}]}) + b"\n\n"
    for word in ("Ra", "in.")
]
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
FULL = middlewares(keep_content=True)


def request(*, stream: bool = False, **more: Any) -> FakeIncoming:
    return FakeIncoming(dumps({"model": "m", "stream": stream, **(more or ASKED)}))


async def served(
    answer: FakeAnswer | Exception,
    incoming: FakeIncoming | None = None,
    steps: tuple[Step, ...] = FULL,
    out: FakeOut | None = None,
) -> Exchange:
    target = Target(provider("p", FakeTransport(answer)), "m")
    run = runtime({"m": (target,)}, Target(target.provider), steps=steps)
    x = exchange(run, incoming if incoming is not None else request())
    kept: list[Content | None] = []
    # What the ledger sees: it settles last.
    x.at_end(lambda ended: kept.append(ended.content))
    with suppress(ProxyError):  # What was kept is what is looked at.
        await serve(x, out if out is not None else FakeOut())
    assert isinstance(run.ledger, FakeLedger)
    assert run.ledger.settled == [x]
    assert kept == [x.content]
    return x


def said(x: Exchange) -> tuple[Any, Any]:
    assert x.content is not None
    asked, answered = x.content.input, x.content.output
    return loads(asked or "null"), loads(answered or "null")


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("size", [7, 10_000])
async def test_a_whole_answer(here: bool, size: int) -> None:
    pieces = [ANSWER[at : at + size] for at in range(0, len(ANSWER), size)]
    out = FakeOut()
    x = await served(FakeAnswer(pieces, here=here), out=out)
    assert said(x) == (ASKED, {"choices": CHOICES})
    assert (out.body, out.did) == (ANSWER, ["whole"])


@pytest.mark.parametrize("pieces", [[*DELTAS, END], [b"".join([*DELTAS, END])]])
async def test_a_stream_is_heard_to_its_end(pieces: list[bytes]) -> None:
    out = FakeOut()
    x = await served(FakeAnswer(pieces, EVENTS), request(stream=True, **ASKED), out=out)
    (choice,) = said(x)[1]["choices"]
    assert choice["message"]["content"] == "Rain."
    assert choice["finish_reason"] == "stop"
    assert out.body == b"".join(pieces)


async def test_a_stream_that_is_cut_is_kept_as_far_as_it_came() -> None:
    x = await served(FakeAnswer([DELTAS[0], Cut("gone")], EVENTS), request(stream=True, **ASKED))
    asked, answered = said(x)
    assert asked == ASKED
    assert answered["choices"][0]["message"]["content"] == "Ra"


async def test_of_a_failure_the_prompt_is_kept() -> None:
    assert said(await served(Unreachable("nobody there"))) == (ASKED, None)


async def test_of_an_error_the_vendors_words_are_not() -> None:
    error = b'{"error":{"message":"You said: Weather in Paris?"}}'
    assert said(await served(FakeAnswer([error], status=400))) == (ASKED, None)


async def test_a_refused_request_is_not_kept() -> None:
    x = await served(FakeAnswer([ANSWER]), FakeIncoming(dumps({"model": "other", **ASKED})))
    assert x.content is None


async def test_sound_is_told_by_its_size_and_keeps_its_length() -> None:
    incoming = FakeIncoming(dumps({"model": "m", "input": "Hello."}), "/audio/speech")
    headers = ((b"content-type", b"audio/mpeg"), (b"content-length", b"5000"))
    out = FakeOut()
    x = await served(FakeAnswer([b"\xff" * 5_000], headers), incoming, out=out)
    assert x.content == Content('{"input":"Hello."}', "<5,000 bytes of audio/mpeg>")
    assert out.length == 5_000


async def test_a_form_is_told_by_its_size() -> None:
    form = (
        b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n\xff\r\n'
        b"--x--\r\n"
    )
    fields = [("content-type", "multipart/form-data; boundary=x")]
    incoming = FakeIncoming(form, "/audio/transcriptions", fields)
    answer = FakeAnswer([b'{"text":"Hello."}'])
    x = await served(answer, incoming)
    assert x.content == Content(f"<{len(form)} bytes of multipart/form-data>", '{"text":"Hello."}')


async def test_a_compressed_answer_is_read_where_the_proxy_reads_it() -> None:
    headers = (*JSON, (b"content-encoding", b"gzip"))
    x = await served(FakeAnswer([gzip.compress(ANSWER)], headers))
    assert said(x)[1] == {"choices": CHOICES}
    headers = (*JSON, (b"content-encoding", b"br"))
    x = await served(FakeAnswer([b"\x0b\x02\x80"], headers))
    assert x.content is not None
    assert x.content.output == "<3 bytes of application/json>"


async def test_what_names_no_model_passes_unread() -> None:
    incoming = FakeIncoming(b'{"messages":[]}', "/files")
    assert (await served(FakeAnswer([ANSWER]), incoming)).content is None


async def test_an_answer_of_our_own_is_kept_too() -> None:
    def cache(_x: Exchange) -> Reply | None:
        return json_reply(ANSWER)

    steps = tuple(cache if step.__name__ == "plan" else step for step in FULL)
    assert said(await served(FakeAnswer([]), steps=steps))[1] == {"choices": CHOICES}


async def test_the_prompt_is_kept_as_it_was_sent_on() -> None:
    def guardrail(x: Exchange) -> Reply | None:
        x.body.set("messages", b'[{"role":"user","content":"[masked]"}]')  # type: ignore[union-attr]
        return None

    place = FULL.index(content)
    x = await served(FakeAnswer([ANSWER]), steps=(*FULL[:place], guardrail, *FULL[place:]))
    assert said(x)[0] == {"messages": [{"role": "user", "content": "[masked]"}]}


async def test_elsewhere_there_is_no_such_step() -> None:
    assert content not in middlewares()
    x = await served(FakeAnswer([ANSWER]), steps=middlewares())
    assert (x.content, x.filters) == (None, [])


async def test_it_leaves_no_cycle_behind() -> None:
    x = await served(FakeAnswer([*DELTAS, END], EVENTS), request(stream=True, **ASKED))
    heard = x.filters[-1]
    assert isinstance(heard, Heard)
    assert all(each is not x.filters for each in gc.get_referents(heard))
