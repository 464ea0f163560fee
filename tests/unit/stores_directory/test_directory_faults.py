"""A directory that is absent, broken, deleted, of another version, or whose writer was killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.base.secret import fingerprint
from proxy.stores.directory.file import Unusable, broken_mark, in_folder
from proxy.stores.directory.reader import DirectoryReader
from proxy.stores.directory.writer import DirectoryWriter
from tests.unit.stores_directory.directory_cases import SOURCE, built, changes, key, rebuild

ROOT = Path(__file__).resolve().parents[3]

_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from tests.unit.stores_directory.directory_cases import built, changes, key
writer = built(Path(sys.argv[1]), key("first"))
for seq in range(2, 10**6):
    writer.apply(changes(seq, *(key(f"k{seq}-{n}") for n in range(20))))
    print(seq, flush=True)
"""
_REBUILD_AND_WAIT = """
import sys
from pathlib import Path
from tests.unit.stores_directory.directory_cases import batch, built, key
writer = built(Path(sys.argv[1]), key("first"))
writer.begin()
for page in range(40):
    writer.add(batch(*(key(f"k{page}-{n}", metadata={"x": "y" * 500}) for n in range(250))))
print("half", flush=True)
sys.stdin.read()
"""


def names(reader: DirectoryReader, *secrets: str) -> list[str | None]:
    rows = reader.keys([fingerprint(secret) for secret in secrets])
    return [row.id if row is not None else None for row in rows.values()]


def test_an_absent_directory_is_waited_for(tmp_path: Path) -> None:
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    with pytest.raises(Unusable, match="not begun"):
        reader.look()
    assert not in_folder(tmp_path).exists()
    writer = built(tmp_path, key("ada"))
    assert reader.look() is not None
    assert names(reader, "ada") == ["key_ada"]
    reader.close()
    writer.close()


def test_one_that_was_deleted_is_built_again(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"))
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    reader.look()
    in_folder(tmp_path).unlink()
    with pytest.raises(Unusable, match="not begun"):
        reader.look()
    assert writer.position() is None
    rebuild(writer, key("bob"), seq=5)
    assert reader.look() is not None
    assert names(reader, "ada", "bob") == [None, "key_bob"]
    reader.close()
    writer.close()


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"\0" * 8192])
def test_garbage_in_its_place_is_replaced(tmp_path: Path, content: bytes) -> None:
    in_folder(tmp_path).write_bytes(content)
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    with pytest.raises(Unusable):
        reader.look()
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    assert writer.position() is None
    rebuild(writer, key("ada"), seq=1)
    assert reader.look() is not None
    assert names(reader, "ada") == ["key_ada"]
    reader.close()
    writer.close()


def test_what_a_worker_finds_broken_control_makes_anew(tmp_path: Path) -> None:
    path = in_folder(tmp_path)
    built(tmp_path, *(key(f"k{n}") for n in range(2000))).close()
    writer = DirectoryWriter(path, SOURCE)
    reader = DirectoryReader(path, SOURCE)
    reader.look()
    writer.position()
    with path.open("r+b") as file:  # All pages but the first: their heads are nonsense.
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(Unusable, match="malformed"):
        # Pages that were read before are in memory.
        for n in range(2000):
            names(reader, f"k{n}")
    assert broken_mark(path).exists()
    assert writer.position() is None
    rebuild(writer, key("ada"), seq=1)
    assert not broken_mark(path).exists()
    assert reader.look() is not None
    assert names(reader, "ada") == ["key_ada"]
    reader.close()
    writer.close()


def test_one_of_another_version_is_replaced(tmp_path: Path) -> None:
    built(tmp_path, key("ada")).close()
    connection = sqlite3.connect(in_folder(tmp_path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    with pytest.raises(Unusable, match="not finished"):
        reader.look()
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    assert writer.position() is None
    rebuild(writer, key("bob"), seq=1)
    assert reader.look() is not None
    assert names(reader, "ada", "bob") == [None, "key_bob"]
    reader.close()
    writer.close()


def test_a_folder_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = DirectoryWriter(in_folder(tmp_path / "file"), SOURCE)
    with pytest.raises(Unusable, match=r"directory\.db"):
        writer.position()


def test_one_that_is_locked_is_tried_again(tmp_path: Path) -> None:
    built(tmp_path, key("ada")).close()
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE, patience=0.05)
    other = sqlite3.connect(in_folder(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unusable, match="locked"):
        writer.apply(changes(2, key("bob")))
    other.close()
    assert writer.position() == 1
    writer.apply(changes(2, key("bob")))
    assert writer.position() == 2
    writer.close()


def run(code: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill(process: "subprocess.Popen[str]") -> str:
    os.kill(process.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=10)
    return output


def test_control_killed_while_it_writes_leaves_whole_changes(tmp_path: Path) -> None:
    process = run(_WRITE_FOR_EVER, tmp_path)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)][-1]
    kill(process)
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    last = writer.position()
    assert last is not None and last >= told
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    reader.look()
    assert None not in names(reader, *(f"k{last}-{n}" for n in range(20)))
    assert set(names(reader, *(f"k{last + 1}-{n}" for n in range(20)))) == {None}
    reader.close()
    writer.close()


def test_control_killed_while_it_builds_leaves_what_was(tmp_path: Path) -> None:
    process = run(_REBUILD_AND_WAIT, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    reader = DirectoryReader(in_folder(tmp_path), SOURCE)
    reader.look()
    assert names(reader, "first", "k0-0") == ["key_first", None]
    kill(process)
    assert names(reader, "first", "k0-0") == ["key_first", None]
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    assert writer.position() == 1
    rebuild(writer, key("ada"), seq=2)
    assert reader.look() is not None
    assert names(reader, "first", "ada") == [None, "key_ada"]
    reader.close()
    writer.close()
