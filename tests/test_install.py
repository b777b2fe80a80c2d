"""Packages that bring plugins, installed by pip into an environment that sees ours, and removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sites import attack

THIRD_PARTY = Path(__file__).parent / "packages" / "thirdparty"
OFFLINE = ("--no-index", "--no-deps")
BROKEN = 'raise RuntimeError("no such device")'

Arena = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment of its own that also sees what ours holds, pip among it."""
    venv.create(tmp_path / "venv", symlinks=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path.endswith("-packages")]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in ours]
    (packages / "ours.pth").write_text("".join(lines))
    return tmp_path / "venv"


@pytest.fixture
def arena(environment: Path, tmp_path: Path) -> Arena:
    """Run the command line there, in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()

    def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        python = str(environment / "bin" / "python")
        return subprocess.run(
            [python, "-m", "arena.cli", *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            cwd=work,
            env={**os.environ, **variables},
        )

    return run


def wheel(folder: Path, name: str, version: str, points: bool = True, **sources: str) -> Path:
    """Write a wheel with a module, and an entry point to it, for every source."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    lines = [f"{entry} = {name.replace('-', '_')}_{entry}\n" for entry in sources]
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, source in sources.items():
            archive.writestr(f"{name.replace('-', '_')}_{entry}.py", source)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if points:
            archive.writestr(f"{info}/entry_points.txt", "".join(["[arena]\n", *lines]))
        archive.writestr(f"{info}/RECORD", "")
    return path


def names(plugins: list[dict[str, Any]]) -> list[str]:
    return [f"{p['distribution']} {p['version']} {p['name']}" for p in plugins]


def test_what_is_new_changed_and_gone_is_listed(arena: Arena, tmp_path: Path) -> None:
    first = wheel(tmp_path, "pack", "1.0", one=attack("one"), two=attack("two"))
    done = arena("install", first, "--", *OFFLINE)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [(*row[:3], *row[-2:]) for row in rows] == [
        ("new", "attack", "one", "pack", "1.0"),
        ("new", "attack", "two", "pack", "1.0"),
    ]
    assert "Successfully installed pack-1.0" in done.stderr

    second = wheel(tmp_path, "pack", "2.0", two=attack("two"), three=attack("three"))
    done = arena("install", "--json", "--upgrade", second, "--", *OFFLINE)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report.keys() == {"schema", "new", "changed", "gone", "broken", "disabled"}
    assert names(report["new"]) == ["pack 2.0 three"]
    assert names(report["changed"]) == ["pack 2.0 two"]
    assert [p["was"] for p in report["changed"]] == ["1.0"]
    assert names(report["gone"]) == ["pack 1.0 one"]
    assert not report["broken"]

    done = arena("install", second, "--", *OFFLINE)
    assert (done.returncode, done.stdout) == (0, "no plugin is new, changed or gone\n")

    done = arena("uninstall", "Pack")
    assert done.returncode == 0
    assert [line.split()[:3] for line in done.stdout.splitlines()[2:]] == [
        ["gone", "attack", "three"],
        ["gone", "attack", "two"],
    ]
    assert "Successfully uninstalled pack-2.0" in done.stderr


def test_a_plugin_that_is_installed_broken_is_exit_code_1(arena: Arena, tmp_path: Path) -> None:
    path = wheel(tmp_path, "pack", "1.0", well=attack("well"), bad=BROKEN)
    broken = "broken: 'bad' of pack 1.0: import fails with RuntimeError: no such device\n"
    done = arena("install", path, "--", *OFFLINE)
    assert done.returncode == 1
    assert done.stdout.splitlines()[2].split()[:3] == ["new", "attack", "well"]
    assert done.stdout.endswith(broken)


@pytest.mark.slow
def test_what_is_broken_is_news_of_its_own_package_alone(arena: Arena, tmp_path: Path) -> None:
    path = wheel(tmp_path, "pack", "1.0", bad=BROKEN)
    broken = "broken: 'bad' of pack 1.0: import fails with RuntimeError: no such device\n"
    assert arena("install", path, "--", *OFFLINE).returncode == 1
    other = wheel(tmp_path, "other", "1.0", fine=attack("fine"))
    done = arena("install", other, "--", *OFFLINE)
    assert done.returncode == 0
    assert "broken" not in done.stdout
    done = arena("install", path, "--", *OFFLINE, "--force-reinstall")
    assert (done.returncode, done.stdout) == (1, broken)


def test_a_plugin_that_is_disabled_is_told(arena: Arena, tmp_path: Path) -> None:
    path = wheel(tmp_path, "pack", "1.0", well=attack("well"))
    done = arena("install", path, "--", *OFFLINE, ARENA_DISABLE="pack/well")
    assert (done.returncode, done.stdout) == (
        0,
        "disabled: 'well' of pack 1.0, by 'pack/well'\n",
    )


@pytest.mark.slow
def test_a_folder_is_installed_where_it_is(arena: Arena, tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path / "thirdparty"
    shutil.copytree(THIRD_PARTY, folder)
    done = arena("install", "-e", folder, "--", *OFFLINE, "--no-build-isolation")
    assert done.returncode == 0
    assert done.stdout.splitlines()[2].split()[:3] == ["new", "attack", "coin"]
    source = folder / "src" / "arena_thirdparty.py"
    source.write_text(source.read_text().replace('name = "coin"', 'name = "dime"'))
    assert "dime" in arena("plugins").stdout
    done = arena("uninstall", "arena-thirdparty", "--json")
    assert names(json.loads(done.stdout)["gone"]) == ["arena-thirdparty 0.3 dime"]


def test_a_failure_of_pip_is_one_sentence(arena: Arena) -> None:
    done = arena("install", "arena-nowhere", "--", "--no-index")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No matching distribution found for arena-nowhere" in done.stderr
    assert done.stderr.endswith(
        "\narena: pip install fails (exit code 1), and says above why; mend that\n"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("uninstall extraction_arena", "arena does not uninstall itself; pip uninstall "
         "extraction-arena does"),
        ("uninstall numpy", "package 'numpy' brings no plugin; pip uninstall numpy removes it"),
        ("uninstall pask", "no package 'pask' is installed; did you mean 'pack'?"),
        ("uninstall well", "no package 'well' is installed; plugin 'well' is of pack"),
        ("install", "name a package, a folder with -e, or an option of pip after -- "
         "(arena install --help says more)"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_nothing_is_done(
    words: str, sentence: str, arena: Arena, environment: Path, tmp_path: Path
) -> None:
    (packages,) = (environment / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel(tmp_path, "pack", "1.0", well=attack("well"))) as archive:
        archive.extractall(packages)
    done = arena(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"arena: {sentence}\n")
    assert (packages / "pack_well.py").exists()


def test_what_pip_cannot_remove_is_said(arena: Arena, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with zipfile.ZipFile(wheel(tmp_path, "pack", "1.0", well=attack("well"))) as archive:
        archive.extractall(folder)
    done = arena("uninstall", "pack", PYTHONPATH=str(folder))
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("arena: pip leaves pack where it is, or it is in two places (see above)")
    assert last.endswith(f"remove it from {folder}")


def test_a_python_without_pip_says_how_to_get_it(tmp_path: Path) -> None:
    # What pip is, is found out before it is needed.
    code = (
        "import sys; sys.modules['pip'] = None; sys.path_importer_cache.clear();"
        "from arena.cli import main; sys.exit(main(['install', 'arena-probe']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"arena: arena install needs pip, which {sys.executable} has not; "
        f"{sys.executable} -m ensurepip adds it\n"
    )
