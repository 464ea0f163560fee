"""What the options of `llm-proxy bench` come to."""

import pytest

from bench.harness import options
from bench.harness.asks import Place, prepare
from bench.harness.loader import Job
from bench.harness.loops import Times
from bench.harness.scenarios import CAREFUL, SCENARIOS, SUITE, Scenario, Shape
from proxy.base.jsonio import dumps, loads


def wanted(*arguments: str) -> list[Scenario]:
    return options.scenarios(options.parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("500ms", 0.5), ("2m", 120), ("1.5", 1.5), ("2min", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text) == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--duration", "soon"],
        ["--duration", "0s"],
        ["--rate", "0"],
        ["--rate", "fast"],
        ["--connections", "-1"],
        ["--rate", "5", "--connections", "5"],
        ["--scenario", "unheard-of"],
        ["--plan", "fifty"],
        ["--dur", "5s"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        options.parser().parse_args(arguments)
    assert refused.value.code == 2


def test_a_vendor_who_may_charge_is_asked_little() -> None:
    assert [each.name for each in wanted()] == list(SUITE)
    assert [each.name for each in wanted("--url", "http://127.0.0.1:1/v1")] == list(CAREFUL)


def test_the_shape_is_what_was_asked_for() -> None:
    [paced] = wanted("--scenario", "paced", "--connections", "20", "--plan", "5x1")
    assert (paced.shape, paced.plan) == (Shape(20, ramp=2.0), "5x1")
    [opened] = wanted("--scenario", "chat", "--rate", "50", "--arrivals", "fixed")
    assert (opened.shape.rate, opened.shape.arrivals, opened.plan) == (50.0, "fixed", None)
    assert opened.shape.part(2).rate == 25.0
    [few] = wanted("--scenario", "memory", "--duration", "1s", "--repeat", "2")
    assert (few.shape.requests, few.seconds, few.repeat) == (50_000, 60.0, 2)
    assert few.shape.part(2).requests == 25_000


def test_streams_that_are_held_outlast_the_window() -> None:
    held = SCENARIOS["held"]
    assert held.lasting(8.2).plan == "11x1000"
    assert SCENARIOS["paced"].lasting(60.0) == SCENARIOS["paced"]
    assert prepare(held, Place.of("http://v/v1"), "sk", "m").held == 2.0


def test_a_server_elsewhere_is_not_started() -> None:
    with pytest.raises(ValueError, match="not with --url"):
        wanted("--url", "http://127.0.0.1:1/v1", "--scenario", "cold")


def test_what_is_for_targets_that_a_run_starts_is_for_any_that_is_named() -> None:
    (row,) = wanted("--url", "http://127.0.0.1:1/v1", "--scenario", "flood")
    assert (row.of, SCENARIOS["flood"].of) == ((), ("direct",))


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [([], True), (["--repeat", "5"], True), (["--rate", "9"], False), (["--url", "u"], False)],
)
def test_goals_are_for_runs_that_they_were_set_for(arguments: list[str], ours: bool) -> None:
    assert options.as_ours(options.parser().parse_args(arguments)) == ours


@pytest.mark.parametrize(
    "arguments", [["--url", "u", "--key", "sk-secret"], ["--key=sk-secret", "--url", "u"]]
)
def test_no_key_is_shown(arguments: list[str]) -> None:
    assert "sk-secret" not in " ".join(options.without_keys(arguments))


@pytest.mark.parametrize("name", SUITE)
def test_every_scenario_is_a_request_of_its_size(name: str) -> None:
    scenario, place = SCENARIOS[name], Place.of("http://vendor:81/v1")
    ask = prepare(scenario, place, "sk-test", "a-model")
    head, _, body = ask.data.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/")
    assert b"Host: vendor:81\r\n" in head
    assert f"Content-Length: {len(body)}".encode() in head
    asked = loads(body)
    assert asked["model"] == "a-model"
    assert bool(asked.get("stream")) == ask.streamed == ask.verdict().streamed
    assert len(body) == pytest.approx(scenario.kilobytes * 1000, rel=0.2)


@pytest.mark.parametrize("url", ["", "vendor:80", "ftp://vendor", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Place.of(url)


def test_tls_has_its_port_and_checks_certificates_unless_told() -> None:
    place = Place.of("https://vendor/v1/")
    assert (place.port, place.base) == (443, "/v1")
    assert place.tls is not None
    assert place.tls.check_hostname
    unchecked = Place.of("https://vendor", verify=False)
    assert unchecked.tls is not None
    assert not unchecked.tls.check_hostname


def test_a_job_survives_its_file() -> None:
    job = Job("http://v/v1", "sk", None, SCENARIOS["open"], Times(1.0, 2.0, 3.0), seed=4)
    assert Job.from_json(loads(dumps(job.as_json()))) == job
