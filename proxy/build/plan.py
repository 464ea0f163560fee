"""What a configuration means, in lines for people: printed by `llm-proxy check`."""

from collections.abc import Iterator

from proxy.build.order import BUILT, BUILT_PER_ATTEMPT
from proxy.build.plan_rules import chain_lines, rule_lines, target_lines
from proxy.config.settings import Model, Settings
from proxy.core.order import ONCE_PER_ATTEMPT, ONCE_PER_REQUEST
from proxy.wire.operations import WITH_MODEL


def describe(settings: Settings) -> list[str]:
    """The resolved plan: address, rules, models → targets, order of the steps, what passes raw."""
    return [
        f"listens on {settings.listen}, {_count(settings.worker_count, 'worker')}, "
        f"auth {settings.auth}, {_count(len(settings.keys), 'key')}",
        "",
        "providers",
        *_providers(settings),
        "",
        "rules, the first that holds decides",
        *(list(rule_lines(settings)) or ["  none: the model asked for answers"]),
        "",
        "models → targets",
        *target_lines(settings),
        "",
        "when a target fails",
        "  the next target of its tier, of the next tier, of the fallback models",
        *chain_lines(settings),
        "",
        "once per request",
        "  " + _steps(ONCE_PER_REQUEST, set(BUILT)),
        "once per attempt",
        "  " + _steps(ONCE_PER_ATTEMPT, BUILT_PER_ATTEMPT),
        "  (in brackets: not built in this version)",
        "",
        "bodies",
        *_bodies(settings),
    ]


def _providers(settings: Settings) -> Iterator[str]:
    for name, each in settings.providers.items():
        where = each.base_url or "in this process"
        state = f"off: {each.off_reason}" if each.off_reason else "on"
        yield f"  {name}: {each.kind}, {where}, {state}"
    if settings.passthrough is not None:
        yield f"  everything else below /v1 goes to {settings.passthrough.provider}"
    else:
        yield "  everything else below /v1 is refused (no `passthrough`)"


def _bodies(settings: Settings) -> Iterator[str]:
    for name, model in settings.models.items():
        yield f"  {name}: {_body(name, model)}"
    asks = [operation.path for operation in WITH_MODEL if operation.can_ask_usage]
    yield f"  streams of {' and '.join(asks)}: usage is asked for, hidden from who did not ask"
    yield "  answers, and everything without a model: raw"


def _body(name: str, model: Model) -> str:
    renamed = [t.model for t in model.targets if t.model != name]
    return f"`model` becomes {' or '.join(renamed)}, the rest is raw" if renamed else "raw"


def _steps(names: tuple[str, ...], built: set[str]) -> str:
    return " → ".join(name if name in built else f"[{name}]" for name in names)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
