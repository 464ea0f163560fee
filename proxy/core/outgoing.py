"""What leaves for a vendor, and how long each part of it may take.

Plain values, read by every request and so compiled; what they meet are ports, which are not, as
nothing interpreted could then implement them.
"""

from dataclasses import dataclass

from proxy.core.ports import RawHeaders, Upload


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of one attempt, in seconds.

    `connect`: until the connection (and TLS) stands, waiting for a place in the pool included.
    `first_token`: from the request sent to the first byte of the body (not the head: vendors send
    the head at once and think afterwards).
    `idle`: longest silence between two reads of the body after that, and between two accepted
    writes of a streamed request body. Time during which the client keeps us paused does not count.
    `total`: the whole attempt.
    """

    connect: float = 5.0
    first_token: float = 60.0
    idle: float = 60.0
    total: float = 600.0


@dataclass(slots=True)
class Outgoing:
    """One request as it leaves for a vendor. `headers` has all end-to-end fields and credentials,
    but no Host, Content-Length, Transfer-Encoding or Connection: those are the transport's."""

    method: str
    target: str  # In origin form: path and query, percent-encoded; the host is the transport's.
    headers: RawHeaders
    body: bytes | Upload
