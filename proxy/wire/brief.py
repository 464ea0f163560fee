"""Records in short: nearly all requests complete at the first attempt, and have much in common.

Of these a worker writes `{"v":2,"standing":{..},"numbers":[..]}`, half as long as a record and much
cheaper to make. What thousands of requests share (`Standing`) is encoded once; a usual request adds
one array of numbers and of the ids of its trace, and `more` where there is more to say. Most are
read without ever becoming a `UsageRecord`: lots.py. They are written by brief_line.py.
"""

from typing import final

import msgspec

from proxy.wire.record import AttemptRecord, Content, Cost, Usage, UsageRecord, UsageSource


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
    vendor said, and cost `cost`, of that `cost_input` for input. The ids are there where spans are
    told, and it was sampled."""

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
    attempt: str | None = None  # Its span.
    trace: str | None = None
    span: str | None = None
    parent: str | None = None


Times = tuple[str, int, int, int, int, int, int, int, int, int, int]
"""Those of `Numbers` up to `head`: a tuple is made and encoded sooner."""

OfText = tuple[int, int, int, int]
"""The next four."""


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


@final
class Brief(msgspec.Struct, frozen=True, gc=False, tag_field="v", tag=2):
    """A record in these parts."""

    standing: Standing
    numbers: Numbers
    more: More | None = None

    @property
    def id(self) -> str:
        return self.numbers.id

    @property
    def at(self) -> int:
        return self.numbers.at

    @property
    def done(self) -> int:
        return self.numbers.done

    def whole(self) -> UsageRecord:
        """The record that it tells in short."""
        return whole(self.standing, self.numbers, self.more)


_OK = 200
_NOTHING_MORE = More()


def whole(standing: Standing, numbers: Numbers, more: More | None) -> UsageRecord:
    """The record that a brief of these parts tells in short."""
    usage: Usage | None
    source: UsageSource | None
    cost: Cost | None
    told: More | Numbers  # Who has the ids.
    if more is not None:
        usage, source, cost, told = more.usage, more.usage_source, more.cost, more
    else:
        more, told, source = _NOTHING_MORE, numbers, "upstream"
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
        told.attempt,
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
        told.trace,
        told.span,
        told.parent,
        more.sampled,
        more.content,
    )
