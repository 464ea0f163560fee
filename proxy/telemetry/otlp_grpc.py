"""OTLP over gRPC, by grpcio (extra `otlp-grpc`). https://opentelemetry.io/docs/specs/otlp/#otlpgrpc

Bodies are encoded already, so the channel passes bytes. Which codes mean later is the standard's
list; RESOURCE_EXHAUSTED does only if the collector says when.
"""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from proxy.telemetry.delivery import LONGEST_WAIT, Later, Never, Signal, Verdict, taken

_LATER = frozenset(
    (
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
_DETAILS = "grpc-status-details-bin"
_STATUS_DETAILS = 3
_SHOWN = 200


class GrpcWay:
    """To one collector. TLS unless `endpoint` begins with http:// or has no scheme."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        agent: str,
        packed: bool = True,
    ) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        self._target = parts.netloc if parts.port is not None else f"{parts.netloc}:4317"
        self._secure = parts.scheme in {"https", "grpcs"}
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._timeout = timeout
        self._agent = agent
        self._compression = grpc.Compression.Gzip if packed else grpc.Compression.NoCompression
        self._channel: grpc.aio.Channel | None = None

    async def send(self, signal: Signal, body: bytes) -> Verdict:
        """Call Export."""
        call = self._open().unary_unary(signal.method)
        try:
            answer = await call(
                body,
                timeout=self._timeout,
                metadata=self._metadata,
                compression=self._compression,
            )
        except grpc.aio.AioRpcError as error:
            return _verdict(error)
        return taken(signal, answer)

    async def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            options = (("grpc.primary_user_agent", self._agent),)
            if self._secure:
                self._channel = grpc.aio.secure_channel(
                    self._target, grpc.ssl_channel_credentials(), options=options
                )
            else:
                self._channel = grpc.aio.insecure_channel(self._target, options=options)
        return self._channel


def _verdict(error: grpc.aio.AioRpcError) -> Verdict:
    code = error.code()
    reason = f"{code.name}: {error.details()}"[:_SHOWN]
    after = _delay(error.trailing_metadata() or ())
    if code in _LATER or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None):
        return Later(reason, after)
    return Never(reason)


def _delay(trailer: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Seconds of the RetryInfo among the details of an error, if it has one."""
    for name, value in trailer:
        if name == _DETAILS and isinstance(value, bytes):
            try:
                return next(map(_seconds, _retry_infos(value)), None)
            except DecodeError:
                return None
    return None


def _retry_infos(status: bytes) -> Iterator[bytes]:
    # google.rpc.Status is in no package that we need otherwise: read by the numbers of its fields.
    for number, data in _fields(status):
        if number == _STATUS_DETAILS:
            detail = Any.FromString(data)
            if detail.type_url.endswith("google.rpc.RetryInfo"):
                yield detail.value


def _seconds(retry_info: bytes) -> float:
    delays = (Duration.FromString(data) for number, data in _fields(retry_info) if number == 1)
    waits = (delay.seconds + delay.nanos / 1e9 for delay in delays)
    return min(max(0.0, next(waits, 0.0)), LONGEST_WAIT)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    fields = UnknownFieldSet(Empty.FromString(message))
    for place in range(len(fields)):
        field = fields[place]
        if isinstance(field.data, bytes):
            yield field.field_number, field.data
