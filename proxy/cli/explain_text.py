"""An explanation for people: what build/explain_told.py tells, from top to bottom of a decision.

✓ holds, passes    ✗ does not, refuses    · was not looked at
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxy.build.explain_policy import policy_words
from proxy.usage.report_width import clipped, padded, width_of

_HELD = {True: "✓", False: "✗", None: "·"}
_PASSED = {"passes": "✓", "answers": "✓", "refuses": "✗"}
_WIDEST = 40


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """All of it."""
    yield from _request(told)
    yield from _rules(told)
    yield from _model(told)
    yield from _walls(told["walls"])
    yield from _targets(told)
    yield from _policies(told["policies"])
    if (refusal := told["refusal"]) is not None:
        yield ""
        code = f" {refusal['code']}" if refusal["code"] else ""
        yield f"refused  by `{refusal['step']}`: {refusal['status']}{code}"
        yield f"  {shown(refusal['message'])}"


def _request(told: Mapping[str, Any]) -> Iterator[str]:
    request, caller = told["request"], told["caller"]
    size = f"about {request['input_tokens']:,} tokens in"
    if request["output_tokens"]:
        size += f", {request['output_tokens']:,} out at most"
    stream = ", streamed" if request["stream"] else ""
    yield f"request  {request['operation']}, model {shown(request['model'] or '-')}{stream}, {size}"
    if request["complexity"] is not None:
        needs = ", ".join(request["needs"])
        yield f"         needs {needs}; complexity {request['complexity']:g} of 1"
    for what in ("labels", "wishes"):
        if said := _said(request[what]):
            yield f"         {what}: {said}"
    yield f"caller   {_said({'key': caller['key'], **caller})}"
    steps = " ".join(f"{_PASSED.get(e['verdict'], '·')} {e['name']}" for e in told["steps"])
    yield f"steps    {steps}"


def _rules(told: Mapping[str, Any]) -> Iterator[str]:
    rules = told["rules"]
    yield ""
    yield "rules" if rules else "rules    none were looked at"
    for rule in rules:
        priority = f"  (priority {rule['priority']})" if rule["priority"] else ""
        yield f"  {_HELD[rule['held']]} {shown(rule['name'])}{priority}"
        if rule["held"] is None:
            continue
        for each in rule["conditions"]:
            found = "" if each["held"] is None else f"   found {_value(each['found'])}"
            yield f"      {_HELD[each['held']]} {each['name']}: {_value(each['wanted'])}{found}"
        if not rule["conditions"]:
            yield "      ✓ no conditions: it takes everything"
    decision = told["decision"]
    if decision is not None:
        rest = {name: value for name, value in decision.items() if name != "rule"}
        yield f"  decided by {shown(decision['rule'])}: {_said(rest) or 'nothing else'}"
    elif rules:
        yield "  none decides: the model that was asked for"


def _model(told: Mapping[str, Any]) -> Iterator[str]:
    model = told["model"]
    if model is None:
        return
    yield ""
    meant = "" if model["meant"] == model["asked"] else f" → {shown(model['meant'])}"
    pattern = "" if model["configured"] == model["meant"] else f", by `{model['configured']}`"
    off = f", off: {model['off']}" if model["off"] else ""
    yield f"model    {shown(model['asked'])}{meant}{pattern}, {model['access']}{off}"
    if model["authorized"]:
        yield f"         only for {', '.join(model['authorized'])}"
    if model["parameters"]:
        yield f"         parameters: {_said(model['parameters'])}"


def _walls(walls: Mapping[str, Any]) -> Iterator[str]:
    limits = [f"{each['scope']}: {each['name']} {each['limit']:,}" for each in walls["limits"]]
    most = walls["tokens_per_request"]
    if most is not None:
        limits.append(f"{most['scope']}: {most['limit']:,} tokens in one request")
    budgets = [
        f"{each['scope']}: {each['usd']} USD per {each['period']}"
        + ("" if each["hard"] else " (soft: it refuses nobody)")
        for each in walls["budgets"]
    ]
    for name, found in (("limits", limits), ("budgets", budgets)):
        for place, each in enumerate(found):
            yield f"{name if not place else '':8} {shown(each)}"
    if limits or budgets:
        yield "         (as if nothing of them were used yet)"


def _targets(told: Mapping[str, Any]) -> Iterator[str]:
    targets, dropped = told["targets"], told["dropped"]
    if targets:
        yield ""
        lot = ", drawn by lot; this order is the most frequent" if told["by_lot"] else ""
        yield f"targets, in the order to try them{lot}"
        yield from _table(targets)
        for each in targets:
            yield from _beside(each)
    if dropped:
        yield ""
        yield "not tried"
        for each in dropped:
            yield f"  ✗ {_name(each)}: {shown(each['reason'])}"


def _table(targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heads = ["", "target", "of", "tier", "first", "likely USD", "most USD", "held USD"]
    rows = [
        [
            str(each["place"]),
            _name(each),
            shown(each["route"]),
            str(each["tier"]),
            f"{100 * each['share']:.0f} %",
            each["likely_usd"] or "?",
            each["most_usd"] or "?",
            each.get("held_usd") or "-",
        ]
        for each in targets
    ]
    with_scores = any(each["score"] for each in targets)
    if with_scores:
        heads.append("score = cost, latency, quality, capability")
        for row, each in zip(rows, targets, strict=True):
            row.append(_score(each["score"]))
    table = [heads, *([clipped(cell, _WIDEST) for cell in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  " + "  ".join(map(padded, row, widths)).rstrip()


def _score(score: Mapping[str, float]) -> str:
    if not score:
        return "-"
    marks = ", ".join(f"{score[name]:g}" for name in ("cost", "latency", "quality", "capability"))
    return f"{score['score']:g} = {marks}"


def _beside(target: Mapping[str, Any]) -> Iterator[str]:
    """What of the request is changed for a target, or stands against it at the last moment."""
    said: list[str] = []
    if (refused := target.get("refused")) is not None:
        said.append(f"refused: {refused['status']} {shown(refused['message'])}")
    for name, value in target.get("parameters", {}).items():
        said.append(
            f"leaves out `{name}`" if value is None else f"sets `{name}` to {_value(value)}"
        )
    if target.get("output_cap"):
        said.append(f"caps the output at {target['output_cap']:,} tokens, so that the budget holds")
    if target.get("messages_left_out"):
        said.append(f"leaves out {target['messages_left_out']} messages, to fit its window")
    for each in said:
        yield f"     {target['place']}: {each}"


def _policies(policies: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not policies:
        return
    yield ""
    yield "when it fails"
    first = policies[0]["fallback"]
    yield (
        f"  at most {first['max_attempts']} tries in all, none after {first['total']:g} s; "
        f"a fallback model on {', '.join(first['on'])}"
    )
    for each in policies:
        yield f"  {shown(each['model'])}: {'; '.join(policy_words(each))}"


def _name(each: Mapping[str, Any]) -> str:
    return shown(f"{each['provider']}/{each['model']}" if each["model"] else each["provider"])


def _said(values: Mapping[str, Any]) -> str:
    """What of these is there."""
    there = {
        name: value for name, value in values.items() if value not in (None, False, "", [], (), {})
    }
    return ", ".join(f"{name} {_value(value)}" for name, value in there.items())


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case {"min": least, "max": None}:
            return f"{least} or more"
        case {"min": least, "max": most}:
            return f"{least} to {most}"
        case Mapping():
            return f"({_said(value)})"
        case str():
            return shown(value)
        case Iterable():
            return ", ".join(map(_value, value)) or "none"
        case _:
            return str(value)


def shown(text: str) -> str:
    """Without what would move the cursor of a terminal: callers write some of it."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
