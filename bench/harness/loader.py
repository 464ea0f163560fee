"""A load process: reads its job from a file, makes the load, says how it goes and what it saw.

One line of JSON each half second with where it stands, then one with the whole report. The job is a
file that only its owner can read, because it holds a key and a command line can be seen by all.
Run by `bench/harness/run.py`: `python -m bench.harness.loader FILE`.
"""

import asyncio
import gc
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.harness.asks import Place, mock_model, prepare
from bench.harness.loops import ClosedLoop, Load, OpenLoop, Times
from bench.harness.recorder import Recorder
from bench.harness.scenarios import Scenario, Shape
from bench.measure import raise_file_limit
from proxy.base.jsonio import dumps, loads
from proxy.base.tasks import Tasks

_EACH = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What one load process has to do."""

    url: str
    key: str
    model: str | None
    scenario: Scenario
    times: Times
    seed: int = 1
    verify: bool = True
    prefix: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Job":
        row = given["scenario"]
        shape = Shape(**row["shape"])
        names = {name: tuple(row[name]) for name in ("of", "once")}
        scenario = Scenario(**{**row, **names, "shape": shape})
        return cls(**{**given, "scenario": scenario, "times": Times(**given["times"])})


def load_of(job: Job, recorder: Recorder) -> Load:
    """The loop that the job wants; made inside the event loop."""
    scenario = job.scenario
    place = Place.of(job.url, verify=job.verify)
    model = job.model or mock_model(scenario)
    ask = prepare(scenario, place, job.key, job.prefix + model, job.headers)
    if scenario.shape.rate is None:
        return ClosedLoop(place, ask, recorder, job.times, scenario.shape)
    return OpenLoop(place, ask, recorder, job.times, scenario.shape, job.seed)


async def run(job: Job) -> Recorder:
    """Make the load, and say how it goes."""
    recorder = Recorder()
    load = load_of(job, recorder)
    tasks = Tasks()
    _ = tasks.spawn(_tell(recorder), name="progress")
    gc.freeze()
    await load.run()
    await tasks.cancel()
    return recorder


async def _tell(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_EACH)
        _say({"progress": recorder.progress()})


def _say(line: dict[str, Any]) -> None:
    print(dumps(line).decode(), flush=True)


def main() -> None:
    raise_file_limit()
    job = Job.from_json(loads(Path(sys.argv[1]).read_bytes()))
    _say({"report": uvloop.run(run(job)).as_json()})


if __name__ == "__main__":
    main()
