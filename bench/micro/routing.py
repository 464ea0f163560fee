"""What finding a rule costs a request, facts and all: `python -m bench.micro.routing [--rounds N]`.

Each request is new: its facts are made, a rule is looked for and taken. Twenty rules as an operator
writes them; a hundred, of which the last takes it, with all conditions to be looked at; a hundred
whose expressions have to be asked one after the other. Then all facts of prompts of one megabyte
(1,000,000 bytes), whose body is parsed before: that is paid whether there are rules or not.
Times are the processor's.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median, quantiles

from bench.requests import chat_body
from bench.table import table
from proxy.base import jsonio
from proxy.core.caller import Caller, ModelPatterns
from proxy.core.labels import Labels
from proxy.routing.expression import Expressions
from proxy.routing.facts import Facts
from proxy.routing.rules import Rule, Rules
from proxy.routing.rules_when import Tokens, When
from proxy.wire.body import Body
from proxy.wire.operations import CHAT

_CALLER = Caller("ada", ModelPatterns.of(("*",)), team="research", tier="pro")
_LABELS = Labels(agent="writer", tags=("prod", "eu"))
_MEGABYTE = 1_000_000
_PROSE = "Explain in plain words how a reverse proxy decides where a request goes, and why.\n"
_CODE = 'def f(a: int, b: str = "x") -> dict[str, int]:\n    return {"k": a, b: 1}  # `f`\n\n'


def _facts(body: Body) -> Facts:
    return Facts("auto", CHAT, body, _CALLER, _LABELS)


def _written(count: int) -> Rules[None]:
    """Conditions as they are usual; the last rule takes the request."""
    kinds: tuple[Callable[[int], When], ...] = (
        lambda n: When(models=(f"model-{n}",)),
        lambda n: When(models=("auto",), tasks=(f"task-{n}",)),
        lambda n: When(models=("auto",), agents=(f"agent-{n}",)),
        lambda n: When(user_tiers=("enterprise",), tags=(f"tag-{n}",)),
        lambda n: When(teams=(f"team-{n}",), models=("claude-*", "auto")),
        lambda n: When(models=("auto",), content_tokens=Tokens(50_000 + n)),
        lambda _: When(models=("auto",), modality=("image",)),
        lambda _: When(models=("auto",), tools=True),
    )
    whens = [kinds[n % len(kinds)](n) for n in range(count - 1)] + [When(models=("auto",))]
    return Rules(Rule(f"rule {n}", None, when) for n, when in enumerate(whens))


def _all_dear(count: int) -> Rules[None]:
    """Every rule asks for all there is, and the last alone takes it."""

    def when(language: str) -> When:
        return When(
            models=("a*",),
            tags=("eu",),
            user_tiers=("pro",),
            content_tokens=Tokens(1),
            contains_code=False,
            contains_math=False,
            modality=("text",),
            tools=False,
            languages=(language,),
        )

    whens = [*[when("de")] * (count - 1), when("en")]
    return Rules(Rule(f"rule {n}", None, each) for n, each in enumerate(whens))


def _expressed(count: int, compiler: Expressions) -> Rules[None]:
    texts = [f'content_tokens > {10_000 + n} && user_tier == "pro"' for n in range(count - 1)]
    whens = [When(expression=compiler.compile(text)) for text in (*texts, 'user_tier == "pro"')]
    return Rules(Rule(f"rule {n}", None, each) for n, each in enumerate(whens))


def _everything(body: Body) -> None:
    found = _facts(body)
    _ = found.content_tokens, found.modality, found.tools, found.json_schema
    _ = found.contains_code, found.contains_math, found.language, found.task


def _microseconds(act: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        act()
        times.append((time.process_time() - begun) * 1e6)
    return times


def _row(name: str, act: Callable[[], object], rounds: int) -> Sequence[str]:
    _ = _microseconds(act, max(3, rounds // 20))
    times = _microseconds(act, rounds)
    p99 = quantiles(times, n=100)[98]
    return name, f"{min(times):,.1f}", f"{median(times):,.1f}", f"{p99:,.1f}"


def _chat(content: object) -> Body:
    message = {"role": "user", "content": content}
    return Body(jsonio.dumps({"model": "auto", "messages": [message]}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    rounds = parser.parse_args().rounds
    short = Body(chat_body(1, "auto", stream=False))

    def through(rules: Rules[None]) -> Callable[[], object]:
        return lambda: rules.match(_facts(short))

    compiler = Expressions()
    rows: list[Sequence[str]] = [("µs per request", "best", "median", "p99")]
    rows += [
        _row("facts made, none asked", lambda: _facts(short), rounds),
        _row("20 rules, 1 kB", through(_written(20)), rounds),
        _row("100 rules, 1 kB", through(_written(100)), rounds),
        _row("100 rules, all facts, 1 kB", through(_all_dear(100)), rounds),
        _row("1 expression, 1 kB", through(_expressed(1, compiler)), rounds),
        _row("100 expressions, 1 kB", through(_expressed(100, compiler)), rounds // 5),
        _row("all facts, 1 kB", lambda: _everything(short), rounds),
    ]
    parts = [{"type": "text", "text": _PROSE * 5}] * (_MEGABYTE // (len(_PROSE) * 5 + 30))
    large = {
        "prose": _chat((_PROSE * 13_000)[:_MEGABYTE]),
        "code": _chat((_CODE * 13_000)[: _MEGABYTE * 9 // 10]),
        "parts": _chat(parts),
        "Chinese": _chat("请用简单的语言解释什么是反向代理。" * (_MEGABYTE // 51)),
    }
    rows += [
        _row(f"all facts, 1 MB of {name}", partial(_everything, body), rounds // 50)
        for name, body in large.items()
    ]
    print(table(rows))


if __name__ == "__main__":
    main()
