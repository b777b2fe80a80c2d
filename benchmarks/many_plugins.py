"""`arena plugins` with two hundred third-party plugins installed, twenty broken in as many ways.

    python benchmarks/many_plugins.py [--runs 7] [--plugins 200] [--limit 2]

Writes the distributions into a folder as pip leaves them (module or package, compiled; METADATA
with a long description, RECORD, entry points): attacks, defences and targets that import numpy,
scipy and scikit-learn as real ones do. Then runs `arena plugins`, as text and as JSON, and checks
that all that is well is listed under its kind, name, distribution and version, that every broken
one is listed with its reason and place, that the exit code is 0, and that nothing a plugin prints
reaches standard output. Prints the least and the median seconds of each command, in turns with
`arena plugins` without them and with the imports alone; ends with 1 where anything is wrong, or the
text takes longer than ``--limit`` at the median.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from plugin_crowd import FAULTS, IMPORTS, Fault, Healthy, write
from tabulate import tabulate

TOURNAMENT = """\
targets: [halfspace: {dataset: wine}]
attacks: [many-000/guess-000]
budget: 20
repetitions: 2
"""


def environment(folder: Path | None) -> dict[str, str]:
    """Return this process's environment, with a folder of distributions or without."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ARENA_DISABLE")}
    return kept | ({"PYTHONPATH": str(folder)} if folder else {})


def run(folder: Path | None, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of arena with the distributions of a folder."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "arena.cli", *words],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def wrong_in_json(
    done: subprocess.CompletedProcess[str],
    folder: Path,
    plugins: Sequence[Healthy],
    faults: Sequence[Fault] = FAULTS,
) -> list[str]:
    """Say what is wrong with what `arena plugins --json` printed, a sentence each."""
    try:
        found = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        return [f"no JSON ({error}), exit code {done.returncode}: {done.stderr[-300:]}"]
    wrong = [f"exit code {done.returncode}"] if done.returncode else []
    keys = ("kind", "name", "distribution", "version", "module")
    listed = [tuple(p[key] for key in keys) for p in found["plugins"]]
    theirs = [p for p in listed if p[2].startswith(("many-", "broken-", "unknown"))]
    wanted = sorted((p.listed for p in plugins), key=lambda p: p[:3])
    wrong += [f"not listed: {p}" for p in wanted if p not in theirs]
    wrong += [f"listed, and should not be: {p}" for p in theirs if p not in wanted]
    if not wrong and theirs != wanted:
        wrong.append("the plugins are not in order")
    broken = {b["distribution"]: b for b in found["broken"]}
    extra = broken.keys() - {f.distribution for f in faults}
    wrong += [f"listed as broken, and should not be: {broken[name]}" for name in sorted(extra)]
    if len(broken) != len(found["broken"]):
        wrong.append("a distribution is listed as broken twice")
    for f in faults:
        b = broken.get(f.distribution)
        if b is None:
            wrong.append(f"not listed as broken: {f.distribution}")
            continue
        want = (f.name, "1.0", f.place(folder))
        if (b["entry_point"], b["version"], b["place"]) != want:
            wrong.append(f"{f.distribution}: is {b}, should be {want}")
        if not re.search(f.reason, b["reason"]) or "\n" in b["reason"]:
            wrong.append(f"{f.distribution}: its reason is {b['reason']!r}, not {f.reason!r}")
    return wrong


def wrong_in_text(
    done: subprocess.CompletedProcess[str],
    folder: Path,
    plugins: Sequence[Healthy],
    faults: Sequence[Fault] = FAULTS,
) -> list[str]:
    """Say what is wrong with what `arena plugins` printed, a sentence each."""
    wrong = [f"exit code {done.returncode}: {done.stderr[-300:]}"] if done.returncode else []
    lines = done.stdout.splitlines()
    fields = [re.split(" {2,}", line.strip()) for line in lines]
    theirs = [f for f in fields if re.fullmatch(r"(many|broken)-\S+ \S+", f[-1])]
    rows = [(f[0].split()[0], f[0].split()[-1] if len(f) == 3 else f[1], f[-1]) for f in theirs]
    wanted = [(p.kind, p.name, f"{p.distribution} {p.version}") for p in plugins]
    if sorted(rows) != sorted(wanted):
        wrong.append(f"{len(rows)} rows, not {len(wanted)}, or others than these")
    said = [line for line in lines if line.startswith("broken: ")]
    for f in faults:
        place = f.place(folder)
        end = re.escape(f" ({place})") if place else ""
        start = f"broken: '{f.name}' of {f.distribution} 1.0: "
        pattern = re.escape(start) + f"{f.reason}.*{end}"
        if sum(re.fullmatch(pattern, line) is not None for line in said) != 1:
            wrong.append(f"not said, or not once: {pattern}")
    if len(said) != len(faults):
        wrong.append(f"{len(said)} lines of broken plugins, not {len(faults)}")
    first = lines.index(said[0]) if said else len(lines)
    ruled = [i for i, line in enumerate(lines) if re.fullmatch("[- ]+", line)]
    if ruled != [1] or len(lines) != first + len(said):
        wrong.append("standard output holds more than the table and what is broken")
    return wrong


def wrong_in_others(folder: Path, plugins: Sequence[Healthy]) -> list[str]:
    """Say what is wrong with other commands beside so many plugins, a sentence each."""
    wrong = []
    for p in plugins[:: max(len(plugins) // 4, 1)]:
        done = run(folder, "plugins", "show", f"{p.distribution}/{p.name}")
        if f"({p.kind}, {p.distribution} {p.version})" not in done.stdout or done.returncode:
            wrong.append(f"arena plugins show {p.name}: {done.stdout}{done.stderr}")
    done = run(folder, "plugins", "show", FAULTS[0].name)
    if FAULTS[0].distribution not in done.stderr or done.returncode != 2:
        wrong.append(f"arena plugins show {FAULTS[0].name}: {done.stdout}{done.stderr}")
    return wrong


def seconds(runs: int, commands: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return what every command takes, each time; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            started = time.perf_counter()
            command()
            found[name].append(time.perf_counter() - started)
    return found


def python(code: str) -> Callable[[], object]:
    """Return what runs code in a fresh process."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--plugins", type=int, default=200, help="with the broken ones")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds at the median")
    options = parser.parse_args()
    plugins = [Healthy(i) for i in range(options.plugins - len(FAULTS))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write(folder, plugins)
        wrong = [
            *wrong_in_text(run(folder, "plugins"), folder, plugins),
            *wrong_in_json(run(folder, "plugins", "--json"), folder, plugins),
            *wrong_in_others(folder, plugins),
        ]
        file, alone = folder / "t.yaml", folder / "alone.yaml"
        file.write_text(TOURNAMENT, encoding="utf-8")
        alone.write_text(TOURNAMENT.replace("many-000/guess-000", "constant"), encoding="utf-8")
        taken = seconds(
            options.runs,
            {
                "arena plugins": lambda: run(folder, "plugins"),
                "arena plugins --json": lambda: run(folder, "plugins", "--json"),
                "arena validate": lambda: run(folder, "validate", file),
                "arena run --dry-run": lambda: run(folder, "run", file, "--dry-run"),
                "arena plugins, without them": lambda: run(None, "plugins"),
                "arena validate, without them": lambda: run(None, "validate", alone),
                "import numpy, sklearn": python("import numpy, sklearn"),
                "import what they import": python("import arena\n" + "".join(IMPORTS)),
            },
        )
    rows = [(name, min(times), median(times)) for name, times in taken.items()]
    print(tabulate(rows, headers=("command", "least s", "median s"), floatfmt=".2f"))
    late = median(taken["arena plugins"]) - options.limit
    if late > 0:
        wrong.append(f"arena plugins takes {late:.2f} s more than {options.limit:g} s")
    for sentence in wrong:
        print(f"wrong: {sentence}")
    print(f"{len(plugins)} that work and {len(FAULTS)} broken: {len(wrong)} mistakes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
