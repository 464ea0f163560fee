"""Results: what is shown, compared and held against budgets, and a page that is whole and safe."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.harness import budgets, compare, report, show
from bench.harness.figures import FIGURES, figures
from bench.harness.plots import steps
from bench.harness.recorder import Recorder
from bench.harness.results import Measurement, NoResults, Results, Sample, read
from bench.harness.scenarios import SCENARIOS
from bench.harness.watch import Reading

HOSTILE = '<script>alert("x")</script>'


def seen(milliseconds: float, *, wrong: int = 0) -> Recorder:
    made = Recorder(answers=1000, all_answers=1000, sent=1000, seconds=2.0)
    for number in range(1000):
        made.latencies.append(milliseconds / 1000 * (0.9 + number / 5000))
    for _ in range(wrong):
        made.error("status_500", streamed=False)
    return made


def measurement(target: str, number: int, milliseconds: float, cpu: float) -> Measurement:
    before, after = Reading(1.0, 2.0, 5.0, 10.0), Reading(1.0 + cpu, 2.0 + cpu, 5.5, 11.0 + cpu)
    recorder = seen(milliseconds)
    found = figures(recorder, before, after, streamed=False, backlog=0.01)
    series = [Sample(0.5 * at, 250 * at, 0, 0, 40.0 + at, 0.5) for at in range(5)]
    return Measurement("chat", target, number, found, recorder, series)


def results(cpus: list[float], *, proxy: str = "proxy") -> Results:
    made = []
    for number, cpu in enumerate(cpus):
        made.append(measurement("direct", number, 1.0, 0.01))
        made.append(measurement("bare", number, 3.0, 0.1))
        made.append(measurement(proxy, number, 2.0, cpu))
    targets = {name: {"url": "http://127.0.0.1:1/v1", "about": name} for name in ("direct", "bare")}
    targets[proxy] = {"url": "http://127.0.0.1:2/v1", "about": proxy}
    scenarios = {"chat": {"says": "chat", "shape": "64 connections", "streamed": False}}
    return Results({"date": "2026-11-21", "cpu": "2 x none"}, targets, scenarios, made)


def test_figures_are_divided_by_answers() -> None:
    found = measurement("proxy", 0, 2.0, 0.05).figures
    assert found["requests_per_second"] == 500.0
    assert found["cpu_us"] == pytest.approx(50.0)
    assert found["tree_cpu_us"] == pytest.approx(60.0)  # With what it put off until afterwards.
    assert found["others"] == pytest.approx(0.25)
    assert found["p50_ms"] == pytest.approx(2.0, rel=0.01)


def test_where_nobody_says_who_serves_it_is_the_busiest() -> None:
    before = Reading(None, 3.0, 0.0, 9.0, {1: 1.0, 2: 2.0})
    after = Reading(None, 3.3, 0.0, 9.3, {1: 1.01, 2: 2.05, 3: 0.24})
    found = figures(seen(2.0), before, after, streamed=False, backlog=0.0)
    assert found["cpu_us"] == pytest.approx(240.0)
    assert found["tree_cpu_us"] == pytest.approx(300.0)


def test_a_server_that_is_not_here_has_no_cpu() -> None:
    nothing = Reading(0.0, 0.0, 0.0, 0.0)
    found = figures(seen(2.0), nothing, nothing, streamed=False, backlog=None)
    assert "cpu_us" not in found


def test_added_latency_is_over_direct_in_the_same_repetition() -> None:
    made = results([0.05, 0.05])
    assert made.values("chat", "proxy", "added_p50_ms") == pytest.approx([1.0, 1.0], rel=0.02)
    assert made.values("chat", "direct", "added_p50_ms") == []
    assert made.middle("chat", "proxy", "cpu_us") == pytest.approx(50.0)


def test_results_survive_their_file(tmp_path: Path) -> None:
    made = results([0.05, 0.06])
    made.write(tmp_path / "a.json")
    again = read(tmp_path / "a.json")
    assert show.text(again) == show.text(made)
    assert report.page(again) == report.page(made)


@pytest.mark.parametrize("text", ["", "{}", '{"format":99}', "[1]", '{"format":1,"made":{}}'])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(NoResults, match=r"a\.json"):
        read(tmp_path / "a.json")
    with pytest.raises(NoResults):
        read(tmp_path / "none.json")


def test_wrong_answers_are_named_and_counted() -> None:
    made = results([0.05])
    made.measurements[2].recorder.errors["no_done"] = 3
    assert show.errors(made) == ["chat proxy 1: 3 x no_done"]
    assert "3 x no_done" in show.text(made)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([0.050, 0.052, 0.051], [0.050, 0.053, 0.051], ""),
        ([0.050, 0.052, 0.051], [0.070, 0.072, 0.071], "worse"),
        ([0.050, 0.052, 0.051], [0.040, 0.041, 0.042], "better"),
        ([0.050, 0.070, 0.051], [0.060, 0.071, 0.072], ""),  # The ranges meet.
        ([0.0500, 0.0501], [0.0510, 0.0511], ""),  # 2 %.
        ([0.050], [0.054], ""),  # Of one repetition the range is not known.
        ([0.050], [0.060], "worse"),
    ],
)
def test_a_change_counts_only_beyond_noise(
    before: list[float], after: list[float], verdict: str
) -> None:
    changes = compare.changes(results(before), results(after))
    [cpu] = [each for each in changes if (each.target, each.figure) == ("proxy", "cpu_us")]
    assert cpu.verdict == verdict
    assert cpu.ratio == pytest.approx(sorted(after)[len(after) // 2] / 0.051, rel=0.1)


def test_compare_says_it_with_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results([0.05, 0.05]).write(tmp_path / "a.json")
    results([0.09, 0.09]).write(tmp_path / "b.json")
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert compare.main([a, b]) == 1
    assert "chat proxy CPU us" in capsys.readouterr().out
    assert compare.main([b, a]) == 0
    with pytest.raises(SystemExit) as refused:
        compare.main([a, str(tmp_path / "none.json")])
    assert refused.value.code == 2


@pytest.mark.parametrize(("most", "kept"), [(0.6, True), (0.5, True), (0.45, False), (0.49, True)])
def test_a_budget_is_exceeded_beyond_noise_only(most: float, kept: bool) -> None:
    limit = budgets.Budget("chat", "cpu_us", "proxy", most, to="bare")
    [verdict] = budgets.judge(results([0.048, 0.050, 0.052]), [limit])
    assert verdict.found == pytest.approx(0.5)
    assert verdict.kept == kept
    assert ("MISSED" in budgets.table_of([verdict])) == (not kept)
    assert verdict.reached == (most >= 0.5)


@pytest.mark.parametrize(
    ("limit", "state"),
    [
        (budgets.Budget("paced", "cpu_us", "proxy", 0.5, to="bare"), "not measured"),
        (budgets.Budget("chat", "cpu_us", "proxy", 0.5, to="nginx"), "not in this run"),
        (budgets.Budget("chat", "first_p99_ms", "proxy", 5.0), "no figure"),
        (budgets.Budget("chat", "requests_per_second", "proxy", least=400.0), "reached"),
        (budgets.Budget("chat", "requests_per_second", "proxy", least=501.0), "within noise"),
        (budgets.Budget("chat", "requests_per_second", "proxy", least=900.0), "MISSED"),
        (budgets.Budget("chat", "added_p50_ms", "proxy", 1.1), "reached"),
        (budgets.Budget("chat", "cpu_us", "proxy", 50.5), "reached"),
        (budgets.Budget("chat", "cpu_us", "proxy", 50.5, worst=True), "MISSED"),
    ],
)
def test_what_becomes_of_a_budget(limit: budgets.Budget, state: str) -> None:
    [verdict] = budgets.judge(results([0.048, 0.050, 0.052]), [limit])
    assert verdict.state == state
    assert verdict.kept == (state not in ("MISSED", "no figure"))


def test_a_server_that_was_late_is_not_compared() -> None:
    limit = budgets.Budget("chat", "cpu_us", "proxy", 0.5, to="bare")
    made = results([0.020, 0.050])
    made.of("chat", "bare")[0].figures["chunks_per_read"] = 1.3
    assert budgets.judge(made, [limit])[0].found == pytest.approx(0.5)
    made.of("chat", "proxy")[1].figures["chunks_per_read"] = 1.3
    [verdict] = budgets.judge(made, [limit])
    assert (verdict.state, verdict.kept) == ("late", False)


def test_goals_are_kept_with_the_results_and_told_first(tmp_path: Path) -> None:
    limits = [
        budgets.Budget("chat", "cpu_us", "proxy", 0.6, to="bare", says="<CPU> of a request"),
        budgets.Budget("chat", "cpu_us", "proxy", 0.4, to="bare"),
        budgets.Budget("chat", "cpu_us", "proxy", 1.0, to="nginx"),
    ]
    replace(results([0.05, 0.05]), budgets=budgets.as_rows(limits)).write(tmp_path / "a.json")
    found = budgets.verdicts(read(tmp_path / "a.json"))
    assert [each.reached for each in found] == [True, False, None]
    assert budgets.summary(found) == "1 of 2 goals reached, 1 missed, 1 not measured"
    page = report.page(read(tmp_path / "a.json"))
    assert page.index("&lt;CPU&gt; of a request") < page.index("<h2>chat</h2>")
    assert "✗ MISSED" in page
    assert "Goals" not in report.page(results([0.05]))


def test_our_own_goals_are_those_of_the_issue() -> None:
    found = budgets.read(budgets.OURS)
    assert {each.of for each in found} == {"proxy", "direct"}
    assert {each.to for each in found} >= {None, "bare", "nginx", "litellm"}
    assert all(each.says for each in found)
    for each in found:  # A figure that its scenario cannot have would never be judged.
        assert FIGURES[each.figure].streamed in (None, SCENARIOS[each.scenario].streamed)


@pytest.mark.parametrize(
    "text",
    [
        "budget = 3",
        "[[budget]]\nscenario = 'chat'\nfigure = 'cpu_us'\nof = 'proxy'",
        "[[budget]]\nscenario = 'chat'\nfigure = 'cpu_us'\nof = 'proxy'\nmost = 1\nleast = 1",
        "[[budget]]\nscenario = 'chat'",
        "[[budget]]\nscenario = 'chat'\nfigure = 'speed'\nof = 'proxy'\nmost = 1",
        "[[budget",
    ],
)
def test_bad_budgets_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.toml").write_text(text)
    with pytest.raises(budgets.BadBudgets, match=r"b\.toml"):
        budgets.read(tmp_path / "b.toml")


class Reader(HTMLParser):
    """Tags that were opened and never closed, and all addresses."""

    VOID = frozenset(("meta",))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = report.page(results([0.05, 0.06]))
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.addresses == []
    assert {"svg", "polyline", "rect", "table"} <= reader.tags
    assert "script" not in reader.tags
    drawings = ["<svg" + part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(drawings) >= 4
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).tag == "svg"


def test_what_comes_from_outside_is_escaped() -> None:
    made = results([0.05], proxy=HOSTILE)
    made.measurements[-1].recorder.errors[HOSTILE] = 1
    assert HOSTILE not in report.page(made)


@pytest.mark.parametrize("most", [0.0, 0.003, 1.0, 7.0, 12.5, 99.0, 100.0, 12345.0])
def test_axes_have_few_round_steps_that_reach_the_top(most: float) -> None:
    found = steps(most)
    assert found[0] == 0.0
    assert found[-1] >= most
    assert 2 <= len(found) <= 7
