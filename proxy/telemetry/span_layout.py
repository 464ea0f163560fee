"""How the two spans of a record in a lot lie in memory, by the lengths of what they say.

Where these lengths are known, all is known but the values: how long a span is, and each tag, length
and name between them. So each span is written by one `struct`. Such lengths are few: ids are alike,
numbers are of one to five bytes. What has no bytes is not told, nor is the head before it.
"""

from struct import Struct
from typing import Final

from proxy.telemetry.attributes import LONGEST
from proxy.telemetry.otlp_bytes import Name
from proxy.telemetry.span_names import (
    COMPLETION,
    COST_COMPLETION,
    COST_PROMPT,
    COST_TOTAL,
    FIRST_CHUNK,
    FIRST_TOKEN,
    ID,
    INPUT,
    NANO_USD,
    OUTPUT,
    OVERHEAD,
    PROMPT,
    SIZE_IN,
    SIZE_OUT,
    TOTAL,
    USD,
)
from proxy.telemetry.span_request import FRAME
from proxy.telemetry.span_start import END, IDS, IDS_WITH_PARENT, OF_REMOTE, ROOT, START, TRACE_ID

KEPT: Final = 512

Lengths = tuple[bool, int, int, int, int, int, int, int]
"""Whether there is a parent, and the bytes of the id, the cost, the sizes of request and answer,
and the tokens for input, for output, and together."""

_Field = tuple[bytes, str]
"""What stands before a value, and the format of that."""
_NOTHING: Final[_Field] = (b"", "0s")
"""Takes any bytes."""
_FRAME: Final[_Field] = (FRAME, "2s")
"""The length of a span of 128 bytes, which any has, to 4,095."""
_BEGINNING: Final = 4
"""Fields up to the times."""
_TOKENS: Final = 5
"""Fields of a client's span that tell tokens, the last ones."""


class Layout:
    """Of a pair of spans. `server` and `client` write them but for the last bytes, which many say
    alike: they take each head, its value, the next head and so on. Heads are those behind the
    times, sizes those of what is written, without the frame."""

    __slots__ = (
        "client",
        "client_heads",
        "client_size",
        "server",
        "server_heads",
        "server_size",
        "token_heads",
    )

    def __init__(self, server: list[_Field], client: list[_Field]) -> None:
        of_server, of_client = _struct(server), _struct(client)
        self.server, self.client = of_server.pack, of_client.pack
        self.server_heads = _heads(server)
        heads = _heads(client)
        self.client_heads, self.token_heads = heads[:-_TOKENS], heads[-_TOKENS:]
        frame = _struct([_FRAME]).size
        self.server_size, self.client_size = of_server.size - frame, of_client.size - frame


class Layouts(dict[Lengths, Layout]):
    """Made when one is missing, and bounded. `gen_ai`, `openinference`: whether their names are
    told; `chunks`: whether of a stream."""

    def __init__(self, *, gen_ai: bool, openinference: bool, stream: bool) -> None:
        super().__init__()
        self._gen_ai = gen_ai
        self.chunks = gen_ai and stream
        self.costs = openinference

    def __missing__(self, lengths: Lengths) -> Layout:
        if len(self) >= KEPT:
            self.clear()
        made = self[lengths] = self._made(lengths)
        return made

    def _made(self, lengths: Lengths) -> Layout:
        has_parent, name, nano, size_in, size_out, given, made, total = lengths
        if not 0 < name <= LONGEST:
            raise ValueError("what is said of it is another thing, or cut")
        of_gen_ai, of_openinference = self._gen_ai, self.costs
        cost = [_whole(NANO_USD, nano), _real(USD)]
        server = [
            *_beginning(IDS_WITH_PARENT if has_parent else IDS),
            ((OF_REMOTE if has_parent else ROOT) + ID.text_head(name), f"{name}s"),
            *cost,
            _whole(SIZE_IN, size_in),
            _whole(SIZE_OUT, size_out),
            _real(FIRST_TOKEN),
            _real(OVERHEAD),
        ]
        client = [
            *_beginning(IDS_WITH_PARENT),
            (ID.text_head(name), f"{name}s"),
            *cost,
            _real(FIRST_CHUNK, self.chunks),
            _real(COST_PROMPT, of_openinference),
            _real(COST_COMPLETION, of_openinference),
            _real(COST_TOTAL, of_openinference),
            _whole(INPUT, given, of_gen_ai),
            _whole(OUTPUT, made, of_gen_ai),
            _whole(PROMPT, given, of_openinference),
            _whole(COMPLETION, made, of_openinference),
            _whole(TOTAL, total, of_openinference),
        ]
        return Layout(server, client)


def _struct(fields: list[_Field]) -> Struct:
    return Struct("<" + "".join([f"{len(head)}s{value}" for head, value in fields]))


def _heads(fields: list[_Field]) -> tuple[bytes, ...]:
    return tuple([head for head, _ in fields[_BEGINNING:]])


def _beginning(ids: int) -> list[_Field]:
    return [_FRAME, (TRACE_ID, f"{ids}s"), (START, "Q"), (END, "Q")]


def _whole(name: Name, length: int, told: bool = True) -> _Field:
    return (name.wholes[length], f"{length}s") if told and length else _NOTHING


def _real(name: Name, told: bool = True) -> _Field:
    return (name.real_head, "d") if told else _NOTHING
