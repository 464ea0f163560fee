"""A whole run: what is measured in which order and for how long; loads that end or hold."""

import asyncio
import io
from dataclasses import replace

import pytest

from bench import vendor
from bench.harness import options
from bench.harness.asks import Place, mock_model, prepare
from bench.harness.loops import ClosedLoop, Times
from bench.harness.progress import Progress
from bench.harness.recorder import Recorder
from bench.harness.results import Measurement
from bench.harness.run import Effort, Look, Target
from bench.harness.scenarios import SCENARIOS, Scenario, Shape
from bench.harness.suite import Suite
from proxy.base.clock import monotonic

NAMES = ("direct", "bare", "proxy")
FIGURES = {"requests_per_second": 1.0, "wrong": 0.0, "late_share": 0.0, "others": 0.0}


def suite(*arguments: str, peers: tuple[str, ...] = ()) -> Suite:
    targets = [Target(name, "http://v/v1", "sk") for name in NAMES]
    targets += [Target(name, "http://v/v1", "sk") for name in peers]
    wanted = options.scenarios(options.parser().parse_args(arguments))
    return Suite(targets, wanted, Effort([0]), arguments)


class Cold:
    """Measures nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, float]] = []

    def measure(
        self, target: Target, scenario: Scenario, repetition: int, effort: Effort, look: Look
    ) -> Measurement:
        self.asked.append((target.name, repetition, effort.seconds))
        return Measurement(scenario.name, target.name, repetition, dict(FIGURES), Recorder())


def test_a_run_with_everything_takes_less_than_ten_minutes() -> None:
    every = suite()
    assert 60 < every.seconds < 560  # Six measurements that are made again take half a minute.
    names = [each.name for each in every.scenarios]
    assert names == list(SCENARIOS)
    assert suite("--duration", "1s", "--repeat", "1").seconds < every.seconds


def test_servers_of_their_own_are_measured_as_often_as_they_need() -> None:
    cold, found = Cold(), list[Measurement]()
    made = replace(suite("--scenario", "cold", peers=("nginx",)), cold=cold.measure)
    made.run(found, Progress(made.steps, io.StringIO()))
    assert cold.asked == [("bare", 0, 60.0), ("proxy", 0, 60.0), ("proxy", 1, 60.0),
                          ("proxy", 2, 60.0)]  # fmt: skip
    assert made.steps == len(found) == 4
    assert made.results(found).made["repetitions"] == "3"


@pytest.mark.parametrize(
    ("scenario", "steps"), [("held", 3), ("chat", 12), ("memory", 2), ("flood", 3)]
)
def test_other_gateways_take_part_where_that_is_meant(scenario: str, steps: int) -> None:
    assert suite("--scenario", scenario, peers=("nginx",)).steps == steps


def test_targets_take_turns_in_beginning() -> None:
    made = suite("--scenario", "chat")
    turns = [(number, target.name) for number, target in made._turns(SCENARIOS["chat"])]
    assert [name for number, name in turns if number == 0] == ["direct", "bare", "proxy"]
    assert [name for number, name in turns if number == 1] == ["bare", "proxy", "direct"]


async def load(scenario: Scenario, seconds: float) -> Recorder:
    server = await vendor.start()
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        place, recorder, now = Place.of(url), Recorder(), monotonic()
        ask = prepare(scenario, place, "sk", mock_model(scenario))
        times = Times(now, now, now + seconds, silence=5.0)
        async with asyncio.timeout(15):
            await ClosedLoop(place, ask, recorder, times, scenario.shape).run()
    return recorder


async def test_a_load_of_so_many_requests_ends_with_the_last() -> None:
    scenario = replace(SCENARIOS["memory"], shape=Shape(connections=4, requests=50))
    recorder = await load(scenario, 60.0)
    assert recorder.seconds < 10
    assert recorder.sent == 50
    assert recorder.answers == 50


@pytest.mark.parametrize(("plan", "held"), [("8x100", 20), ("1x100", 0)])
async def test_streams_count_as_held_while_they_flow(plan: str, held: int) -> None:
    """Those that end are not; the next ones are on their way when the window closes."""
    row = replace(SCENARIOS["held"], plan=plan, shape=Shape(connections=20))
    recorder = await load(row if held else replace(row, held=False), 0.4)
    assert recorder.held == held
    assert not recorder.broken
