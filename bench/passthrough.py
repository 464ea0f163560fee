"""The yardstick: a bare aiohttp pass-through, as good as a competent engineer would write it.

`web.Application` and one `ClientSession`, uvloop, no access log, no limit on connections, no
decompression. It knows no keys, no models, no usage and no errors of its own: whoever does all of
that for less has earned the ratio. Run: `python -m bench.passthrough --upstream http://host:port`.
"""

import argparse
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from bench.measure import raise_file_limit
from bench.service import announce, serve_for

_NOT_END_TO_END = frozenset({
    "connection", "content-length", "host", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict([(n, v) for n, v in headers.items() if n.lower() not in _NOT_END_TO_END])


def handler(session: aiohttp.ClientSession, upstream: str) -> Handler:
    """One handler for every path."""

    async def forward(request: web.Request) -> web.StreamResponse:
        async with session.request(
            request.method,
            upstream + request.raw_path,
            data=await request.read(),
            headers=_end_to_end(request.headers),
            allow_redirects=False,
        ) as answer:
            headers = _end_to_end(answer.headers)
            if answer.content_length is not None:
                # The end is known: one write with head and body is the cheapest aiohttp has.
                return web.Response(status=answer.status, headers=headers, body=await answer.read())
            reply = web.StreamResponse(status=answer.status, headers=headers)
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
            await reply.write_eof()
            return reply

    return forward


async def _main(upstream: str, port: int, seconds: float) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handler(session, upstream.rstrip("/")))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
    await site.start()
    announce(runner.addresses[0][1])
    try:
        await serve_for(seconds)
    finally:
        await runner.cleanup()
        await session.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.passthrough", description=__doc__)
    options.add_argument("--upstream", required=True, help="http://host:port")
    options.add_argument("--port", type=int, default=0, help="0: the kernel chooses")
    options.add_argument("--for", dest="seconds", type=float, default=3600.0)
    given = options.parse_args()
    raise_file_limit()
    uvloop.run(_main(given.upstream, given.port, given.seconds))


if __name__ == "__main__":
    main()
