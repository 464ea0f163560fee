"""The usage record: all that is remembered of a request, as one line of JSON.

A worker writes it once, when the request ends; control reads it into Postgres, traces, metrics.
Times are microseconds: `at` since the epoch, all others since `at`. Money is integer nano-USD.
A line is `<crc32 of the JSON, 8 hex digits> <JSON>\\n`, so that one that was torn by a crash or a
full disk is told from a whole one. No byte of it is NUL.

Nearly all requests complete at the first attempt. Of these a worker writes a `Brief`, half as long
and much cheaper to make: `{"v":2,"standing":{..},"numbers":[..]}`. What thousands of requests share
is encoded once; a usual request adds one array of numbers, and `more` where there is more to say.
`record_of` makes the same `UsageRecord` of either.
"""

import zlib
from typing import Literal

import msgspec

Outcome = Literal["completed", "client_gone", "upstream_cut", "refused", "failed", "cached"]
UsageSource = Literal["upstream", "counted", "estimated"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens of one attempt. `cached_read` and `cache_write` are part of `input`, `reasoning` of
    `output`, audio of either, as OpenAI counts them."""

    input: int = 0
    output: int = 0
    cached_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    images: int = 0


class Cost(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Nano-USD of one attempt, by class; the classes do not overlap and add up to `total`."""

    total: int = 0
    input: int = 0  # Uncached text.
    cached_read: int = 0
    cache_write: int = 0
    output: int = 0  # Text, reasoning aside.
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    images: int = 0
    request: int = 0  # A fixed price per call.


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One try at one target."""

    provider: str
    model: str
    started: int
    ended: int
    head: int | None = None
    first_byte: int | None = None
    status: int = 0
    error: str | None = None
    usage: Usage | None = None
    usage_source: UsageSource | None = None
    cost: Cost | None = None  # None: no price is known, or nothing that could cost was done.
    span: str | None = None  # 16 hex digits.
    reason: str | None = None  # Of core/verdicts.py, where it says more than `error`.
    rescue: str | None = None  # `prefill` or `restart`: it carried on with a stream that was cut.
    route: str | None = None  # The configured model of its target, where that is a fallback.
    hedge: bool = False  # It was sent beside one that was slow.


class Content(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was said, kept only with `telemetry.content: full`; may be cut short."""

    input: str | None = None
    output: str | None = None


class UsageRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="v", tag=1):
    """One request."""

    id: str
    at: int
    worker: str
    config: str
    operation: str
    outcome: Outcome
    status: int  # What the caller was told; 499 when it was gone.
    done: int
    key: str = ""
    team: str | None = None
    user: str | None = None
    project: str | None = None
    customer: str | None = None
    agent: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    model: str | None = None  # Asked for.
    route: str | None = None  # The configured name that took it.
    rule: str | None = None
    served_provider: str | None = None
    served_model: str | None = None
    error: str | None = None
    code: str | None = None
    stream: bool = False
    cache: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    arrived: int = 0  # The body was here.
    admitted: int | None = None
    first_token: int | None = None
    overhead: int | None = None  # Spent in the proxy itself until the first byte left.
    usage: Usage | None = None  # Of all attempts.
    usage_source: UsageSource | None = None
    cost: int | None = None  # Of all attempts; None: unpriced.
    unpriced: bool = False  # At least one attempt had usage and no price.
    prices: str | None = None  # Version of the price table.
    attempts: tuple[AttemptRecord, ...] = ()
    trace: str | None = None  # 32 hex digits.
    span: str | None = None
    parent: str | None = None
    sampled: bool = True
    content: Content | None = None


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What many requests that completed with status 200, at the first attempt, have in common."""

    worker: str
    config: str
    operation: str
    provider: str
    target: str  # The model's name there; may be empty.
    key: str = ""
    team: str | None = None
    user: str | None = None
    project: str | None = None
    model: str | None = None
    route: str | None = None
    rule: str | None = None
    via: str | None = None  # `AttemptRecord.route` of the one attempt.
    stream: bool = False
    prices: str | None = None


class Numbers(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What each of them adds. Without `More` it used `input` and `output` tokens of text, as its
    vendor said, and cost `cost`, of that `cost_input` for input."""

    id: str
    at: int
    done: int
    bytes_in: int
    bytes_out: int
    arrived: int
    admitted: int
    first_token: int
    overhead: int
    started: int
    head: int
    input: int
    output: int
    cost: int
    cost_input: int


Times = tuple[str, int, int, int, int, int, int, int, int, int, int]
"""Those of `Numbers` up to `head`: a tuple is made and encoded sooner."""

OfText = tuple[int, int, int, int]
"""The others."""


class More(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was used where that was not only text, or its price is not known, and what the request
    says of itself."""

    usage: Usage | None = None
    usage_source: UsageSource | None = None
    cost: Cost | None = None
    attempt: str | None = None  # Its span.
    trace: str | None = None
    span: str | None = None
    parent: str | None = None
    sampled: bool = True
    tags: tuple[str, ...] = ()
    customer: str | None = None
    agent: str | None = None
    session: str | None = None
    content: Content | None = None


class Brief(msgspec.Struct, frozen=True, gc=False, tag_field="v", tag=2):
    """A record in these parts."""

    standing: Standing
    numbers: Numbers
    more: More | None = None


_OK = 200
_NOTHING_MORE = More()
_NO_NUMBERS: OfText = 0, 0, 0, 0  # Where `More` says it.
_MORE_OF_TEXT = (
    b',"more":{"usage":{"input":%d,"output":%d},"usage_source":"upstream",'
    b'"cost":{"total":%d,"input":%d,"output":%d},%b}}'
)
_encode = msgspec.json.Encoder().encode
_DECODER = msgspec.json.Decoder(UsageRecord | Brief)


class BadLine(ValueError):
    """A line that is torn or is no record."""


def line_of(record: UsageRecord) -> bytes:
    """The record as a line of a segment."""
    text = _encode(record)
    return b"%08x %b\n" % (zlib.crc32(text), text)


class Head:
    """The beginning of briefs with the same `Standing`, and its checksum."""

    __slots__ = ("_crc", "_text")

    def __init__(self, standing: Standing) -> None:
        self._text = b'{"v":2,"standing":%b,"numbers":' % _encode(standing)
        self._crc = zlib.crc32(self._text)

    def line(self, times: Times, of_text: OfText, said: bytes, more: More | None = None) -> bytes:
        """The line of the brief of these parts. `said`: members of `More` that say nothing of what
        was used, rendered; or all of it is in `more`."""
        if more is not None:
            rest = b'%b,"more":%b}' % (_encode(times + _NO_NUMBERS), _encode(more))
        elif said:
            rest = _encode(times + _NO_NUMBERS) + _more(of_text, said)
        else:
            rest = _encode(times + of_text) + b"}"
        return b"%08x %b%b\n" % (zlib.crc32(rest, self._crc), self._text, rest)


def _more(of_text: OfText, said: bytes) -> bytes:
    """`More` as the last member of a brief, as the encoder would write it."""
    tokens_in, tokens_out, cost, of_input = of_text
    of_output = cost - of_input
    if tokens_in and tokens_out and of_input and of_output:
        return _MORE_OF_TEXT % (tokens_in, tokens_out, cost, of_input, of_output, said)
    usage, split = Usage(tokens_in, tokens_out), Cost(cost, of_input, output=of_output)
    return b',"more":{"usage":%b,"usage_source":"upstream","cost":%b,%b}}' % (
        *(_encode(usage), _encode(split), said),  # What is 0 is not written.
    )


def record_of(line: bytes) -> UsageRecord:
    """The record of a line, with or without its line break. Raises BadLine."""
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        raise BadLine("the checksum does not fit")
    try:
        found = _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise BadLine(str(error)) from None
    if type(found) is UsageRecord:
        return found
    return whole(found.standing, found.numbers, found.more)


def whole(standing: Standing, numbers: Numbers, more: More | None) -> UsageRecord:
    """The record that a brief of these parts tells in short."""
    usage: Usage | None
    source: UsageSource | None
    cost: Cost | None
    if more is not None:
        usage, source, cost = more.usage, more.usage_source, more.cost
    else:
        more, source = _NOTHING_MORE, "upstream"
        usage = Usage(numbers.input, numbers.output)
        cost = Cost(numbers.cost, numbers.cost_input, output=numbers.cost - numbers.cost_input)
    total = cost.total if cost is not None else None if usage is not None else 0
    attempt = AttemptRecord(
        standing.provider,
        standing.target,
        numbers.started,
        numbers.done,
        numbers.head,
        numbers.first_token,
        _OK,
        None,
        usage,
        source,
        cost,
        more.attempt,
        route=standing.via,
    )
    # In the order of the fields, which is four times as quick as by name.
    return UsageRecord(
        numbers.id,
        numbers.at,
        standing.worker,
        standing.config,
        standing.operation,
        "completed",
        _OK,
        numbers.done,
        standing.key,
        standing.team,
        standing.user,
        standing.project,
        more.customer,
        more.agent,
        more.session,
        more.tags,
        standing.model,
        standing.route,
        standing.rule,
        standing.provider,
        standing.target or None,
        None,  # Error
        None,  # and code.
        standing.stream,
        None,  # From no cache.
        numbers.bytes_in,
        numbers.bytes_out,
        numbers.arrived,
        numbers.admitted,
        numbers.first_token,
        numbers.overhead,
        usage,
        source,
        total,
        usage is not None and cost is None,
        standing.prices,
        (attempt,),
        more.trace,
        more.span,
        more.parent,
        more.sampled,
        more.content,
    )
