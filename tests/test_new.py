"""The package of a new plugin: what is written, that it is clean, and that it works at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import Runner
from packaging.requirements import Requirement
from sites import Site

from arena.api import Kind
from arena.errors import ArenaError
from arena.registry import Registry
from arena.scaffold import LONGEST, write
from arena.tournament import load
from arena.vetting import KINDS
from arena.yamlmarks import parse

ROOT = Path(__file__).parent.parent
NONE = Registry(())
LONG = "extraordinarily-long-name-of-1"
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation")
SOME_SLOW = ["attack", *(pytest.param(k, marks=pytest.mark.slow) for k in ("defense", "target"))]
"""Where one kind tells enough: all are played from a wheel before a landing."""
QUICK = ("--repetitions", "1", "--budget", "60", "--isolation", "none", "--quiet")
CONFORMANCE = find_spec("arena.conformance") is not None


def command(
    *words: object,
    python: str = sys.executable,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    given = [python, *map(str, words)]
    return subprocess.run(given, check=False, capture_output=True, text=True, cwd=cwd, env=env)


# --------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_and_the_next_commands_are_printed(
    kind: Kind, run_arena: Runner, tmp_path: Path
) -> None:
    done = run_arena("new", kind, "my-idea", "--dir", "some where")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "some where" / "arena-my-idea"
    written = {str(p.relative_to(tmp_path)) for p in folder.rglob("*") if p.is_file()}
    files, _, following = done.stdout.partition("\n\n")
    assert {line.strip() for line in files.splitlines()[1:]} == written
    assert {Path(p).name for p in written} == {
        *("arena_my_idea.py", "test_arena_my_idea.py"),
        *("tournament.yaml", "pyproject.toml", "README.md"),
    }
    assert [line.strip() for line in following.splitlines()[1:]] == [
        "arena install -e 'some where/arena-my-idea'",
        "arena check my-idea",
        "arena run 'some where/arena-my-idea/tournament.yaml'",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_it_depends_on_the_arena_that_wrote_it(kind: Kind, tmp_path: Path) -> None:
    from importlib.metadata import version

    write(kind, "my-idea", tmp_path, NONE)
    text = (tmp_path / "arena-my-idea" / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    assert project["name"] == "arena-my-idea"
    assert project["entry-points"] == {"arena": {"my-idea": "arena_my_idea"}}
    (host,) = (r for r in map(Requirement, project["dependencies"]) if "arena" in r.name)
    assert host.name == "extraction-arena"
    major = int(version(host.name).split(".")[0])
    assert version(host.name) in host.specifier
    assert f"{major + 1}.0" not in host.specifier
    assert f"{major}.999" in host.specifier


@pytest.mark.parametrize("name", ["no", "on", "class", "e1", "none", "x", LONG])
def test_a_name_is_read_as_it_is_written(name: str, tmp_path: Path) -> None:
    for kind, key in (("attack", "attacks"), ("target", "targets")):
        write(kind, name, tmp_path / kind, NONE)  # type: ignore[arg-type]
        file = tmp_path / kind / f"arena-{name}" / "tournament.yaml"
        first = parse(file.read_text(), "t").data[key][0]
        assert next(iter(first)) == name if isinstance(first, dict) else first == name


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("My_Idea", "my-idea"),
        ("MyIdea", "my-idea"),
        ("3d probe", "d-probe"),
        ("a--b-", "a-b"),
        ("x" * (LONGEST + 1), "x" * LONGEST),
        ("../up", "up"),
        ("é", "my-idea"),
        ("", "my-idea"),
    ],
)
def test_a_name_that_will_not_do_is_mended(name: str, like: str, tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match=rf" cannot name a plugin; .*, like '{like}'$"):
        write("attack", name, tmp_path, NONE)
    assert not [*tmp_path.iterdir()]
    write("attack", like, tmp_path, NONE)


@pytest.mark.parametrize("name", ["label", "null", "true", "false"])
def test_a_word_of_tournament_files_is_no_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match=f"^'{name}' has a meaning of its own .* 'my-{name}', say"):
        write("target", name, tmp_path, NONE)
    write("target", f"my-{name}", tmp_path, NONE)


def test_mistakes_are_one_sentence_and_nothing_is_written(
    run_arena: Runner, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "arena-mine").mkdir()
    (tmp_path / "arena-mine" / "kept").touch()
    (tmp_path / "file").touch()
    (site.path / "arena_taken.py").touch()
    before = {*tmp_path.rglob("*")}
    for words, sentence in {
        "attack random": "attack 'random' is there already, of extraction-arena 0.1.0; "
        "choose another name",
        "target taken": f"module arena_taken is there already, in {site.path}/arena_taken.py; "
        "choose another name",
        "attack mine": "arena-mine exists; nothing was written: choose another name, "
        "or another folder by --dir",
        "attack new --dir file": "file/arena-new cannot be written: Not a directory; "
        "name another folder by --dir",
        "weapon new": "invalid value for '{attack|defense|target}': 'weapon' is not one of "
        "'attack', 'defense', 'target' (arena new --help says more)",
    }.items():
        environment = {**os.environ, "PYTHONPATH": str(site.path)}
        done = run_arena("new", *words.split(), env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"arena: {sentence}\n")
    assert {*tmp_path.rglob("*")} == before
    # A name is another kind's to use, too.
    assert run_arena("new", "target", "random").returncode == 0


def test_half_a_package_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_text

    def full(self: Path, text: str, encoding: str | None = None) -> int:
        if self.name == "tournament.yaml":
            raise OSError(28, "No space left on device")
        return whole(self, text, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArenaError, match="cannot be written: No space left on device; name"):
        write("attack", "mine", tmp_path, NONE)
    assert not [*tmp_path.iterdir()]


# ------------------------------------------------------------------------------------- it is clean


@pytest.mark.parametrize("name", ["x", LONG])
@pytest.mark.parametrize("kind", KINDS)
def test_ruff_finds_nothing(kind: Kind, name: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    write(kind, name, tmp_path, NONE)
    folder = tmp_path / f"arena-{name}"
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    rules = f"--select={','.join(lint['select'])}", f"--ignore={','.join(lint['ignore'])}"
    given = ("-m", "ruff", "check", "--isolated", "--target-version=py311", "--no-cache")
    for width in (88, 100):
        done = command(*given, f"--line-length={width}", *rules, ".", cwd=folder)
        assert done.returncode == 0, done.stdout
        form = ("-m", "ruff", "format", "--isolated", "--no-cache", f"--line-length={width}")
        done = command(*form, "--diff", ".", cwd=folder)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("configured", [True, False])
def test_mypy_finds_nothing(configured: bool, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for kind in KINDS:
        write(kind, f"trial-{kind}", tmp_path, NONE)
    parts = ("src", "tests") if CONFORMANCE else ("src",)
    sources = [tmp_path / f"arena-trial-{kind}" / part for kind in KINDS for part in parts]
    rules = f"--config-file={ROOT / 'pyproject.toml'}" if configured else "--strict"
    path = [ROOT, *(p for p in sources if p.name == "src")]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(map(str, path))}
    done = command(
        "-m", "mypy", rules, "--follow-imports=silent", *sources, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------------------------- it works


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of every kind, and ``site``, which pip has installed them into."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("new")
    for kind in KINDS:
        write(kind, f"trial-{kind}", folder, NONE)
    packages = [folder / f"arena-trial-{kind}" for kind in KINDS]
    pip = ("-m", "pip", "install", "--quiet", *OFFLINE, "--target", folder / "site")
    done = command(*pip, *packages)
    assert done.returncode == 0, done.stderr
    return folder


def seeing(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder / "site")}


def test_it_is_listed_as_it_describes_itself(installed: Path, run_arena: Runner) -> None:
    done = run_arena("plugins", "--json", env=seeing(installed))
    listing = json.loads(done.stdout)
    assert not listing["broken"]
    ours = {p["kind"]: p for p in listing["plugins"] if p["name"].startswith("trial-")}
    assert ours.keys() == KINDS.keys()
    for kind, plugin in ours.items():
        assert plugin["distribution"] == f"arena-trial-{kind}"
        assert plugin["module"] == f"arena_trial_{kind}"
        assert all(p.get("description") for n, p in plugin["parameters"].items() if n != "reveals")


@pytest.mark.parametrize("kind", SOME_SLOW)
def test_it_plays(kind: Kind, installed: Path, run_arena: Runner, tmp_path: Path) -> None:
    file = installed / f"arena-trial-{kind}" / "tournament.yaml"
    done = run_arena("run", file, *QUICK, "--workers", 1, env=seeing(installed))
    assert (done.returncode, done.stderr) == (0, "")
    exported = run_arena("export", tmp_path / "runs" / f"trial-{kind}").stdout.splitlines()
    matches = [json.loads(line) for line in exported]
    place = {"target": 0, "defense": 1, "attack": 2}[kind]
    mine = [
        m for m in matches if f"arena-trial-{kind}/trial-{kind}" in json.dumps(m["specification"])
    ]
    assert mine
    assert all(m["record"] and not m["skipped"] for m in mine)
    assert len({m["names"][place] for m in mine}) == (1 if kind == "attack" else 2)


@pytest.mark.skipif(not CONFORMANCE, reason="arena.conformance is not there")
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(kind: Kind, installed: Path) -> None:
    folder = installed / f"arena-trial-{kind}"
    done = command(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, env=seeing(installed)
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_its_tournament_is_read_with_its_defaults(installed: Path, site: Site) -> None:
    # Without the plugin, the one mistake is that it is not there.
    file = installed / "arena-trial-attack" / "tournament.yaml"
    with pytest.raises(
        ArenaError, match=r"^\S+tournament\.yaml:\d+:5: unknown attack 'trial-attack'"
    ):
        load(file)


@pytest.mark.slow
def test_from_the_wheel_to_the_board_in_an_environment_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    kept = shutil.ignore_patterns(".git", ".venv*", "build", "*.egg-info", ".*_cache", "runs")
    shutil.copytree(ROOT, tmp_path / "source", ignore=kept)
    wheel = ("-m", "pip", "wheel", "--quiet", *OFFLINE, "--wheel-dir", tmp_path / "dist")
    assert command(*wheel, tmp_path / "source").returncode == 0
    (built,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        packed = {Path(name).name for name in archive.namelist() if name.endswith(".template")}
    assert packed == {path.name for path in (ROOT / "arena" / "templates").glob("*.template")}

    venv.create(tmp_path / "venv", symlinks=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("-packages")]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in libraries]
    (packages / "libraries.pth").write_text("".join(lines))
    pip = ("-m", "pip", "--python", python, "install", "--quiet", *OFFLINE)
    assert command(*pip, "--ignore-installed", built).returncode == 0

    def arena(*words: object) -> str:
        done = command("-m", "arena.cli", *words, python=python, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for kind in KINDS:
        arena("new", kind, f"trial-{kind}")
    editable = [word for kind in KINDS for word in ("-e", f"arena-trial-{kind}")]
    came = arena("install", *editable, "--", *OFFLINE)
    assert [line.split()[1] for line in came.splitlines()[2:]] == [*KINDS]
    for kind in KINDS:
        folder = tmp_path / f"arena-trial-{kind}"
        if CONFORMANCE:
            done = command("-m", "pytest", "-q", python=python, cwd=folder)
            assert done.returncode == 0, done.stdout
            arena("check", f"trial-{kind}")
        assert f"trial-{kind}" in arena("plugins")
        assert f"trial-{kind}" in arena("run", folder / "tournament.yaml", "--quiet")
