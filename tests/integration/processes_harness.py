"""A real `llm-proxy serve` in its own process, its log line by line, its children by name.

Waits on log lines and on the ends of processes, never on time. The environment is empty but for the
path of the source, so nothing of the machine (keys, proxies, LLM_PROXY_ENV) gets into a test.
"""

import http.client
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proxy.base.clock import monotonic
from proxy.base.jsonio import dumps, loads

SOURCE = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
READY = r"llm-proxy \S+ ready on http://(\S+):(\d+)/v1 \(config ([0-9a-f]+), (\d+) workers?\)"


def configuration(
    *models: str, workers: int = 1, drain: str = "10s", delay: str = "1ms", port: int = 0
) -> str:
    """A configuration of the demo provider that serves `models`."""
    rows = "\n".join(
        f"  {model}: {{targets: [{{provider: demo, model: demo-1}}]}}" for model in models
    )
    return f"""\
listen: 127.0.0.1:{port}
workers: {workers}
drain: {drain}
auth: none
store: postgresql://localhost:1/none
store_failure: {{budgets: local}}
admin: {{listen: "localhost:0"}}
telemetry: {{log: {{format: text}}}}
providers:
  demo: {{kind: demo, delay: {delay}}}
models:
{rows}
"""


CHAT = "/v1/chat/completions"
CHAT_HEADERS = {"content-type": "application/json", "connection": "close"}


def chat_body(model: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    return dumps({"model": model, "stream": stream, "messages": messages})


def command_line(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "proxy.cli.main", *map(str, arguments)]


ENVIRONMENT = {"PYTHONPATH": str(SOURCE)}


def run_command(*arguments: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command_line(*arguments),
        cwd=directory,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Serving:
    """A running proxy."""

    def __init__(self, config: Path, arguments: Sequence[str] = (), through: str = "") -> None:
        interpreter, *command = command_line("serve", "--config", config, *arguments)
        wrapper = ["-c", through] if through else []
        self._process = subprocess.Popen(
            [interpreter, *wrapper, *command],
            cwd=config.parent,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._grew = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.host = ""
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._grew:
                self._lines.append(line.rstrip("\n"))
                self._grew.notify_all()

    def mark(self) -> int:
        """The place in the log from which a later `saw` is to look."""
        with self._grew:
            return len(self._lines)

    def log(self) -> str:
        with self._grew:
            return "\n".join(self._lines)

    def saw(self, pattern: str, since: int = 0) -> re.Match[str]:
        """The first line from `since` on that matches; waits for it."""
        end = monotonic() + PATIENCE
        with self._grew:
            while True:
                for line in self._lines[since:]:
                    if match := re.search(pattern, line):
                        return match
                since = len(self._lines)
                if not self._grew.wait(end - monotonic()):
                    raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self._lines))

    def ready(self) -> re.Match[str]:
        line = self.saw(READY)
        self.host, self.port = line[1].strip("[]"), int(line[2])
        return line

    def children(self) -> dict[str, int]:
        """Name → pid of each child that runs (a zombie does not)."""
        named = {}
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        for pid in listed.split():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended meanwhile.
            if "--name" in words:
                named[words[words.index("--name") + 1]] = int(pid)
        return named

    def first_output(self) -> str:
        """The first line on stdout."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def output(self) -> str:
        """All that is left on stdout; to be asked when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read()

    def end_input(self) -> None:
        """Close stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """The exit code; waits for it, and for the last line of the log."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def models(self) -> set[str]:
        """What the proxy says it serves, over a connection of its own."""
        connection = self.connect()
        try:
            connection.request("GET", "/v1/models")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return {model["id"] for model in loads(body)["data"]}
        finally:
            connection.close()

    def chat(self, model: str, *, stream: bool) -> http.client.HTTPResponse:
        """The head of an answer; the connection closes with the answer."""
        connection = self.connect()
        try:
            connection.request("POST", CHAT, chat_body(model, stream=stream), CHAT_HEADERS)
            return connection.getresponse()
        except OSError:
            connection.close()
            raise

    def close(self) -> None:
        """End what a test left running."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()


@contextmanager
def serving(config: Path, arguments: Sequence[str] = (), through: str = "") -> Iterator[Serving]:
    """Serve `config` until the block ends; ready at its begin. `through`: Python code that is to
    run the rest of the command line."""
    with started(config, arguments, through) as proxy:
        proxy.ready()
        yield proxy


@contextmanager
def started(config: Path, arguments: Sequence[str] = (), through: str = "") -> Iterator[Serving]:
    """The same without waiting until it is ready, for what never is."""
    proxy = Serving(config, arguments, through)
    try:
        yield proxy
    finally:
        proxy.close()


def gone(pid: int, patience: float) -> bool:
    """Whether a process that is not our child has ended within `patience` seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return _readable(descriptor, patience)
    finally:
        os.close(descriptor)


def _readable(descriptor: int, patience: float) -> bool:
    return bool(select.select([descriptor], [], [], patience)[0])
