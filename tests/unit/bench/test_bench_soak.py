"""Soak runs: what is asked, what may come of it, when a run is good, and that it can be seen."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import soak, soak_config, soak_plot, vendor
from bench.soak_judge import goals, slope
from bench.soak_load import Load
from bench.soak_traffic import KINDS, Asked, Traffic
from bench.soak_watch import Look, look, role
from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.build.configuration import load

URL = "http://127.0.0.1:9/v1"
ROLES = ("worker", "control", "supervisor")


def a_look(at: float, *, worker: float = 60.0, files: int = 30, tasks: int = 9) -> Look:
    memory = {"worker": worker, "control": 65.0, "supervisor": 16.0, "store": 40.0}
    return Look(at, memory, memory, dict.fromkeys(ROLES, files), tasks, 0, int(at * 100))


def judged(looks: list[Look], after: Look | None = None) -> dict[str, bool]:
    found = goals(looks, a_look(0), after or a_look(700), 60.0)
    return {goal.name: goal.good for goal in found}


def test_a_steady_run_is_good() -> None:
    assert all(judged([a_look(n) for n in range(600)]).values())


@pytest.mark.parametrize(("per_minute", "good"), [(0.9, True), (1.1, False), (-5.0, True)])
def test_memory_may_grow_by_a_megabyte_a_minute(per_minute: float, good: bool) -> None:
    found = judged([a_look(n, worker=60 + per_minute * n / 60) for n in range(600)])
    assert found["memory of worker"] is good
    assert found["memory of control"]


def test_neither_the_warm_up_nor_a_burst_counts() -> None:
    looks = [a_look(n, worker=min(n, 60)) for n in range(600)]
    looks[300:330] = [a_look(n, worker=400) for n in range(300, 330)]
    assert judged(looks)["memory of worker"]


def test_files_and_tasks_that_stay_are_seen() -> None:
    steady = [a_look(n) for n in range(600)]
    assert not judged(steady, a_look(700, files=50))["files of worker"]
    assert not judged(steady, a_look(700, tasks=12))["tasks left in workers"]
    assert not judged([a_look(n, files=30 + n // 20) for n in range(600)])["files of worker"]


def test_a_role_that_was_never_seen_is_not_good() -> None:
    nothing = [Look(float(n), {}, {}, {}, None, None, 0) for n in range(600)]
    assert not any(judged(nothing, nothing[0]).values())


def test_the_slope_is_that_of_most_points() -> None:
    points = [(float(n), 2.0 * n + (1000 if n % 7 == 0 else 0)) for n in range(400)]
    assert slope(points) == pytest.approx(2.0, rel=0.05)
    assert slope([(1.0, 5.0)]) == 0.0


def test_traffic_has_every_kind_in_its_share_and_is_the_same_from_the_same_seed() -> None:
    asked = list(islice(Traffic(URL, 1), 20_000))
    again = list(islice(Traffic(URL, 1), 200))
    assert [each.data for each in asked[:200]] == [each.data for each in again]
    counts = Counter(each.kind.name for each in asked)
    whole = sum(kind.share for kind in KINDS)
    for kind in KINDS:
        assert counts[kind.name] / 20_000 == pytest.approx(kind.share / whole, rel=0.5, abs=0.002)


def test_every_request_is_framed_as_it_says() -> None:
    for asked in islice(Traffic(URL, 3), 500):
        head, _, body = asked.data.partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"
        assert head.startswith(b"POST /v1/")


def test_the_configuration_is_one_that_the_proxy_takes(tmp_path: Path) -> None:
    file = tmp_path / "soak.yaml"
    file.write_text(soak_config.text("http://127.0.0.1:9/v1", 8080, tmp_path / "data"))
    keys = {key.name for key in load(file).settings.keys}
    assert {"k0", "narrow", "poor", "bench"} <= keys


async def test_load_comes_at_its_rate_and_ends_with_nothing_open() -> None:
    server = await vendor.start()
    port = server.sockets[0].getsockname()[1]
    made = Load(_Good(f"http://127.0.0.1:{port}/v1", 1), 100, 1)
    await made.run(0.5)
    server.close()
    assert made.sent == pytest.approx(50, abs=5)
    assert made.busy == 0
    assert made.answers.total() == made.sent
    assert not +made.wrong


async def test_what_no_kind_allows_is_counted() -> None:
    server = await vendor.start()
    port = server.sockets[0].getsockname()[1]
    made = Load(_Refused(f"http://127.0.0.1:{port}/v1", 1), 50, 1)
    await made.run(0.2)
    server.close()
    assert made.wrong["unknown key: answered"] == made.answers.total() > 0


class _Good(Traffic):
    """What a vendor answers itself."""

    def __iter__(self) -> "_Kinds":
        return _Kinds(self, lambda name: name in {"chat", "embeddings", "20 kB"})


class _Refused(Traffic):
    """Keys that a vendor takes for good."""

    def __iter__(self) -> "_Kinds":
        return _Kinds(self, lambda name: name == "unknown key")


class _Kinds:
    """Only these."""

    def __init__(self, traffic: Traffic, wanted: Callable[[str], bool]) -> None:
        self._all = Traffic.__iter__(traffic)
        self._wanted = wanted

    def __iter__(self) -> "_Kinds":
        return self

    def __next__(self) -> Asked:
        return next(each for each in self._all if self._wanted(each.kind.name))


def test_a_look_tells_roles_apart_and_reads_the_pulse(tmp_path: Path) -> None:
    pulse = {"at": wall(), "tasks": 7, "in_flight": 3}
    (tmp_path / "worker-0.json").write_bytes(dumps(pulse))
    (tmp_path / "worker-1.json").write_bytes(dumps({**pulse, "at": wall() - 60}))
    found = look(os.getpid(), tmp_path, 1.0, 5)
    assert (found.tasks, found.in_flight, found.answers) == (7, 3, 5)
    assert sum(found.pss.values()) > 1
    assert sum(found.files.values()) > 2
    assert role(b"python\0-m\0proxy.processes.worker\0--name\0worker-0") == "worker"
    assert role(b"postgres: writer") == "store"
    assert role(b"sleep\x001") == "other"


def test_without_a_pulse_nothing_is_told_of_tasks(tmp_path: Path) -> None:
    assert look(os.getpid(), tmp_path, 1.0, 5).tasks is None


def test_the_plot_is_one_well_formed_picture() -> None:
    looks = [a_look(float(n)) for n in range(2000)]
    drawn = ElementTree.fromstring(soak_plot.svg(looks, "an hour & more"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(drawn.iter(f"{space}svg"))) == 4
    lines = list(drawn.iter(f"{space}polyline"))
    assert len(lines) == 7
    assert all(len(line.attrib["points"].split()) <= 600 for line in lines)


async def test_a_watch_looks_until_it_is_told_to_end(tmp_path: Path) -> None:
    server = await vendor.start()
    port = server.sockets[0].getsockname()[1]
    made = Load(Traffic(f"http://127.0.0.1:{port}/v1", 1), 1, 1)
    watch = soak.Watch(os.getpid(), tmp_path, made, asyncio.get_running_loop().time())
    assert (await watch.now()).answers == 0
    server.close()
