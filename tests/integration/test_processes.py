"""The processes as an operator sees them: started, killed, told to end."""

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.base.clock import monotonic
from tests.integration.processes_harness import (
    CHAT,
    CHAT_HEADERS,
    PATIENCE,
    Serving,
    chat_body,
    configuration,
    gone,
    serving,
    started,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(configuration("first"))
    return path


@pytest.fixture
def proxy(config: Path) -> Iterator[Serving]:
    with serving(config) as running:
        yield running


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # A file that it has closed meanwhile.
            if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry)):
                found.add(match[1])
    return found


def sockets_on(port: int, state: str) -> set[str]:
    """The inodes of TCP sockets on a local port: state 01 is established, 0A listening."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    return {row[9] for row in rows[1:] if row[1].endswith(f":{port:04X}") and row[3] == state}


def test_it_says_when_it_is_ready_and_then_answers(config: Path) -> None:
    with serving(config) as proxy:
        line = proxy.ready()
        assert line[4] == "1"
        assert proxy.models() == {"first"}
        answer = proxy.chat("first", stream=True)
        assert answer.status == 200
        assert answer.read().rstrip().endswith(b"data: [DONE]")
        children = proxy.children()
        assert set(children) == {"control", "worker-0"}
        proxy.saw("metrics and admin on")  # Control gives way when workers have what they need.
        nice = {name: os.getpriority(os.PRIO_PROCESS, pid) for name, pid in children.items()}
        assert nice["control"] > nice["worker-0"]  # Callers go first.
        keeps = Path(f"/proc/{children['worker-0']}/environ").read_bytes()
        assert b"MALLOC_TRIM_THRESHOLD_=" in keeps
        assert b"PATH=" in keeps  # And all that we have.


def test_a_killed_worker_is_replaced_within_a_second_and_no_new_connection_is_refused(
    config: Path,
) -> None:
    began = monotonic()
    with serving(config) as proxy:
        # A machine that is busy with other tests starts everything later, also this.
        kill_under_load(proxy, max(1.0, monotonic() - began))


def kill_under_load(proxy: Serving, within: float) -> None:
    enough = threading.Event()
    killed = threading.Event()
    outcomes: list[tuple[float, float, bool]] = []

    def load() -> None:
        while not enough.is_set():
            begun_after = killed.is_set()
            began = monotonic()
            try:
                with proxy.chat("first", stream=False) as answer:
                    good = answer.status == 200 and bool(answer.read())
            except OSError:
                good = False
            if begun_after:
                outcomes.append((began, monotonic(), good))
                if len(outcomes) > 40:
                    return

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        worker = proxy.children()["worker-0"]
        os.kill(worker, signal.SIGKILL)
        assert gone(worker, PATIENCE)
        moment = monotonic()
        killed.set()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        enough.set()
    assert outcomes
    assert all(good for _, _, good in outcomes)
    assert min(end for _, end, _ in outcomes) - moment < within
    proxy.saw(rf"worker-0 \(pid {worker}\) died: signal SIGKILL; starting it again now")


def test_a_worker_that_keeps_dying_is_started_ever_later(proxy: Serving) -> None:
    for delay in ("now", r"in 0\.1 s", r"in 0\.2 s"):
        mark = proxy.mark()
        os.kill(proxy.children()["worker-0"], signal.SIGKILL)
        proxy.saw(f"worker-0 .* starting it again {delay}", mark)
        proxy.saw(r"worker-0 \(pid \d+\) serves configuration", mark)
    assert proxy.models() == {"first"}


def test_without_control_traffic_goes_on_and_its_successor_reloads(
    proxy: Serving, config: Path
) -> None:
    mark = proxy.mark()
    os.kill(proxy.children()["control"], signal.SIGKILL)
    assert proxy.models() == {"first"}
    proxy.saw("control .* died: signal SIGKILL; starting it again now", mark)
    os.kill(proxy.children()["worker-0"], signal.SIGKILL)
    assert proxy.models() == {"first"}
    config.write_text(configuration("second"))
    proxy.saw("active in all workers", mark)
    assert proxy.models() == {"second"}


def test_a_worker_told_to_end_finishes_while_its_successor_serves(config: Path) -> None:
    config.write_text(configuration("first", delay="3s"))
    with serving(config) as proxy:
        worker = proxy.children()["worker-0"]
        connection = proxy.connect()
        connection.request("POST", CHAT, chat_body("first", stream=False), CHAT_HEADERS)
        proxy.models()  # Answered after the other arrived.
        os.kill(worker, signal.SIGTERM)
        proxy.saw(rf"worker-0 \(pid {worker}\) is leaving")
        assert proxy.models() == {"first"}
        with connection.getresponse() as answer:
            assert answer.status == 200
            assert answer.read().startswith(b'{"id"')
        drained = proxy.saw(rf"worker-0 \(pid {worker}\) has drained: exit code 0")
        successor = proxy.children()["worker-0"]
        assert successor != worker
        assert proxy.log().index(f"(pid {successor}) serves") < proxy.log().index(drained[0])


def test_told_to_end_it_finishes_what_is_in_flight_and_takes_nothing_new(config: Path) -> None:
    config.write_text(configuration("first", delay="150ms"))
    with serving(config) as proxy:
        answer = proxy.chat("first", stream=True)
        first = answer.readline()
        proxy.signal(signal.SIGTERM)
        proxy.saw("stopping")
        assert no_longer_accepts(proxy)
        assert "worker-0" in proxy.children()  # Refused while it still has something in flight.
        assert (first + answer.read()).rstrip().endswith(b"data: [DONE]")
        assert proxy.ended() == 0
        assert proxy.log().endswith("stopped")


def no_longer_accepts(proxy: Serving) -> bool:
    """Whether new connections come to be refused: the worker closes its socket in its own time."""
    end = monotonic() + PATIENCE
    while monotonic() < end:
        try:
            with socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE):
                continue
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            continue  # It waited in the queue of the socket that was closed.
    return False


def test_a_drain_takes_no_longer_than_it_may(config: Path) -> None:
    config.write_text(configuration("first", delay="60s", drain="300ms"))
    with serving(config) as proxy:
        connection = proxy.connect()
        connection.request("POST", CHAT, chat_body("first", stream=False), CHAT_HEADERS)
        proxy.models()  # Answered after the other arrived.
        began = monotonic()
        proxy.signal(signal.SIGTERM)
        assert proxy.ended() == 0
        assert 0.3 <= monotonic() - began < PATIENCE
        connection.close()


def test_idle_it_ends_at_once(proxy: Serving) -> None:
    kept_alive = proxy.connect()
    kept_alive.request("GET", "/v1/models")
    kept_alive.getresponse().read()
    proxy.signal(signal.SIGINT)
    began = monotonic()
    assert proxy.ended() == 0
    assert monotonic() - began < 5.0  # It would have 10 for requests in flight.
    kept_alive.close()


def test_all_processes_told_at_once_end_as_well(proxy: Serving) -> None:
    for pid in (*proxy.children().values(), proxy.pid):  # As systemd does unless told otherwise.
        os.kill(pid, signal.SIGTERM)
    assert proxy.ended() == 0


def test_a_second_interrupt_ends_it_whatever_is_in_flight(config: Path) -> None:
    config.write_text(configuration("first", delay="500ms", drain="60s"))
    with serving(config) as proxy:
        answer = proxy.chat("first", stream=True)
        answer.readline()
        children = proxy.children().values()
        proxy.signal(signal.SIGINT)
        proxy.saw("stopping")
        proxy.signal(signal.SIGINT)
        assert proxy.ended() == 1
        assert all(gone(pid, 0) for pid in children)


def test_without_its_supervisor_no_child_stays(proxy: Serving) -> None:
    children = proxy.children()
    assert len(children) == 2
    proxy.signal(signal.SIGKILL)
    assert all(gone(pid, 5) for pid in children.values())


def test_two_workers_share_the_port_and_both_serve(config: Path) -> None:
    config.write_text(configuration("first", workers=2))
    with serving(config) as proxy:
        assert proxy.ready()[4] == "2"
        connections = [proxy.connect() for _ in range(40)]
        for connection in connections:
            connection.request("GET", "/v1/models")
            assert connection.getresponse().read()
        children = proxy.children()
        for name in ("worker-0", "worker-1"):
            held = sockets_of(children[name])
            assert held & sockets_on(proxy.port, "01"), f"{name} serves nobody"
            assert len(held & sockets_on(proxy.port, "0A")) == 1
        for connection in connections:
            connection.close()


def test_a_child_holds_nothing_of_its_siblings(config: Path) -> None:
    config.write_text(configuration("first", workers=2))
    with serving(config) as proxy:
        children = proxy.children()
        held = {name: sockets_of(pid) for name, pid in children.items()}
        assert not held["worker-0"] & held["worker-1"]
        assert not held["control"] & (held["worker-0"] | held["worker-1"])
        assert not held["control"] & sockets_on(proxy.port, "0A")


def test_ipv6(config: Path) -> None:
    config.write_text(configuration("first").replace("127.0.0.1:0", '"[::1]:0"'))
    with serving(config) as proxy:
        assert proxy.host == "::1"
        assert proxy.models() == {"first"}


def test_a_worker_that_cannot_start_ends_everything_with_its_reason(
    proxy: Serving, config: Path
) -> None:
    config.write_text(configuration("first", port=proxy.port))
    with started(config) as second:
        assert second.ended() == 1
        assert second.log() == (f"cannot listen on 127.0.0.1:{proxy.port}: Address already in use")
    assert proxy.models() == {"first"}


ADOPT_AN_ORPHAN = """
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
if os.fork() == 0:
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        os.read(0, 1)
    os._exit(0)
os.wait()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_as_the_first_process_of_a_container_it_collects_orphans(config: Path) -> None:
    with serving(config, through=ADOPT_AN_ORPHAN) as proxy:
        orphan = Path(f"/proc/{proxy.first_output()}")
        assert orphan.exists()
        proxy.end_input()
        end = monotonic() + PATIENCE
        while orphan.exists() and monotonic() < end:
            threading.Event().wait(0.01)
        assert not orphan.exists()
        assert proxy.models() == {"first"}


def test_several_workers_share_the_port_the_early_one_too(config: Path) -> None:
    config.write_text(configuration("first", workers=3))
    with serving(config) as proxy:
        assert proxy.ready()[4] == "3"
        listening = sockets_on(proxy.port, "0A")
        children = proxy.children()
        workers = [pid for name, pid in children.items() if name.startswith("worker")]
        held = [sockets_of(pid) & listening for pid in workers]
        assert [len(each) for each in held] == [1, 1, 1]
        assert set.union(*held) == listening
        assert not sockets_of(children["control"]) & listening
