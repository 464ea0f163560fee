"""How a model is tried: targets, strategies, retries, chains of fallback, hedges, breakers."""

from itertools import pairwise
from pathlib import Path

import pytest

from proxy.config.settings import Model
from tests.unit.config.config_cases import settings_of, wrong_with

PROVIDERS = "providers: {demo: {kind: demo}, other: {kind: demo}}\n"
TARGET = "targets: [{provider: demo, model: d}]"


def model(text: str) -> str:
    return PROVIDERS + f"models: {{m: {{{TARGET}, {text}}}}}"


def found(folder: Path, text: str) -> Model:
    return settings_of(folder, model(text)).models["m"]


def test_defaults_try_each_target_once_and_send_nothing_twice(tmp_path: Path) -> None:
    usual = settings_of(tmp_path, PROVIDERS + f"models: {{m: {{{TARGET}}}}}").models["m"]
    assert (usual.strategy, usual.status, usual.tags) == ("weighted", "active", ())
    assert (usual.quality, usual.capabilities, usual.context_window) == (None, None, None)
    assert (usual.retry.attempts, usual.retry.initial, usual.retry.max) == (1, 1, 60)
    assert usual.fallback.models == ()
    assert usual.fallback.on == ("timeout", "rate_limit", "error", "context_length")
    assert (usual.fallback.max_attempts, usual.fallback.total) == (6, 120)
    assert (usual.rescue, usual.hedge.after, usual.hedge.share) == ((), None, 0.05)
    breaker = usual.breaker
    assert (breaker.failures, breaker.recovery, breaker.probes, breaker.bypass) == (5, 15, 1, False)
    target = usual.targets[0]
    assert (target.tier, target.quality, target.capabilities, target.context_window) == (
        1, None, None, None,
    )  # fmt: skip
    score = usual.score
    assert score.cost == score.latency == score.quality == score.capability == 1


def test_everything_that_can_be_written(tmp_path: Path) -> None:
    text = (
        PROVIDERS
        + """
models:
  m:
    targets:
      - {provider: demo, model: a, tier: 1, quality: 1, capabilities: [chat, prefill]}
      - {provider: other, model: b, tier: 9, quality: 0, context_window: 8192}
    strategy: score
    score: {cost: 0.3, latency: 2}
    quality: 0.9
    retry: {attempts: 3, initial: 250ms, max: 2s}
    fallback: {models: [n], on: [content_filter, timeout], max_attempts: 2, total: 30s}
    rescue: [restart, prefill]
    hedge: {after: p95, share: 0.5}
    breaker: {failures: 1, recovery: 1m, probes: 3, bypass: true}
    capabilities: [vision, tools, json_schema, audio]
    context_window: 128000
    status: deprecated
    tags: [premium, eu]
  n:
    targets: [{provider: demo, model: c}]
    hedge: {after: 2s, share: 0}
"""
    )
    models = settings_of(tmp_path, text).models
    first, second = models["m"].targets
    assert (first.tier, first.quality, first.capabilities) == (1, 1.0, ("chat", "prefill"))
    assert (second.tier, second.quality, second.context_window) == (9, 0.0, 8192)
    one = models["m"]
    assert (one.score.cost, one.score.latency, one.score.quality) == (0.3, 2, 0)
    assert (one.retry.attempts, one.retry.initial, one.retry.max) == (3, 0.25, 2)
    assert (one.fallback.models, one.fallback.on) == (("n",), ("content_filter", "timeout"))
    assert (one.fallback.max_attempts, one.fallback.total) == (2, 30)
    assert (one.rescue, one.hedge.after, one.hedge.share) == (("restart", "prefill"), "p95", 0.5)
    assert (one.breaker.failures, one.breaker.recovery, one.breaker.probes) == (1, 60, 3)
    assert (one.capabilities, one.context_window) == (
        ("vision", "tools", "json_schema", "audio"), 128000,
    )  # fmt: skip
    assert (one.status, one.tags) == ("deprecated", ("premium", "eu"))
    assert (models["n"].hedge.after, models["n"].hedge.share) == (2.0, 0)


@pytest.mark.parametrize(
    "strategy",
    ["weighted", "round_robin", "least_busy", "latency", "cost", "sticky", "score"],
)
def test_strategies(tmp_path: Path, strategy: str) -> None:
    assert found(tmp_path, f"strategy: {strategy}").strategy == strategy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strategy: weihted",
         "`models.m.strategy` must be weighted, round_robin, least_busy, latency, cost, sticky, "
         "score or cheapest_above; did you mean `weighted`?"),
        ("strategy: round-robin", "`models.m.strategy` must be weighted, round_robin, least_busy, "
         "latency, cost, sticky, score or cheapest_above; did you mean `round_robin`?"),
        ("strategy: score, score: {cost: 0, latency: 0}",
         "`models.m.score` must give at least one of cost, latency, quality and capability"),
        ("strategy: score, score: {cost: -1, latency: 1}",
         "`models.m.score.cost` must be a number, 0 or more"),
        ("strategy: score, score: {speed: 1, cost: 1}",
         "unknown key `speed`; known here: capability, cost, latency, quality"),
        ("score: {cost: 1}", "`score` is for the strategy `score`; write `strategy: score`, or "
         "remove it"),
        ("strategy: cost, score: {cost: 1}", "`score` is for the strategy `score`; write "
         "`strategy: score`, or remove it"),
        ("strategy: cheapest_above", "the strategy `cheapest_above` compares qualities; give this "
         "target a `quality`"),
        ("quality: 1.1", "`models.m.quality` must be a number from 0 to 1"),
        ("retry: {attempts: 0}", "`models.m.retry.attempts` must be a whole number from 1 to 100"),
        ("retry: {initial: 0}", "`models.m.retry.initial` must be more than 0"),
        ("retry: {initial: 2m}",
         "`models.m.retry` must not have an `initial` pause longer than its `max`"),
        ("fallback: {on: []}", "`models.m.fallback.on` must have at least one entry"),
        ("fallback: {on: [error, error]}",
         "`models.m.fallback.on` must not have the same entry twice"),
        ("fallback: {on: [context]}", "`models.m.fallback.on[0]` must be timeout, rate_limit, "
         "error, context_length or content_filter; did you mean `context_length`?"),
        ("fallback: {models: ['gpt-*']}",
         "`models.m.fallback.models[0]` must be the name of one model, without `*`"),
        ("fallback: [n]", "`models.m.fallback` must be a mapping (`name: value` lines)"),
        ("fallback: {total: 0s}", "`models.m.fallback.total` must be more than 0"),
        ("rescue: [prefil]",
         "`models.m.rescue[0]` must be prefill or restart; did you mean `prefill`?"),
        ("rescue: [restart, restart]", "`models.m.rescue` must not have the same entry twice"),
        ("rescue: restart", "`models.m.rescue` must be a list"),
        ("hedge: {share: 0.51}", "`models.m.hedge.share` must be a number from 0 to 0.5"),
        ("hedge: {share: lots}", "`models.m.hedge.share` must be a number from 0 to 0.5"),
        ("breaker: {failures: 0}",
         "`models.m.breaker.failures` must be a whole number from 1 to 1000"),
        ("breaker: {bypass: on}", "`models.m.breaker.bypass` must be true or false"),
        ("capabilities: [chat, tool]", "`models.m.capabilities[1]` must be chat, completions, "
         "responses, embeddings, moderations, images, speech, transcriptions, rerank, tools, "
         "vision, audio, json_schema or prefill; did you mean `tools`?"),
        ("capabilities: [chat, chat]", "`models.m.capabilities` must not have the same entry"),
        ("context_window: 0", "`models.m.context_window` must be a whole number from 1 to "
         "1000000000"),
        ("context_window: 128k", "`models.m.context_window` must be a whole number"),
        ("status: retired", "`models.m.status` must be active, inactive or deprecated"),
        ("tags: [a, a]", "`models.m.tags` must not have the same entry twice"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, model(text))
    place, _, message = problem.partition(": ")
    assert place.startswith("2:")
    assert message.startswith(expected)


@pytest.mark.parametrize(
    "after", ["0", "p49", "p100", "p9", "P95", "p95.5", "-1s", "soon", "[p95]"]
)
def test_refused_hedges(tmp_path: Path, after: str) -> None:
    (problem,) = wrong_with(tmp_path, model(f"hedge: {{after: {after}}}"))
    assert problem.endswith(
        "`models.m.hedge.after` must be a duration such as 2s, or a quantile from p50 to p99"
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("tier: 0", "`models.m.targets[0].tier` must be a whole number from 1 to 9"),
        ("tier: 10", "`models.m.targets[0].tier` must be a whole number from 1 to 9"),
        ("quality: -0.1", "`models.m.targets[0].quality` must be a number from 0 to 1"),
        ("capabilities: [flying]", "`models.m.targets[0].capabilities[0]` must be chat, "),
        ("context_window: 1.5", "`models.m.targets[0].context_window` must be a whole number"),
    ],
)
def test_refused_targets(tmp_path: Path, target: str, expected: str) -> None:
    text = PROVIDERS + f"models: {{m: {{targets: [{{provider: demo, model: d, {target}}}]}}}}"
    (problem,) = wrong_with(tmp_path, text)
    assert problem.partition(": ")[2].startswith(expected)


def test_cheapest_above_takes_the_quality_of_the_model_too(tmp_path: Path) -> None:
    assert found(tmp_path, "strategy: cheapest_above, quality: 0.5").quality == 0.5
    text = (
        PROVIDERS
        + """
models:
  m:
    strategy: cheapest_above
    targets:
      - {provider: demo, model: a, quality: 0.4}
      - {provider: demo, model: b}
"""
    )
    (problem,) = wrong_with(tmp_path, text)
    assert problem.startswith("8:9: the strategy `cheapest_above` compares qualities")


def chain(**fallbacks: str) -> str:
    """Models with fallbacks; each on a line of its own, from line 3 on."""
    lines = (
        f"  {name}: {{{TARGET}, fallback: {{models: [{to}]}}}}" for name, to in fallbacks.items()
    )
    return PROVIDERS + "models:\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (chain(a="a"), ["3:66: the fallback goes in a circle: a → a"]),
        (chain(a="b", b="a"), ["4:66: the fallback goes in a circle: a → b → a"]),
        (chain(x="a", a="b", b="c", c="a"),
         ["6:66: the fallback goes in a circle: a → b → c → a"]),
        (chain(a="b, c", b="d", c="d", d=""), []),
        (chain(a="b, a", b="a"), ["3:69: the fallback goes in a circle: a → a",
                                  "4:66: the fallback goes in a circle: a → b → a"]),
        (chain(a="'pre/x'") + f"\n  'pre/*': {{{TARGET}, fallback: {{models: [a]}}}}",
         ["4:72: the fallback goes in a circle: a → pre/* → a"]),
    ],
)  # fmt: skip
def test_chains_that_go_in_a_circle_are_named(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    if expected:
        assert wrong_with(tmp_path, text) == expected
    else:
        assert len(settings_of(tmp_path, text).models) == 4


def test_a_long_chain_is_no_circle(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(1500)]
    steps = dict(pairwise(names))
    models = settings_of(tmp_path, chain(**steps, m1499="")).models
    assert models["m7"].fallback.models == ("m8",)
    (problem,) = wrong_with(tmp_path, chain(**steps, m1499="m0"))
    assert problem.endswith("m1499 → m0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            chain(small="smallx"),
            "3:70: the model `smallx` is not defined under `models`; did you mean `small`?",
        ),
        (chain(a="zzz"), "3:66: the model `zzz` is not defined under `models`; known: a"),
        (chain(a="auto"), "3:66: `auto` asks the rules for a model; name the model here"),
    ],
)
def test_fallbacks_exist(tmp_path: Path, text: str, expected: str) -> None:
    assert wrong_with(tmp_path, text) == [expected]


def test_a_fallback_may_be_what_a_pattern_takes(tmp_path: Path) -> None:
    text = chain(a="pre/x, pre/y") + f"\n  'pre/*': {{{TARGET}}}\n"
    assert settings_of(tmp_path, text).models["a"].fallback.models == ("pre/x", "pre/y")
    (problem,) = wrong_with(tmp_path, text.replace("pre/y", "pre/"))
    assert "the model `pre/` is not defined" in problem


def test_a_name_from_a_variable_is_not_shown(tmp_path: Path) -> None:
    (problem,) = wrong_with(tmp_path, chain(a="'${S}'"), {"S": "sk-Very-Secret"})
    assert problem == "3:66: this model is not defined under `models`; known: a"
