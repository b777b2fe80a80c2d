"""Results in SQLite: what goes in comes out, alone, whole, or not at all."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arena.errors import ArenaError
from arena.records import (
    BoardTerms,
    Checkpoint,
    Diagnostics,
    Entry,
    FloorTerms,
    Goal,
    Record,
    Status,
)
from arena.store import FILE, SCHEMA, Store, key_of

RECORD = Record(
    match="m",
    terms="t",
    build="b",
    status=Status.BROKE_A_RULE,
    reason="eat: it broke — a 'rule'",
    queries=41,
    calls=7,
    curve=(Checkpoint(0, 0, ()), Checkpoint(3, 1, (0.25,)), Checkpoint(41, 7, (0.1, 1 / 3))),
    final={"fidelity natural": 0.1 + 0.2, "geometric-error": None},
    utility=0.875,
    floor=FloorTerms("halfspace", 13, True, None, ("label", "score")),
    seeds={"attack": "00ff"},
)
DIAGNOSTICS = Diagnostics(1.5, 99.25, "Traceback\n  whole")
TERMS = BoardTerms("uci", Goal(reach=(0.9, 0.99)), 500, 0.0001, 5, 0.5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, create=True) as store:
        yield store


def lined_up(store: Store, *records: Record) -> None:
    lines = [
        (Entry("wine", "none", "eat", i, baseline=bool(i)), key_of(record), {"seed": i})
        for i, record in enumerate(records)
    ]
    store.set_lineup(TERMS, lines)


def test_a_record_comes_out_as_it_went_in(store: Store) -> None:
    store.add(RECORD, DIAGNOSTICS)
    lined_up(store, RECORD)
    results = store.results()
    assert results.terms == TERMS
    assert results.entries == (Entry("wine", "none", "eat", 0, "", RECORD),)
    assert store.diagnostics(key_of(RECORD)) == DIAGNOSTICS
    assert store.lineup() == [(("m", "t", "b"), {"seed": 0})]
    assert store.statuses() == {("m", "t", "b"): Status.BROKE_A_RULE}


def test_a_second_playing_replaces_the_first(store: Store) -> None:
    store.add(RECORD, DIAGNOSTICS)
    again = Record("m", "t", "b", Status.FINISHED)
    store.add(again, Diagnostics(2.0))
    lined_up(store, RECORD)
    assert store.results().entries[0].record == again
    assert store.diagnostics(key_of(again)) == Diagnostics(2.0)


def test_other_terms_and_other_builds_stand_beside(store: Store) -> None:
    others = [Record("m", "t2", "b", Status.FINISHED), Record("m", "t", "b2", Status.VOID)]
    for record in (RECORD, *others):
        store.add(record, DIAGNOSTICS)
    assert len(store.statuses()) == 3
    lined_up(store, others[0])
    assert [entry.record for entry in store.results().entries] == [others[0]]


def test_what_is_not_played_yet_has_no_record(store: Store) -> None:
    lined_up(store, RECORD, Record("other", "t", "b", Status.VOID))
    assert [entry.record for entry in store.results().entries] == [None, None]
    assert [entry.baseline for entry in store.results().entries] == [False, True]


def test_forgotten_records_are_gone(store: Store) -> None:
    store.add(RECORD, DIAGNOSTICS)
    store.forget([key_of(RECORD)])
    assert store.statuses() == {}
    assert store.diagnostics(key_of(RECORD)) is None


def test_texts_that_are_no_unicode_are_kept_readable(store: Store) -> None:
    store.add(RECORD, Diagnostics(traceback="ValueError: \ud800"))
    found = store.diagnostics(key_of(RECORD))
    assert found is not None
    assert found.traceback == r"ValueError: \ud800"


def test_a_record_is_added_whole_or_not_at_all(store: Store) -> None:
    store.add(RECORD, DIAGNOSTICS)
    broken = Record("m", "t", "b", Status.FINISHED, curve=(Checkpoint(None, 0, ()),))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.add(broken, DIAGNOSTICS)
    lined_up(store, RECORD)
    assert store.results().entries[0].record == RECORD


def test_values_are_kept_by_name(store: Store, tmp_path: Path) -> None:
    store.put("secret_seed", "abc")
    store.put("secret_seed", "def")
    assert store.get("secret_seed") == "def"
    assert store.get("nothing") is None
    with Store.open(tmp_path) as reader:
        assert reader.get("secret_seed") == "def"


def test_any_sqlite_tool_reads_the_file(store: Store, tmp_path: Path) -> None:
    store.add(RECORD, DIAGNOSTICS)
    db = sqlite3.connect(tmp_path / FILE)
    rows = db.execute("SELECT queries, value, second_half FROM curves ORDER BY queries").fetchall()
    db.close()
    assert rows == [(0, None, None), (3, 0.25, None), (41, 0.1, 1 / 3)]


# -------------------------------------------------------------------------------------- mistakes


def refusal(folder: Path, create: bool = False) -> str:
    with pytest.raises(ArenaError) as caught, Store.open(folder, create) as store:
        store.results()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_results(tmp_path: Path) -> None:
    assert "holds no results; play a tournament" in refusal(tmp_path)
    assert "holds no results" in refusal(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_in_which_nothing_was_played(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    assert "no tournament was played" in refusal(tmp_path)


@pytest.mark.parametrize("create", [False, True])
def test_a_corrupted_file(tmp_path: Path, create: bool) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, " * 100)
    assert "file is not a database; mend or remove it" in refusal(tmp_path, create)


@pytest.mark.parametrize("create", [False, True])
def test_a_torn_file(tmp_path: Path, create: bool) -> None:
    with Store.open(tmp_path, create=True) as store:
        for i in range(200):
            store.add(Record(f"m{i}", "t", "b", Status.FINISHED), DIAGNOSTICS)
        lined_up(store, RECORD)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:9000])
    assert "mend or remove it" in refusal(tmp_path, create)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (SCHEMA + 1, "was written by a newer arena; upgrade extraction-arena"),
        (SCHEMA - 1, "was written by an older arena; choose another folder by --out"),
    ],
)
def test_a_file_of_another_version(
    tmp_path: Path, version: int, sentence: str, create: bool
) -> None:
    with Store.open(tmp_path, create=True) as store:
        store.add(RECORD, DIAGNOSTICS)
    db = sqlite3.connect(tmp_path / FILE)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = (tmp_path / FILE).read_bytes()
    assert refusal(tmp_path, create) == f"{tmp_path / FILE} {sentence}"
    assert (tmp_path / FILE).read_bytes() == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "choose another folder by --out" in refusal(tmp_path / "file", create=True)
    assert "choose another folder by --out" in refusal(tmp_path / "file" / "sub", create=True)
    assert "choose another folder by --out" in refusal(Path("/proc/arena"), create=True)


def test_a_folder_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path, create=True) as store:
        store.add(RECORD, DIAGNOSTICS)
        lined_up(store, RECORD)
    # Permissions do not bind root, whom containers run tests as.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    seen = []
    with Store.open(tmp_path) as store:
        assert store.results().entries[0].record == RECORD
        seen = [path.name for path in tmp_path.iterdir()]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.put("key", 1)
    assert sorted(seen) == ["lock", FILE]


def test_a_second_run_is_refused_and_a_reader_is_not(store: Store, tmp_path: Path) -> None:
    store.add(RECORD, DIAGNOSTICS)
    lined_up(store, RECORD)
    assert "another run is writing" in refusal(tmp_path, create=True)
    with Store.open(tmp_path) as reader:
        assert reader.results().entries[0].record == RECORD


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from arena.store import Store\n"
        f"with Store.open(Path({str(tmp_path)!r}), create=True): print(flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert "another run is writing" in refusal(tmp_path, create=True)
    process.kill()
    process.wait()
    process.stdout.close()
    with Store.open(tmp_path, create=True) as store:
        assert store.statuses() == {}


def test_a_void_playing_replaces_no_other(store: Store) -> None:
    void = replace(RECORD, status=Status.VOID, reason="the disk is gone", curve=())
    store.add(RECORD, DIAGNOSTICS)
    store.add(void, Diagnostics())
    lined_up(store, RECORD)
    assert store.results().entries[0].record == RECORD
    store.forget([key_of(RECORD)])
    store.add(void, Diagnostics())
    store.add(RECORD, DIAGNOSTICS)
    assert store.results().entries[0].record == RECORD


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE matches SET status = 'lost'",
        "UPDATE matches SET final = '{'",
        "UPDATE matches SET floor = '{}'",
        "UPDATE tournament SET value = '[]'",
        "UPDATE tournament SET value = '{'",
    ],
)
def test_what_arena_does_not_write_is_a_sentence(tmp_path: Path, damage: str) -> None:
    with Store.open(tmp_path, create=True) as store:
        store.add(RECORD, DIAGNOSTICS)
        lined_up(store, RECORD)
    db = sqlite3.connect(tmp_path / FILE)
    with db:
        db.execute(damage)
    db.close()
    with (
        pytest.raises(ArenaError, match=r"holds what arena does not write .*; remove it and run"),
        Store.open(tmp_path) as store,
    ):
        store.results()
