"""Peers: what was set up is not fetched again, and one that cannot be had is told, not measured."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.children import ChildFailed
from bench.harness import peers, peers_setup
from bench.harness.run import Target
from bench.measure import cores

VENDOR = Target("direct", "http://127.0.0.1:9/v1", "sk-bench")


def set_up(folder: Path, name: str) -> Path:
    """As if it had been fetched."""
    place = folder / name
    place.mkdir()
    (place / ".set-up").write_text("1.2.3\n")
    return place


@pytest.mark.parametrize("name", peers_setup.NAMES)
def test_what_is_there_is_used_as_it_is(tmp_path: Path, name: str) -> None:
    set_up(tmp_path, name)
    assert peers_setup.set_up(name, tmp_path) == "1.2.3"


def test_one_that_does_not_start_is_told(tmp_path: Path) -> None:
    fetched, work = tmp_path / "fetched", tmp_path / "work"
    fetched.mkdir()
    work.mkdir()
    binary = set_up(fetched, "nginx") / "nginx"
    binary.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    binary.chmod(0o755)
    with (
        ExitStack() as stack,
        pytest.raises(ChildFailed, match="nginx: ended with 3\nout of order"),
    ):
        peers.start(stack, "nginx", fetched, VENDOR, cores=cores(), folder=work)
    assert "server 127.0.0.1:9;" in (work / "nginx/nginx.conf").read_text()
