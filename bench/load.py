"""The load generator: its own process, one core, raw protocol; prints a report as one line of JSON.

    python -m bench.load --url http://127.0.0.1:8080/v1 chat --concurrency 64 --body 1 --seconds 5
    python -m bench.load --url …/v1 streams --concurrency 64 --plan 50x20 --seconds 5
    python -m bench.load --url …/v1 held --streams 500 --pace 20 --ramp 2 --seconds 5

`chat` and `streams` are closed loops, `held` ramps streams up and holds them (see `drivers.py`).
`--watch NAME=PID` adds the CPU that a process used within the window. Exit 1 if anything was wrong
with any answer. The name of the model is the mock vendor's plan unless `--model` says otherwise.
"""

import argparse
import sys
from urllib.parse import urlsplit

import uvloop

from bench import answers, drivers, requests
from bench.measure import raise_file_limit
from bench.tally import Tally
from proxy.base.jsonio import dumps

_TAIL = 1.5  # A held stream outlasts the window by so many seconds.


def _options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seconds", type=float, default=5.0, help="length of the window")
    common.add_argument("--body", type=int, default=1, choices=[1, 20, 200], help="kB of a request")
    common.add_argument("--timeout", type=float, default=10.0, help="longest silence")
    options = argparse.ArgumentParser(
        prog="python -m bench.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--url", required=True, help="base URL, with /v1")
    options.add_argument("--key", default="sk-bench")
    options.add_argument("--model", help="instead of the mock vendor's")
    options.add_argument("--watch", action="append", default=[], metavar="NAME=PID")
    kinds = options.add_subparsers(dest="kind", required=True)
    chat = kinds.add_parser("chat", parents=[common])
    streams = kinds.add_parser("streams", parents=[common])
    for each in (chat, streams):
        each.add_argument("--concurrency", type=int, default=64)
        each.add_argument("--warmup", type=float, default=1.0)
    chat.add_argument("--length", type=int, help="due bytes of an answer's body")
    streams.add_argument("--plan", default="50x20", help="chunks x milliseconds [- first delay]")
    hold = kinds.add_parser("held", parents=[common])
    hold.add_argument("--streams", type=int, default=500)
    hold.add_argument("--pace", type=int, default=20, help="milliseconds between chunks")
    hold.add_argument("--ramp", type=float, default=2.0, help="seconds until all have begun")
    return options


def _chunks(given: argparse.Namespace) -> int | None:
    """How many chunks a stream of this run has; None: no stream."""
    if given.kind == "chat":
        return None
    if given.kind == "held":
        return int((given.ramp + given.seconds + _TAIL) * 1000 / given.pace)
    plan = answers.read_plan(given.plan.encode())
    if plan is None:
        sys.exit(f"--plan {given.plan}: not of the form 50x20 or 50x20-300")
    return plan.chunks


def _request(given: argparse.Namespace, host: str, base: str) -> requests.Request:
    chunks = _chunks(given)
    if chunks is None:
        model = "bench-chat"
    elif given.kind == "held":
        model = requests.stream_model(chunks, given.pace)
    else:
        model = f"bench-stream-{given.plan}"
    body = requests.chat_body(given.body, given.model or model, stream=chunks is not None)
    data = requests.post(host, f"{base}/chat/completions", given.key, body)
    return requests.Request(data, chunks, given.length if chunks is None else None)


async def _run(given: argparse.Namespace, tally: Tally) -> None:
    url = urlsplit(given.url)
    request = _request(given, url.netloc, url.path.rstrip("/"))
    target = drivers.Target(
        url.hostname or "127.0.0.1", url.port or 80, request, silence=given.timeout
    )
    if given.kind == "held":
        await drivers.held(
            target,
            tally,
            streams=given.streams,
            ramp=given.ramp,
            seconds=given.seconds,
            length=given.ramp + given.seconds + _TAIL,
        )
        return
    await drivers.closed_loop(
        target,
        tally,
        concurrency=given.concurrency,
        warmup=given.warmup,
        seconds=given.seconds,
    )


def main() -> None:
    given = _options().parse_args()
    raise_file_limit()
    watch = {name: int(pid) for name, _, pid in (each.partition("=") for each in given.watch)}
    tally = Tally(watch)
    uvloop.run(_run(given, tally))
    report = tally.report()
    print(dumps(report.as_json()).decode(), flush=True)
    sys.exit(1 if report.errors else 0)


if __name__ == "__main__":
    main()
