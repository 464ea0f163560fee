"""Profiles: collapsed stacks become the right tables, and a graph that is well-formed and true."""

from xml.etree import ElementTree

import pytest

from bench import flame, profile
from bench.harness.scenarios import SCENARIOS
from bench.sampler import find

LOOP = "main (proxy/processes/worker.py:128)"
TEXT = f"""\
start (threading.py:988);_worker (concurrent/futures/thread.py:69) 900
run (runpy:1);{LOOP};serve (proxy/core/life.py:12);_send (proxy/server/out.py:154) 30
run (runpy:1);{LOOP};serve (proxy/core/life.py:14);parse (proxy/wire/body.py:9) 50
run (runpy:1);{LOOP};data_received (aiohttp/web_protocol.py:1) 15
run (runpy:1);{LOOP};write (libc.so.6) 5
"""


def stacks() -> profile.Profile:
    return profile.Profile(flame.read(TEXT, "proxy/processes/worker.py"), 200.0, "answer")


def test_only_the_thread_of_the_loop_counts() -> None:
    found = stacks().stacks
    assert found.total() == 100
    assert all(stack[0] == LOOP for stack in found)


def test_a_recording_without_that_thread_is_told() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.py"):
        flame.read(TEXT, "nowhere.py")


def test_time_of_a_function_itself_and_with_all_that_it_called() -> None:
    found = stacks().stacks
    assert flame.self_time(found)["parse (proxy/wire/body.py)"] == 50
    assert flame.self_time(found)["serve (proxy/core/life.py)"] == 0
    # Two lines of one function are one function.
    assert flame.whole_time(found)["serve (proxy/core/life.py)"] == 80


def test_recursion_counts_once() -> None:
    found = flame.read("a (x.py:1);b (x.py:2);a (x.py:3) 7", "x.py")
    again = flame.read("main (y.py:1);a (x.py:1);a (x.py:3) 7", "y.py")
    assert found.total() == 7
    assert flame.whole_time(again)["a (x.py)"] == 7


@pytest.mark.parametrize(
    ("frame", "part"),
    [
        ("parse (proxy/wire/body.py:9)", "proxy/wire"),
        ("f (/somewhere/site-packages/aiohttp/web.py:3)", "aiohttp"),
        ("f (aiohttp/web.py)", "aiohttp"),
        ("f (/usr/lib/python3.11/asyncio/base.py:3)", "asyncio"),
        ("write (libc.so.6)", "libc.so.6"),
        ("no file at all", "?"),
    ],
)
def test_the_part_that_a_function_belongs_to(frame: str, part: str) -> None:
    assert flame.part(frame) == part


def test_the_tables_tell_microseconds_of_each_answer() -> None:
    text = profile.tables(stacks(), 10)
    row = next(line for line in text.splitlines() if line.startswith("parse ("))
    assert row.split()[2:] == ["50.0%", "100.0", "100.0"]
    assert "proxy/server" in text.split("by function")[0]


def test_the_graph_is_well_formed_and_boxes_are_as_wide_as_their_time() -> None:
    drawn = ElementTree.fromstring(flame.svg(stacks().stacks, "a <title> & more"))
    space = "{http://www.w3.org/2000/svg}"
    widths = {}
    for group in drawn.iter(f"{space}g"):
        title, box = group.find(f"{space}title"), group.find(f"{space}rect")
        assert title is not None and title.text is not None and box is not None
        widths[title.text.rpartition(":")[0]] = float(box.attrib["width"])
    whole = widths["main (proxy/processes/worker.py)"]
    assert widths["serve (proxy/core/life.py)"] == pytest.approx(0.8 * whole)
    assert widths["write (libc.so.6)"] == pytest.approx(0.05 * whole)
    assert drawn.attrib["aria-label"] == "a <title> & more"


def test_boxes_of_less_than_a_pixel_are_left_out() -> None:
    found = flame.read(f"{LOOP};a (x.py:1) 100000\n{LOOP};b (x.py:2) 1", "proxy/processes")
    drawn = flame.svg(found, "t")
    assert "a (x.py)" in drawn
    assert "b (x.py)" not in drawn


def test_a_profiler_on_the_path_is_taken_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("bin")
    program = place / "py-spy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(place))
    assert find(tmp_path_factory.mktemp("unused")) == str(program)


def test_every_scenario_that_can_be_chosen_is_one_of_the_harness() -> None:
    with pytest.raises(SystemExit):
        profile.main(["--scenario", "nonsense"])
    assert set(profile.LOADS.values()) <= set(SCENARIOS)
