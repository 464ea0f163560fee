"""The directory's file: an SQLite database beside the spool, written by control, read by workers.

    state     one row, once all is in it: which store it is of, how far, when that was last asked
    keys      living keys: id → document
    hashes    SHA-256 of a key → id, and until when it works (the key before a rotation)
    scopes    what stands around teams, users ... ; also deleted teams, users and projects
    changes   what changed, numbered; the newest `KEPT_CHANGES` of them

A write-ahead log lets workers read while control writes; each sees whole changes only. Nothing here
is the truth: a file that is absent, broken or of another version is made anew from the store.
"""

import os
import sqlite3
from pathlib import Path

APPLICATION = 0x6C6C6D70  # llmp
VERSION = 1
KEPT_CHANGES = 10_000
KEYS_NAME = frozenset(("team", "user", "project"))
"""Kinds of scopes that a key or token names: with one that is deleted, it is refused."""
A_KEY = "#key"
"""The kind of a change of a key; all others are kinds of scopes, and one more."""
EVERYTHING = "#everything"
"""The kind of a change after which nothing that was known holds."""

TABLES = """
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), source TEXT NOT NULL,
    seq INTEGER NOT NULL, contact REAL NOT NULL);
CREATE TABLE keys (id TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE hashes (hash BLOB PRIMARY KEY, id TEXT NOT NULL, until REAL) WITHOUT ROWID;
CREATE INDEX hashes_id ON hashes (id);
CREATE TABLE scopes (kind TEXT NOT NULL, name TEXT NOT NULL, document BLOB NOT NULL,
    deleted INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,
    name TEXT NOT NULL);
"""

_BROKEN = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


class Unusable(Exception):
    """The file cannot be read or written now, or says nothing yet."""


def in_folder(data_dir: Path) -> Path:
    """Where the directory lies."""
    return data_dir / "directory.db"


def broken_mark(path: Path) -> Path:
    """What a worker leaves beside a file that it found broken, for control to make it anew."""
    return path.with_suffix(".broken")


def identity(path: Path) -> tuple[int, int]:
    """Tells this file from another that takes its place. Raises OSError where there is none."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file itself is to blame, so that trying again cannot help."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BROKEN


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether it is a directory, and of this version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(application == APPLICATION and version == VERSION)
