"""The head that a connection sends again and again: recognised by its bytes, not parsed anew.

What an SDK sends on a connection differs from request to request in the body and its length alone.
The parser makes the same of the same bytes, so a head like the last one, but for the digits of
Content-Length, has the same fields. Only a head that is written as its fields say, one space behind
each colon, is remembered: of such a one there is no doubt where it ends.
"""

from typing import Final

from proxy.server.raw.arrival import Arrival, Feeder
from proxy.wire.recalled import Recalled

_LONGEST: Final = 4096
_DIGITS: Final = 9
"""Most of a length: larger bodies never come in one piece with their head."""
_END: Final = b"\r\n\r\n"


class RepeatedHead:
    """Remembers one."""

    __slots__ = (
        "_before",
        "_behind",
        "_fields",
        "_headers",
        "_length",
        "_method",
        "_number",
        "_path",
        "_query",
        "_recalled",
    )

    def __init__(self, before: bytes, behind: bytes, number: int, first: Arrival) -> None:
        """`before` and `behind`: what stands around the digits of Content-Length, which is the
        field `number`. `first`: the request that it was parsed of."""
        self._before = before
        self._behind = behind
        self._number = number
        self._method = first.method
        self._path, self._query = first.path, first.query
        self._headers, self._fields = first.headers, first.raw_headers
        self._length = first.raw_headers[number][1]
        self._recalled = Recalled()

    def read(self, data: bytes, connection: Feeder) -> Arrival | None:
        """The request that `data` is, whole and alone; None where it is another, or not that."""
        behind = self._behind
        if not data.startswith(self._before):
            return None
        at = len(self._before)
        end = data.find(b"\r", at, at + _DIGITS + 1)
        if end <= at or not data.startswith(behind, end):
            return None
        digits, body = data[at:end], end + len(behind)
        if not digits.isdigit() or int(digits) != len(data) - body:
            return None
        return self._arrival(digits, data[body:], connection)

    def _arrival(self, digits: bytes, body: bytes, connection: Feeder) -> Arrival:
        headers, fields = self._headers, self._fields
        if digits != self._length:
            number = self._number
            headers = {**headers, "content-length": digits.decode()}
            fields = (*fields[:number], (fields[number][0], digits), *fields[number + 1 :])
        found = Arrival(connection, self._method, headers, fields)
        found.http_1_1 = True
        found.path, found.query = self._path, self._query
        found.recalled = self._recalled
        found.upgrade = False
        found.length = found.received = len(body)
        if body:
            found.pieces.append(body)
        found.complete = True
        return found


def remembered(data: bytes, first: Arrival) -> RepeatedHead | None:
    """The head of `first`, with which `data` begins; None where it is none to be remembered."""
    end = data.find(_END, 0, _LONGEST)
    fields = first.raw_headers
    if end < 0 or not _is_plain(first):
        return None
    line = data[: data.find(b"\r\n")]
    if data[:end] != b"\r\n".join((line, *map(b": ".join, fields))):
        return None
    number = [name.lower() for name, _ in fields].index(b"content-length")
    before = b"\r\n".join((line, *map(b": ".join, fields[:number]), fields[number][0] + b": "))
    behind = data[len(before) + len(fields[number][1]) : end] + _END
    return RepeatedHead(before, behind, number, first)


def _is_plain(first: Arrival) -> bool:
    """Whether another may follow, and its length alone tells where it ends."""
    return first.keep_alive and first.http_1_1 and "content-length" in first.headers
