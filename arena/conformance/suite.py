"""The checks of a plugin: all at once, as pytest's cases, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar, get_args

from arena.api import Kind, Plugin
from arena.conformance import attacks, defenses, specifications, targets
from arena.conformance.rules import Check, NotApplicable, Outcome, Result, run
from arena.errors import ArenaError, closest

F = TypeVar("F", bound=Callable[..., object])

_OF_KIND: Mapping[Kind, tuple[Check, ...]] = {
    "attack": attacks.CHECKS,
    "defense": defenses.CHECKS,
    "target": targets.CHECKS,
}


def checks(kind: Kind) -> tuple[Check, ...]:
    """Return the checks of a kind, those of every plugin first."""
    return (*specifications.CHECKS, *_OF_KIND[kind])


def check(plugin: Plugin, waive: Mapping[str, str] | None = None) -> tuple[Result, ...]:
    """Run every check of a plugin's kind; what fails stops none of the others.

    Args:
        plugin: the plugin.
        waive: reasons not to run a check, by its name.

    Raises:
        ArenaError: a waived name is no check, or has no reason.
    """
    waived = reasoned(waive or {}, [plugin])
    return tuple(run(c, plugin, waived.get(c.name)) for c in checks(plugin.kind))


def parametrize(*plugins: Plugin, waive: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Make a test of one argument, ``check``, a case for every check of every plugin.

    The test calls it: ``check()`` raises what the check finds, with the author's own frames. A
    waived check, and one that does not apply, is skipped with its reason.

    Raises:
        ArenaError: as `check`.
    """
    import pytest

    waived = reasoned(waive or {}, plugins)
    cases = []
    for plugin in plugins:
        for c in checks(plugin.kind):
            reason = waived.get(c.name)
            marks = () if reason is None else (pytest.mark.skip(reason=f"waived: {reason}"),)
            cases.append(pytest.param(_Case(c, plugin), id=f"{plugin.name}-{c.name}", marks=marks))
    decorated: Callable[[F], F] = pytest.mark.parametrize("check", cases)
    return decorated


@dataclass(frozen=True)
class _Case:
    check: Check
    plugin: Plugin

    def __call__(self) -> None:
        """Run the check."""
        import pytest

        __tracebackhide__ = True
        try:
            self.check.rule(self.plugin)
        except NotApplicable as error:
            pytest.skip(str(error))


def report(results: Iterable[Result], brief: bool = False) -> str:
    """Write results as text.

    Args:
        results: of one plugin, or of one after another.
        brief: a line a plugin in place of one a check; what failed is written whole.

    Returns:
        Lines without an end of line after the last, '' for no results.
    """
    of_plugin = groupby(results, key=lambda result: result.plugin)
    return "\n".join(line for title, found in of_plugin for line in _lines(title, [*found], brief))


def counted(results: Iterable[Result]) -> str:
    """Count results by outcome, as ``19 passed, 1 failed``."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{counts[o]} {o}" for o in get_args(Outcome) if counts[o])


def reasoned(waive: Mapping[str, str], plugins: Iterable[Plugin]) -> Mapping[str, str]:
    """Return waivers that name checks of one of the plugins, each with a reason.

    Raises:
        ArenaError: one does not.
    """
    names = {c.name for plugin in plugins for c in checks(plugin.kind)}
    for name, reason in waive.items():
        if name not in names:
            raise ArenaError(f"there is no check '{name}' to waive; {closest(name, names)}")
        if not reason.strip():
            raise ArenaError(f"check '{name}' is waived without a reason; give one")
    return waive


def _lines(title: str, results: Sequence[Result], brief: bool) -> Iterator[str]:
    yield f"{title}: {counted(results)}"
    for result in results:
        if brief and result.outcome != "failed":
            continue
        yield f"  {result.outcome:<7}  {result.check}: {result.states}"
        if result.reason:
            yield f"           {result.reason}"
        for line in result.traceback.splitlines():
            yield f"           {line}"
