"""The requests of a scenario, as bytes, and how their answers are judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ssl import CERT_NONE, SSLContext, create_default_context
from urllib.parse import urlsplit

from bench.harness.judge import PlainJudge, StreamJudge
from bench.harness.scenarios import Kind, Scenario
from bench.requests import WORDS, chat_body
from bench.targets import NO_HEADERS
from bench.verdict import Verdict
from proxy.base.jsonio import dumps, loads

_PATHS: dict[Kind, str] = {
    "chat": "/chat/completions",
    "tools": "/chat/completions",
    "embeddings": "/embeddings",
}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Call this to {verb}.",
            "parameters": {
                "type": "object",
                "properties": {"steps": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["steps"],
            },
        },
    }
    for name, verb in (("plan_steps", "plan the steps"), ("look_up", "look something up"))
]


@dataclass(frozen=True, slots=True)
class Place:
    """A server: where it is, and how it is spoken to."""

    host: str
    port: int
    authority: str
    base: str
    tls: SSLContext | None

    @classmethod
    def of(cls, url: str, *, verify: bool = True) -> "Place":
        """The place of a base URL. Raises ValueError for one that is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no http(s) URL")
        tls = _tls(verify=verify) if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        authority = parts.netloc.rpartition("@")[2]
        return cls(parts.hostname, port, authority, parts.path.rstrip("/"), tls)


def _tls(*, verify: bool) -> SSLContext:
    context = create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Ask:
    """One prepared request. `verdict` makes the judge of one answer to it. `held`: seconds within
    which a stream must have said something to count as held, 0: none is asked to be."""

    data: bytes
    streamed: bool
    verdict: Callable[[], Verdict]
    held: float = 0.0


def prepare(
    scenario: Scenario,
    place: Place,
    key: str,
    model: str,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Ask:
    """The request of a scenario, with these headers more."""
    body = _body(scenario, model)
    head = (
        f"POST {place.base}{_PATHS[scenario.kind]} HTTP/1.1\r\nHost: {place.authority}\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        f"User-Agent: llm-proxy-bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    if scenario.plan:
        head += f"x-bench-plan: {scenario.plan}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    data = f"{head}\r\n".encode() + body
    if scenario.streamed:
        return Ask(data, True, StreamJudge, 2 * scenario.pace if scenario.held else 0.0)
    member = "data" if scenario.kind == "embeddings" else "choices"
    known: set[bytes] = set()
    return Ask(data, False, lambda: PlainJudge(member, known))


def mock_model(scenario: Scenario) -> str:
    """The name by which the mock vendor is told what to do."""
    if scenario.plan:
        return f"bench-stream-{scenario.plan}"
    return f"bench-{scenario.kind}"


def _body(scenario: Scenario, model: str) -> bytes:
    if scenario.kind == "embeddings":
        words = WORDS * (scenario.kilobytes * 1000 // len(WORDS))
        return dumps({"model": model, "input": words, "encoding_format": "float"})
    if scenario.kind == "chat":
        return chat_body(scenario.kilobytes, model, stream=scenario.streamed)
    asked = {**loads(chat_body(1, model, stream=scenario.streamed)), "tools": _TOOLS}
    room = max(scenario.kilobytes * 1000 - len(dumps(asked)), 0)
    asked["messages"][1]["content"] += (WORDS * (room // len(WORDS) + 1))[:room]
    return dumps(asked)
