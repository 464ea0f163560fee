"""The spans of a lot (wire/lots.py): what `traces.py` makes of each record, for many at once.

All that records of a lot say alike is here once for all of them, so what is left for each are its
ids, times and numbers, which are written at once (span_layout.py). The same bytes as one by one
(`test_lots_told.py`).
"""

from collections.abc import Collection
from struct import error as StructError
from typing import Final

from proxy.base.jsonio import dumps
from proxy.telemetry.attributes import LONGEST
from proxy.telemetry.conventions import GEN_AI_OPERATIONS
from proxy.telemetry.otlp_bytes import SHORT, WHOLES, int64
from proxy.telemetry.span_layout import Layouts
from proxy.telemetry.span_names import METADATA
from proxy.telemetry.span_own import MICRO, NANO, metadata_of
from proxy.telemetry.span_request import FRAME
from proxy.telemetry.span_start import END, START, TRACE_ID, ids_of
from proxy.wire.brief import Numbers
from proxy.wire.lots import Lot

_REQUEST_ID: Final = b'{"request_id":'


class Shapes:
    """What spans of lots can look like. `names`: gen_ai, openinference, or both."""

    def __init__(self, names: Collection[str]) -> None:
        gen_ai, self.openinference = "gen_ai" in names, "openinference" in names
        self._untold = Layouts(gen_ai=False, openinference=False, stream=False)
        self._whole = Layouts(gen_ai=gen_ai, openinference=self.openinference, stream=False)
        self._streamed = Layouts(gen_ai=gen_ai, openinference=self.openinference, stream=True)

    def of(self, operation: str, stream: bool) -> Layouts:
        """Those for records of that operation."""
        if operation not in GEN_AI_OPERATIONS:
            return self._untold
        return self._streamed if stream else self._whole


class LotSpans:
    """Of one lot. `server` and `client`: what its spans say alike."""

    def __init__(self, lot: Lot, server: bytes, client: bytes, shapes: Shapes) -> None:
        first = lot.first
        self._numbers = lot.numbers
        self._server = server
        self._client = client
        self._layouts = shapes.of(first.operation, first.stream)
        self._chunks = self._layouts.chunks
        self._costs = self._layouts.costs
        self._has_context = shapes.openinference
        metadata = dumps(metadata_of(first))
        # Behind the id of the request.
        self._metadata = b"," + metadata[1:] if len(metadata) > len(b"{}") else b"}"
        self._size, self._head = 0, b""

    def made(self) -> tuple[list[bytes], list[Numbers]]:
        """Two spans for each, `framed` and in pieces, and those of which none could be made."""
        spans: list[bytes] = []
        left: list[Numbers] = []
        for numbers in self._numbers:
            try:
                spans += self._pair(numbers)
            except (ValueError, TypeError, IndexError, StructError):  # Also one beyond `SHORT`.
                left.append(numbers)
        return spans, left

    def _pair(self, x: Numbers) -> tuple[bytes, ...]:
        at, cost = x.at, x.cost
        begun, ended = at + x.started, at + x.done
        if not 0 <= at <= begun <= ended:
            raise ValueError("times that go back")
        above, below = ids_of(x.trace, x.span, x.attempt, x.parent)
        name, nano, usd = x.id.encode(), int64(cost), cost / NANO
        size_in = WHOLES[x.bytes_in] if x.bytes_in else b""
        size_out = WHOLES[x.bytes_out] if x.bytes_out else b""
        given, made, total = WHOLES[x.input], WHOLES[x.output], WHOLES[x.input + x.output]
        layout = self._layouts[
            x.parent is not None,
            len(name),
            len(nano),
            len(size_in),
            len(size_out),
            len(given),
            len(made),
            len(total),
        ]
        context = self._context(x.id) if self._has_context else b""
        of_name, of_nano, of_usd, of_in, of_out, of_first, of_overhead = layout.server_heads
        asked = layout.server(
            FRAME,
            SHORT[layout.server_size + len(context) + len(self._server)],
            TRACE_ID,
            above,
            START,
            at * 1000,
            END,
            ended * 1000,
            of_name,
            name,
            of_nano,
            nano,
            of_usd,
            usd,
            of_in,
            size_in,
            of_out,
            size_out,
            of_first,
            x.first_token / MICRO,
            of_overhead,
            x.overhead / MICRO,
        )
        of_name, _, _, of_chunk, of_prompt, of_completion, of_all = layout.client_heads
        given_1, made_1, given_2, made_2, of_total = layout.token_heads
        again = context if self._costs else b""
        tried = layout.client(
            FRAME,
            SHORT[layout.client_size + len(again) + len(self._client)],
            TRACE_ID,
            below,
            START,
            begun * 1000,
            END,
            ended * 1000,
            of_name,
            name,
            of_nano,
            nano,
            of_usd,
            usd,
            of_chunk,
            (x.first_token - x.started) / MICRO if self._chunks else b"",
            of_prompt,
            x.cost_input / NANO if self._costs else b"",
            of_completion,
            (cost - x.cost_input) / NANO if self._costs else b"",
            of_all,
            usd if self._costs else b"",
            given_1,
            given,
            made_1,
            made,
            given_2,
            given,
            made_2,
            made,
            of_total,
            total,
        )
        return asked, context, self._server, tried, again, self._client

    def _context(self, name: str) -> bytes:
        quoted = dumps(name)
        size = len(quoted)
        if size != self._size:
            self._size, self._head = size, self._head_of(size)
        return b"".join((self._head, quoted, self._metadata))

    def _head_of(self, quoted: int) -> bytes:
        """What stands before an id in quotes, of that size."""
        size = len(_REQUEST_ID) + quoted + len(self._metadata)
        if size > LONGEST:
            raise ValueError("it is cut where it is told")
        return METADATA.text_head(size) + _REQUEST_ID
