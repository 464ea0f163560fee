"""Requests out of the bytes of a connection: pure, no socket, no clock.

httptools parses and calls back here; each request whose head is whole becomes an `Arrival` that is
`ready` to be served, and its body is added to it as it comes. Of a large one whose length is known
the parser sees but the beginning (`beside`). Strict where two readers could take the same bytes for
different requests: what the parser lets pass and this refuses is in `on_headers_complete` and
`fields.py`. What breaks is told by `broken` (before a head was whole) or to the arrival whose body
it is; afterwards, and after the last request of a connection, nothing that comes is looked at
(`deaf`). A head that came before is not parsed again (`read_again`, `repeated.py`).
"""

from collections import deque
from typing import Final

import httptools

from proxy.server.raw.arrival import Arrival, Feeder
from proxy.server.raw.fields import Fields, RefusedHeadError, mapping, size
from proxy.server.raw.repeated import RepeatedHead, remembered
from proxy.server.refusals import FIELDS_LIMIT, HEAD_LIMIT, LINE_LIMIT, bad_framing
from proxy.server.target import split, split_absolute

_VERSIONS: Final = frozenset({"1.0", "1.1"})
STEP: Final = 4096
"""Most bytes to be read at once where a head may be among them: what is read ahead is bounded."""
LARGE: Final = 16 * 1024
"""Bytes of a body, still to come, that the parser is not shown."""
_SURELY_SMALL: Final = LINE_LIMIT // 2  # What a step brought behind a request is not counted.
_TRIES: Final = 3
"""Heads in a row, each unlike the one before, after which none is remembered any more."""
_AROUND: Final = 256  # Bytes of a line besides what its limit counts.
_CARRY_ON: Final = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b\r\n\r\n"


class RequestReader:
    """The parser's state and what was found."""

    __slots__ = (
        "_carrying_on",
        "_fields",
        "_line",
        "_parser",
        "_repeated",
        "_size",
        "_target",
        "_tries",
        "beside",
        "broken",
        "current",
        "deaf",
        "heads",
        "ready",
    )

    def __init__(self, line: Feeder) -> None:
        self._line = line
        self._carrying_on = False
        self._fields: Fields = []
        self._target = b""
        self._size = 0  # Bytes since a head or a body has got on.
        self._repeated: RepeatedHead | None = None
        self._tries = _TRIES
        self.current: Arrival | None = None  # Whose body is coming.
        self.ready: deque[Arrival] = deque()
        self.beside = False  # What comes next is body, for `read_beside`.
        self.broken = False
        self.deaf = False
        self.heads = 0  # How many have been read.
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)

    @property
    def partial(self) -> bool:
        """Whether a head has begun that is not whole."""
        return self._size > 0 and self.current is None

    @property
    def ahead(self) -> bool:
        """Whether a request that nobody serves yet is here as a whole."""
        return self.current is None and len(self.ready) > 0

    def read_again(self, data: bytes) -> bool:
        """Take what came, if it is one whole request with the head of the one before."""
        repeated = self._repeated
        if repeated is None or self._size or self.current is not None or self.deaf:
            return False
        arrival = repeated.read(data, self._line)
        if arrival is None or self._line.draining:
            return False
        self._tries = _TRIES
        self.heads += 1
        self.ready.append(arrival)
        return True

    def read(self, data: bytes | memoryview) -> None:
        """Take what came."""
        parser = self._parser
        if self.deaf or parser is None:
            return
        is_new, heads = self._tries > 0 and self.current is None and self._size == 0, self.heads
        self._size += len(data)
        rest = None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = bytes(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._break(error)
        if rest is not None:
            self._after_upgrade(rest)
        elif self._size > LINE_LIMIT:
            self._check_unfinished()
        if is_new and self.heads == heads + 1:
            self._tries -= 1
            self._repeated = remembered(bytes(data), self.ready[-1])
        arrival = self.current
        if arrival is not None and arrival.left >= LARGE and not arrival.upgrade:
            self.beside = True

    def read_beside(self, data: bytes, at: int) -> int:
        """Take the body that is in `data` from `at` on; gives where it ends there.

        Only its length tells where that is: the parser would do nothing but copy it, and a new one
        reads on behind. What stands in front of `at` was read from the same `data` just now, at
        last the beginning of this body: that is taken again, so that all of it is one piece."""
        arrival = self.current
        assert arrival is not None
        start = at
        if at:
            start -= arrival.received
            arrival.pieces.clear()
        until = min(at + arrival.left, len(data))
        arrival.pieces.append(data[start:until])
        arrival.received += until - at
        self._size = 0
        if arrival.left == 0:
            self.beside = False
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        return until

    def forget(self) -> None:
        """Let go of the head that came last, with the key in it."""
        self._repeated, self._tries = None, _TRIES

    def close(self) -> None:
        """The connection is gone: let go of what refers to it."""
        self.deaf = True
        self.ready.clear()
        self.current = None
        self._parser = None
        self.forget()

    # The parser's callbacks.

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.current is not None:
            return  # The parser that reads on after a refused upgrade.
        fields, parser = self._fields, self._parser
        assert parser is not None
        if self._size > _SURELY_SMALL and size(fields) + len(self._target) > HEAD_LIMIT:
            raise RefusedHeadError("the head is too long")
        headers = mapping(fields)
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise RefusedHeadError("not a version that is spoken here")
        http_1_1 = version == "1.1"
        if http_1_1 and "host" not in headers:
            raise RefusedHeadError("a host is missing")
        arrival = Arrival(self._line, parser.get_method().decode(), headers, tuple(fields))
        arrival.http_1_1 = http_1_1
        arrival.length = _length(headers, http_1_1)
        arrival.path, arrival.query = self._split(arrival.method)
        arrival.upgrade = upgrade = parser.should_upgrade()
        # What follows a request for an upgrade may be in another protocol, not spoken here.
        if upgrade or not parser.should_keep_alive() or self._line.draining:
            arrival.keep_alive = False
        self._size = 0
        self._fields = []
        self._target = b""
        self.heads += 1
        self.current = arrival
        self.ready.append(arrival)

    def on_body(self, data: bytes) -> None:
        arrival = self.current
        assert arrival is not None
        self._size = 0
        arrival.pieces.append(data)
        arrival.received += len(data)

    def on_message_complete(self) -> None:
        arrival = self.current
        assert arrival is not None
        if self._passed_over(arrival):
            return  # The parser passes over the body; `_after_upgrade` reads it.
        if self._fields:
            self._pass_over_trailers(arrival)
        arrival.complete = True
        self.current = None
        self._size = 0
        if not arrival.keep_alive:
            self.deaf = True

    # What is not a plain request.

    def _passed_over(self, arrival: Arrival) -> bool:
        return (
            arrival.upgrade
            and arrival.length != 0
            and not self._carrying_on
            and arrival.method != "CONNECT"  # What follows that is no body.
        )

    def _split(self, method: str) -> tuple[str, str]:
        target = self._target.decode("utf-8", "surrogateescape")
        if len(self._target) > LINE_LIMIT:
            raise RefusedHeadError("the target is too long")
        if target.startswith("/"):
            return split(target)
        if target == "*" and method == "OPTIONS":
            return target, ""
        # The target of CONNECT is an authority alone.
        found = split_absolute(f"http://{target}" if method == "CONNECT" else target)
        if found is None or (method == "CONNECT" and found != ("/", "")):
            raise RefusedHeadError("not a target")
        return found

    def _after_upgrade(self, rest: bytes) -> None:
        """We go on as if the caller had not asked. The parser has passed over the body, so that
        another, which was told of the framing alone, reads it."""
        arrival = self.current
        if arrival is None:
            return
        length = arrival.headers.get("content-length")
        framing = f"content-length: {length}" if length else "transfer-encoding: chunked"
        self._carrying_on = True
        self._parser = parser = httptools.HttpRequestParser(self)
        parser.feed_data(_CARRY_ON % framing.encode())
        self._fields = []
        self._target = b""
        self.read(rest)

    def _break(self, error: httptools.HttpParserError) -> None:
        if isinstance(error, httptools.HttpParserCallbackError):
            cause = error.__context__
            if not isinstance(cause, RefusedHeadError):
                raise cause or error  # A bug of ours.
        self._refuse()

    def _refuse(self) -> None:
        if self.deaf:
            return  # Behind the last request.
        self.deaf = True
        arrival, self.current = self.current, None
        if arrival is None:
            self.broken = True
        else:
            arrival.keep_alive = False
            arrival.fail(bad_framing())

    def _check_unfinished(self) -> None:
        """Bound what is kept of a head, and what is read of framing, before it is whole."""
        try:
            unfinished = self._size - len(self._target) - size(self._fields)
        except RefusedHeadError:
            unfinished = HEAD_LIMIT
        line = 0 if self._fields else len(self._target)
        if unfinished + line > LINE_LIMIT + _AROUND or self._size > HEAD_LIMIT:
            self._refuse()

    def _pass_over_trailers(self, arrival: Arrival) -> None:
        _ = size(self._fields)
        if len(arrival.raw_headers) + len(self._fields) > FIELDS_LIMIT:
            raise RefusedHeadError("too many fields")
        self._fields = []


def _length(headers: dict[str, str], http_1_1: bool) -> int | None:
    """Content-Length; None for chunked, 0 without a body. Both at once the parser refuses."""
    length = headers.get("content-length")
    if length is not None:
        return int(length)
    coding = headers.get("transfer-encoding")
    if coding is None:
        return 0
    if coding.lower() != "chunked" or not http_1_1:
        raise RefusedHeadError("a transfer coding that is not spoken here")
    return None
