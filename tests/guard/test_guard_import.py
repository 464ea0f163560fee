"""No import does work: every module, before any other of its floor, with warnings as errors.

Watched with an audit hook (PEP 578): files opened by our own code while it is being imported,
sockets, processes, threads. What third-party libraries read when they are loaded is theirs. One
interpreter climbs the floors from the lowest: each module is imported in a copy of it that has the
floors below and nothing else, as no circle crosses floors (test_guard_floors.py). To execute what
lies below anew for each module takes ten times as long.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.guard.floors import HEIGHT
from tests.guard.source_tree import PACKAGE, ROOT, imports, sources

PATIENCE = 170
"""Seconds for one interpreter, on a machine that does much else."""

IMPORT_BUDGET = 0.150
"""Seconds of processor time for `import proxy.core.life`, the heart of the data plane."""

_WATCH = """
import sys, threading

ALWAYS = ("socket.__new__", "socket.connect", "socket.bind")
WHOEVER = ("subprocess.Popen", "os.fork", "os.posix_spawn")

def ours(frame):
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib") or "site-packages" in name:
            return None
        if name.startswith({package!r}):
            return f"{{name}}:{{frame.f_lineno}}"
        frame = frame.f_back
    return None

def watch(event, arguments):
    if event in WHOEVER:
        print(event, arguments[:1])
    elif (event in ALWAYS or event == "open") and (place := ours(sys._getframe(1))):
        print(event, arguments[:1], "by", place)

class Watched(threading.Thread):
    def start(self):
        print("a thread is started by", ours(sys._getframe(1)))
        super().start()

threading.Thread = Watched
"""

# Third-party libraries are loaded once. Nothing is collected: copies would write what they share.
_EACH = """
import gc, os
for library in {libraries!r}:
    __import__(library)
assert threading.active_count() == 1, threading.enumerate()
gc.disable()
for floor in sys.stdin:
    good = []
    for module in floor.split():
        if os.fork() == 0:
            sys.addaudithook(watch)
            __import__(module)
            sys.stdout.flush()
            os._exit(0)
        if os.wait()[1] == 0:
            good.append(module)
        else:
            print("cannot import", module, flush=True)
    for module in good:
        __import__(module)
"""


def _run(code: str, words: str = "") -> str:
    """What a fresh interpreter says when it runs `code`, `words` being its input."""
    done = subprocess.run(
        (sys.executable, "-W", "error", "-c", code),
        input=words,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE,
        env={"PATH": os.defpath, "HOME": str(ROOT / "no-such-home")},
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def _import_each(
    floors: Sequence[Sequence[str]], package: Path, libraries: Sequence[str] = ()
) -> str:
    """`floors`: modules, the lowest floor first."""
    code = _WATCH.format(package=str(package)) + f"sys.path.insert(0, {str(package.parent)!r})\n"
    words = "\n".join(" ".join(modules) for modules in floors)
    return _run(code + _EACH.format(libraries=tuple(libraries)), words)


def _floors() -> list[list[str]]:
    """All modules of the program; what no floor has, such as `proxy` itself, is on the top."""
    floors: dict[int, list[str]] = {}
    for source in sources("proxy"):
        package = source.module.removeprefix("proxy.").partition(".")[0]
        floors.setdefault(HEIGHT.get(package, 1), []).append(source.module)
    return [floors[height] for height in sorted(floors)]


@pytest.mark.timeout(180)
def test_importing_any_module_does_nothing() -> None:
    ours = (name for source in sources("proxy") for name, _ in imports(source))
    libraries = sorted({name.split(".")[0] for name in ours if name.split(".")[0] != "proxy"})
    assert _import_each(_floors(), PACKAGE, libraries) == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("from pathlib import Path\nPath(__file__).read_text()", "open"),
        ("import socket\nsocket.socket().close()", "socket.__new__"),
        ("import threading\nthreading.Thread(target=print).start()", "a thread is started"),
        ("import busy.nothing", "cannot import busy.bee"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        ("import warnings\nwarnings.warn('old', DeprecationWarning)", "DeprecationWarning"),
    ],
)
def test_work_at_import_is_found(tmp_path: Path, text: str, word: str) -> None:
    package = tmp_path / "busy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "bee.py").write_text(text + "\n")
    assert word in _import_each([["busy.bee"]], package)


def test_a_circle_that_one_order_hides_is_found(tmp_path: Path) -> None:
    package = tmp_path / "round"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "below.py").write_text("x = 1\n")
    (package / "two.py").write_text("from round.one import y\nfrom round.below import x\n")
    (package / "one.py").write_text("y = 1\nfrom round.two import x\n")
    said = _import_each([["round.below"], ["round.one", "round.two"]], package)
    assert "cannot import round.one" not in said
    assert "cannot import round.two" in said


def test_the_core_is_imported_quickly() -> None:
    code = "import time\nimport proxy.core.life\nprint(time.process_time())"
    assert min(float(_run(code)) for _ in range(5)) <= IMPORT_BUDGET


_STORES = {"asyncpg", "hiredis", "proxy.stores.postgres.cluster"}
_CONTROL = {
    "aiohttp",
    "watchfiles",
    "google.protobuf",
    "grpc",
    "proxy.control_plane",
    "proxy.admin",
}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("proxy.core.life", {"aiohttp", "pydantic", "yaml", "watchfiles", "httptools"}),
        ("proxy.cli.main", {"aiohttp", "pydantic", "yaml", "asyncio", "msgspec"}),
        ("proxy.processes.supervisor", {"aiohttp", "pydantic", "yaml", "watchfiles"}),
        ("proxy.config.load", {"aiohttp", "httptools", "uvloop"}),
        # Each process of `serve`, as it is before it knows what the configuration needs.
        ("proxy.processes.launch", {"asyncio", "logging", "pathlib"}),
        ("proxy.processes.worker", _STORES | _CONTROL | {"tiktoken", "proxy.demo"}),
        ("proxy.processes.control", _STORES | _CONTROL | {"httptools", "proxy.core.life"}),
        ("proxy.build.directory", _CONTROL | {"httptools", "proxy.core.life", "hiredis"}),
        ("proxy.build.balances_child", _CONTROL | {"pydantic", "hiredis", "proxy.core.life"}),
    ],
)
def test_what_is_not_needed_is_not_loaded(module: str, heavy: set[str]) -> None:
    loaded = _run(f"import sys, {module}\nprint(*sys.modules)").split()
    assert module in loaded
    assert heavy.isdisjoint(loaded)
