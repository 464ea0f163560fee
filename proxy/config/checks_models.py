"""What must agree within `models`: targets, weights, prices, strategies and chains of fallback."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from proxy.config.amounts import usd
from proxy.config.named import ConfiguredModels, provider_exists, texts
from proxy.config.problems import Place, Problem
from proxy.config.tree import Scalar, Section

_Edges = Mapping[str, list[tuple[Scalar, str]]]
"""From each model to its fallbacks: where that is written, and the model it leads to."""


def check_models(root: Section, names: ConfiguredModels) -> Iterator[Problem]:
    """Every disagreement, in no order."""
    for name, entry in root.section("models").entries.items():
        if name.count("*") > 1:
            yield entry.place.problem("a model's name may have one `*` at most")
        if not name.isprintable() or name != name.strip():
            yield entry.place.problem("a model's name must be printable, with no space around it")
    edges: dict[str, list[tuple[Scalar, str]]] = {}
    for name, model in names.sections.items():
        targets = [node for node in model.items("targets") if isinstance(node, Section)]
        for target in targets:
            yield from provider_exists(root, target)
            upstream = target.scalar("model")
            if upstream and "*" in upstream.text and "*" not in name:
                yield upstream.place.problem("`*` here needs a `*` in the model's name")
        yield from _weights(model, targets)
        yield from _strategy(model, targets)
        fallbacks = list(texts(model.section("fallback"), "models"))
        yield from names.missing(fallbacks)
        found = ((scalar, names.route(scalar.text)) for scalar in fallbacks)
        edges[name] = [(scalar, to) for scalar, to in found if to is not None]
    yield from _circles(edges)
    yield from _prices(root)


def _weights(model: Section, targets: list[Section]) -> Iterator[Problem]:
    weights = [target.scalar("weight") for target in targets]
    if weights and all(w is not None and w.value == 0 and w.value is not False for w in weights):
        place = model.entries["targets"].place
        yield place.problem("every target has weight 0; one at least must have more")


def _strategy(model: Section, targets: list[Section]) -> Iterator[Problem]:
    written = model.scalar("strategy")
    strategy = written.text if written is not None else "weighted"
    if strategy != "score" and model.section("score").entries:
        yield model.entries["score"].place.problem(
            "`score` is for the strategy `score`; write `strategy: score`, or remove it"
        )
    if strategy == "cheapest_above" and model.scalar("quality") is None:
        for target in targets:
            if target.scalar("quality") is None:
                yield target.place.problem(
                    "the strategy `cheapest_above` compares qualities; give this target a `quality`"
                )


def _circles(edges: _Edges) -> Iterator[Problem]:
    """Chains that come back to where they were. A loop, not recursion: chains may be long."""
    done: set[str] = set()
    for start in edges:
        path = [start] if start not in done else []
        rest = [iter(edges[name]) for name in path]
        while path:
            scalar, to = next(rest[-1], (None, ""))
            if scalar is None:
                done.add(path.pop())
                rest.pop()
            elif to in path:
                circle = " → ".join((*path[path.index(to) :], to))
                yield scalar.place.problem(f"the fallback goes in a circle: {circle}")
            elif to not in done:
                path.append(to)
                rest.append(iter(edges.get(to, ())))


def _prices(root: Section) -> Iterator[Problem]:
    """A vendor charges for what it is asked for, by whatever name we know that: one price each."""
    first: dict[tuple[str, str], tuple[dict[str, Decimal], Place]] = {}
    for _, _, model in root.sections("models"):
        for target in model.items("targets"):
            if not isinstance(target, Section):
                continue
            provider, upstream = target.scalar("provider"), target.scalar("model")
            owner = target if target.says("price") else model
            price = _amounts(owner.section("price"))
            if provider is None or upstream is None or not price:
                continue
            place = owner.entries["price"].place
            before, where = first.setdefault((provider.text, upstream.text), (price, place))
            if before != price:
                yield place.problem(
                    "this is another price than the one at "
                    f"{where} for the same model of the same provider; a target has one price"
                )


def _amounts(price: Section) -> dict[str, Decimal] | None:
    """The amounts of a price; None when one of them is refused elsewhere."""
    said = {name: scalar for name in price.entries if (scalar := price.scalar(name))}
    try:
        return {name: usd(scalar.value) for name, scalar in said.items()}
    except ValueError:
        return None
