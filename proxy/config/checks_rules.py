"""What must agree between rules, agents and models: names that exist, rules that can match.

A rule is compared with those that are looked at before it: where one of them holds whenever it
would, it never decides. Only what is certain is refused; two rules that together leave nothing for
a third are not found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from proxy.config.named import AUTO, ConfiguredModels, texts, twice
from proxy.config.problems import Place, Problem
from proxy.config.rules import ContentTokens, Rule, When
from proxy.config.tree import Section, plain_data

MOST_RULES = 1000


@dataclass(frozen=True, slots=True)
class _Placed:
    rule: Rule
    place: Place
    node: Section


def check_rules(root: Section, names: ConfiguredModels) -> Iterator[Problem]:
    """Every disagreement, in no order."""
    sections = [node for node in root.items("rules") if isinstance(node, Section)]
    if len(sections) > MOST_RULES:
        yield root.entries["rules"].place.problem(f"may have {MOST_RULES} rules at most")
        return
    yield from twice(
        filter(None, (section.scalar("name") for section in sections)),
        "this name is already used by the rule at {}",
    )
    for section in sections:
        yield from _models_exist(section, "use", names)
    for _, _, section in root.sections("agents"):
        yield from _models_exist(section, "model", names)
    valid = [placed for section in sections if (placed := _placed(section))]
    active = [placed for placed in valid if placed.rule.active]
    yield from _unreachable(active)
    for placed in active:
        yield from _stays_local(root, placed, names)
    if not active:
        yield from _auto_without_rules(root, names)


def _models_exist(section: Section, key: str, names: ConfiguredModels) -> Iterator[Problem]:
    model = section.scalar(key)
    yield from names.missing([model] if model is not None else [])
    yield from names.missing(texts(section, "fallback"))


def _placed(section: Section) -> _Placed | None:
    """A rule that is right in itself; None for one that is refused elsewhere."""
    try:
        rule = Rule.model_validate(plain_data(section))
    except ValidationError:
        return None
    name = section.scalar("name")
    return _Placed(rule, name.place if name is not None else section.place, section)


def _unreachable(active: list[_Placed]) -> Iterator[Problem]:
    in_order = sorted(active, key=lambda placed: -placed.rule.priority)  # Stable, as in routing.
    conditions = [_conditions(placed.rule.when) for placed in in_order]
    for i, later in enumerate(in_order):
        for j in range(i):
            if _covers(conditions[j], conditions[i]):
                earlier = in_order[j]
                yield later.place.problem(
                    f"this rule can never match: the one at {earlier.place} (priority "
                    f"{earlier.rule.priority}) is looked at before it and holds whenever it would"
                )
                break


def _conditions(when: When) -> dict[str, object]:
    return {name: value for name in When.model_fields if (value := getattr(when, name)) is not None}


def _covers(earlier: dict[str, object], later: dict[str, object]) -> bool:
    """Whether all that `later` takes is taken by `earlier`, as far as can be told."""
    return earlier.keys() <= later.keys() and all(
        _WIDER.get(name, _same)(value, later[name]) for name, value in earlier.items()
    )


def _same(earlier: object, later: object) -> bool:
    return earlier == later


def _more_words(earlier: object, later: object) -> bool:
    assert isinstance(earlier, tuple)
    assert isinstance(later, tuple)
    return set(later) <= set(earlier)


def _more_models(earlier: object, later: object) -> bool:
    assert isinstance(earlier, tuple)
    assert isinstance(later, tuple)
    return all(any(_pattern_covers(wide, narrow) for wide in earlier) for narrow in later)


def _pattern_covers(wide: str, narrow: str) -> bool:
    if wide == narrow or "*" not in wide:
        return wide == narrow
    before, _, after = wide.partition("*")
    start, star, end = narrow.partition("*")
    if not star:  # A star stands for one character at least.
        return (
            len(narrow) > len(before) + len(after)
            and narrow.startswith(before)
            and narrow.endswith(after)
        )
    return start.startswith(before) and end.endswith(after)


def _more_tokens(earlier: object, later: object) -> bool:
    assert isinstance(earlier, ContentTokens)
    assert isinstance(later, ContentTokens)
    if earlier.min > later.min:
        return False
    return earlier.max is None or (later.max is not None and later.max <= earlier.max)


_WIDER: dict[str, Callable[[object, object], bool]] = {
    "model": _more_models,
    **dict.fromkeys(
        ("task", "user_tier", "agent", "tags", "team", "modality", "language"), _more_words
    ),
    "content_tokens": _more_tokens,
}


def _stays_local(root: Section, placed: _Placed, names: ConfiguredModels) -> Iterator[Problem]:
    """A rule that keeps requests in the house must have somewhere to send them."""
    rule = placed.rule
    route = names.route(rule.use) if rule.use is not None else None
    if rule.residency != "local" or route is None or route not in names.sections:
        return
    fallbacks = rule.fallback
    if fallbacks is None:
        own = names.sections[route].section("fallback")
        fallbacks = tuple(scalar.text for scalar in texts(own, "models"))
    routes = [route, *filter(None, map(names.route, fallbacks))]
    providers = {
        provider.text
        for name in routes
        if name in names.sections
        for target in names.sections[name].items("targets")
        if isinstance(target, Section) and (provider := target.scalar("provider"))
    }
    if providers and not any(_is_local(root, name) for name in providers):
        yield placed.node.entries["residency"].place.problem(
            "nothing could answer: no target of what this rule uses is at a provider with "
            "`residency: local`"
        )


def _is_local(root: Section, provider: str) -> bool:
    """Whether it is, or cannot be told because it is refused elsewhere."""
    section = root.section("providers").section(provider)
    residency, kind = section.scalar("residency"), section.scalar("kind")
    if residency is not None:
        return residency.text != "cloud"
    return kind is None or kind.text == "demo"


def _auto_without_rules(root: Section, names: ConfiguredModels) -> Iterator[Problem]:
    if names.route(AUTO) is not None:
        return
    for key in root.items("keys"):
        if not isinstance(key, Section):
            continue
        for model in texts(key, "models"):
            if model.text == AUTO:
                yield model.place.problem(
                    "`auto` asks the rules for a model, and there are none; "
                    "add an entry to `rules`, or name a model"
                )
