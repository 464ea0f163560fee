"""Progress: written over on a terminal, plain lines elsewhere; and a load that speaks TLS."""

import asyncio
import io
import ssl

import pytest
import trustme

from bench import answers, vendor
from bench.harness.asks import Place, prepare
from bench.harness.loops import ClosedLoop, Times
from bench.harness.progress import Progress, bar
from bench.harness.recorder import Recorder
from bench.harness.results import Measurement, Sample
from bench.harness.scenarios import SCENARIOS, Shape
from bench.pacer import Pacer
from proxy.base.clock import monotonic


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(out: io.StringIO) -> str:
    progress = Progress(4, out)
    progress.start("chat 1/2 proxy")
    progress.look(0.1, Sample(1.0, 1000, 0, 0, 40.0, 0.9))
    progress.look(0.6, Sample(1.5, 3000, 2, 0, 41.0, 0.9))
    figures = {"requests_per_second": 4000.0, "cpu_us": 51.2, "wrong": 2.0, "late_share": 0.0}
    progress.end(Measurement("chat", "proxy", 0, figures, Recorder()))
    return out.getvalue()


def test_a_terminal_sees_one_line_that_moves() -> None:
    lines = told(Terminal()).split("\r\x1b[K")
    assert "4,000/s" in lines[2]
    assert "2 WRONG" in lines[2]
    assert "15%" in lines[2]
    assert lines[-1].endswith("1/4 chat 1/2 proxy: 4,000/s, CPU 51.2 us, 2 WRONG\n")


def test_a_file_sees_what_was_made_only() -> None:
    text = told(io.StringIO())
    assert text.count("\n") == 1
    assert "\x1b" not in text


@pytest.mark.parametrize(("share", "full"), [(-1.0, 0), (0.0, 0), (0.5, 12), (1.0, 24), (9.0, 24)])
def test_the_bar_is_full_as_far_as_it_is(share: float, full: int) -> None:
    assert bar(share).count("━") == full
    assert len(bar(share)) == 24


@pytest.mark.parametrize(("verify", "errors"), [(False, set()), (True, {"connect"})])
async def test_tls_is_spoken_and_strangers_are_not_trusted(verify: bool, errors: set[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    pacer, frames = Pacer(loop), answers.Frames()
    server = await loop.create_server(
        lambda: vendor.VendorConnection(pacer, frames), "127.0.0.1", 0, ssl=context
    )
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        place, recorder, now = Place.of(url, verify=verify), Recorder(), monotonic()
        ask = prepare(SCENARIOS["stream"], place, "sk", "bench-stream-3x1")
        times = Times(now, now, now + 0.3, silence=5.0)
        await ClosedLoop(place, ask, recorder, times, Shape(connections=1)).run()
    assert set(recorder.errors) == errors
    assert bool(recorder.whole) == (not errors)
