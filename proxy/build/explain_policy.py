"""How hard a model tries, told: as JSON has it for `explain`, and in words for `check` as well."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from proxy.core.policy import Policy


def policy_told(model: str, strategy: str, policy: Policy) -> dict[str, Any]:
    """Of one configured model, as docs/explain.md has it."""
    late = policy.hedge
    hedge = None
    if late is not None:
        hedge = {"after": late.after, "quantile": late.quantile, "share": late.share}
    return {
        "model": model,
        "strategy": strategy,
        "retry": asdict(policy.retry),
        "fallback": {**asdict(policy.fallback), "on": sorted(policy.fallback.on)},
        "hedge": hedge,
        "rescue": policy.rescue,
        "breaker": asdict(policy.breaker),
    }


def policy_words(policy: Mapping[str, Any]) -> Iterator[str]:
    """Strategy, retry, hedge, rescue and breaker."""
    retry, breaker, hedge = policy["retry"], policy["breaker"], policy["hedge"]
    yield str(policy["strategy"])
    tries = retry["attempts"]
    pauses = f", pauses of at most {retry['longest']:g} s" if tries > 1 else ""
    yield f"{tries} {'try' if tries == 1 else 'tries'} at a target{pauses}"
    if hedge is not None:
        late = f"{hedge['after']:g} s" if hedge["after"] else f"p{100 * hedge['quantile']:.0f}"
        yield (
            f"a second try beside a first that is silent for longer than {late}, "
            f"for {100 * hedge['share']:g} % of the requests"
        )
    if policy["rescue"]:
        yield f"a cut answer is rescued by {', '.join(policy['rescue'])}"
    bypass = ", and asked all the same where nothing else is left" if breaker["bypass"] else ""
    yield (
        f"a target is left alone for {breaker['recovery']:g} s after {breaker['failures']} "
        f"failures{bypass}"
    )
