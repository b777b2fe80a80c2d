"""Who meets whom, and what a match's identity and seeds depend on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import toys
from conftest import Writer
from hypothesis import given, settings
from hypothesis import strategies as st
from playground import tournament

from arena import Feature
from arena.api import ANY, Attack, Traits
from arena.errors import ArenaError
from arena.pairing import MatchSpec, plan, playable, selected
from arena.registry import build, installed
from arena.tournament import Tournament, load

REGISTRY = toys.registry()
TARGETS = ("box", "box: {width: 3}", "box: {reveals: [label, score]}")
DEFENSES = ("none", "noise: {rate: 0.1}", "[noise: {rate: 0.2}, mute]")
GUARD = "tree-guard protects forest, tree, the target is halfspace"
ATTACKS = ("probe", "probe: {size: 4}", "repeat: {attack: probe}", "scorer")


def text(
    targets: Any = ("box",), defenses: Any = ("none",), attacks: Any = ("probe",), more: str = ""
) -> str:
    entries = {"targets": targets, "defenses": defenses, "attacks": attacks}
    lists = (f"{key}:\n" + "".join(f"  - {e}\n" for e in es) for key, es in entries.items())
    return "".join(lists) + more


def specs(path: Path) -> tuple[MatchSpec, ...]:
    return plan(load(path, REGISTRY))


def only(path: Path) -> MatchSpec:
    """Return the first match of a file."""
    return specs(path)[0]


# ------------------------------------------------------------------------------------ who meets


def test_every_attack_meets_every_defended_target(tournament_file: Writer) -> None:
    path = tournament_file(text(TARGETS, DEFENSES, ATTACKS, "repetitions: 3\nbudget: 7\n"))
    tournament = load(path, REGISTRY)
    found = plan(tournament)
    names = [(s.target.label, s.defense.label, s.attack.label, s.repetition) for s in found]
    labels = ([e.label for e in es] for es in (tournament.targets, tournament.defenses))
    attacks = [e.label for e in tournament.attacks]
    assert names == list(product(*labels, attacks, range(3)))
    assert len(names) == 3 * 3 * 5 * 3
    assert {s.budget for s in found} == {7}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (text(), ""),
        (text(attacks=["scorer"]), "scorer needs score, clients see label"),
        (text(["box: {reveals: [score]}"], attacks=["scorer"]), ""),
        (text(defenses=["mute"]), "probe needs label, clients see nothing"),
        (text(defenses=["[noise: {rate: 0.1}, mute]"]), "probe needs label, clients see nothing"),
        (text(defenses=["twice: {defense: mute}"]), "probe needs label, clients see nothing"),
        (text(defenses=["[none, tree-guard]"]), GUARD),
        (text(defenses=["twice: {defense: tree-guard}"]), GUARD.replace("tree-guard", "twice")),
        (text(attacks=["repeat: {attack: scorer}"]), "repeat needs score, clients see label"),
        (text(attacks=["tree-only"]), "tree-only learns tree, the target is halfspace"),
        (
            text(attacks=["repeat: {attack: tree-only}"]),
            "repeat learns tree, the target is halfspace",
        ),
        (
            text(attacks=["insider"]),
            "insider must be told defense, pool, which the tournament does not grant",
        ),
        (
            text(attacks=["insider"], more="knowledge: {pool: 1}"),
            "insider must be told defense, which the tournament does not grant",
        ),
        (text(attacks=["insider"], more="knowledge: {pool: 1, defense: true}"), ""),
        (text(more="goal: {metric: geometric-error, reach: [0.1]}"), ""),
        (
            text(["table: {dataset: {csv: d.csv, label: y}}"])
            + "goal: {metric: parameter-error, reach: [0.1]}",
            "parameter-error is defined for linear targets, this is tree",
        ),
    ],
)
def test_a_pair_that_cannot_meet_says_why(
    lines: str, reason: str, tournament_file: Writer, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text("a,y\n1,u\n2,v\n")
    assert only(tournament_file(lines)).skipped == reason


MEEK = "lowd-meek needs continuous features, and 'rooms' is integer"
VOTES = "majority: {repeats: 3, attack: %s}"
COUPLING = "dimension-coupling couples two features, and the target has one"


@pytest.mark.parametrize(
    ("target", "attack", "reason"),
    [
        ("logistic: {dataset: WHOLE}", "lowd-meek", MEEK),
        ("halfspace: {dataset: WHOLE, space: box}", "lowd-meek", MEEK),
        (
            "halfspace: {dataset: WHOLE, space: box}",
            VOTES % "lowd-meek",
            MEEK,
        ),
        ("halfspace: {dataset: WHOLE}", "lowd-meek", ""),
        ("halfspace: {dataset: WHOLE, space: box}", "line-search", ""),
        ("logistic: {dataset: LINE}", "lowd-meek", ""),
        ("logistic: {dataset: LINE, bins: 2}", "lowd-meek", MEEK.replace("integer", "binned")),
        ("halfspace: {dataset: LINE}", "dimension-coupling", COUPLING),
        (
            "halfspace: {dataset: LINE}",
            VOTES % "dimension-coupling",
            COUPLING,
        ),
        ("halfspace: {dataset: LINE}", "active-perceptron", ""),
        ("halfspace: {dataset: WHOLE}", "dimension-coupling", ""),
    ],
)
def test_what_an_attack_declines_is_skipped_at_planning(
    target: str, attack: str, reason: str, tournament_file: Writer, tmp_path: Path
) -> None:
    (tmp_path / "whole.csv").write_text("rooms,size,y\n1,0.5,u\n2,1.5,v\n3,1.5,v\n")
    (tmp_path / "line.csv").write_text("rooms,y\n1.5,u\n2,v\n3,v\n")
    for name in ("whole", "line"):
        target = target.replace(name.upper(), f"{{csv: {name}.csv, label: y}}")
    lines = text([target], attacks=[attack])
    assert plan(load(tournament_file(lines), installed()))[0].skipped == reason


def test_an_attack_that_fails_to_say_what_it_declines_is_blamed() -> None:
    class Unsure(toys.Probe):
        """Fails."""

        name = "unsure"

        def declines(self, features: Sequence[Feature]) -> str:
            raise KeyError("surprise")

    class Known(toys.Box):
        """Has one feature."""

        def known_features(self) -> tuple[Feature, ...]:
            return (Feature("x", "continuous", 0.0, 1.0),)

    with pytest.raises(ArenaError) as error:
        plan(tournament([Unsure()], targets=[Known()]))
    assert str(error.value) == (
        "attack 'unsure' of toys fails to say what it declines (KeyError: 'surprise'); "
        "report it there"
    )
    assert plan(tournament([Unsure()], targets=[toys.Box()]))[0].skipped == ""


def test_a_wrapper_does_what_the_defence_inside_does() -> None:
    inner = toys.Twice(defense=toys.Noise(rate=0.1))
    assert inner.traits == Traits(frozenset(), frozenset({"label"}), False, ANY)
    assert inner.flip_rate() is None
    assert toys.Twice(defense=toys.NoDefense()).flip_rate() == 0
    traits = toys.Twice(defense=toys.Twice(defense=toys.Treeguard())).traits
    assert (traits.stateful, traits.families) == (True, {"tree", "forest"})
    assert toys.Twice(defense=toys.Mute()).traits.hides == {"label"}


def test_what_leaves_a_chain(tournament_file: Writer) -> None:
    path = tournament_file(text(TARGETS[2:], ["none", "[noise: {rate: 0.1}, mute]"]))
    assert {s.defense.label: set(s.revealed) for s in specs(path)} == {
        "none": {"label", "score"},
        "noise(rate=0.1) + mute": {"score"},
    }


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (None, 8),
        ("*", 8),
        ("prob*", 4),
        ("probe", 4),
        ("probe(size=4)", 4),
        ("toys/probe", 4),
        ("toys/*", 8),
        ("theirs/*", 0),
        ("noise", 4),
        ("noise(rate=0.1)", 4),
        ("box", 8),
        ("PROBE", 0),
        ("", 0),
    ],
)
def test_only_is_a_glob_on_names(pattern: str | None, number: int, tournament_file: Writer) -> None:
    path = tournament_file(text(defenses=DEFENSES[:2], attacks=[ATTACKS[1]], more="repetitions: 2"))
    chosen = [s for s in specs(path) if selected(s, pattern)]
    assert len(chosen) == number
    tournament = load(path, REGISTRY)
    if number:
        assert len(playable(tournament, pattern)) == number / 2
    else:
        with pytest.raises(ArenaError, match=r"^--only '.*' fits no attack, defence or target; "):
            playable(tournament, pattern)


def test_only_says_what_comes_close(tournament_file: Writer) -> None:
    with pytest.raises(ArenaError) as error:
        playable(load(tournament_file(text()), REGISTRY), "prob")
    assert str(error.value) == (
        "--only 'prob' fits no attack, defence or target; did you mean 'probe'?"
    )


def test_nothing_to_play_is_a_mistake(tournament_file: Writer) -> None:
    tournament = load(tournament_file(text(attacks=["scorer"], defenses=["mute"])), REGISTRY)
    with pytest.raises(ArenaError) as error:
        playable(tournament)
    assert str(error.value).split("\n") == [
        "nothing can be played: scorer against mute on box: scorer needs score, clients see "
        "nothing",
        "nothing can be played: base against mute on box: base needs label, clients see nothing",
    ]
    tournament = load(tournament_file(text(attacks=["scorer", "probe"])), REGISTRY)
    assert {s.attack.label for s in playable(tournament)} == {"probe", "base"}


# ------------------------------------------------------------------------------------- identity


def same(path: Path, one: str, other: str) -> bool:
    """Whether the first matches of two files are one match."""
    keys = []
    for lines in (one, other):
        path.write_text(lines)
        keys.append((only(path).key, only(path).seeds))
    assert (keys[0][0] == keys[1][0]) == (keys[0][1]["attack"] == keys[1][1]["attack"])
    return keys[0] == keys[1]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (text(), text(["box: {width: 2, reveals: [label]}"]), True),
        (text(), text([" {box: , label: other}"]), True),
        (text(), text(["toys/box"], attacks=["toys/probe:"]), True),
        (text(), text(attacks=["probe: {size: 3, step: 0.5, tags: [], inner: null}"]), True),
        (
            text(attacks=["probe: {tags: [a, b], step: 5e-1}"]),
            text(attacks=["probe: {step: 0.50, tags: [b, a]}"]),
            True,
        ),
        (
            text(attacks=["repeat: {attack: probe}"]),
            text(attacks=["repeat: {attack: {probe: {size: 3}}, times: 2}"]),
            True,
        ),
        (
            text(attacks=["repeat: {attack: probe}"]),
            text(attacks=["repeat: {attack: {probe: {size: 4}}}"]),
            False,
        ),
        (text(["box: {reveals: [label, score]}"]), text(["box: {reveals: [score, label]}"]), True),
        (text(), text(defenses=["[none]"]), True),
        (text(), text(defenses=["[none, {none: , label: again}]"]), False),
        (
            text(defenses=["[noise: {rate: 0.1}, mute]"]),
            text(defenses=["[mute, noise: {rate: 0.1}]"]),
            False,
        ),
        (text(), text(["box: {width: 3}"]), False),
        (text(), text(attacks=["probe: {size: 4}"]), False),
        (text(), text(more="seed: 1"), False),
        (text(), text(more="seed: secret"), False),
        (text(), text(more="knowledge: {defense: true}"), False),
        (text(), text(more="knowledge: {pool: 1}"), False),
        (text(), text(more="retrain: true"), False),
        (text(), text(more="name: y\nprice: 3\nutility_floor: 0.5"), True),
        (text(), text(more="repetitions: 9\nbudget: 3\ncheckpoints: 2"), True),
        (text(), text(more="goal: {metric: accuracy, inputs: uniform, size: 4400}"), True),
    ],
)
def test_a_match_is_its_specifications_seed_repetition_and_knowledge(
    one: str, other: str, equal: bool, tmp_path: Path
) -> None:
    assert same(tmp_path / "t.yaml", one, other) is equal


@pytest.mark.parametrize(
    ("more", "equal"),
    [
        ("", True),
        ("name: y\nprice: 3\nrepetitions: 2\nseed: 4\nutility_floor: 0.5", True),
        ("goal: {reach: [0.5]}", True),
        ("budget: 501", False),
        ("checkpoints: 2", False),
        ("goal: {inputs: uniform}", False),
        ("goal: {metric: accuracy}", False),
        ("goal: {size: 4002}", False),
    ],
)
def test_its_terms_are_what_else_a_record_depends_on(
    more: str, equal: bool, tournament_file: Writer
) -> None:
    terms = only(tournament_file(text())).terms
    assert (only(tournament_file(text(more=more))).terms == terms) is equal


def test_an_identity_names_distributions_and_every_parameter(tournament_file: Writer) -> None:
    spec = only(tournament_file(text(defenses=["[none, noise: {rate: 0.25}]"])))
    assert spec.identity[:5] == (
        0,
        ["toys/box", {"reveals": ["label"], "width": 2}],
        None,
        [["toys/none", {}], ["toys/noise", {"rate": 0.25}]],
        spec.attack.plugin.identity(),
    )
    assert spec.identity[4][1]["size"] == 3


def test_a_key_is_the_same_on_every_machine(tournament_file: Writer) -> None:
    # A change of these makes every stored result unfindable: never by accident.
    spec = only(tournament_file(text(attacks=["scorer"])))
    assert spec.key == "c2eecad10d0b29211d29a0f2c971a386"
    assert spec.seeds["attack"] == "f4b83efe27a38095e31b63b58d0876f9"


def test_a_csv_file_may_move_and_may_not_change(tmp_path: Path) -> None:
    def key(folder: str, name: str, content: str) -> str:
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "data" / name).write_text(content)
        path = tmp_path / folder / f"{folder}.yaml"
        path.write_text(text([f"table: {{dataset: {{csv: data/{name}, label: y}}}}"]))
        return only(path).key

    content = "a,y\n1,u\n2,v\n"
    first = key("one", "d.csv", content)
    assert key("two", "e.csv", content) == first
    assert key("three", "d.csv", content + "3,v\n") != first


# ---------------------------------------------------------------------------------------- seeds


def by_names(tournament: Tournament) -> dict[tuple[Any, ...], Any]:
    return {
        (s.target.label, s.defense.label, s.attack.label, s.repetition): (s.key, s.seeds)
        for s in plan(tournament)
    }


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.sampled_from(TARGETS), min_size=1),
    st.sets(st.sampled_from(DEFENSES), min_size=1),
    st.sets(st.sampled_from(ATTACKS), min_size=1),
    st.integers(1, 4),
    st.integers(1, 10**6),
)
def test_other_entries_change_no_match(
    tmp_path_factory: pytest.TempPathFactory,
    targets: set[str],
    defenses: set[str],
    attacks: set[str],
    repetitions: int,
    budget: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "pairing.yaml"
    path.write_text(text(TARGETS, DEFENSES, ATTACKS, "repetitions: 4"))
    everything = by_names(load(path, REGISTRY))
    path.write_text(text(targets, defenses, attacks))
    part = by_names(load(path, REGISTRY).with_(repetitions, budget))
    assert part.items() <= everything.items()


@pytest.mark.parametrize("retrain", [False, True])
def test_a_seed_depends_on_its_own_role_only(retrain: bool, tournament_file: Writer) -> None:
    more = f"repetitions: 3\nretrain: {str(retrain).lower()}"
    found = specs(tournament_file(text(TARGETS, DEFENSES, ATTACKS, more)))
    roles: dict[str, Any] = {
        "target": lambda s: (s.target.label, s.repetition if retrain else 0),
        "scoring": lambda s: (s.target.label, s.repetition if retrain else 0),
        "public": lambda s: (s.target.label, s.repetition),
        "defense": lambda s: (s.target.label, s.defense.label, s.repetition),
        "attack": lambda s: (s.target.label, s.defense.label, s.attack.label, s.repetition),
    }
    assert set(found[0].seeds) == set(roles)
    everything = set()
    for role, inputs in roles.items():
        seeds = {(inputs(s), s.seeds[role]) for s in found}
        assert len(seeds) == len({given for given, _ in seeds}) == len({seed for _, seed in seeds})
        everything |= {(role, seed) for _, seed in seeds}
    assert len({seed for _, seed in everything}) == len(everything)
    assert all(int(seed, 16) < 2**128 for _, seed in everything)


def test_another_seed_of_the_tournament_changes_every_seed(tournament_file: Writer) -> None:
    one, other = (only(tournament_file(text(more=f"seed: {n}"))).seeds for n in (1, 2))
    assert not set(one.values()) & set(other.values())


def test_what_is_known_changes_the_attack_only(tournament_file: Writer) -> None:
    one = only(tournament_file(text())).seeds
    other = only(tournament_file(text(more="knowledge: {defense: true}"))).seeds
    assert {role for role in one if one[role] != other[role]} == {"attack"}


def test_a_training_is_shared_unless_something_of_it_differs(tournament_file: Writer) -> None:
    def keys(more: str = "") -> set[str]:
        path = tournament_file(text(TARGETS[:1], DEFENSES, ATTACKS, f"repetitions: 3\n{more}"))
        return {s.training.key for s in specs(path)}

    assert len(keys()) == 1
    assert keys("budget: 3\nknowledge: {defense: true}") == keys()
    assert len(keys("retrain: true")) == 3
    assert not keys("goal: {size: 4400}") & keys()
    assert not keys("knowledge: {pool: 1}") & keys()


def test_a_defence_is_no_input_of_an_attack_that_asks_nothing() -> None:
    silent = build(installed(), "attack", "public-data", {}, None)
    asking = build(installed(), "attack", "random", {}, None)
    assert isinstance(silent, Attack)
    assert isinstance(asking, Attack)
    assert (silent.silent, asking.silent) == (True, False)
    defenses = [build(installed(), "defense", name, {}, None) for name in ("none", "label-only")]
    t = tournament([silent, asking], defenses)  # type: ignore[arg-type]
    seeds = {(s.attack.label, s.defense.label): s.seeds["attack"] for s in plan(t)}
    assert seeds["public-data", "none"] == seeds["public-data", "label-only"]
    assert seeds["random", "none"] != seeds["random", "label-only"]
