"""Results in SQLite, one transaction a finished match: what is finished is never lost."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from arena.errors import ArenaError, one_line
from arena.records import (
    BoardTerms,
    Checkpoint,
    Diagnostics,
    Entry,
    Figure,
    FloorTerms,
    Goal,
    Record,
    Results,
    Status,
)

FILE = "results.sqlite"
SCHEMA = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS matches (
    match TEXT, terms TEXT, build TEXT, status TEXT NOT NULL, reason TEXT NOT NULL,
    queries INTEGER NOT NULL, calls INTEGER NOT NULL, utility REAL,
    final TEXT NOT NULL, floor TEXT, seeds TEXT NOT NULL,
    PRIMARY KEY (match, terms, build)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS curves (
    match TEXT, terms TEXT, build TEXT, checkpoint INTEGER,
    queries INTEGER NOT NULL, calls INTEGER NOT NULL, value REAL, second_half REAL,
    PRIMARY KEY (match, terms, build, checkpoint)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS diagnostics (
    match TEXT, terms TEXT, build TEXT, seconds REAL, peak_memory REAL, traceback TEXT,
    output TEXT, unenforced TEXT,
    PRIMARY KEY (match, terms, build)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    match TEXT, terms TEXT, build TEXT, versions TEXT NOT NULL,
    PRIMARY KEY (match, terms, build)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lineup (
    position INTEGER PRIMARY KEY, match TEXT, terms TEXT, build TEXT,
    target TEXT, defense TEXT, attack TEXT, repetition INTEGER, skipped TEXT, baseline INTEGER,
    specification TEXT);
CREATE TABLE IF NOT EXISTS tournament (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""

_MENDS = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and run again, what is finished is stored",
    sqlite3.SQLITE_READONLY: "it may only be read; choose another folder by --out",
    sqlite3.SQLITE_BUSY: "another program holds it; close that and run again",
}
"""What to say of SQLite's errors, by their code."""

Key = tuple[str, str, str]
"""Match, terms, build: what a record is stored under."""


def key_of(record: Record) -> Key:
    """Return what a record is stored under."""
    return record.match, record.terms, record.build


class Store:
    """The results of one folder."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    @classmethod
    @contextmanager
    def open(cls, folder: Path, create: bool = False) -> Iterator[Store]:
        """Open the store of a folder, alone when it is to be written.

        Args:
            folder: where the results lie.
            create: whether to make it, and to hold it against other runs.

        Raises:
            ArenaError: there is none, it cannot be read or written, it is from a newer version,
                or another run holds it.
        """
        path = folder / FILE
        if not create and not path.is_file():
            raise ArenaError(f"{folder} holds no results; play a tournament with --out {folder}")
        try:
            with _locked(folder) if create else nullcontext():
                db = _connect(path)
                try:
                    cls._prepare(db, path, create)
                    yield cls(db, path)
                finally:
                    db.close()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            what = _MENDS.get(code, f"{error}; mend or remove it and run again")
            raise ArenaError(f"{path}: {what}") from error

    @staticmethod
    def _prepare(db: sqlite3.Connection, path: Path, create: bool) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise ArenaError(f"{path} was written by a newer arena; upgrade extraction-arena")
        # A file without a version has just been made, or was never filled.
        if 0 < version < SCHEMA:
            raise ArenaError(
                f"{path} was written by an older arena; choose another folder by --out"
            )
        if not create:
            return
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite itself may have rolled back, for a full disk.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise ArenaError(
                f"{self._path} holds what arena does not write ({one_line(error)}); "
                "remove it and run again"
            ) from error

    def add(self, record: Record, diagnostics: Diagnostics) -> None:
        """Store one played match, replacing an earlier playing of the same.

        One that tells nothing of the attack does not replace one that does.
        """
        key = key_of(record)
        if record.status == Status.VOID and self._status(key) not in (None, Status.VOID):
            return
        row = (
            *key,
            record.status.value,
            _text(record.reason),
            record.queries,
            record.calls,
            record.utility,
            _json(record.final),
            _json(asdict(record.floor)) if record.floor else None,
            _json(record.seeds),
        )
        curve = [
            (*key, i, c.queries, c.calls, *(*c.values, None, None)[:2])
            for i, c in enumerate(record.curve)
        ]
        with self._transaction() as db:
            self._drop(db, key)
            db.execute("INSERT INTO matches VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)
            db.executemany("INSERT INTO curves VALUES (?,?,?,?,?,?,?,?)", curve)
            d = diagnostics
            texts = (_text(d.traceback), _text(d.output), d.unenforced)
            found = (*key, d.seconds, d.peak_memory, *texts)
            db.execute("INSERT INTO diagnostics VALUES (?,?,?,?,?,?,?,?)", found)
            db.execute("INSERT INTO versions VALUES (?,?,?,?)", (*key, _json(dict(d.versions))))

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove records, so that their matches are played again."""
        with self._transaction() as db:
            for key in keys:
                self._drop(db, key)

    @staticmethod
    def _drop(db: sqlite3.Connection, key: Key) -> None:
        for table in ("matches", "curves", "diagnostics", "versions"):
            db.execute(f"DELETE FROM {table} WHERE match = ? AND terms = ? AND build = ?", key)

    def _status(self, key: Key) -> Status | None:
        query = "SELECT status FROM matches WHERE match = ? AND terms = ? AND build = ?"
        row = self._db.execute(query, key).fetchone()
        return Status(row[0]) if row else None

    def statuses(self) -> dict[Key, Status]:
        """Return the status of every stored match."""
        rows = self._db.execute("SELECT match, terms, build, status FROM matches")
        with self._decoding():
            return {(m, t, b): Status(status) for m, t, b, status in rows}

    def set_lineup(
        self, terms: BoardTerms, entries: Iterable[tuple[Entry, Key, dict[str, Any]]]
    ) -> None:
        """Note which matches make up the tournament: what its boards show.

        Args:
            terms: what the standings depend on beside the matches.
            entries: every match without its record, with its key and its full specification.
        """
        rows = [
            (
                i,
                *key,
                e.target,
                e.defense,
                e.attack,
                e.repetition,
                e.skipped,
                e.baseline,
                _json(specification),
            )
            for i, (e, key, specification) in enumerate(entries)
        ]
        with self._transaction() as db:
            db.execute("DELETE FROM lineup")
            db.executemany(f"INSERT INTO lineup VALUES ({','.join('?' * 11)})", rows)
            self._put(db, "terms", asdict(terms))

    def results(self) -> Results:
        """Return the tournament's matches with their records, in the order of its file.

        Raises:
            ArenaError: no tournament was played here.
        """
        terms = self.get("terms")
        if terms is None:
            raise ArenaError("no tournament was played in this folder; use arena run")
        with self._decoding():
            records = self._records()
            known = _board_terms(terms)
        rows = self._db.execute(
            "SELECT target, defense, attack, repetition, skipped, baseline, match, terms, build"
            " FROM lineup ORDER BY position"
        )
        entries = [
            Entry(target, defense, attack, repetition, skipped, records.get((m, t, b)), bool(base))
            for target, defense, attack, repetition, skipped, base, m, t, b in rows
        ]
        return Results(known, tuple(entries))

    def _records(self) -> dict[Key, Record]:
        curves: dict[Key, list[Checkpoint]] = {}
        for *key, queries, calls, value, second in self._db.execute(
            "SELECT match, terms, build, queries, calls, value, second_half"
            " FROM curves ORDER BY match, terms, build, checkpoint"
        ):
            values = tuple(v for v in (value, second) if v is not None)
            curves.setdefault((key[0], key[1], key[2]), []).append(
                Checkpoint(queries, calls, values)
            )
        found: dict[Key, Record] = {}
        rows = self._db.execute(
            "SELECT match, terms, build, status, reason, queries, calls,"
            " utility, final, floor, seeds FROM matches"
        )
        for m, t, b, status, reason, queries, calls, utility, final, floor, seeds in rows:
            found[m, t, b] = Record(
                m,
                t,
                b,
                Status(status),
                reason,
                queries,
                calls,
                tuple(curves.get((m, t, b), ())),
                json.loads(final),
                utility,
                _floor(floor),
                json.loads(seeds),
            )
        return found

    def lineup(self) -> list[tuple[Key, dict[str, Any]]]:
        """Return key and full specification of every match of the tournament, in order."""
        rows = self._db.execute(
            "SELECT match, terms, build, specification FROM lineup ORDER BY position"
        )
        with self._decoding():
            return [((m, t, b), json.loads(specification)) for m, t, b, specification in rows]

    def diagnostics(self, key: Key) -> Diagnostics | None:
        """Return what differs between playings of one match, None if it was not played."""
        row = self._db.execute(
            "SELECT seconds, peak_memory, traceback, output, unenforced FROM diagnostics"
            " WHERE match = ? AND terms = ? AND build = ?",
            key,
        ).fetchone()
        return replace(Diagnostics(*row), versions=self._versions(key)) if row else None

    def _versions(self, key: Key) -> dict[str, str]:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'versions'").fetchone():
            # They were not always kept.
            return {}
        query = "SELECT versions FROM versions WHERE match = ? AND terms = ? AND build = ?"
        row = self._db.execute(query, key).fetchone()
        with self._decoding():
            return dict(json.loads(row[0])) if row else {}

    def get(self, key: str) -> Any:
        """Return a value noted about the tournament, None if there is none."""
        try:
            row = self._db.execute("SELECT value FROM tournament WHERE key = ?", (key,)).fetchone()
        except sqlite3.OperationalError:
            return None
        with self._decoding():
            return json.loads(row[0]) if row else None

    def put(self, key: str, value: Any) -> None:
        """Note a JSON-able value about the tournament."""
        with self._transaction() as db:
            self._put(db, key, value)

    @staticmethod
    def _put(db: sqlite3.Connection, key: str, value: Any) -> None:
        db.execute("INSERT OR REPLACE INTO tournament VALUES (?, ?)", (key, _json(value)))


def _connect(path: Path) -> sqlite3.Connection:
    if os.access(path.parent, os.W_OK):
        return sqlite3.connect(path, isolation_level=None)
    # Readers of a WAL file make files beside it, unless told that nobody writes.
    settled = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro{settled}"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _board_terms(data: dict[str, Any]) -> BoardTerms:
    goal = Goal(**{**data["goal"], "reach": tuple(data["goal"]["reach"])})
    published = tuple(Figure(**figure) for figure in data["published"])
    return BoardTerms(**{**data, "goal": goal, "published": published})


def _floor(text: str | None) -> FloorTerms | None:
    if text is None:
        return None
    data = json.loads(text)
    listed = {name: tuple(data[name]) for name in ("fields", "distorted")}
    return FloorTerms(**{**data, **listed})


def _text(text: str) -> str:
    """Escape what SQLite cannot hold: half characters, which a plugin's message may have."""
    return text.encode(errors="backslashreplace").decode()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def made(folder: Path) -> Path:
    """Return a folder of results, made if it is not there.

    Raises:
        ArenaError: it cannot be made.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArenaError(f"{folder}: {reason}; choose another folder by --out") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs; the lock goes with the process, however it ends."""
    with _writing(folder):
        file = (made(folder) / "lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArenaError(
                f"another run is writing {folder}; wait for it, or choose another folder by --out"
            ) from None
        yield
