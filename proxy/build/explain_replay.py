"""Recorded traffic by another configuration: who would have gone where, and for how much.

Of each recorded request the rules decide anew (routing/explain_replay.py), and the planner orders
the targets of the model that is meant. A request is moved where that is another configured model
than the one that took it; what it would have cost is the tokens that it used, at the price of the
target that comes first there. A request that stays keeps what it cost. Sums are kept and no
records: memory is flat.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from proxy.base.clock import monotonic
from proxy.build.accounting import price_table, pricer
from proxy.build.callers import caller
from proxy.build.routing import strategies
from proxy.build.runtime import build
from proxy.config.rules import Rule as RuleSettings
from proxy.config.rules import When
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from proxy.core.labels import Labels
from proxy.core.rules import Rule
from proxy.core.target import Route, Target
from proxy.routing.agents import AgentsAndRules
from proxy.routing.explain_replay import Known, RecordedFacts, Undecided, decide
from proxy.routing.planner import Planner
from proxy.routing.strategies.port import Known as KnownAsk
from proxy.usage.ledger import NoLedger
from proxy.usage.most import Most
from proxy.usage.report_values import usd
from proxy.wire.operations import WITH_MODEL
from proxy.wire.record import Usage

COLUMNS = (
    "operation", "model", "route", "rule", "config", "key", "team", "customer", "agent", "session",
    "tags", "stream", "input_tokens", "output_tokens", "cached_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "audio_in_tokens", "audio_out_tokens", "images", "cost", "unpriced",
)  # fmt: skip
"""What is read of each record."""

_USAGE = slice(COLUMNS.index("input_tokens"), COLUMNS.index("cost"))
_OPERATIONS = {each.name: each for each in WITH_MODEL}
_SEED = 1
_REFUSED = ""
"""The configured model of what none takes."""


@dataclass(slots=True)
class _Move:
    """From one model to another. Costs are of the requests whose price is known both times."""

    requests: int = 0
    before: int = 0
    after: int = 0
    unpriced: int = 0


class _Attempted(NamedTuple):
    """A target, as the pricer asks for it."""

    provider: str
    model: str


class Replay:
    """Sums over recorded requests. `by`: the configuration that is tried; `now`: the one of today,
    by which some of the records may have been made."""

    def __init__(self, now: Settings, by: Settings) -> None:
        """Raises as `build` does."""
        self._pricer = pricer(by, price_table(by))
        self._built = build(Snapshot.of(by), NoLedger(), prices=Most(self._pricer))
        runtime = self._built.runtime
        self._catalogue = runtime.catalogue
        self._rules = runtime.rules if isinstance(runtime.rules, AgentsAndRules) else None
        self._planner = Planner(runtime.catalogue, strategies(by))
        self._callers = {key.name: caller(key) for key in by.keys}
        self._draw = random.Random(_SEED).random
        self._version = Snapshot.of(now).version
        self._unchanged = _Unchanged(now.rules, by.rules)
        self._requests = 0
        self._without_model = 0
        self._rules_before: Counter[str] = Counter()
        self._rules_after: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()
        self._undecided: Counter[Undecided] = Counter()
        self._moves: dict[tuple[str, str], _Move] = {}
        self._kept = _Move()

    def close(self) -> None:
        """Let go of what was built."""
        self._built.close()

    def add(self, row: Sequence[Any]) -> None:
        """One more record: values as in COLUMNS."""
        said = dict(zip(COLUMNS, row, strict=True))
        operation = _OPERATIONS.get(said["operation"])
        if operation is None or not said["model"]:
            self._without_model += 1
            return
        self._requests += 1
        self._rules_before[said["rule"]] += 1
        self._before[said["route"]] += 1
        usage = Usage(*row[_USAGE])
        facts = RecordedFacts(
            said["model"],
            operation,
            self._callers.get(said["key"]),
            said["team"] or None,
            _labels(said),
            tokens=usage.input or None,
            stream=said["stream"],
        )
        rule: Rule | None = None
        if self._rules is not None:
            found = decide(self._rules.rules, facts, self._known(said))
            if isinstance(found, Undecided):
                self._undecided[found] += 1
                return
            rule = self._rules.of(found.rule, facts.agent)
        self._rules_after[rule.name if rule is not None else ""] += 1
        self._routed(said, rule, usage)

    def told(self) -> dict[str, Any]:
        """The sums, as JSON has them (docs/explain.md)."""
        moves = sorted(self._moves.items(), key=lambda item: -item[1].requests)
        before = self._kept.before + sum(move.before for _, move in moves)
        after = self._kept.after + sum(move.after for _, move in moves)
        return {
            "object": "replay",
            "requests": self._requests,
            "without_model": self._without_model,
            "moved": sum(move.requests for _, move in moves),
            "rules": _counted("rule", self._rules_before, self._rules_after),
            "models": _counted("model", self._before, self._after),
            "moves": [
                {
                    "from": old or None,
                    "to": new or None,
                    "requests": move.requests,
                    "before_usd": usd(move.before),
                    "after_usd": usd(move.after),
                    "unpriced": move.unpriced,
                }
                for (old, new), move in moves
            ],
            "not_recorded": [
                {"rule": each.rule, "conditions": each.conditions, "requests": count}
                for each, count in self._undecided.most_common()
            ],
            "before_usd": usd(before),
            "after_usd": usd(after),
            "difference_usd": usd(after - before),
            "unpriced": self._kept.unpriced + sum(move.unpriced for _, move in moves),
        }

    def _known(self, said: Mapping[str, Any]) -> Known | None:
        """What the record says of rules that are as they were, if it was made by this
        configuration."""
        return self._unchanged.known(said["rule"]) if said["config"] == self._version else None

    def _routed(self, said: Mapping[str, Any], rule: Rule | None, usage: Usage) -> None:
        wanted = rule.use if rule is not None and rule.use is not None else said["model"]
        route = self._catalogue.route(wanted)
        name = route.model if route is not None else _REFUSED
        self._after[name] += 1
        cost = None if said["unpriced"] else said["cost"]
        if name == said["route"]:
            _count(self._kept, cost, cost)
            return
        move = self._moves.setdefault((said["route"], name), _Move())
        if route is None:
            _count(move, cost, 0)
            return
        target = self._first(said, route, rule, usage)
        new = None
        if target is not None:
            found = self._pricer.cost(_Attempted(target.provider.name, target.model), usage)
            new = found.total if found is not None else None
        _count(move, cost, new)

    def _first(
        self, said: Mapping[str, Any], route: Route, rule: Rule | None, usage: Usage
    ) -> Target | None:
        ask = KnownAsk(
            route=route.model,
            sticky=said["session"] or said["key"],
            tokens_in=usage.input,
            tokens_out=usage.output,
            draw=self._draw,
            price=lambda target: self._price(target, usage),
        )
        local = rule is not None and rule.local
        plan = self._planner.plan(
            route,
            ask,
            monotonic(),
            residency="local" if local else None,
            fallbacks=rule.fallback if rule is not None else None,
        )
        return plan.targets[0] if plan.targets else None

    def _price(self, target: Target, usage: Usage) -> int | None:
        found = self._pricer.cost(_Attempted(target.provider.name, target.model), usage)
        return found.total if found is not None else None


class _Unchanged:
    """Rules that ask for the same before and after. Of such a one a record tells whether it held:
    where it took the request it did, where a later one did it did not."""

    def __init__(self, old: Sequence[RuleSettings], new: Sequence[RuleSettings]) -> None:
        self._places = {rule.name: place for place, rule in enumerate(_ordered(old))}
        before: dict[str, When] = {rule.name: rule.when for rule in _ordered(old)}
        self._same = frozenset(
            rule.name for rule in _ordered(new) if before.get(rule.name) == rule.when
        )

    def known(self, took: str) -> Callable[[str], bool | None]:
        """By the name of the rule that took a request; '' where none did."""
        # Where no rule did, or the entry of an agent, none held.
        last = self._places.get(took, len(self._places))

        def held(name: str) -> bool | None:
            if name not in self._same or self._places[name] > last:
                return None
            return self._places[name] == last

        return held


def _ordered(rules: Sequence[RuleSettings]) -> list[RuleSettings]:
    return sorted((rule for rule in rules if rule.active), key=lambda rule: -rule.priority)


def _labels(said: Mapping[str, Any]) -> Labels:
    return Labels(
        said["customer"] or None,
        said["agent"] or None,
        said["session"] or None,
        tuple(said["tags"]),
    )


def _count(move: _Move, before: int | None, after: int | None) -> None:
    move.requests += 1
    if before is None or after is None:
        move.unpriced += 1
    else:
        move.before += before
        move.after += after


def _counted(what: str, before: Counter[str], after: Counter[str]) -> list[dict[str, Any]]:
    names = sorted({*before, *after}, key=lambda name: (-before[name] - after[name], name))
    return [{what: name or None, "before": before[name], "after": after[name]} for name in names]
