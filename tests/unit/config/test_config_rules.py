"""Rules and agents: what they say, names that exist, and rules that could never match."""

from pathlib import Path

import pytest

from tests.unit.config.config_cases import settings_of, wrong_with

MODELS = """providers: {demo: {kind: demo}, far: {kind: openai}}
models:
  large: {targets: [{provider: far, model: l}], fallback: {models: [small]}}
  small: {targets: [{provider: demo, model: s}]}
  cloud: {targets: [{provider: far, model: c}]}
"""


def rules(*texts: str) -> str:
    """Rules named a, b, …, on lines of their own from line 7 on."""
    lines = (f"  - {{name: {chr(97 + i)}, {text}}}" for i, text in enumerate(texts))
    return MODELS + "rules:\n" + "\n".join(lines)


def when(*conditions: str) -> str:
    return rules(*(f"when: {{{each}}}" for each in conditions))


def test_a_rule_of_defaults(tmp_path: Path) -> None:
    (rule,) = settings_of(tmp_path, MODELS + "rules: [{name: nothing}]").rules
    assert (rule.priority, rule.use, rule.fallback, rule.residency) == (0, None, None, None)
    assert rule.active
    assert all(getattr(rule.when, name) is None for name in type(rule.when).model_fields)
    assert (rule.parameters.default, rule.parameters.limit, rule.parameters.force) == ({}, {}, {})


def test_everything_that_a_rule_can_say(tmp_path: Path) -> None:
    text = (
        MODELS
        + """
rules:
  - name: security reviews
    priority: 100
    when:
      model: [auto, "gpt-*"]
      task: [security_review]
      user_tier: [pro, enterprise]
      agent: [security_agent]
      tags: [prod]
      team: [payments]
      content_tokens: {min: 10, max: 60000}
      contains_code: true
      contains_math: false
      modality: [text, image]
      tools: false
      language: [en, de]
      expression: |
        metadata.repo == "payments"
          && content_tokens > 10
    use: large
    fallback: []
    parameters: {default: {temperature: 0}, limit: {max_tokens: 9}}
    residency: null
    active: false
"""
    )
    (rule,) = settings_of(tmp_path, text).rules
    assert (rule.name, rule.priority, rule.active) == ("security reviews", 100, False)
    asked = rule.when
    assert (asked.model, asked.task) == (("auto", "gpt-*"), ("security_review",))
    assert (asked.user_tier, asked.agent) == (("pro", "enterprise"), ("security_agent",))
    assert (asked.tags, asked.team) == (("prod",), ("payments",))
    assert asked.content_tokens is not None
    assert (asked.content_tokens.min, asked.content_tokens.max) == (10, 60000)
    assert (asked.contains_code, asked.contains_math, asked.tools) == (True, False, False)
    assert (asked.modality, asked.language) == (("text", "image"), ("en", "de"))
    assert asked.expression == 'metadata.repo == "payments"\n  && content_tokens > 10\n'
    assert (rule.use, rule.fallback) == ("large", ())
    assert (rule.parameters.default, rule.parameters.limit) == (
        {"temperature": 0}, {"max_tokens": 9},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use: larj",
         "7:20: the model `larj` is not defined under `models`; did you mean `large`?"),
        ("use: auto", "7:20: `auto` asks the rules for a model; name the model here"),
        ("use: 'la*'", "7:20: `rules[0].use` must be the name of one model, without `*`"),
        ("fallback: [zzz]",
         "7:26: the model `zzz` is not defined under `models`; known: large, small, cloud"),
        ("use: small, fallback: [cloud, small]",
         "7:5: `rules[0]` has a `fallback` to what it uses already"),
        ("fallback: [small, small]", "7:25: `rules[0].fallback` must not have the same entry"),
        ("priority: high", "7:25: `rules[0].priority` must be a whole number"),
        ("priority: 1000001",
         "7:25: `rules[0].priority` must be a whole number from -1000000 to 1000000"),
        ("whenx: {}", "7:15: unknown key `whenx`; did you mean `when`?"),
        ("residency: cloud", "7:26: `rules[0].residency` must be local"),
        ("active: no", "7:23: `rules[0].active` must be true or false"),
        ("parameters: {unsupported: drop}", "7:28: unknown key `unsupported`; known here: default"),
        ("use: cloud, residency: local",
         "7:27: nothing could answer: no target of what this rule uses is at a provider with "
         "`residency: local`"),
        ("use: large, fallback: [], residency: local", "7:41: nothing could answer: no target"),
    ],
)  # fmt: skip
def test_refused_rules(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, rules(text))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "use: large, residency: local",
        "use: cloud, fallback: [small], residency: local",
        "residency: local",
        "use: small, residency: local",
        "use: cloud, residency: local, active: false",
    ],
)
def test_a_rule_may_stay_local_where_something_local_answers(tmp_path: Path, text: str) -> None:
    assert settings_of(tmp_path, rules(text)).rules[0].residency == "local"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("model: []", "`rules[0].when.model` must have at least one entry"),
        ("model: auto", "`rules[0].when.model` must be a list"),
        ("model: ['a*b*']", "`rules[0].when.model[0]` may have one `*` at most"),
        ("tags: [a, a]", "`rules[0].when.tags` must not have the same entry twice"),
        ("team: ['']", "`rules[0].when.team[0]` must be a name"),
        ("content_tokens: {min: 2, max: 1}",
         "`rules[0].when.content_tokens` can never hold: its `min` is more than its `max`"),
        ("content_tokens: {min: -1}", "`rules[0].when.content_tokens.min` must be a whole number"),
        ("content_tokens: {max: 0}, contains_math: true",
         "`rules[0].when` can never hold: `contains_math` needs text, of 0 tokens at most"),
        ("content_tokens: {max: 0}, language: [en]",
         "`rules[0].when` can never hold: `language` needs text, of 0 tokens at most"),
        ("contains_code: 1", "`rules[0].when.contains_code` must be true or false"),
        ("modality: [picture]", "`rules[0].when.modality[0]` must be text, image or audio"),
        ("modality: []", "`rules[0].when.modality` must have at least one entry"),
        ("language: [english]", "`rules[0].when.language[0]` must be a code of two letters"),
        ("language: [EN]", "`rules[0].when.language[0]` must be a code of two letters"),
        ("expression: ' '", "`rules[0].when.expression` must be an expression, or be left out"),
        ("expression: true", "`rules[0].when.expression` must be text; put it in quotes"),
        (f"expression: '{'x' * 4097}'",
         "`rules[0].when.expression` must have 4096 characters at most"),
        ("tsak: [x]", "unknown key `tsak`; did you mean `task`?"),
    ],
)  # fmt: skip
def test_refused_conditions(tmp_path: Path, condition: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, when(condition))
    place, _, message = problem.partition(": ")
    assert place.startswith("7:")
    assert message.startswith(expected)


def test_no_text_and_no_code_can_hold_together(tmp_path: Path) -> None:
    (rule,) = settings_of(tmp_path, when("content_tokens: {max: 0}, contains_code: false")).rules
    assert rule.when.contains_code is False


def test_names_of_rules_are_unique(tmp_path: Path) -> None:
    text = "rules:\n  - {name: x, when: {tools: true}}\n  - {name: x}"
    assert wrong_with(tmp_path, text) == [
        f"3:12: this name is already used by the rule at {tmp_path}/config.yaml:2:12"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", ""),
        ("", "model: [auto], expression: 'true'"),
        ("model: [auto]", "model: [auto]"),
        ("model: [auto, x]", "model: [x], tools: true"),
        ("model: ['*']", "model: [x, 'y*']"),
        ("model: ['gpt-*', 'o*']", "model: ['gpt-4*', o3]"),
        ("model: ['a*z']", "model: [abz, 'ab*yz']"),
        ("tags: [a, b]", "tags: [b]"),
        ("modality: [text, image]", "modality: [text]"),
        ("tools: false", "tools: false, team: [x]"),
        ("content_tokens: {min: 5}", "content_tokens: {min: 5, max: 9}"),
        ("content_tokens: {max: 9}", "content_tokens: {min: 9, max: 9}"),
        ("expression: 'a'", "expression: 'a', contains_code: true"),
    ],
)
def test_a_rule_that_can_never_match_is_refused(tmp_path: Path, first: str, second: str) -> None:
    assert wrong_with(tmp_path, when(first, second)) == [
        f"8:12: this rule can never match: the one at {tmp_path}/config.yaml:7:12 (priority 0) is "
        "looked at before it and holds whenever it would"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("model: [auto]", ""),
        ("model: ['*']", ""),  # Some requests name no model.
        ("model: [auto]", "model: [auto, x]"),
        ("model: ['gpt-4*']", "model: ['gpt-*']"),
        ("model: ['gpt-*']", "model: ['gpt-']"),
        ("model: ['ab*ba']", "model: [aba]"),
        ("tools: true", "tools: false"),
        ("content_tokens: {min: 5}", "content_tokens: {min: 4}"),
        ("content_tokens: {max: 9}", "content_tokens: {max: 10}"),
        ("content_tokens: {max: 9}", "content_tokens: {min: 5}"),
        ("expression: 'a'", "expression: 'b'"),
        ("expression: 'a'", "contains_code: true"),
        ("task: [x], tools: true", "task: [x]"),
    ],
)
def test_rules_that_leave_something_for_the_next(tmp_path: Path, first: str, second: str) -> None:
    assert len(settings_of(tmp_path, when(first, second)).rules) == 2


def test_priority_comes_before_the_order_of_the_file(tmp_path: Path) -> None:
    all_of_it, some = "priority: -1", "when: {tools: true}"
    assert len(settings_of(tmp_path, rules(all_of_it, some)).rules) == 2
    (problem,) = wrong_with(tmp_path, rules(some, "priority: 7"))
    assert problem.startswith("7:12: this rule can never match")
    assert f"{tmp_path}/config.yaml:8:12 (priority 7)" in problem


def test_rules_that_are_not_active_hide_nothing_and_need_not_match(tmp_path: Path) -> None:
    texts = ("active: false, use: small", "use: large", "active: false, use: cloud")
    assert len(settings_of(tmp_path, rules(*texts)).rules) == 3


def test_only_the_first_rule_that_hides_one_is_named(tmp_path: Path) -> None:
    problems = wrong_with(tmp_path, rules("use: small", "use: large", "use: cloud"))
    assert [problem.partition(":")[0] for problem in problems] == ["8", "9"]
    assert all(f"{tmp_path}/config.yaml:7:12" in problem for problem in problems)


def test_a_broken_rule_is_refused_once(tmp_path: Path) -> None:
    (problem,) = wrong_with(tmp_path, rules("priority: x", "use: small"))
    assert problem.startswith("7:25: `rules[0].priority`")


def test_a_thousand_rules_and_no_more(tmp_path: Path) -> None:
    def many(count: int) -> str:
        lines = (f"  - {{name: r{i}, when: {{model: [m{i}]}}}}" for i in range(count))
        return "rules:\n" + "\n".join(lines)

    assert len(settings_of(tmp_path, many(1000)).rules) == 1000
    assert wrong_with(tmp_path, many(1001)) == ["1:1: may have 1000 rules at most"]


def test_auto_needs_rules(tmp_path: Path) -> None:
    key = "keys: [{name: k, key: sk-k, models: [auto]}]\n"
    (problem,) = wrong_with(tmp_path, key)
    assert problem.startswith("1:38: `auto` asks the rules for a model, and there are none")
    (problem,) = wrong_with(tmp_path, key + "rules: [{name: a, active: false}]")
    assert problem.startswith("1:38: `auto` asks the rules")
    assert settings_of(tmp_path, key + "rules: [{name: a}]").rules
    model = "{targets: [{provider: demo, model: d}]}"
    for name in ("auto", "'*'"):
        text = key + f"providers: {{demo: {{kind: demo}}}}\nmodels: {{{name}: {model}}}"
        assert settings_of(tmp_path, text).models


def test_agents_have_models_and_limits(tmp_path: Path) -> None:
    text = MODELS + (
        "agents:\n"
        "  coder: {model: large, fallback: [cloud], context: windowed, limits: {rpm: 7},\n"
        "    parameters: {force: {temperature: 0}}}\n"
        "  '*': {budgets: [{amount: 5, period: day}]}\n"
    )
    agents = settings_of(tmp_path, text).agents
    coder, others = agents["coder"], agents["*"]
    assert (coder.model, coder.fallback, coder.context) == ("large", ("cloud",), "windowed")
    assert (coder.limits.rpm, coder.parameters.force) == (7, {"temperature": 0})
    assert (others.model, others.fallback, others.context) == (None, None, "full")
    assert len(others.budgets) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: larj", "7:14: the model `larj` is not defined under `models`; did you mean"),
        ("model: auto", "7:14: `auto` asks the rules for a model"),
        (
            "fallback: [smallx]",
            "7:18: the model `smallx` is not defined under `models`; did you mean",
        ),
        ("model: large, fallback: [large]", "7:6: `agents.x` has a `fallback` to its own model"),
        ("context: window", "7:16: `agents.x.context` must be full or windowed; did you mean"),
        ("parameters: {force: {model: x}}", "7:28: `agents.x.parameters.force.model` is no"),
        ("limits: {rpn: 1}", "7:16: unknown key `rpn`; did you mean `rpm`?"),
    ],
)
def test_refused_agents(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, MODELS + f"agents:\n  x: {{{text}}}")
    assert problem.startswith(expected)
