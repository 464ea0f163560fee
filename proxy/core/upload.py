"""Request bodies that pass through without being held: `Upload`s made of what the caller sends.

`StreamUpload` is any body of an operation without a model. `FormUpload` is a multipart form whose
`model` part decides where it goes: what arrives before that part waits in a spooled file (memory up
to 1 MiB, then disk), and the part's value can be replaced before anything is sent.
"""

import asyncio
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile

from proxy.base.errors import BadRequest
from proxy.wire.multipart import ModelPart, Part

_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024


class StreamUpload:
    """A body sent on as it comes."""

    __slots__ = ("_chunks", "length", "started")

    def __init__(self, chunks: AsyncIterator[bytes], length: int | None) -> None:
        self._chunks = chunks
        self.length = length
        self.started = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        async for chunk in self._chunks:
            yield chunk


class FormUpload:
    """A multipart form, read up to its `model` part."""

    __slots__ = ("_chunks", "_finder", "_length", "_replacement", "_waiting", "started")

    def __init__(self, chunks: AsyncIterator[bytes], length: int | None, boundary: bytes) -> None:
        self._chunks = chunks
        self._length = length
        self._finder = ModelPart(boundary)
        self._waiting: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(  # noqa: SIM115 - `close` and `__aiter__` end it.
            _IN_MEMORY
        )
        self._replacement: bytes | None = None
        self.started = False

    async def find_model(self) -> str | None:
        """Read on until the `model` part is known; None when the form has none."""
        size = 0
        async for chunk in self._chunks:
            size += len(chunk)
            if size > _IN_MEMORY:  # From here on a write may touch the disk.
                await asyncio.to_thread(self._waiting.write, chunk)
            else:
                self._waiting.write(chunk)
            self._finder.feed(chunk)
            if self._finder.found is not None:
                return self._finder.found.value
        return None

    def replace_model(self, model: str) -> None:
        """Send `model` in place of what the form says."""
        new = model.encode()
        self._replacement = None if new == self._found.value.encode() else new

    @property
    def _found(self) -> Part:
        if self._finder.found is None:
            raise BadRequest("the form has no `model` part", param="model")
        return self._finder.found

    @property
    def length(self) -> int | None:
        if self._length is None or self._replacement is None:
            return self._length
        return self._length + len(self._replacement) - (self._found.end - self._found.start)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        with self._waiting as waiting:
            async for piece in self._head(waiting):
                yield piece
        async for chunk in self._chunks:
            self._finder.feed(chunk)  # Refuses a second `model` part.
            yield chunk

    async def _head(self, waiting: "SpooledTemporaryFile[bytes]") -> AsyncIterator[bytes]:
        waiting.seek(0)
        if self._replacement is not None:
            part = self._found
            left = part.start
            while left > 0:
                piece = await asyncio.to_thread(waiting.read, min(left, _PIECE))
                left -= len(piece)
                yield piece
            yield self._replacement
            waiting.seek(part.end)
        while piece := await asyncio.to_thread(waiting.read, _PIECE):
            yield piece

    def close(self) -> None:
        """Drop what waits. Idempotent."""
        self._waiting.close()
