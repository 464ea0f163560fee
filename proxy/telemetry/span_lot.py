"""The spans of a lot (wire/lots.py): what `traces.py` makes of each record, for many at once.

All that records of a lot say alike is here once for all of them, so what is left for each are its
ids, times and numbers. The same bytes as one by one (`test_span_lot.py`).
"""

from collections.abc import Collection

from proxy.base.jsonio import dumps
from proxy.telemetry.attributes import LONGEST
from proxy.telemetry.conventions import GEN_AI_OPERATIONS
from proxy.telemetry.otlp_bytes import int64, reals, utf8
from proxy.telemetry.span_names import (
    COMPLETION,
    COST_COMPLETION,
    COST_PROMPT,
    COST_TOTAL,
    FIRST_CHUNK,
    FIRST_TOKEN,
    ID,
    INPUT,
    METADATA,
    NANO_USD,
    OUTPUT,
    OVERHEAD,
    PROMPT,
    SIZE_IN,
    SIZE_OUT,
    TOTAL,
    USD,
)
from proxy.telemetry.span_own import MICRO, NANO, metadata_of
from proxy.telemetry.span_start import (
    OF_REMOTE,
    PARENT_ID,
    ROOT,
    SPAN,
    beginning,
    id_of,
    ids_of,
)
from proxy.wire.brief import Numbers
from proxy.wire.lots import Lot

_times = reals(FIRST_TOKEN, OVERHEAD)
_costs = reals(COST_PROMPT, COST_COMPLETION, COST_TOTAL)
_FIRST_TOKEN, _OVERHEAD = FIRST_TOKEN.real_head, OVERHEAD.real_head
_OF_PROMPT, _OF_COMPLETION = COST_PROMPT.real_head, COST_COMPLETION.real_head
_OF_ALL = COST_TOTAL.real_head
_REQUEST_ID = b'{"request_id":'


class LotSpans:
    """Of one lot. `server` and `client`: what its spans say alike; `names`: gen_ai, openinference,
    or both."""

    def __init__(self, lot: Lot, server: bytes, client: bytes, names: Collection[str]) -> None:
        first = lot.first
        told = first.operation in GEN_AI_OPERATIONS
        self._numbers = lot.numbers
        self._server = server
        self._client = client
        self._gen_ai = told and "gen_ai" in names
        self._chunks = self._gen_ai and first.stream
        self._openinference = "openinference" in names
        self._costs = told and self._openinference
        metadata = dumps(metadata_of(first))
        # Behind the id of the request.
        self._metadata = b"," + metadata[1:] if len(metadata) > len(b"{}") else b"}"

    def made(self) -> tuple[list[bytes], list[Numbers]]:
        """Two spans for each, and those of which none could be made."""
        spans: list[bytes] = []
        left: list[Numbers] = []
        for numbers in self._numbers:
            try:
                spans += self._pair(numbers)
            except (ValueError, TypeError):
                left.append(numbers)
        return spans, left

    def _pair(self, x: Numbers) -> tuple[bytes, bytes]:
        if not x.id:
            raise ValueError("it has no id, which changes what is said")
        trace, server, client = ids_of(x.trace, x.span, x.attempt)
        at, cost = x.at, x.cost
        name = ID.text(utf8(x.id))
        context = self._context(x.id) if self._openinference else b""
        nano = int64(cost)
        money = b"%b%b%b" % (NANO_USD.wholes[len(nano)], nano, USD.real(cost / NANO))
        flags = ROOT
        if x.parent is not None:
            flags = b"%b%b%b" % (OF_REMOTE, PARENT_ID, id_of(x.parent, SPAN))
        begun = at + x.started
        ended = at + x.done
        asked = b"".join(
            (
                beginning(trace, server, at, ended),
                flags,
                self._server,
                name,
                context,
                money,
                SIZE_IN.whole(int64(x.bytes_in)) if x.bytes_in else b"",
                SIZE_OUT.whole(int64(x.bytes_out)) if x.bytes_out else b"",
                _times(_FIRST_TOKEN, x.first_token / MICRO, _OVERHEAD, x.overhead / MICRO),
            )
        )
        tried = [
            beginning(trace, client, begun, ended if ended > begun else begun),
            PARENT_ID,
            server,
            self._client,
            name,
            money,
        ]
        if self._chunks:
            tried.append(FIRST_CHUNK.real((x.first_token - x.started) / MICRO))
        if self._costs:
            tried.append(context)
            made, given = (cost - x.cost_input) / NANO, x.cost_input / NANO
            tried.append(_costs(_OF_PROMPT, given, _OF_COMPLETION, made, _OF_ALL, cost / NANO))
        self._add_usage(tried, x)
        return asked, b"".join(tried)

    def _context(self, name: str) -> bytes:
        text = b"%b%b%b" % (_REQUEST_ID, dumps(name), self._metadata)
        if len(text) > LONGEST:
            raise ValueError("it is cut where it is told")
        return METADATA.text(text)

    def _add_usage(self, told: list[bytes], x: Numbers) -> None:
        given, made = int64(x.input), int64(x.output)
        if self._gen_ai:
            told += INPUT.wholes[len(given)], given, OUTPUT.wholes[len(made)], made
        if self._costs:
            total = int64(x.input + x.output)
            told += (
                PROMPT.wholes[len(given)],
                given,
                COMPLETION.wholes[len(made)],
                made,
                TOTAL.wholes[len(total)],
                total,
            )
