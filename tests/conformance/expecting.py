"""Which checks a plugin fails, and whether every check is seen to fail."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from arena import conformance
from arena.api import Kind, Plugin


class Fails(NamedTuple):
    """A plugin, the one check that it fails, and words of the reason."""

    plugin: Plugin
    check: str
    reason: str


def cases(*fails: Fails) -> pytest.MarkDecorator:
    """Make a test of the arguments of `Fails`, a case for each."""
    ids = [f"{f.check}-{type(f.plugin).__name__.strip('_')}" for f in fails]
    return pytest.mark.parametrize(("plugin", "check", "reason"), fails, ids=ids)


def must_fail_alone(plugin: Plugin, check: str, reason: str) -> None:
    """Check that a plugin fails one check, for that reason, and no other."""
    failed = {r.check: r.reason for r in conformance.check(plugin) if r.outcome == "failed"}
    assert set(failed) == {check}, failed
    assert re.search(reason, failed[check]), failed[check]


def must_pass(plugin: Plugin, *skipped: str) -> None:
    """Check that a plugin passes every check, but for those that say nothing about it."""
    results = conformance.check(plugin)
    assert [r for r in results if r.outcome == "failed"] == []
    assert {r.check for r in results if r.outcome == "skipped"} == set(skipped)


def never_failed(kind: Kind, fails: Iterable[Fails]) -> set[str]:
    """Return the checks of a kind that none of the plugins fails."""
    return {c.name for c in conformance.checks(kind)} - {f.check for f in fails}
