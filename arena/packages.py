"""Packages that bring plugins: pip installs and uninstalls them, and what came of it is told.

Plugins are listed by fresh processes before and after: this one keeps what it has imported.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tabulate import tabulate

from arena.errors import ArenaError, closest
from arena.points import distribution_of
from arena.registry import GROUP, OURS

SCHEMA = 1
Listing = Mapping[str, Any]
"""What ``arena plugins --json`` prints; before or after, perhaps, that of another version."""


@dataclass(frozen=True)
class Report:
    """What became of the plugins, each as ``arena plugins --json`` describes it.

    Attributes:
        new: plugins that were not there.
        changed: plugins that are described otherwise; ``was`` is their version before.
        gone: plugins that are not there any more.
        broken: entry points that now cannot be used, or belong to what was just installed.
        disabled: what would be new, and is disabled.
    """

    new: tuple[dict[str, Any], ...] = ()
    changed: tuple[dict[str, Any], ...] = ()
    gone: tuple[dict[str, Any], ...] = ()
    broken: tuple[dict[str, Any], ...] = ()
    disabled: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> str:
        """Write it as a JSON object of lists by the names above, and ``schema``."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n"

    def text(self) -> str:
        """Write a line a plugin."""
        states = {"new": self.new, "changed": self.changed, "gone": self.gone}
        rows = [
            (state, p["kind"], p["name"], p["summary"], _from(p))
            for state, plugins in states.items()
            for p in plugins
        ]
        headers = ("", "kind", "name", "summary", "from")
        lines = [tabulate(rows, headers, tablefmt="simple")] if rows else []
        lines += [f"broken: '{b['entry_point']}' of {_from(b)}: {b['reason']}" for b in self.broken]
        lines += [f"disabled: '{d['name']}' of {_from(d)}, by '{d['by']}'" for d in self.disabled]
        return "\n".join(lines or ["no plugin is new, changed or gone"]) + "\n"


def install(words: Sequence[str]) -> Report:
    """Run ``pip install``; what pip prints goes to standard error.

    Args:
        words: what follows it: packages, and options of pip.

    Raises:
        ArenaError: there is no pip, or it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        before, after = _around("install", ["--report", str(file), *words])
        return compare(before, after, _installed(file))


def uninstall(words: Sequence[str]) -> Report:
    """Run ``pip uninstall`` on packages that bring plugins.

    Args:
        words: names of distributions, and options of pip, which begin with a dash.

    Raises:
        ArenaError: a package is not installed, brings no plugin or is arena itself; there is no
            pip, it fails, or a package is still there.
    """
    names = [_to_uninstall(word) for word in words if not word.startswith("-")]
    before, after = _around("uninstall", ["-y", *words])
    there = (p for part in ("plugins", "broken", "disabled") for p in after.get(part, ()))
    if left := {p["distribution"] for p in there}.intersection(names):
        raise ArenaError(
            f"pip leaves {min(left)} where it is, or it is in two places (see above); repeat the "
            f"command, or remove it from {distribution(min(left)).locate_file('')}"
        )
    return compare(before, after)


def _to_uninstall(name: str) -> str:
    points = entry_points(group=GROUP)
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        brings = sorted({distribution_of(point) for point in points if point.name == name})
        known = {distribution_of(point) for point in points} - {OURS}
        mend = f"plugin '{name}' is of {brings[0]}" if brings else closest(name, known)
        raise ArenaError(f"no package '{name}' is installed; {mend}") from None
    if _canonical(found.name) == OURS:
        raise ArenaError(f"arena does not uninstall itself; pip uninstall {OURS} does")
    if not found.entry_points.select(group=GROUP):
        raise ArenaError(f"package '{name}' brings no plugin; pip uninstall {name} removes it")
    return found.name


def _around(command: str, words: Sequence[str]) -> tuple[Listing, Listing]:
    """Run a command of pip; return the listings before and after."""
    if find_spec("pip") is None:
        raise ArenaError(
            f"arena {command} needs pip, which {sys.executable} has not; "
            f"{sys.executable} -m ensurepip adds it"
        )
    before = _listing()
    pip = [sys.executable, "-P", "-m", "pip", command, *words]
    code = subprocess.run(pip, stdout=sys.stderr, check=False).returncode
    if code:
        raise ArenaError(f"pip {command} fails (exit code {code}), and says above why; mend that")
    return before, _listing()


def _listing() -> Listing:
    """List the plugins as a fresh process finds them."""
    command = [sys.executable, "-P", "-m", "arena.cli", "plugins", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise ArenaError(f"arena plugins fails in this environment; it says: {last}")
    listing: Listing = json.loads(done.stdout)
    return listing


def _installed(file: Path) -> set[str]:
    """Read which distributions pip reports to have installed."""
    if not file.exists():
        # An option of pip had it do something else.
        return set()
    report = json.loads(file.read_text(encoding="utf-8"))
    return {_canonical(item["metadata"]["name"]) for item in report["install"]}


def compare(before: Listing, after: Listing, installed: Iterable[str] = ()) -> Report:
    """Tell two listings apart.

    Args:
        before: an earlier one.
        after: a later one.
        installed: canonical names of distributions installed in between.
    """
    old = {_key(p): p for p in before["plugins"]}
    new = {_key(p): p for p in after["plugins"]}
    ours = set(installed)
    return Report(
        new=tuple(p for key, p in new.items() if key not in old),
        changed=tuple(
            p | {"was": old[key]["version"]}
            for key, p in new.items()
            if key in old and p != old[key]
        ),
        gone=tuple(p for key, p in old.items() if key not in new),
        broken=tuple(
            b
            for b in after["broken"]
            if b not in before["broken"] or _canonical(b["distribution"]) in ours
        ),
        disabled=tuple(d for d in after.get("disabled", ()) if d not in before.get("disabled", ())),
    )


def _key(plugin: Mapping[str, Any]) -> tuple[str, str, str]:
    return plugin["kind"], plugin["distribution"], plugin["name"]


def _from(plugin: Mapping[str, Any]) -> str:
    was = plugin.get("was", plugin["version"])
    before = "" if was == plugin["version"] else f" (was {was})"
    return f"{plugin['distribution']} {plugin['version']}{before}"


def _canonical(name: str) -> str:
    """Write a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
