"""A limit of 1,000 requests a minute over several workers: counted where the calls arrive.

First 4,000 calls as fast as they go, in much less than a minute: 1,000 are let through, no more and
no less. Then three times as many as allowed for two minutes: of the times at which calls arrived at
the vendor no minute has more than 1,000. As a call needs some time from the worker's decision to
the vendor, another more than the next, a minute is taken a tenth of a second shorter.

`store_failure.limits` is `deny`: with `local`, the default, a worker that Redis does not answer in
time goes on with its share, which comes on top of what Redis has counted.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.children import ChildFailed
from bench.faults_answers import Book, End
from bench.faults_load import Load, Pace
from bench.faults_requests import Ask, Kind
from bench.walls_proxy import Service
from proxy.base.clock import monotonic

LIMIT = 1000
BURST = 4000
_MINUTE = 60.0
_ON_THE_WAY = 0.1
_PER_SECOND = 50.0
_CONFIG = """\
listen: 127.0.0.1:{port}
workers: {workers}
auth: none
data_dir: {data}
store: none
redis: "redis://127.0.0.1:{redis}"
store_failure: {{limits: deny}}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{log: {{level: error, format: text}}}}
proxies: {{none: ["*"]}}
providers:
  vendor: {{kind: openai, base_url: "http://127.0.0.1:{vendor}/north", api_keys: [sk-vendor]}}
models: {{"*": {{targets: [{{provider: vendor, model: "*"}}]}}}}
global: {{limits: {{rpm: {limit}}}}}
"""
_BODY = b'{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"How far is it?"}]}'
_EXPECTED = {200, 429, 503}
_KIND = Kind("plain", 100, shows=False)


@dataclass(slots=True)
class RateBook(Book):
    """How calls ended, by status; 0: they did not."""

    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, ask: Ask, request_id: str, status: int, body: bytes, *, whole: bool) -> None:
        """Count one answer."""
        self.statuses[status if whole else 0] += 1
        self.ends["told"] += 1

    def gave_up(self, request_id: str, end: End) -> None:
        self.statuses[0] += 1
        self.ends[end] += 1


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most of them that lie in any interval of that length."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def _asks(port: int) -> Iterator[Ask]:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\nx-bench-clock: 1\r\nx-bench-answer: bare\r\n"
        f"Content-Length: {len(_BODY)}\r\n\r\n"
    )
    ask = Ask(head.encode() + _BODY, _KIND, 0, None)
    while True:
        yield ask


async def _load(service: Service, pace: Pace) -> RateBook:
    book = RateBook()
    await Load(service.port, _asks(service.port), pace, book).run()
    return book


async def _run(service: Service, folder: Path, workers: int, seconds: float) -> bool:
    service.vendor(1, 1)
    places = {"port": service.port, "redis": service.redis, "vendor": service.vendor_port}
    service.start(_CONFIG.format(**places, workers=workers, data=folder / "data", limit=LIMIT))
    await service.ready(store=False)
    began = monotonic()
    first = await _load(service, Pace(BURST, 0, 64))
    took = monotonic() - began
    if took > _MINUTE:
        raise ChildFailed(f"{BURST} calls took {took:.0f} s: too slow for this question")
    arrived = len((await service.vendors_books())["arrivals"])
    print(
        f"{BURST:,} calls in {took:.1f} s over {workers} workers, limit {LIMIT:,} a minute: "
        f"{_told(first.statuses)}; {arrived:,} arrived at the vendor",
        flush=True,
    )
    good = first.statuses[200] == arrived == LIMIT and set(first.statuses) <= _EXPECTED
    if seconds >= 1:
        then = await _load(service, Pace(int(_PER_SECOND * seconds), _PER_SECOND, 16))
        times = array("d", (await service.vendors_books())["arrivals"])
        most = most_within(times, _MINUTE - _ON_THE_WAY)
        print(
            f"{int(_PER_SECOND * seconds):,} more in {seconds:.0f} s: {_told(then.statuses)}; "
            f"{len(times):,} arrived in all, at most {most:,} of them within any minute"
        )
        good = good and most <= LIMIT and set(then.statuses) <= _EXPECTED
    print("\n" + ("never one more than the limit" if good else "NOT GOOD"))
    return good


def measure(stack: ExitStack, folder: Path, workers: int, seconds: float) -> bool:
    """Do both parts; whether the limit was kept. `seconds`: of the second part, 0 for none."""
    service = Service(stack, folder, workers, redis=True)
    return uvloop.run(_run(service, folder, workers, seconds))


def _told(statuses: Counter[int]) -> str:
    words = {200: "admitted", 429: "refused", 503: "without an answer of Redis", 0: "lost"}
    return ", ".join(
        f"{number:,} {words.get(status, f'with status {status}')}"
        for status, number in sorted(statuses.items())
    )
