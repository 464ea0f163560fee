"""Parameters: JSON values as they are written, and nothing that would answer another request."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.base.jsonio import dumps, loads
from proxy.config.parameters import Parameters
from proxy.config.snapshot import Snapshot
from proxy.wire.parameters import PROTECTED
from tests.unit.config.config_cases import settings_of, wrong_with

BEFORE = (
    "providers: {demo: {kind: demo}}\n"
    "models: {m: {targets: [{provider: demo, model: d}], parameters: "
)


def parameters_of(folder: Path, text: str, **env: str) -> Parameters:
    return settings_of(folder, BEFORE + text + "}}", env).models["m"].parameters


def test_what_is_written_is_what_is_sent(tmp_path: Path) -> None:
    found = parameters_of(
        tmp_path,
        "{default: {temperature: 0.70, stop: [END, '1'], seed: 7, own: {a: null, b: [true, 1e2]}},"
        " limit: {max_tokens: 8192, top_p: 0.5}, force: {user: '${U}', store: false},"
        " unsupported: refuse}",
        U="ada",
    )
    assert dumps(dict(found.default)) == (
        b'{"temperature":0.7,"stop":["END","1"],"seed":7,"own":{"a":null,"b":[true,100.0]}}'
    )
    assert dumps(dict(found.limit)) == b'{"max_tokens":8192,"top_p":0.5}'
    assert dumps(dict(found.force)) == b'{"user":"ada","store":false}'
    assert found.unsupported == "refuse"


def test_what_is_null_or_empty_counts_as_not_written(tmp_path: Path) -> None:
    text = "{default: {stop: null, user: '${U:-}'}, limit: {n: null}, force: null}"
    assert parameters_of(tmp_path, text) == Parameters()


@pytest.mark.parametrize("value", ["9223372036854775807", "18446744073709551615", "-1", "0.1"])
def test_numbers_survive_a_snapshot(tmp_path: Path, value: str) -> None:
    settings = settings_of(tmp_path, BEFORE + f"{{force: {{seed: {value}}}}}" + "}}")
    again = Snapshot.parse(Snapshot.of(settings).dump()).settings
    seed: Any = again.models["m"].parameters.force["seed"]
    assert seed == loads(value)
    assert type(seed) is type(loads(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{default: {model: x}}",
         "2:76: `models.m.parameters.default.model` is no parameter: `targets` and rules say "
         "which model is asked"),
        ("{force: {stream: true}}",
         "2:74: `models.m.parameters.force.stream` is no parameter: the caller chose the form of "
         "the answer"),
        ("{force: {messages: []}}",
         "2:74: `models.m.parameters.force.messages` is no parameter: it is what the caller says"),
        ("{limit: {max_tokns: 1}}", "2:74: `models.m.parameters.limit.max_tokns` is no parameter "
         "that is known; did you mean `max_tokens`?"),
        ("{default: {temperaturre: 1}}", "2:76: `models.m.parameters.default.temperaturre` is no "
         "parameter that is known; did you mean `temperature`?"),
        ("{default: {' x': 1}}", "2:76: `models.m.parameters.default. x` must be a name"),
        ("{limit: {max_tokens: many}}",
         "2:86: `models.m.parameters.limit.max_tokens` must be a number: the most that is let"),
        ("{limit: {max_tokens: true}}",
         "2:86: `models.m.parameters.limit.max_tokens` must be a number: the most that is let"),
        ("{limit: {max_tokens: .inf}}",
         "2:86: `models.m.parameters.limit.max_tokens` must be a value that JSON has"),
        ("{force: {seed: 18446744073709551616}}",
         "2:80: `models.m.parameters.force.seed` must be a value that JSON has"),
        ("{force: {own: [[.nan]]}}", "2:79: `models.m.parameters.force.own` must be a value that"),
        ("{default: [a]}", "2:75: `models.m.parameters.default` must be a mapping"),
        ("{default: {n: 3}, limit: {n: 2}}",
         "2:65: `models.m.parameters` has a default of `n` beyond its own `limit`"),
        ("{default: {n: x}, limit: {n: 2}}",
         "2:65: `models.m.parameters` has a default of `n` beyond its own `limit`"),
        ("{default: {n: 1}, force: {n: 2}}",
         "2:65: `models.m.parameters` has `n` in `force`, which wins, and in `default`"),
        ("{limit: {n: 1}, force: {n: 2}}",
         "2:65: `models.m.parameters` has `n` in `force`, which wins, and in `limit`"),
        ("{default: {max_tokens: 9}, limit: {max_completion_tokens: 8}}",
         "2:65: `models.m.parameters` has a default of `max_tokens` beyond its own `limit`"),
        ("{limit: {max_tokens: 9, max_output_tokens: 9}}",
         "2:65: `models.m.parameters` has `max_tokens` and `max_output_tokens`, which are one"),
        ("{limit: {max_completion_tokens: 0}}", "2:65: `models.m.parameters` must have a whole "
         "number from 1 to 10000000 as `max_completion_tokens`"),
        ("{default: {max_tokens: 1.5}}", "2:65: `models.m.parameters` must have a whole number"),
        ("{unsupported: drrop}",
         "2:79: `models.m.parameters.unsupported` must be drop or refuse; did you mean `drop`?"),
        ("{defaults: {}}", "2:66: unknown key `defaults`; did you mean `default`?"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = wrong_with(tmp_path, BEFORE + text + "}}")
    assert problem.startswith(expected)


@pytest.mark.parametrize("name", ["top_k", "top_a", "min_tokens", "max_new_tokens", "guided_json"])
def test_a_vendors_own_parameters_are_taken(tmp_path: Path, name: str) -> None:
    assert parameters_of(tmp_path, f"{{default: {{{name}: 1}}}}").default == {name: 1}


def test_what_is_no_parameter_is_the_same_everywhere() -> None:
    for name in PROTECTED:
        with pytest.raises(ValidationError, match="is no parameter"):
            Parameters(force={name: 1})


def test_values_of_variables_are_not_shown(tmp_path: Path) -> None:
    text = BEFORE + "{limit: {n: '${S}'}}}}"
    (problem,) = wrong_with(tmp_path, text, {"S": "sk-Very-Secret"})
    assert "sk-Very" not in problem
