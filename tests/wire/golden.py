"""A golden case: a folder with the four bodies of an exchange and the heads of its answers.

    client_in.json       the caller's body
    upstream_out.json    the body that leaves for the vendor
    upstream_in.json     the vendor's answer (.json, .sse or .txt says its content type)
    upstream_in.head     optional: its status, more fields, and `cut` where the body breaks off
    client_out.json      the answer that the caller gets (.sse where it is a stream)
    client_out.head      its status and fields, without those that differ from run to run

The folder above names the operation. Models: `same` is called so by the vendor, `alias` is not.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from proxy.base.errors import Cut, ProxyError
from proxy.core.life import serve
from proxy.core.target import Target
from proxy.wire.errors import envelope
from proxy.wire.operations import WITH_MODEL
from tests.fakes.caller import FakeIncoming, FakeOut
from tests.fakes.exchange import exchange, provider, runtime
from tests.fakes.wire import FakeAnswer, FakeTransport

CASES = Path(__file__).parent / "cases"
PATHS = {operation.name: operation.path for operation in WITH_MODEL}
TYPES = {".json": b"application/json", ".sse": b"text/event-stream", ".txt": b"text/html"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the vendor got, and what the caller got."""

    upstream_out: bytes
    head: str
    body: bytes


class Case:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answer = next(path for path in folder.glob("upstream_in.*") if path.suffix != ".head")
        self.upstream_in = self._answer.read_bytes()
        head = folder / "upstream_in.head"
        lines = head.read_text("utf-8").splitlines() if head.exists() else ["200"]
        self._status = int(lines[0])
        self._cut = "cut" in lines
        fields = (line.split(": ", 1) for line in lines[1:] if line != "cut")
        self._fields = [(name.encode(), words.encode()) for name, words in fields]

    def run(self, pieces: list[bytes], *, here: bool = False) -> Outcome:
        """The exchange, the vendor's answer coming in these pieces, or `here` with its head."""
        return asyncio.run(self._run(pieces, here and not self._cut))

    async def _run(self, pieces: list[bytes], here: bool) -> Outcome:
        headers = (*self._fields, (b"content-type", TYPES[self._answer.suffix]))
        troubles = [Cut("cut")] if self._cut else []
        answer = FakeAnswer([*pieces, *troubles], headers, self._status, here=here)
        transport = FakeTransport(answer)
        vendor = provider("vendor", transport)
        models = {"same": (Target(vendor, "same"),), "alias": (Target(vendor, "vendor-model"),)}
        path = "/v1" + PATHS[self.folder.parent.name]
        incoming = FakeIncoming((self.folder / "client_in.json").read_bytes(), path)
        x, out = exchange(runtime(models), incoming), FakeOut()
        try:
            await serve(x, out)
        except ProxyError as error:
            fields = [(b"content-type", b"application/json"), *error.headers]
            out.whole(error.status, fields, envelope(error))
        return Outcome(transport.bodies[0], _head(out), out.body)

    def golden(self) -> Outcome:
        """What the folder says must come out."""
        return Outcome(
            (self.folder / "upstream_out.json").read_bytes(),
            (self.folder / "client_out.head").read_text("utf-8"),
            self._client_out().read_bytes(),
        )

    def write(self, outcome: Outcome) -> None:
        """Make this what must come out."""
        for former in self.folder.glob("client_out.*"):
            former.unlink()
        (self.folder / "upstream_out.json").write_bytes(outcome.upstream_out)
        (self.folder / "client_out.head").write_text(outcome.head, "utf-8")
        events = "content-type: text/event-stream" in outcome.head
        self._client_out(".sse" if events else ".json").write_bytes(outcome.body)

    def _client_out(self, suffix: str | None = None) -> Path:
        if suffix is None:
            found = [path.suffix for path in self.folder.glob("client_out.*")]
            suffix = next(each for each in found if each != ".head")
        return self.folder / f"client_out{suffix}"


def _head(out: FakeOut) -> str:
    """Status and fields; a connection that is cut says so in a last line."""
    lines = [str(out.status)]
    lines += [
        f"{name.decode()}: {words.decode()}"
        for name, words in out.headers
        if name != b"x-llm-proxy-overhead-ms"
    ]
    if "cut" in out.did:
        lines.append("cut")
    return "\n".join(lines) + "\n"


def cases() -> list[Path]:
    """The folders of all cases."""
    return sorted(path.parent for path in CASES.rglob("client_in.json"))
