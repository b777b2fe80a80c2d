"""Plugins disabled by name: not imported, not in tournaments, in every process of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Runner
from sites import Site, attack

from arena.cli import main
from arena.disabling import names
from arena.errors import ArenaError
from arena.registry import load_entry_points
from arena.store import Store

TOURNAMENT = """\
targets: [decision-tree: {dataset: iris}]
attacks: [%s]
budget: 10
repetitions: 1
goal: {inputs: uniform, reach: [0.9], size: 200}
"""

TWO = attack("one").partition("@hookimpl")[0] + attack("two").replace(
    "register(Two)", "register(One)\n    register(Two)"
)
LOUD = 'raise RuntimeError("imported")'

WITNESS = '''
import os
import sys
from arena import Attack, hookimpl

class Witness(Attack):
    """Prints what its process has imported and is told."""
    name = "witness"
    def extract(self, oracle, rng):
        print("disabled:", os.environ["ARENA_DISABLE"])
        print("eat:", "arena_plugins.attacks.eat" in sys.modules)
        print("majority:", "arena_plugins.attacks.majority" in sys.modules)
        yield Guess()

class Guess:
    def predict(self, X):
        return [0] * len(X)

@hookimpl
def register_attacks(register):
    register(Witness)
'''


def environment(site: Site, disabled: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site.path), "ARENA_DISABLE": disabled}


def test_names_are_split_at_commas() -> None:
    assert names(" eat, their-pack/probe ,,eat,") == ("eat", "their-pack/probe")
    assert names("") == ()


def test_the_option_adds_to_the_variable_for_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for before in ("majority", None):
        monkeypatch.delenv("ARENA_DISABLE", raising=False)
        if before is not None:
            monkeypatch.setenv("ARENA_DISABLE", before)
        assert main(["--disable", "eat, eat", "plugins", "--json"]) == 0
        disabled = json.loads(capsys.readouterr().out)["disabled"]
        assert [d["name"] for d in disabled] == (["eat", "majority"] if before else ["eat"])
        assert os.environ.get("ARENA_DISABLE") == before


def test_a_disabled_entry_point_is_not_imported(site: Site) -> None:
    site.add("loud", probe=LOUD)
    site.add("quiet", probe=attack("probe"))
    both = load_entry_points(site.entry_points())
    assert [b.reason for b in both.broken] == ["import fails with RuntimeError: imported"]
    one = load_entry_points(site.entry_points(), ("loud/probe",))
    assert not one.broken
    assert [p.full_name for p in one.plugins] == ["quiet/probe"]
    assert [(d.name, d.distribution, d.kind) for d in one.disabled] == [("probe", "loud", None)]
    neither = load_entry_points(site.entry_points(), ("probe",))
    assert not neither.plugins
    assert [d.distribution for d in neither.disabled] == ["loud", "quiet"]


def test_one_of_two_plugins_of_a_name_is_enough_for_a_tournament(site: Site) -> None:
    site.add("pack-a", probe=attack("probe"))
    site.add("pack-b", probe=attack("probe"))
    with pytest.raises(ArenaError, match="2 attacks are called 'probe'"):
        site.registry().find("attack", "probe")
    registry = load_entry_points(site.entry_points(), ("pack-a/probe",))
    assert registry.find("attack", "probe").distribution == "pack-b"
    with pytest.raises(ArenaError, match=r"^attack 'pack-a/probe' of pack-a 1\.0 is disabled; "):
        registry.find("attack", "pack-a/probe")


def test_a_plugin_is_disabled_by_its_own_name_too(site: Site) -> None:
    site.add("pack", kit=TWO)
    assert [p.name for p in site.registry().plugins] == ["one", "two"]
    registry = load_entry_points(site.entry_points(), ("two", "three"))
    assert [p.name for p in registry.plugins] == ["one"]
    assert [(d.name, d.kind) for d in registry.disabled] == [("two", "attack")]
    assert registry.unmatched == ("three",)
    with pytest.raises(ArenaError, match=r"'two' of pack 1\.0 is disabled; take 'two' out of"):
        registry.find("attack", "two")
    with pytest.raises(ArenaError, match=r"^unknown defence 'two'; .*1 more are disabled"):
        registry.find("defense", "two")


def test_plugins_says_what_is_disabled(run_arena: Runner, site: Site) -> None:
    site.add("loud", probe=LOUD)
    given = environment(site, "loud/probe, eat, nonsense")
    done = run_arena("plugins", env=given)
    assert done.returncode == 0
    assert done.stdout.endswith(
        "\ndisabled: 'eat' of extraction-arena 0.1.0; "
        "take 'eat' out of ARENA_DISABLE (or of --disable) to enable it"
        "\ndisabled: 'probe' of loud 1.0; "
        "take 'loud/probe' out of ARENA_DISABLE (or of --disable) to enable it\n"
    )
    assert done.stderr == (
        "arena: ARENA_DISABLE (or --disable) names 'nonsense', and no plugin is called so\n"
    )
    data = json.loads(run_arena("plugins", "--json", env=given).stdout)
    assert [(d["name"], d["by"]) for d in data["disabled"]] == [
        ("eat", "eat"),
        ("probe", "loud/probe"),
    ]
    assert "eat" not in {p["name"] for p in data["plugins"]}
    assert not data["broken"]


def test_a_tournament_that_names_it_says_where_and_how_to_enable_it(
    run_arena: Runner, tmp_path: Path
) -> None:
    (tmp_path / "t.yaml").write_text(TOURNAMENT % "constant, majority: {attack: eat, repeats: 3}")
    done = run_arena("--disable", "eat", "run", "t.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "arena: t.yaml:2:40: attack: attack 'eat' of extraction-arena 0.1.0 is disabled; "
        "take 'eat' out of ARENA_DISABLE (or of --disable) to enable it\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "name",
    [
        "random",
        pytest.param("extraction-arena/public-data", marks=pytest.mark.slow),
    ],
)
def test_a_baseline_cannot_be_left_off_a_board(
    name: str, run_arena: Runner, tmp_path: Path
) -> None:
    (tmp_path / "t.yaml").write_text(TOURNAMENT % "eat")
    done = run_arena("run", "t.yaml", env={**os.environ, "ARENA_DISABLE": name})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"arena: t.yaml:2:10: '{name.rpartition('/')[2]}' is a baseline that is on every board; "
        f"take '{name}' out of ARENA_DISABLE (or of --disable) to enable it\n"
    )


def test_the_baseline_of_another_distribution_can(
    run_arena: Runner, site: Site, tmp_path: Path
) -> None:
    baseline = attack("probe").replace('name = "probe"', 'name = "probe"\n    baseline = True')
    site.add("pack", probe=baseline)
    (tmp_path / "t.yaml").write_text(TOURNAMENT % "eat")
    for disabled, matches in (("", 5), ("probe", 4)):
        done = run_arena("validate", "t.yaml", env=environment(site, disabled))
        assert done.stdout == f"t.yaml is valid: {matches} matches\n"


def test_it_is_disabled_where_attacks_run_too(
    run_arena: Runner, site: Site, tmp_path: Path
) -> None:
    site.add("pack", witness=WITNESS)
    (tmp_path / "t.yaml").write_text(TOURNAMENT % "witness")
    given = environment(site, "eat")
    done = run_arena("run", "t.yaml", "--only", "witness", "--workers", 1, env=given)
    assert (done.returncode, done.stderr) == (0, "")
    with Store.open(tmp_path / "runs" / "t") as store:
        ((_, key, _),) = [
            (entry, *line)
            for entry, line in zip(store.results().entries, store.lineup(), strict=True)
            if entry.record and entry.attack == "witness"
        ]
        diagnostics = store.diagnostics(key)
    assert diagnostics is not None
    assert diagnostics.output == "disabled: eat\neat: False\nmajority: True\n"
