"""`llm-proxy bench` as people run it: against a server, to a table, a file and a page."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from openai import AsyncOpenAI

from bench import answers, vendor
from bench.harness.results import read
from bench.ordered import Faults

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionToolParam


async def bench(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run it in another folder than the project's."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli.main", "bench", *arguments,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), complaints.decode()


def address(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_a_server_is_measured_beside_another(tmp_path: Path) -> None:
    server = await vendor.start()
    async with server:
        status, out, complaints = await bench(
            tmp_path, "--url", address(server), "--direct", address(server), "--key", "sk-hidden",
            "--scenario", "chat", "--scenario", "stream", "--connections", "4", "--plan", "5x1",
            "--duration", "500ms", "--warmup", "50ms", "--processes", "2",
            "--json", "a.json", "--report", "a.html", "--picture", "a.svg",
        )  # fmt: skip
    assert status == 0, complaints
    assert "+p99" in out
    assert "goals" not in out  # They are of our own servers.
    assert (tmp_path / "a.svg").read_text().endswith("</svg>\n")
    found = read(tmp_path / "a.json")
    assert [(one.scenario, one.target) for one in found.measurements] == [
        ("chat", "direct"), ("chat", "url"), ("stream", "direct"), ("stream", "url"),
    ]  # fmt: skip
    for one in found.measurements:
        assert one.figures["requests_per_second"] > 0
        assert one.recorder.errors == {}
    assert found.of("stream", "url")[0].figures["chunks_per_second"] > 0
    page = (tmp_path / "a.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "sk-hidden" not in page + (tmp_path / "a.json").read_text() + out


async def test_what_a_vendor_gets_wrong_is_found(tmp_path: Path) -> None:
    server = await vendor.start(faults=Faults(errors=0.1, cuts=0.1))
    async with server:
        status, out, _ = await bench(
            tmp_path, "--url", address(server), "--scenario", "stream", "--rate", "200",
            "--plan", "5x1", "--duration", "500ms", "--warmup", "50ms", "--json", "a.json",
        )  # fmt: skip
    assert status == 1
    assert "wrong answers:" in out
    [one] = read(tmp_path / "a.json").measurements
    errors = one.recorder.errors
    assert {"status_500", "cut"} <= set(errors)
    assert one.figures["broken"] == errors.total() > 5


async def test_a_server_is_started_anew_and_goals_end_the_tale(tmp_path: Path) -> None:
    status, out, complaints = await bench(
        tmp_path, "--targets", "bare", "--scenario", "cold", "--repeat", "1", "--json", "a.json"
    )
    assert status == 0, complaints
    [one] = read(tmp_path / "a.json").measurements
    assert 0.05 < one.figures["start_s"] < 20
    assert 10 < one.figures["idle_mb"] <= one.figures["worker_mb"]
    assert one.recorder.sent == one.recorder.answers == 100
    assert "cpu_us" not in one.figures
    assert "0 of 0 goals reached" in out.splitlines()[-2]


async def test_a_goal_that_is_missed_fails_where_that_is_asked(tmp_path: Path) -> None:
    limit = "[[budget]]\nscenario='chat'\nfigure='requests_per_second'\nof='url'\n"
    (tmp_path / "b.toml").write_text(f"{limit}least=1\n{limit}least=1e9\n")
    server = await vendor.start()
    async with server:
        status, out, _ = await bench(
            tmp_path, "--url", address(server), "--scenario", "chat", "--connections", "2",
            "--duration", "500ms", "--warmup", "50ms", "--budgets", "b.toml",
        )  # fmt: skip
    assert status == 1
    assert "1 of 2 goals reached, 1 missed" in out


async def test_what_cannot_be_run_says_so(tmp_path: Path) -> None:
    status, _, complaints = await bench(tmp_path, "--url", "nonsense")
    assert status == 2
    assert "nonsense is no http(s) URL" in complaints


async def test_a_run_without_a_measurement_says_what_it_is_for(tmp_path: Path) -> None:
    status, out, complaints = await bench(tmp_path, "--scenario", "flood", "--targets", "bare")
    assert (status, out) == (2, "")
    assert "nothing to measure: no target of this run is one for flood (direct)" in complaints


async def test_sdk_reads_tools_embeddings_and_large_chunks() -> None:
    server = await vendor.start()
    async with server, AsyncOpenAI(base_url=address(server), api_key="sk", max_retries=0) as client:
        vectors = await client.embeddings.create(model="m", input="hi", encoding_format="float")
        assert len(vectors.data[0].embedding) == 1536
        tool: ChatCompletionToolParam = {"type": "function", "function": {"name": "plan_steps"}}
        stream = await client.chat.completions.create(
            model="bench-stream-3x0b100",
            messages=[{"role": "user", "content": "hi"}],
            tools=[tool],
            stream=True,
        )
        calls = [
            call async for chunk in stream for call in (chunk.choices[0].delta.tool_calls or ())
        ]
        assert calls[0].function is not None
        assert calls[0].function.name == "plan_steps"
        said = "".join(call.function.arguments or "" for call in calls if call.function)
        assert said.replace("." * 100, "") == '{"steps":"000000 000001 000002 "}'


def test_faults_come_in_their_shares() -> None:
    faults = Faults(errors=0.25, cuts=0.125)
    kinds = [order.kind for _ in range(800) if (order := faults.next()) is not None]
    assert kinds.count(b"error") == 200
    assert kinds.count(b"cut") in (99, 100)  # One that fell due with an error comes after it.


def test_a_plan_may_ask_for_larger_chunks() -> None:
    plan = answers.read_plan(b"5x10-20b400")
    assert plan == answers.Plan(5, 0.01, 0.02, 400)
    [frame] = answers.Frames().up_to(1, more=400)
    assert len(frame) > 600
