"""Goals are judged from medians and ratios, and one miss is a miss."""

from bench import goals, scenarios, table


def chat(cpu: float, wrong: float = 0) -> scenarios.Numbers:
    return {"cpu_us": cpu, "wrong": wrong}


def held(streams: float = scenarios.HELD_STREAMS, broken: float = 0) -> scenarios.Numbers:
    return {"held": streams, "whole": streams, "broken": broken, "wrong": broken}


def missed(results: goals.Results) -> list[str]:
    return [verdict.name for verdict in goals.judge(results) if not verdict.reached]


def test_ratio_is_of_medians_in_the_same_run() -> None:
    bare = [chat(100), chat(100), chat(1000)]
    assert not missed({"chat": {"baseline": bare, "proxy": [chat(59), chat(60), chat(300)]}})
    assert missed({"chat": {"baseline": bare, "proxy": [chat(59), chat(61), chat(61)]}}) == [
        "CPU per request"
    ]


def chunk(cpu: float, joined: float = 1.0) -> scenarios.Numbers:
    return {"cpu_us": cpu, "chunks_per_read": joined, "wrong": 0}


def test_runs_with_joined_chunks_are_not_compared() -> None:
    bare = [chunk(20), chunk(10, joined=2.0), chunk(20)]
    assert not missed({"chunks": {"baseline": bare, "proxy": [chunk(15), chunk(15), chunk(15)]}})
    late = [chunk(2, joined=1.5)] * 3
    assert missed({"chunks": {"baseline": bare, "proxy": late}}) == ["CPU per streamed chunk"]


def test_one_stream_less_in_one_run_is_a_miss() -> None:
    assert not missed({"held": {"proxy": [held(), held()]}})
    assert missed({"held": {"proxy": [held(), held(streams=1999)]}}) == ["concurrent paced streams"]
    assert "concurrent paced streams" in missed({"held": {"proxy": [held(broken=1), held()]}})


def test_start_and_memory_have_limits() -> None:
    good = {"start_s": 1.2, "rss_mb": 79.0, "pss_mb": 60.0}
    assert not missed({"cold": {"proxy": [good]}})
    assert missed({"cold": {"proxy": [{**good, "start_s": 1.6}]}}) == ["cold start to first answer"]
    assert missed({"cold": {"proxy": [{**good, "rss_mb": 81.0}]}}) == ["idle worker, RSS"]


def test_a_wrong_answer_anywhere_is_a_miss() -> None:
    assert missed({"chat": {"direct": [chat(5, wrong=1)]}}) == ["wrong answers, all runs"]


def test_tables_show_medians_ranges_and_misses() -> None:
    results = {"chat": {"baseline": [chat(100), chat(110), chat(130)], "proxy": [chat(70)] * 3}}
    shown = table.numbers_table(results)
    assert "110 (100-130)" in shown
    assert shown.splitlines()[0].split() == ["baseline", "proxy"]
    assert "MISSED" in table.goals_table(goals.judge(results))
