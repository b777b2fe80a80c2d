"""What a file requires, plugins of other distributions by name, and which versions played."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toys
from conftest import Writer
from playground import Fitter, tournament
from sites import Site

import arena.registry
from arena import Attack
from arena.build import forget_sources
from arena.cli import main
from arena.engine import play, to_play
from arena.errors import ArenaError
from arena.registry import load_entry_points
from arena.store import FILE
from arena.tournament import load
from arena_plugins.attacks.majority import Majority

REGISTRY = toys.registry()
INSTALL = "this file requires arena-pack>=0.1, which is not installed: arena install"
MEND = f"{INSTALL} 'arena-pack>=0.1'"
BOTH = (
    "this file requires arena-pack>=0.1 and other[fast], which are not installed: "
    "arena install 'arena-pack>=0.1' 'other[fast]'"
)
FILE_TEXT = """\
requires: %s
targets: [box]
defenses: [%s]
attacks: [%s]
"""

PACK = '''
from arena import Attack, Defense, hookimpl

class Probe(Attack):
    """Asks once, and guesses class 0."""
    name = "probe"
    def extract(self, oracle, rng):
        oracle.ask(oracle.knowledge.domain.sample(1, rng))
        yield Guess()

class Guess:
    def predict(self, X):
        return [0] * len(X)

class Veil(Defense):
    """Passes on."""
    name = "veil"
    def protect(self, victim, rng):
        return self
    def answer(self, X, answer):
        return answer

@hookimpl
def register_attacks(register):
    register(Probe)

@hookimpl
def register_defenses(register):
    register(Veil)
'''

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """Run the command line in this process, in an empty folder: exit code, output, complaints."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


# -------------------------------------------------------------------------------------- requires


def complaints(path: Path) -> list[str]:
    with pytest.raises(ArenaError) as caught:
        load(path, REGISTRY)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("required", "defense", "attack", "mistakes"),
    [
        ("[arena-pack>=0.1]", "none", "lost", [f"4:11: unknown attack 'lost'; {MEND}"]),
        (
            "[arena-pack>=0.1]",
            "none",
            "repeat: {attack: arena-pack/lost}",
            [f"4:28: attack: unknown attack 'arena-pack/lost'; {MEND}"],
        ),
        (
            "[arena-pack>=0.1]",
            "[none, lost: {x: 1}]",
            "probe",
            [f"3:19: unknown defence 'lost'; {MEND}"],
        ),
        (
            "[arena-pack>=0.1]",
            "[none, twice: {defense: lost}]",
            "probe",
            [f"3:36: defense: unknown defence 'lost'; {MEND}"],
        ),
        (
            "['arena-pack>=0.1', toys-of-nobody; python_version < '3', 'other[fast]']",
            "none",
            "lost",
            [f"4:11: unknown attack 'lost'; {BOTH}"],
        ),
        ("['arena-pack >= 0.1']", "none", "probe", [f"1:12: {MEND}"]),
        ("[pytest, arena-pack>=0.1]", "none", "probe", [f"1:20: {MEND}"]),
        ("[pytest]", "none", "prob", ["4:11: unknown attack 'prob'; did you mean 'probe'?"]),
        (
            "[pytest, arena pack]",
            "none",
            "probe",
            ["1:20: requires: 'arena pack' is no requirement; write one like arena-pack>=0.1"],
        ),
        (
            "[pytest; sys_platform ~= 'linux']",
            "none",
            "probe",
            ["1:12: requires: \"pytest; sys_platform ~= 'linux'\" is no requirement; write one"],
        ),
        ("pytest", "none", "probe", ["1:11: requires should be a list, not 'pytest'; put it in"]),
        ("[3]", "none", "probe", ["1:12: an item of requires should be a text, not 3; put it in"]),
    ],
)
def test_what_a_file_requires_and_lacks_is_told_with_its_mend(
    required: str, defense: str, attack: str, mistakes: list[str], tournament_file: Writer
) -> None:
    found = complaints(tournament_file(FILE_TEXT % (required, defense, attack)))
    assert len(found) == len(mistakes)
    for line, beginning in zip(found, mistakes, strict=True):
        assert line.startswith(beginning)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("arena-pack", True),
        ("Arena_Pack>=0.2", True),
        ("arena-pack==0.3rc1", True),
        ("arena-pack[fast]<0.4; python_version > '3'", True),
        ("arena-pack>=0.3", False),
        ("arena-pack<0.2", False),
        ("arena-pack @ https://example.org/arena_pack.whl", True),
    ],
)
def test_a_package_is_held_to_the_version_that_is_required(
    wanted: str, fits: bool, site: Site, tournament_file: Writer
) -> None:
    site.add("arena-pack", "0.3rc1")
    path = tournament_file(FILE_TEXT % (json.dumps([wanted]), "none", "probe"))
    if fits:
        assert load(path, REGISTRY).attacks[0].label == "probe"
        return
    assert complaints(path) == [
        f"1:12: this file requires {wanted}, and arena-pack 0.3rc1 is installed: "
        f"arena install '{wanted}'"
    ]


@pytest.mark.parametrize("command", [["validate"], ["run", "--dry-run"], ["run"]])
def test_every_command_that_reads_a_file_knows_it(
    command: list[str], shell: Shell, tournament_file: Writer, tmp_path: Path
) -> None:
    text = "targets: [halfspace: {dataset: iris}]\nattacks: [majority: {repeats: 3, attack: %s}]\n"
    tournament_file("requires: [arena-pack>=0.1]\n" + text % "lost")
    assert shell(*command, "t.yaml") == (
        *(2, ""),
        f"arena: t.yaml:3:42: attack: unknown attack 'lost'; {MEND}\n",
    )
    assert not (tmp_path / "runs").exists()
    tournament_file("requires: [extraction-arena, pytest>=7]\n" + text % "eat")
    if command != ["run"]:
        assert shell(*command, "t.yaml")[0] == 0


# ------------------------------------------------------------------------------ names in full


@pytest.fixture
def twins(site: Site) -> Iterator[None]:
    """Have two distributions installed that both bring a probe and a veil."""
    site.add("pack-a", pack=PACK)
    site.add("pack-b", "2.1", pack=PACK)
    arena.registry._installed.cache_clear()
    yield
    arena.registry._installed.cache_clear()


@pytest.mark.usefixtures("twins")
def test_a_name_in_full_is_taken_wherever_a_plugin_is_named(
    shell: Shell, tournament_file: Writer
) -> None:
    assert shell("plugins", "show", "pack-b/veil")[1].startswith("veil  (defense, pack-b 2.1)\n")
    assert len(json.loads(shell("plugins", "show", "veil", "--json")[1])) == 2
    assert "2 attacks are called 'probe'" in shell("play", "probe", "halfspace:dataset=iris")[2]

    words = ("majority:repeats=3,attack=pack-b/probe", "halfspace:dataset=iris")
    terms = ("--budget", 8, "--isolation", "none", "--goal", "size=200,reach=[0.9]")
    code, out, err = shell("play", *words, "[none, pack-a/veil]", *terms, "--json")
    assert (code, err) == (0, "")
    played = json.loads(out)
    inner = played["specification"]["attack"][1]["attack"]
    assert inner == ["pack-b/probe", {}]
    assert [link[0] for link in played["specification"]["defense"]] == [
        "extraction-arena/none",
        "pack-a/veil",
    ]
    assert (played["versions"]["pack-a"], played["versions"]["pack-b"]) == ("1.0", "2.1")

    tournament_file(
        "targets: [extraction-arena/halfspace: {dataset: iris}]\n"
        "defenses: [pack-a/veil, [none, pack-b/veil]]\n"
        "attacks: [pack-a/probe: {}, {pack-b/probe: {}, label: other}]\nrepetitions: 1\n"
    )
    assert shell("validate", "t.yaml")[0] == 0
    for pattern, matches in (("pack-b/probe", 2), ("pack-a/*", 6), ("extraction-arena/eat", 0)):
        code, out, err = shell("run", "t.yaml", "--dry-run", "--only", pattern)
        assert (code, out.partition(" ")[0]) == ((0, str(matches)) if matches else (2, ""))
    assert err.startswith("arena: --only 'extraction-arena/eat' fits no attack")

    code, out, _ = shell("--disable", "pack-a/probe", "plugins", "--json")
    left = [p["distribution"] for p in json.loads(out)["plugins"] if p["name"] == "probe"]
    assert left == ["pack-b"]


@pytest.mark.usefixtures("twins")
def test_one_of_two_plugins_of_a_name_is_checked(shell: Shell) -> None:
    out = shell("check", "pack-b/veil", "--json")[1]
    assert {result["plugin"] for result in json.loads(out)["results"]} == {"defence veil"}
    twice = shell("check", "veil", "--json")[1]
    assert len(json.loads(twice)["results"]) == 2 * len(json.loads(out)["results"])


# -------------------------------------------------------------------------------------- versions


def installs(site: Site, name: str, version: str, *requires: str) -> None:
    """Put another version of a distribution without code in the place of the one there is."""
    for old in site.path.glob(f"{name.replace('-', '_')}-*.dist-info"):
        shutil.rmtree(old)
    site.add(name, version)
    requirements(site, name, *requires)
    importlib.invalidate_caches()
    forget_sources()


def requirements(site: Site, name: str, *requires: str) -> None:
    (info,) = site.path.glob(f"{name.replace('-', '_')}-*.dist-info")
    with (info / "METADATA").open("a", encoding="utf-8") as file:
        file.writelines(f"Requires-Dist: {line}\n" for line in requires)


@pytest.fixture
def probe(site: Site) -> Iterator[Attack]:
    """An attack of a distribution that requires another, which is installed, and more."""
    site.add("pack", "0.4", pack=PACK)
    unused = ("gone", "unused; extra == 'dev'", "extraction-arena", "numpy")
    requirements(site, "pack", "Dep.Lib>=1", *unused)
    installs(site, "dep-lib", "1.0", "below")
    installs(site, "below", "1.0")
    installs(site, "unused", "1.0")
    forget_sources()
    (found,) = load_entry_points(site.entry_points()).of_kind("attack")
    made = found.plugin()
    assert isinstance(made, Attack)
    yield made
    forget_sources()


def test_what_an_inner_plugin_requires_is_kept_and_its_upgrade_replays(
    probe: Attack, site: Site, shell: Shell, tmp_path: Path
) -> None:
    t = tournament([Majority(repeats=3, attack=probe)])
    folder = tmp_path / "results"
    (entry,) = play(t, folder, executor=None).entries
    assert entry.record is not None
    assert not to_play(t, folder)

    before = exported_versions(shell, folder)
    libraries = {"python", "numpy", "scipy", "scikit-learn"}
    assert before.keys() == libraries | {"extraction-arena", "unregistered", "pack", "dep-lib"}
    assert (before["pack"], before["dep-lib"]) == ("0.4", "1.0")
    page = shell("show", folder, entry.record.match)[1]
    assert re.search(r"^played with dep-lib 1\.0, .*, pack 0\.4, python 3\.", page, re.MULTILINE)

    for bystander in ("below", "unused"):
        installs(site, bystander, "9.0")
        assert not to_play(t, folder)
    installs(site, "dep-lib", "1.1", "below")
    (again,) = play(t, folder, executor=None).entries
    assert again.record is not None
    assert again.record.build != entry.record.build
    assert exported_versions(shell, folder) == before | {"dep-lib": "1.1"}
    # What arena itself does is known by its sources.
    installs(site, "extraction-arena", "99.0")
    assert not to_play(t, folder)


def exported_versions(shell: Shell, folder: Path) -> dict[str, str]:
    (line,) = map(json.loads, shell("export", folder)[1].splitlines())
    versions: dict[str, str] = line["versions"]
    return versions


def test_a_folder_from_before_versions_were_kept_still_opens(shell: Shell, tmp_path: Path) -> None:
    t, folder = tournament([Fitter()]), tmp_path / "results"
    (entry,) = play(t, folder, executor=None).entries
    db = sqlite3.connect(folder / FILE)
    db.execute("DROP TABLE versions")
    db.close()
    assert exported_versions(shell, folder) == {}
    assert entry.record is not None
    code, out, _ = shell("show", folder, entry.record.match)
    assert (code, "played with" in out) == (0, False)
    assert shell("board", folder)[0] == 0
    assert play(t, folder, executor=None).entries == (entry,)
    assert exported_versions(shell, folder) == {}
    play(t, folder, executor=None, fresh=True)
    assert "numpy" in exported_versions(shell, folder)
