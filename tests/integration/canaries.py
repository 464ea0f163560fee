"""Words that must not turn up where they do not belong, and requests of every kind that carry them.

Each canary is a word of its own, so that a leak says what leaked. Keys of two kinds: such as look
like keys, and such as only the configuration knows for keys.
"""

import asyncio
from contextlib import suppress

from proxy.base.jsonio import dumps
from tests.fakes.vendor import FIN, RST, Vendor, WaitFor
from tests.integration.raw_caller import Caller, request

PROMPT = "canaryprompt3f9a"
ANSWER = "canaryanswer71c2"
LABEL = "canarylabel88d1"
KEY = "canaryvirtual0a1b2c"
VENDOR_KEY = "canaryvendor4d5e6f"
HEADER = "canaryheader7b8c9d"
ADMIN = "sk-canaryadmin7a8b9c"
WRONG = "sk-canarywrong1d2e3f"
COLLECTOR = "canarycollector5e6f"

KEYS = (KEY, VENDOR_KEY, HEADER, ADMIN, WRONG[3:], COLLECTOR)
WORDS = (PROMPT, ANSWER)

CHAT = "/v1/chat/completions"
EVENTS = [("content-type", "text/event-stream")]
_JSON = ("content-type", "application/json")
_NAMED = (
    ("x-llm-proxy-customer", f"{LABEL}-customer"),
    ("x-llm-proxy-session", f"{LABEL}-session"),
    ("x-llm-proxy-tags", f"{LABEL}-tag"),
)
_MESSAGES = [{"role": "user", "content": f"say {PROMPT}"}]
_ECHO = f"Bad request: you said {PROMPT} with the key {VENDOR_KEY} of {HEADER}, {ANSWER}"


def delta(words: str) -> bytes:
    return b"data: " + dumps({"choices": [{"index": 0, "delta": {"content": words}}]}) + b"\n\n"


CHAT_ANSWER = dumps(
    {
        "id": "1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
)
STREAM = [delta(ANSWER[:5]), delta(ANSWER[5:]), b"data: [DONE]\n\n"]


class Calls:
    """Makes requests and keeps what the callers were told. `recorded`: how many leave a record."""

    def __init__(self, port: int, vendor: Vendor) -> None:
        self._port = port
        self._vendor = vendor
        self.told: list[bytes] = []
        self.recorded = 0

    async def all(self) -> None:
        """Every kind, one after another: the vendor's replies are scripted in this order."""
        await self._good()
        await self._refused_by_the_vendor()
        await self._broken_by_the_vendor()
        await self._refused_here()
        await self._nonsense()
        await self._gone()

    async def _send(self, data: bytes, *, recorded: bool = True) -> None:
        async with await Caller.connect(self._port) as caller:
            await caller.send(data)
            self.told.append(await caller.rest())
        self.recorded += recorded

    async def _chat(self, *, stream: bool = False, model: str = "gpt", key: str = KEY) -> None:
        body = dumps({"model": model, "stream": stream, "messages": _MESSAGES, "user": LABEL})
        await self._post(CHAT, body, key)

    async def _post(
        self, path: str, body: bytes, key: str = KEY, kind: tuple[str, str] = _JSON
    ) -> None:
        fields = (("authorization", f"Bearer {key}"), kind, *_NAMED, ("connection", "close"))
        await self._send(request("POST", path, headers=fields, body=body, key=False))

    async def _good(self) -> None:
        self._vendor.say(body=CHAT_ANSWER)
        await self._chat()
        self._vendor.say(headers=EVENTS, chunks=STREAM)
        await self._chat(stream=True)
        self._vendor.say(headers=[("content-type", "audio/mpeg")], body=ANSWER.encode() * 9)
        await self._post("/v1/audio/speech", dumps({"model": "gpt", "input": PROMPT}))
        self._vendor.say(body=dumps({"text": ANSWER}))
        form = (
            f'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt\r\n'
            f'--x\r\ncontent-disposition: form-data; name="file"; filename="{PROMPT}.mp3"\r\n\r\n'
            f"{PROMPT}\r\n--x--\r\n"
        )
        kind = ("content-type", f"multipart/form-data; boundary=x; of={PROMPT}")
        await self._post("/v1/audio/transcriptions", form.encode().replace(b"; of", b""), kind=kind)
        self._vendor.say(body=dumps({"id": ANSWER}))
        await self._post(
            f"/v1/files?{PROMPT}={KEY}", PROMPT.encode(), kind=("content-type", PROMPT)
        )

    async def _refused_by_the_vendor(self) -> None:
        shaped = dumps({"error": {"message": _ECHO, "type": "x", "param": PROMPT, "code": ANSWER}})
        for status in (400, 401, 403, 429, 500):
            self._vendor.say(status=status, body=shaped)
            await self._chat()
        self._vendor.say(status=422, body=dumps({"detail": _ECHO}))
        await self._chat()
        self._vendor.say(status=500, headers=[("content-type", "text/html")], body=_ECHO.encode())
        await self._chat()

    async def _broken_by_the_vendor(self) -> None:
        self._vendor.say(headers=EVENTS, chunks=[*STREAM[:2], FIN])
        await self._chat(stream=True)
        self._vendor.say(headers=EVENTS, chunks=[STREAM[0], STREAM[1][:20], RST])
        await self._chat(stream=True)
        self._vendor.say(body=CHAT_ANSWER, cut_after=60)
        await self._chat()
        self._vendor.say(headers=[("content-type", "text/html")], body=_ECHO.encode())
        await self._chat()
        self._vendor.say(status=302, headers=[("location", f"/{VENDOR_KEY}/{PROMPT}")])
        await self._chat()
        self._vendor.say(headers=[_JSON, ("content-encoding", "gzip")], body=_ECHO.encode())
        await self._chat()
        self._vendor.say(body=f"{PROMPT} {ANSWER}".encode())
        await self._chat()
        for raw in (
            f"{_ECHO}\r\n\r\n",
            f"HTTP/1.1 200 {PROMPT}\r\nContent-Length: {ANSWER}\r\n\r\n",
        ):
            self._vendor.say_raw(raw.encode(), FIN)
            await self._chat()
        await self._chat(model="away")

    async def _refused_here(self) -> None:
        await self._chat(key=WRONG)
        await self._chat(key=f"{PROMPT}")
        await self._chat(model=f"{LABEL}-model")
        await self._chat(model=WRONG)
        await self._chat(model=f"{PROMPT} " * 100)
        await self._chat(model=f"{PROMPT}\n")
        await self._post(CHAT, f'{{"model": "gpt", "messages": [{{"{PROMPT}" {KEY}'.encode())
        await self._post(CHAT, dumps({"model": {PROMPT: KEY}}))
        await self._post(CHAT, dumps({"model": "gpt", "stream": PROMPT}))
        await self._post(CHAT, dumps([PROMPT]))
        await self._post(CHAT, b"\xff" + PROMPT.encode())
        await self._post(CHAT, PROMPT.encode() * 100_000)

    async def _nonsense(self) -> None:
        for data in (
            f"{PROMPT} {KEY}\r\n\r\n",
            f"GET /{PROMPT}/{WRONG} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"content-length: {PROMPT}\r\n\r\n",
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"{PROMPT} {KEY}: bad\r\n\r\n",
            f"POST /v1/../{PROMPT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ):
            await self._send(data.encode(), recorded=False)

    async def _gone(self) -> None:
        """A caller that leaves in the middle of a stream."""
        go_on = asyncio.Event()
        self._vendor.say(headers=EVENTS, chunks=[STREAM[0], WaitFor(go_on), *STREAM[1:]])
        body = dumps({"model": "gpt", "stream": True, "messages": _MESSAGES})
        fields = (("authorization", f"Bearer {KEY}"), _JSON, *_NAMED)
        before = self._vendor.gone.value
        async with await Caller.connect(self._port) as caller:
            await caller.send(request("POST", CHAT, headers=fields, body=body, key=False))
            self.told.append((await caller.head()).body + await caller.chunk())
        with suppress(ConnectionError):
            await self._vendor.gone.reach(before + 1)
        go_on.set()
        self.recorded += 1
