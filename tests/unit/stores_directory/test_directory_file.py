"""The directory's file between its writer and its readers: whole changes, and exactly those."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.base.secret import fingerprint
from proxy.core.quota import Scope
from proxy.stores.directory import writer as writer_module
from proxy.stores.directory.file import KEPT_CHANGES, Unusable, in_folder
from proxy.stores.directory.reader import DirectoryReader, ScopeRow
from proxy.stores.directory.writer import DirectoryWriter
from tests.unit.stores_directory.directory_cases import (
    SOURCE,
    batch,
    built,
    changes,
    deleted,
    key,
    rebuild,
    scope,
)

UNTIL = datetime(2031, 5, 1, tzinfo=UTC)


def reader_of(folder: Path, source: str = SOURCE) -> DirectoryReader:
    return DirectoryReader(in_folder(folder), source)


def names(reader: DirectoryReader, *secrets: str) -> list[str | None]:
    """The ids that keys lead to."""
    rows = reader.keys([fingerprint(secret) for secret in secrets])
    return [row.id if row is not None else None for row in rows.values()]


def test_a_directory_is_read_as_it_was_written(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada", team="red"), scope("team", "red", rpm=5), seq=7)
    reader = reader_of(tmp_path)
    news = reader.look()
    assert news is not None and news.everything
    assert news.scopes == {Scope("team", "red"): ScopeRow(b'{"rpm":5}', deleted=False)}
    (row,) = reader.keys([fingerprint("ada")]).values()
    assert row == ("key_ada", b'{"name":"ada","team":"red"}', None)
    assert names(reader, "eve") == [None]
    assert writer.position() == 7
    assert reader.look() is None
    reader.close()
    writer.close()


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    built(tmp_path, key("ada")).close()
    assert in_folder(tmp_path).stat().st_mode & 0o077 == 0


def test_news_are_what_changed_and_nothing_else(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"), key("bob"), scope("team", "red", rpm=5), seq=3)
    reader = reader_of(tmp_path)
    reader.look()
    writer.apply(changes(5, key("bob", team="blue"), scope("team", "red", rpm=6)))
    news = reader.look()
    assert news is not None and not news.everything
    assert news.keys == {"key_bob"}
    assert news.hashes == {fingerprint("bob")}
    assert news.scopes == {Scope("team", "red"): ScopeRow(b'{"rpm":6}', deleted=False)}
    assert writer.position() == 5
    reader.close()
    writer.close()


def test_a_deleted_key_leads_nowhere(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"), key("bob"))
    reader = reader_of(tmp_path)
    reader.look()
    writer.apply(changes(2, deleted(key("ada"), 2)))
    assert names(reader, "ada", "bob") == [None, "key_bob"]
    reader.close()
    writer.close()


def test_both_keys_of_a_rotation_lead_to_the_same(tmp_path: Path) -> None:
    old = key("ada", secret="old")
    writer = built(tmp_path, old)
    turned = replace(key("ada", secret="new"), old_hash=fingerprint("old"), old_until=UNTIL, seq=2)
    writer.apply(changes(2, turned))
    reader = reader_of(tmp_path)
    reader.look()
    rows = reader.keys([fingerprint("old"), fingerprint("new")]).values()
    assert [row and row.until for row in rows] == [UNTIL.timestamp(), None]
    assert names(reader, "old", "new") == ["key_ada", "key_ada"]
    writer.apply(changes(3, replace(turned, hash=fingerprint("third"), old_hash=None)))
    assert names(reader, "old", "new", "third") == [None, None, "key_ada"]
    reader.close()
    writer.close()


def test_a_living_key_is_never_taken_for_the_former_one_of_another(tmp_path: Path) -> None:
    former = replace(key("ada", secret="a"), old_hash=fingerprint("b"), old_until=UNTIL)
    writer = built(tmp_path, key("bob", secret="b"), former)
    reader = reader_of(tmp_path)
    reader.look()
    assert names(reader, "b") == ["key_bob"]
    reader.close()
    writer.close()


def test_a_hash_may_go_from_one_key_to_another_in_one_change(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada", secret="s"))
    writer.apply(changes(3, key("bob", secret="s", seq=3), deleted(key("ada", secret="s"), 2)))
    reader = reader_of(tmp_path)
    reader.look()
    assert names(reader, "s") == ["key_bob"]
    reader.close()
    writer.close()


def test_a_scope_that_keys_may_name_is_remembered_when_it_is_deleted(tmp_path: Path) -> None:
    writer = built(tmp_path, scope("team", "red", rpm=5), scope("customer", "c", rpm=5))
    reader = reader_of(tmp_path)
    reader.look()
    gone = (
        replace(scope("team", "red", rpm=5), deleted=UNTIL),
        replace(scope("customer", "c", rpm=5), deleted=UNTIL),
    )
    writer.apply(changes(2, *gone))
    news = reader.look()
    assert news is not None
    red = news.scopes[Scope("team", "red")]
    assert red is not None and red.deleted
    assert news.scopes[Scope("customer", "c")] is None
    reader.close()
    writer.close()


def test_readers_see_the_old_directory_until_the_new_one_is_whole(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"))
    reader = reader_of(tmp_path)
    reader.look()
    writer.begin()
    writer.add(batch(key("bob")))
    assert reader.look() is None
    assert names(reader, "ada", "bob") == ["key_ada", None]
    writer.finish(9)
    news = reader.look()
    assert news is not None and news.everything
    assert names(reader, "ada", "bob") == [None, "key_bob"]
    reader.close()
    writer.close()


def test_a_rebuild_that_was_given_up_leaves_all_as_it_was(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"), seq=4)
    writer.begin()
    writer.add(batch(key("bob")))
    writer.give_up()
    assert writer.position() == 4
    reader = reader_of(tmp_path)
    reader.look()
    assert names(reader, "ada", "bob") == ["key_ada", None]
    reader.close()
    writer.close()


def test_a_directory_that_was_never_whole_says_nothing(tmp_path: Path) -> None:
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    assert writer.position() is None
    writer.begin()
    writer.add(batch(key("ada")))
    reader = reader_of(tmp_path)
    with pytest.raises(Unusable, match="not finished"):
        reader.look()
    with pytest.raises(Unusable, match="not finished"):
        reader.keys([fingerprint("ada")])
    writer.finish(1)
    news = reader.look()
    assert news is not None and news.everything
    reader.close()
    writer.close()


def test_keys_of_another_store_are_none_of_ours(tmp_path: Path) -> None:
    built(tmp_path, key("ada")).close()
    reader = reader_of(tmp_path, "another")
    with pytest.raises(Unusable, match="not finished"):
        reader.look()
    reader.close()
    other = DirectoryWriter(in_folder(tmp_path), "another")
    assert other.position() is None
    rebuild(other, key("bob"), seq=2)
    assert reader.look() is not None
    assert names(reader, "ada", "bob") == [None, "key_bob"]
    reader.close()
    other.close()


def test_it_opens_again_where_it_was(tmp_path: Path) -> None:
    built(tmp_path, key("ada"), seq=11).close()
    writer = DirectoryWriter(in_folder(tmp_path), SOURCE)
    assert writer.position() == 11
    writer.close()


def test_whoever_was_away_too_long_reads_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "KEPT_CHANGES", 3)
    writer = built(tmp_path, key("ada"))
    late, timely = reader_of(tmp_path), reader_of(tmp_path)
    late.look()
    for seq in range(2, 6):
        timely.look()
        writer.apply(changes(seq, key(f"k{seq}")))
    news = timely.look()
    assert news is not None and not news.everything and news.keys == {"key_k5"}
    news = late.look()
    assert news is not None and news.everything
    timely.close()
    late.close()
    writer.close()


def test_changes_do_not_pile_up(tmp_path: Path) -> None:
    writer = built(tmp_path)
    for start in range(0, KEPT_CHANGES + 500, 500):
        writer.apply(changes(start + 500, *(key(f"k{start + n}") for n in range(500))))
    writer.close()
    connection = sqlite3.connect(in_folder(tmp_path))
    assert connection.execute("SELECT count(*) FROM changes").fetchone() == (KEPT_CHANGES,)
    connection.close()


def test_asking_the_store_in_vain_is_no_news(tmp_path: Path) -> None:
    writer = built(tmp_path, key("ada"))
    reader = reader_of(tmp_path)
    reader.look()
    writer.asked()
    assert reader.look() is None
    reader.close()
    writer.close()
