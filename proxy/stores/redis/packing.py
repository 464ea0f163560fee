"""Rules as the scripts read them: packed once, and again when a calendar window ends.

Names of keys begin with the scope in braces, so that in a cluster all counts of a scope share a
slot; those of a key, and of a key with a model, share one too. Which windows of the calendar are
meant is worked out here, from the server's clock; the scripts refuse them outside their bounds.
"""

from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from proxy.base.periods import Span, before, span
from proxy.core.quota import Calendar, Rule, Scope, Sliding
from proxy.stores.redis.commands import bulk
from proxy.stores.redis.levels import parts

MOST: Final = 2**53 - 1
"""What Lua's numbers hold exactly: a hold of money, a count of tokens, a limit with rollover."""
MOST_MONEY: Final = 4 * 10**18
"""The largest limit of a budget: twice as much still fits the server's integers."""

DAY: Final = 86_400
KEPT: Final = 7 * DAY
"""How long a hold without an end is remembered, so that it can be corrected."""
_WINDOW_KEPT: Final = KEPT + DAY
_CARRYING_KEPT: Final = 400 * DAY
_KINDS: Final = {"requests": 1, "tokens": 2, "concurrency": 3, "money": 4}


class Packed(NamedTuple):
    """The rules with the windows of a time."""

    argument: bytes
    start: int  # Milliseconds, like `end`: valid from `start` up to, and without, `end`.
    end: int  # 0: for ever.
    spans: tuple[Span | None, ...]  # Of each rule of money.


class Packing:
    """Rules, ready to be sent."""

    __slots__ = ("_lease", "_packed", "_prefix", "parts", "pays", "rules", "slots")

    def __init__(self, rules: tuple[Rule, ...], prefix: str, lease: float) -> None:
        for rule in rules:
            _refuse(rule)
        self.rules = rules
        self.parts = parts(rules)
        self.slots = any(rule.measure == "concurrency" for rule in rules)
        self.pays = any(rule.measure == "money" for rule in rules)
        self._prefix = prefix
        self._lease = round(1000 * lease)
        self._packed: Packed | None = None

    def at(self, now: int) -> Packed:
        """The rules as they are to be sent at a time in milliseconds."""
        packed = self._packed
        if packed is None or now < packed.start or 0 < packed.end <= now:
            self._packed = packed = self._pack(now)
        return packed

    def _pack(self, now: int) -> Packed:
        packed: list[object] = []
        spans: list[Span | None] = []
        for rule in self.rules:
            name = f"{self._prefix}:{{{tag(rule.scope)}}}:{_name(rule)}"
            match rule.window:
                case Calendar() as window:
                    of = span(window.period, window.zone, now / 1000)
                    spans.append(of)
                    packed.append(_money(rule, window, name, of))
                case Sliding(seconds):
                    spans.append(None)
                    limit = min(rule.limit, MOST)
                    packed.append((_KINDS[rule.measure], name, limit, rule.hard, 1000 * seconds))
                case None:
                    spans.append(None)
                    packed.append((3, name, min(rule.limit, MOST), rule.hard))
        start = max((1000 * of.start for of in spans if of), default=0)
        end = min((1000 * of.end for of in spans if of and of.end is not None), default=0)
        head = (start, end, self._lease, self._kept())
        return Packed(bulk(msgspec.msgpack.encode([*head, *packed])), start, end, tuple(spans))

    def _kept(self) -> int:
        if self.pays:
            return 1000 * KEPT
        longest = max(
            (rule.window.seconds for rule in self.rules if isinstance(rule.window, Sliding)),
            default=0,
        )
        return max(1000 * longest + 1000 * longest // 60, 4 * self._lease)


def tag(scope: Scope) -> str:
    """What the counts of a scope share a slot by."""
    kind, name = scope
    if kind == "key_model":
        kind, name = "key", name.partition("/")[0]
    return f"{kind}:{quote(name, safe='')}"


def _name(rule: Rule) -> str:
    """What tells a rule from the others with its tag: those of a key and those of its models."""
    if rule.scope.kind != "key_model":
        return rule.name
    return f"model:{quote(rule.scope.name, safe='')}:{rule.name}"


def _refuse(rule: Rule) -> None:
    if rule.limit < 0:
        raise ValueError(f"{rule.key}: the limit is negative")
    if rule.measure != "money":
        return
    if not isinstance(rule.window, Calendar):
        raise TypeError(f"{rule.key}: a budget needs a window of the calendar")
    most = MOST if rule.window.rollover else MOST_MONEY
    if rule.limit > most:
        raise ValueError(
            f"{rule.key}: a budget{' with rollover' if rule.window.rollover else ''} kept in Redis "
            f"is at most {most // 10**9:,} dollars"
        )


def _money(rule: Rule, window: Calendar, name: str, of: Span) -> tuple[object, ...]:
    dollars, nano = divmod(rule.limit, 10**9)
    share = round(1_000_000 * window.rollover)
    earlier = _windows_before(window, of) if share else ()
    keep = min((*earlier, span(window.period, window.zone, max(of.start - _WINDOW_KEPT, 0)).start))
    forgotten = 0
    if of.end is not None:
        forgotten = of.end + (_CARRYING_KEPT if share else _WINDOW_KEPT)
        forgotten += (of.end - of.start) * (len(earlier) + 1)
    head = (4, name, dollars, nano, rule.hard, of.start, 1000 * (of.end or 0), forgotten)
    return (*head, share, window.expires, keep, *earlier)


def _windows_before(window: Calendar, of: Span) -> tuple[int, ...]:
    """Starts of the windows that can still be felt, from the newest: those whose rest is carried
    to this one, and those whose rest those may have used."""
    starts: list[int] = []
    earlier = before(window.period, window.zone, of)
    while earlier is not None and earlier.start > 0 and len(starts) < 2 * window.expires - 1:
        starts.append(earlier.start)
        earlier = before(window.period, window.zone, earlier)
    return tuple(starts)
