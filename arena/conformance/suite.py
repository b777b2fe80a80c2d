"""The checks of a plugin: all at once, as pytest's cases, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arena.api import Kind, Plugin
from arena.conformance import attacks, defenses, specifications, targets
from arena.conformance.instances import examples
from arena.conformance.rules import Check, NotApplicable, Result, run
from arena.errors import ArenaError, closest
from arena.registry import Registry

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
    waived = _waived(waive or {}, [plugin])
    return tuple(run(c, plugin, waived.get(c.name)) for c in checks(plugin.kind))


def check_named(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    waive: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> tuple[Result, ...]:
    """Check the installed plugins of a name, of whatever kind; see `examples`.

    Raises:
        ArenaError: as `examples` and `check`.
    """
    found = examples(name, parameters, registry)
    waived = _waived(waive or {}, found)
    return tuple(
        run(c, plugin, waived.get(c.name)) for plugin in found for c in checks(plugin.kind)
    )


def parametrize(*plugins: Plugin, waive: Mapping[str, str] | None = None) -> Any:
    """Make a test of one argument, ``check``, a case for every check of every plugin.

    The test calls it: ``check()`` raises what the check finds, with the author's own frames. A
    waived check, and one that does not apply, is skipped with its reason.

    Raises:
        ArenaError: as `check`.
    """
    import pytest

    waived = _waived(waive or {}, plugins)
    cases = []
    for plugin in plugins:
        for c in checks(plugin.kind):
            reason = waived.get(c.name)
            marks = () if reason is None else (pytest.mark.skip(reason=f"waived: {reason}"),)
            cases.append(pytest.param(_Case(c, plugin), id=f"{plugin.name}-{c.name}", marks=marks))
    return pytest.mark.parametrize("check", cases)


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


def report(results: Iterable[Result]) -> str:
    """Write results as text: a line a check, what failed with its reason and traceback below."""
    lines, title = [], None
    found = tuple(results)
    for result in found:
        if result.plugin != title:
            title = result.plugin
            lines += ["", title] if lines else [title]
        lines.append(f"  {result.outcome:<7}  {result.check}: {result.states}")
        if result.reason:
            lines.append(f"           {result.reason}")
        lines += [f"             {line}" for line in result.traceback.splitlines()]
    counts = Counter(result.outcome for result in found)
    order = ("passed", "failed", "waived", "skipped")
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in order if counts[outcome])
    return "\n".join([*lines, "", summary])


def _waived(waive: Mapping[str, str], plugins: Iterable[Plugin]) -> Mapping[str, str]:
    names = {c.name for plugin in plugins for c in checks(plugin.kind)}
    for name, reason in waive.items():
        if name not in names:
            raise ArenaError(f"there is no check '{name}' to waive; {closest(name, names)}")
        if not reason.strip():
            raise ArenaError(f"check '{name}' is waived without a reason; give one")
    return waive
