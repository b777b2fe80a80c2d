"""Single matches, for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from arena.errors import ArenaError
from arena.layout import clean
from arena.records import Entry, Record
from arena.store import Key, Store
from arena.traces import authors, whole

_SHOWN = 8
"""Digits of a match's identifier that lists print; any unique beginning will do."""


def match_list(store: Store) -> str:
    """Render a line for every match of the tournament."""
    rows = [
        (
            key[0][:_SHOWN],
            entry.target,
            entry.defense,
            entry.attack,
            entry.repetition,
            _status(entry),
            entry.record.queries if entry.record else "",
        )
        for entry, key, _ in _matches(store)
    ]
    headers = ("match", "target", "defence", "attack", "run", "status", "queries")
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True) + "\n"


def match_page(store: Store, match: str, show_traceback: bool, debug: bool = False) -> str:
    """Render one match whole: specification, end, curve; its traceback on request.

    Args:
        store: where it is.
        match: how its identifier begins.
        show_traceback: whether to print the traceback, from the author's first line on.
        debug: whether to print it with the frames of arena.

    Raises:
        ArenaError: no match, or more than one, begins so.
    """
    found = [m for m in _matches(store) if m[1][0].startswith(match)]
    if len(found) != 1:
        many = f"{len(found)} matches begin" if found else "no match begins"
        raise ArenaError(f"{many} with '{match}'; arena show DIR lists them")
    entry, key, specification = found[0]
    lines = [
        f"match    {key[0]}",
        f"build    {key[2]}",
        f"target   {entry.target}",
        f"defence  {entry.defense}",
        f"attack   {entry.attack}",
        f"run      {entry.repetition}",
        f"status   {_status(entry)}",
    ]
    record = entry.record
    reason = record.reason if record else entry.skipped
    lines += [f"reason   {clean(reason)}"] if reason else []
    if record:
        lines += [f"queries  {record.queries} in {record.calls} calls"]
        lines += ["", _curve(record), "", *_final(record)] if record.curve else []
    diagnostics = store.diagnostics(key)
    if diagnostics:
        if versions := sorted(diagnostics.versions.items()):
            listed = ", ".join(f"{name} {version}" for name, version in versions)
            lines += ["", f"played with {clean(listed)}"]
        memory = f"{diagnostics.peak_memory:.0f} MiB"
        lines += ["", f"took {diagnostics.seconds:.3f} s, {memory} at most in its process"]
        if diagnostics.traceback:
            shown = show_traceback or debug
            text = trace_lines(diagnostics.traceback, debug)
            lines += ["", *(text if shown else ["(a traceback is stored: --traceback)"])]
        if diagnostics.output:
            lines += ["", "it printed:", *map(clean, diagnostics.output.splitlines())]
        if diagnostics.unenforced:
            lines += ["", f"not enforced: {diagnostics.unenforced}"]
    lines += ["", json.dumps(specification, indent=2, ensure_ascii=False)]
    return "\n".join(lines) + "\n"


def trace_lines(text: str, debug: bool) -> list[str]:
    """Return the printable lines of a stored traceback, with the frames of arena if asked."""
    lines = (whole if debug else authors)(text).splitlines()
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


def export_lines(store: Store) -> Iterator[str]:
    """Yield every match as a JSON object, in the tournament's order; times are left out."""
    for match in exported(store):
        yield json.dumps(match, sort_keys=True, ensure_ascii=False)


def exported(store: Store) -> Iterator[dict[str, Any]]:
    """Yield every match, JSON-able, in the tournament's order; times are left out."""
    for entry, key, specification in _matches(store):
        diagnostics = store.diagnostics(key)
        yield {
            "schema": 1,
            "match": key[0],
            "build": key[2],
            "names": [entry.target, entry.defense, entry.attack],
            "specification": specification,
            "versions": dict(diagnostics.versions) if diagnostics else {},
            "skipped": entry.skipped,
            "record": asdict(entry.record) if entry.record else None,
        }


def _matches(store: Store) -> list[tuple[Entry, Key, dict[str, Any]]]:
    entries = store.results().entries
    return [(e, *line) for e, line in zip(entries, store.lineup(), strict=True)]


def _status(entry: Entry) -> str:
    if entry.skipped:
        return "skipped"
    return entry.record.status.value if entry.record else "not played"


def _curve(record: Record) -> str:
    rows = [(c.queries, c.calls, *map(_value, c.values)) for c in record.curve]
    widest = max((len(c.values) for c in record.curve), default=0)
    values = ("half 1", "half 2") if widest == 2 else ("value",)[:widest]
    headers = ("queries", "calls", *values)
    right = ["right"] * len(headers)
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=right)


def _final(record: Record) -> list[str]:
    shown = {name: value for name, value in record.final.items() if value is not None}
    return [f"{name:18} {_value(value)}" for name, value in shown.items()]


def _value(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.3g}"
