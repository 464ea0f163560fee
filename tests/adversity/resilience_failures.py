"""All that a first vendor can do wrong, in one table: what it does, what a caller sees that has no
other vendor, and what the attempt costs. Read by test_resilience_table.py."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fakes import openai_wire as wire
from tests.fakes.script import FIN, RST, STALL, Pause, Reply, Step

SOON = 1.5
"""Seconds that none of these may take: the deadlines are 0.25 s."""

EVENTS = wire.chat_events(usage=True)
SAID = EVENTS[:7]  # Two thirds: the role and six of nine words.
BODY = wire.chat_body()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
_ERROR = wire.event({"error": {"message": "no", "type": "server_error", "code": None}})
_HTML = [("content-type", "text/html")]


@dataclass(frozen=True, slots=True)
class Failure:
    """`stream`: of a request for a stream. `told`: status and code where there is no other vendor;
    status 200 is a stream that ends with an error. `reason`: in the record. `paid`: `nothing`, the
    `input` that was read, or `some` more than that. `begun`: words went out, so no other vendor
    can take its place without being asked to. `after`: seconds that it takes at least."""

    reply: Reply
    told: tuple[int, str | None]
    reason: str
    paid: str = "nothing"
    stream: bool = False
    begun: bool = False
    after: float = 0.0


def _json(status: int, message: str = "no", code: str | None = None) -> Reply:
    return Reply(status=status, body=wire.error_body(message, "server_error", code))


def _events(*steps: Step, framing: str = "chunked") -> Reply:
    return Reply(headers=wire.EVENT_STREAM, chunks=steps, framing=framing)


def _page(body: bytes, headers: Sequence[tuple[str, str]]) -> Reply:
    return Reply(body=body, headers=headers)


FAILURES = {
    "429": Failure(_json(429), (429, None), "rate_limit"),
    "500": Failure(_json(500), (500, None), "server"),
    "503": Failure(_json(503), (503, None), "overloaded"),
    "401: our key": Failure(_json(401), (502, "upstream_authentication"), "auth"),
    "404": Failure(_json(404), (404, None), "absent"),
    "408": Failure(_json(408), (408, None), "busy"),
    "reset before the head": Failure(
        Reply(before_head=[RST]), (502, "upstream_reset"), "reset", "input"
    ),
    "closed before the head": Failure(
        Reply(before_head=[FIN]), (502, "upstream_reset"), "reset", "input"
    ),
    "reset inside the head": Failure(
        Reply(raw=[_HEAD, RST]), (502, "upstream_reset"), "reset", "input"
    ),
    "silence": Failure(
        Reply(before_head=[STALL]), (504, "upstream_timeout"), "timeout", "input", after=0.25
    ),
    "silence before a stream": Failure(
        Reply(before_head=[STALL]),
        (504, "upstream_timeout"),
        "timeout",
        "input",
        stream=True,
        after=0.25,
    ),
    "first token after 30 s": Failure(
        _events(Pause(30), *EVENTS),
        (504, "upstream_timeout"),
        "timeout",
        "some",
        stream=True,
        after=0.25,
    ),
    "a role, and no word": Failure(
        _events(EVENTS[0], STALL), (200, "upstream_timeout"), "timeout", "some", stream=True,
        after=0.25,
    ),
    "JSON cut at two thirds": Failure(
        Reply(body=BODY, cut_after=len(BODY) * 2 // 3), (502, "upstream_cut"), "cut", "some"
    ),
    "JSON that ends early": Failure(
        Reply(body=BODY[: len(BODY) * 2 // 3]), (502, "upstream_cut"), "cut", "some"
    ),
    "a stream cut at two thirds": Failure(
        _events(*SAID, Pause(0.02), FIN), (200, "upstream_cut"), "cut", "some", stream=True,
        begun=True,
    ),
    "a stream reset at two thirds": Failure(
        _events(*SAID, Pause(0.02), RST), (200, "upstream_cut"), "cut", "some", stream=True,
        begun=True,
    ),
    "a stream that ends early": Failure(
        _events(*SAID), (200, "upstream_cut"), "cut", "some", stream=True, begun=True
    ),
    "a stall in mid-stream": Failure(
        _events(*SAID, STALL), (200, "upstream_timeout"), "timeout", "some", stream=True,
        begun=True, after=0.25,
    ),
    "an empty 200": Failure(Reply(body=b""), (502, "upstream_malformed"), "malformed", "some"),
    "an empty stream": Failure(
        _events(), (200, "upstream_cut"), "cut", "some", stream=True
    ),
    "a web page with 200": Failure(
        _page(b"<html>Log in</html>", _HTML), (502, "upstream_malformed"), "malformed"
    ),
    "a web page for a stream": Failure(
        _page(b"<html>Log in</html>", _HTML),
        (502, "upstream_malformed"),
        "malformed",
        stream=True,
    ),
    "no HTTP": Failure(
        Reply(raw=[b"SSH-2.0-OpenSSH_9.6\r\n", FIN]), (502, "upstream_malformed"), "malformed",
        "input",
    ),
    "an error event first": Failure(
        _events(_ERROR), (200, None), "server", "some", stream=True
    ),
    "an error event in mid-stream": Failure(
        _events(*SAID, _ERROR), (200, None), "server", "some", stream=True, begun=True
    ),
}  # fmt: skip
