"""The picture: whole, alone, safe, with every word in its place and nothing over another."""

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.harness import budgets, picture
from bench.harness.recorder import Recorder
from bench.harness.results import Measurement, Results

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script>'
CPU = {"bare": 110.0, "proxy": 48.0, "nginx": 16.0, "vllm-router": 57.0, "litellm": 7600.0}


def results(cpu: dict[str, float] = CPU, *, goals: bool = True) -> Results:
    found = []
    for number in range(3):
        for scenario in ("chat", "paced", "latency"):
            for name, value in {"direct": 9.0, **cpu}.items():
                figures = {
                    "cpu_us": value * (0.95 + 0.05 * number),
                    "tree_cpu_us": value * 1.8,
                    "p50_ms": value / 400,
                    "p99_ms": value / 200 + 0.1 * number,
                }
                found.append(Measurement(scenario, name, number, figures, Recorder()))
    targets = {name: {"url": "", "about": name} for name in ("direct", *cpu)}
    row = {"says": "", "shape": "64 connections", "streamed": False}
    scenarios = dict.fromkeys(("chat", "paced", "latency"), row)
    limits = budgets.as_rows(budgets.read(budgets.OURS)) if goals else []
    made = {"date": "2026-11-21T00:00:00", "cpu": "2 x Some CPU @ 2 GHz", "repetitions": "3"}
    return Results(made, targets, scenarios, found, limits)


def root(made: Results) -> ElementTree.Element:
    return ElementTree.fromstring(picture.draw(made))


Box = tuple[str, float, float, float, float]


def boxes(drawn: ElementTree.Element) -> list[Box]:
    """What each text covers, as wide as a wide font makes it."""
    found = []
    for text in drawn.iter(f"{SVG}text"):
        style, words = text.get("class", ""), text.text or ""
        size = 17 if style == "title" else 11 if style == "dim" else 12
        wide = 0.62 if style in ("title", "head") or "ours" in style else 0.55
        wide = 0.53 if style == "dim" else wide
        width, x, y = size * wide * len(words), float(text.get("x", 0)), float(text.get("y", 0))
        left = x - width if "end" in style else x
        found.append((words, left, y - 0.8 * size, left + width, y + 0.25 * size))
    return found


@pytest.mark.parametrize("few", [True, False])
def test_no_word_leaves_the_picture_or_covers_another(few: bool) -> None:
    drawn = root(results({"bare": 110.0, "proxy": 48.0} if few else CPU))
    _, _, width, height = (float(each) for each in drawn.get("viewBox", "").split())
    found = boxes(drawn)
    assert len(found) > 15
    for words, left, top, right, bottom in found:
        assert left >= 0, words
        assert right <= width, words
        assert top >= 0, words
        assert bottom <= height, words
    for one, other in combinations(found, 2):
        apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
        assert apart, (one[0], other[0])


def test_bars_stay_in_their_column_and_long_ones_have_a_gap() -> None:
    drawn = root(results())
    bars = [each for each in drawn.iter(f"{SVG}rect") if "bar" in each.get("class", "")]
    assert len(bars) == 2 * 6 + 2 * 5  # All but `direct`; with CPU that of our tree as well.
    ends = {float(each.get("x", 0)) + float(each.get("width", 0)) for each in bars}
    for words, left, _, right, _ in boxes(drawn):
        if words.startswith("7,"):
            assert not any(left < end < right for end in ends)
    paths = [each.get("class") for each in drawn.iter(f"{SVG}path")]
    assert paths.count("gap") == 4  # LiteLLM's, in every panel.
    assert paths.count("goal") == 5  # One in each panel, and that of our tree for a request.
    assert "range" in paths


def test_who_was_late_is_called_so() -> None:
    made = results()
    for one in made.of("paced", "litellm"):
        one.figures["chunks_per_read"] = 2.0
    words = [str(each.text) for each in root(made).iter(f"{SVG}text")]
    assert [each for each in words if each.startswith("late, ")] == ["late, 7,600 ±380"]
    assert any(each.startswith("late: ") for each in words)
    assert not any("late" in str(each.text) for each in root(results()).iter(f"{SVG}text"))


def test_without_goals_or_without_figures_there_is_still_a_picture() -> None:
    drawn = root(results(goals=False))
    assert not [each for each in drawn.iter(f"{SVG}path") if each.get("class") == "goal"]
    empty = Results({"date": "", "cpu": ""}, {}, {}, [])
    assert next(each.text for each in root(empty).iter(f"{SVG}text")) == "What a request costs"


def test_it_stands_alone_in_light_and_dark(tmp_path: Path) -> None:
    made = results({"bare": 110.0, "proxy": 48.0, HOSTILE: 50.0})
    made.write(tmp_path / "a.json")
    assert picture.main([str(tmp_path / "a.json"), str(tmp_path / "docs/a.svg")]) == 0
    text = (tmp_path / "docs/a.svg").read_text()
    assert "prefers-color-scheme:dark" in text
    assert HOSTILE not in text
    for outside in ("<script", "<image", "href", "url(", "@import", "@font-face"):
        assert outside not in text
    assert text.count("http://") == 1  # The name of SVG itself.


def test_results_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        picture.main([str(tmp_path / "none.json"), str(tmp_path / "a.svg")])
    assert refused.value.code == 2
