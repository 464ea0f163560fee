"""One worker's service: start, reload, drain, stop."""

import asyncio
import logging
import socket
import ssl

from proxy.base.errors import OperatorError
from proxy.build.runtime import Built, build
from proxy.config.settings import TlsFiles
from proxy.config.snapshot import Snapshot
from proxy.server.handler import Handler
from proxy.server.listener import HttpServer

log = logging.getLogger("llm-proxy.app")


class App:
    """Serves one runtime at a time; a reload builds the next whole and swaps one reference."""

    def __init__(self) -> None:
        self._built: Built | None = None
        self._handler: Handler | None = None
        self._server: HttpServer | None = None

    async def start(self, snapshot: Snapshot, listener: socket.socket) -> None:
        """Serve on a listening socket. Raises OperatorError for files that cannot be used."""
        self._built = await _build(snapshot, None)
        self._handler = Handler(self._built.runtime)
        self._server = HttpServer(self._handler)
        await self._server.start(listener, _tls(snapshot.settings.tls))

    async def apply(self, snapshot: Snapshot) -> None:
        """Serve new requests by another configuration; those in flight keep theirs.

        Raises OperatorError, and then everything goes on as it was."""
        assert self._handler is not None  # Started.
        old = self._built
        new = await _build(snapshot, old)
        self._built = new
        self._handler.runtime = new.runtime
        if old is not None:
            new.replace(old)

    async def stop(self, grace: float) -> None:
        """Stop accepting, finish what is in flight for at most `grace` seconds, close."""
        if self._server is not None:
            await self._server.stop(grace)
        if self._built is not None:
            self._built.close()


async def _build(snapshot: Snapshot, old: Built | None) -> Built:
    try:  # In a thread: reading certificate files takes tens of milliseconds.
        return await asyncio.to_thread(build, snapshot, old)
    except (OSError, ValueError) as error:
        raise OperatorError(f"the configuration cannot be used: {error}") from error


def _tls(files: TlsFiles) -> ssl.SSLContext | None:
    if files.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise OperatorError(f"tls: the certificate cannot be used: {error}") from error
    return context
