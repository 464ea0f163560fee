"""The usage record: all that is remembered of a request, as one line of JSON.

A worker writes it once, when the request ends; control reads it into Postgres, traces, metrics.
Times are microseconds: `at` since the epoch, all others since `at`. Money is integer nano-USD.
A line is `<crc32 of the JSON, 8 hex digits> <JSON>\\n`, so that one that was torn by a crash or a
full disk is told from a whole one. No byte of it is NUL.

Most lines are a `Brief` (brief.py), which says the same in half as many bytes; `record_of`
(record_reader.py) makes the same `UsageRecord` of either.
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


class BadLine(ValueError):
    """A line that is torn or is no record."""


_encode = msgspec.json.Encoder().encode


def line_of(record: UsageRecord) -> bytes:
    """The record as a line of a segment."""
    text = _encode(record)
    return b"%08x %b\n" % (zlib.crc32(text), text)
