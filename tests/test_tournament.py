"""Tournament files: what a valid one means, and one sentence for every mistake at its place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import toys
from conftest import Writer

from arena.errors import ArenaError
from arena.records import Figure, Goal
from arena.registry import Broken, Registered, Registry
from arena.settings import LARGEST_BUDGET, MOST_REPETITIONS, Grants
from arena.tournament import Tournament, load

REGISTRY = toys.registry()
VALID = """\
targets:
  - box
attacks:
  - probe
"""
CSV = "a,b,y\n1,2,u\n2,1,v\n3,5,u\n4,4,v\n"


def read(path: Path, registry: Registry = REGISTRY) -> Tournament:
    return load(path, registry)


def complaints(path: Path, registry: Registry = REGISTRY) -> list[str]:
    """Return the mistakes of a file, the file's name left out."""
    with pytest.raises(ArenaError) as error:
        load(path, registry)
    return [line.replace(f"{path}:", "").strip() for line in str(error.value).split("\n")]


# ------------------------------------------------------------------------------------ valid files


def test_defaults(tournament_file: Writer) -> None:
    t = read(tournament_file(VALID))
    assert (t.name, t.seed, t.repetitions, t.budget) == ("t", 0, 5, 500)
    assert (t.price, t.checkpoints, t.utility_floor, t.retrain) == (0.0001, 1.05, None, False)
    assert t.goal == Goal("fidelity", "natural", (0.9, 0.95, 0.99), 4000)
    assert t.knowledge == Grants()
    assert t.knowledge.granted() == {"hyperparameters"}
    assert [e.label for e in t.targets] == ["box"]
    assert [e.label for e in t.defenses] == ["none"]
    assert [e.label for e in t.attacks] == ["probe", "base"]


def test_every_key_is_read(tournament_file: Writer) -> None:
    t = read(
        tournament_file(
            VALID + "name: a.b-c_1\nseed: -3\nrepetitions: 2\nbudget: 7\nprice: 2\ncheckpoints: 1\n"
            "goal: {metric: accuracy, inputs: uniform, reach: [0.9, 0.5], size: 200}\n"
            "knowledge: {hyperparameters: false, pool: 3, defense: true}\n"
            "utility_floor: 0\nretrain: true\nisolation: none\nlimits: {wall: 2.5, memory: 100}\n"
            "published: {source: us, figures: [{target: box, attack: base, queries: 3}]}\n"
        )
    )
    assert (t.name, t.seed, t.repetitions, t.budget) == ("a.b-c_1", -3, 2, 7)
    assert (t.price, t.checkpoints, t.utility_floor, t.retrain) == (2.0, 1.0, 0.0, True)
    assert t.goal == Goal("accuracy", "uniform", (0.5, 0.9), 200)
    assert t.knowledge.granted() == {"pool", "defense"}
    assert (t.isolation, t.limits.wall, t.limits.memory, t.limits.cpu) == ("none", 2.5, 100, 1800)
    assert (t.source, t.published) == ("us", (Figure("box", "base", None, 3),))


def test_published_figures_are_of_what_is_played(tournament_file: Writer) -> None:
    figure = "{target: bix, defense: wall, attack: probe, queries: 3, goal: 0.5}"
    text = VALID + f"published:\n  source: us\n  figures:\n    - {figure}\n"
    assert complaints(tournament_file(text)) == [
        "8:16: no target here is named 'bix'; did you mean 'box'?",
        "8:30: no defence here is named 'wall'; known are: none",
        "8:69: 0.5 is no level of goal.reach; add it there",
    ]


def test_levels_go_from_easy_to_hard(tournament_file: Writer) -> None:
    text = VALID + "goal: {metric: geometric-error, reach: [0.001, 1.5, 0.1]}"
    assert read(tournament_file(text)).goal.reach == (1.5, 0.1, 0.001)


def test_labels_chains_and_wrappers(tournament_file: Writer) -> None:
    t = read(
        tournament_file(
            """\
targets:
  - toys/box: {width: 3}
    label: wide
  - box:
defenses:
  - none
  - [noise: {rate: 0.1}, {mute: , label: quiet}]
  - twice: {defense: {noise: {rate: 0.2}}}
attacks:
  - repeat: {attack: {repeat: {attack: {probe: {size: 5}}}}}
  - mixed: {attacks: [probe, {probe: {size: 4}}], spare: scorer}
  - base: {start: 2}
"""
        )
    )
    assert [e.label for e in t.targets] == ["wide", "box"]
    assert [e.label for e in t.defenses] == [
        "none",
        "noise(rate=0.1) + quiet",
        "twice(defense=noise(rate=0.2))",
    ]
    assert t.attacks[0].label == "repeat(attack=repeat(attack=probe(size=5)))"
    assert [e.label for e in t.attacks][2:] == ["base(start=2)"]
    inner = t.attacks[0].plugin.identity()[1]["attack"][1]["attack"]
    assert inner[0] == "toys/probe"
    assert inner[1]["size"] == 5
    assert inner[1]["step"] == 0.5


def test_parameters_of_every_type(tournament_file: Writer) -> None:
    t = read(
        tournament_file(
            VALID.replace(
                "probe",
                "probe: {size: 9, step: 1e-4, mode: slow, flag: true, title_: 'no', many: 3,"
                " rows: [1, 2], tags: [b, a], inner: {y: 1}, either: [1, 2.5], path: p, even: 4}",
            )
        )
    )
    probe = t.attacks[0].plugin
    assert isinstance(probe, toys.Probe)
    assert (probe.step, probe.rows, probe.tags) == (1e-4, (1, 2), frozenset("ab"))
    assert probe.inner == toys.Inner(y=1)
    assert json.loads(json.dumps(probe.identity()))[1]["path"] == "p"


def test_a_csv_file_is_found_from_the_tournament_file(
    tournament_file: Writer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text(CSV)
    file = tournament_file(VALID.replace("box", "table: {dataset: {csv: d.csv, label: y}}"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [e.label for e in read(Path("../t.yaml")).targets] == ["table d"]
    identity = read(file).targets[0].plugin.identity()
    assert read(Path("../t.yaml")).targets[0].plugin.identity() == identity


def test_a_number_may_name_the_label_column(tournament_file: Writer, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(CSV.replace("y", "3"))
    read(tournament_file(VALID.replace("box", "table: {dataset: {csv: d.csv, label: 3}}")))


def test_other_repetitions_and_budget(tournament_file: Writer) -> None:
    t = read(tournament_file(VALID))
    assert t.with_() == t
    assert (t.with_(7).repetitions, t.with_(7).budget) == (7, 500)
    assert (t.with_(budget=9).repetitions, t.with_(budget=9).budget) == (5, 9)
    for change, sentence in (
        ({"repetitions": 0}, "repetitions should be from 1 to 10,000, not 0"),
        ({"repetitions": MOST_REPETITIONS + 1}, "repetitions should be from 1 to 10,000, not 10"),
        ({"budget": -1}, "budget should be from 1 to 1,000,000,000, not -1"),
        ({"budget": LARGEST_BUDGET + 1}, "budget should be from 1 to 1,000,000,000, not 1,000"),
    ):
        with pytest.raises(ArenaError, match=f"^{sentence}"):
            t.with_(**change)


# --------------------------------------------------------------------------------- mistakes: keys

TOP = {
    "budgets: 4": "5:1: unknown key 'budgets'; did you mean 'budget' or 'targets'?",
    "budget: 4\nbudget: 5": "6:1: key 'budget' stands twice; keep one of them",
    '"a\\nb": 1': "5:1: unknown key 'a b'; known are: attacks,",
    "budget: 0": "5:9: budget should be at least 1, not 0",
    "budget: 1000000001": "5:9: budget should be at most 1,000,000,000, not 1000000001",
    "budget: 1e3": "5:9: budget should be a whole number, not 1000.0; write 1000",
    "budget: 1.5": "5:9: budget should be a whole number, not 1.5",
    "budget: '5'": "5:9: budget should be a whole number, not '5'; remove the quotes",
    "budget: many": "5:9: budget should be a whole number, not 'many'",
    "budget:": "5:8: budget has no value; write one",
    "repetitions: 0": "5:14: repetitions should be at least 1, not 0",
    "repetitions: true": "5:14: repetitions should be a whole number, not true",
    "repetitions: [1]": "5:14: repetitions should be a whole number, not a list",
    "price: -1": "5:8: price should be at least 0, not -1",
    "price: .nan": "5:8: price should be a finite number, not .nan",
    "price: 1e400": "5:8: price should be a finite number, not .inf",
    "price: cheap": "5:8: price should be a number, not 'cheap'",
    "price: {a: 1}": "5:8: price should be a number, not a mapping",
    "checkpoints: 0.9": "5:14: checkpoints should be at least 1, not 0.9",
    "checkpoints: 11": "5:14: checkpoints should be at most 10, not 11",
    "seed: secrets": "5:7: seed should be a whole number or 'secret', not 'secrets'; "
    "did you mean 'secret'?",
    "seed: 1.5": "5:7: seed should be a whole number or 'secret', not 1.5",
    "name: a/b": "5:7: name: 'a/b' cannot name a folder; write letters, digits, '.', '_' and '-', "
    "a letter or a digit first",
    "name: ..": "5:7: name: '..' cannot name a folder;",
    "name: 3": "5:7: name should be a text, not 3; put it in quotes",
    "utility_floor: 2": "5:16: utility_floor should be at most 1, not 2",
    "price: 1e308": "5:8: price should be at most 1,000,000, not 1e+308",
    "retrain: yes": "5:10: retrain should be true or false, not 'yes'",
    "goal: fidelity": "5:7: goal should be a mapping, not 'fidelity'",
    "goal: {metrics: x}": "5:8: unknown key 'metrics'; did you mean 'metric'?",
    "goal: {metric: fidelty}": "5:16: goal.metric should be 'fidelity', 'accuracy', "
    "'r2', 'geometric-error' or 'parameter-error', not 'fidelty'; did you mean 'fidelity'?",
    "goal: {inputs: all}": "5:16: goal.inputs should be 'natural', 'uniform' or 'balanced', "
    "not 'all'",
    "goal: {reach: 0.9}": "5:15: goal.reach should be a list, not 0.9; put it in [ ]",
    "goal: {reach: []}": "5:15: goal.reach should have at least 1 item, not an empty list",
    "goal: {reach: [0.9, 1.5]}": "5:21: a level of 1.5 is not below 1; fidelity is 1 at most",
    "goal: {reach: [1]}": "5:16: a level of 1 is not below 1; fidelity is 1 at most",
    "goal: {reach: [0]}": "5:16: an item of goal.reach should be more than 0, not 0",
    "goal: {reach: [high]}": "5:16: an item of goal.reach should be a number, not 'high'",
    "goal: {reach: [true]}": "5:16: an item of goal.reach should be a number, not true",
    "goal: {reach: [0.9, 0.9]}": "5:21: level 0.9 stands twice; keep one",
    "goal: {reach: [0.996]}": "5:16: level 0.996 is too fine for 4000 scoring inputs; "
    "ask at most 0.995, or set goal.size to 5000",
    "goal: {size: 400}": "5:7: level 0.99 is too fine for 400 scoring inputs; "
    "ask at most 0.95, or set goal.size to 2000",
    "goal: {metric: r2, reach: [0.99999, 1]}": "5:37: a level of 1 is not below 1; r2 is 1 at most",
    "goal: {metric: r2, inputs: balanced}": "5:28: r2 has no classes to balance; write natural or",
    "goal: {size: 101}": "5:14: goal.size should be a multiple of 2, not 101",
    "goal: {size: 10}": "5:14: goal.size should be at least 40, not 10",
    "goal: {metric: geometric-error}": "5:16: geometric-error has no usual levels; "
    "write reach: [0.1]",
    "knowledge: all": "5:12: knowledge should be a mapping, not 'all'",
    "knowledge: {defence: true}": "5:13: unknown key 'defence'; did you mean 'defense'?",
    "knowledge: {pool: -1}": "5:19: knowledge.pool should be at least 0, not -1",
    "knowledge: {defense: 1}": "5:22: knowledge.defense should be true or false, not 1",
    "defenses:": "5:10: defenses has no value; write one",
    "defenses: none": "5:11: defenses should be a list, not 'none'; put it in [ ]",
    "defenses: []": "5:11: defenses should have at least 1 item, not an empty list",
    "defenses: [[]]": "5:12: a chain of defences is empty; write none, or name a defence",
    "defenses: [[none, [none]]]": "5:19: write a plugin as 'name' or '{name: {parameter: value}}'; "
    "chains are for defences, and hold no chains",
    "defenses: [[none, nono]]": "5:19: unknown defence 'nono'; did you mean 'none'?",
    "defenses: [probe]": "5:12: 'probe' is not a defence, it is an attack",
    "defenses: [noise]": "5:12: 'rate' is missing; add it",
    "defenses: [[none, noise: {rat: 1}]]": "5:26: 'rate' is missing; add it",
    "defenses: [none, [none]]": "5:18: two defences are named 'none', the other in line 5; "
    "give one a label",
    "defenses: [none, [{none: , label: x}]]": "5:18: defence 'x' is the same as 'none'; "
    "remove one, or change a parameter",
}


@pytest.mark.parametrize("text", TOP)
def test_a_wrong_key_of_the_file(text: str, tournament_file: Writer) -> None:
    assert complaints(tournament_file(VALID + text))[0].startswith(TOP[text])


@pytest.mark.parametrize("text", [t for t in TOP if not t.startswith("defenses: [[none, noise")])
def test_one_mistake_is_one_sentence(text: str, tournament_file: Writer) -> None:
    assert len(complaints(tournament_file(VALID + text))) == 1


# ------------------------------------------------------------------------------ mistakes: plugins

WRITE = "write a plugin as 'name' or '{name: {parameter: value}}'"
ENTRIES = {
    "prob": "4:5: unknown attack 'prob'; did you mean 'probe'?",
    "{prob: {size: 1}}": "4:6: unknown attack 'prob'; did you mean 'probe'?",
    "xyz": "4:5: unknown attack 'xyz'; known are: base, insider, mixed, probe, repeat, scorer, "
    "tree-only",
    "box": "4:5: 'box' is not an attack, it is a target",
    "other/probe": "4:5: unknown attack 'other/probe';",
    "3": f"4:5: {WRITE}",
    "": f"4:4: {WRITE}",
    "{}": f"4:5: {WRITE}",
    "[probe]": f"4:5: {WRITE}; chains are for defences, and hold no chains",
    "{probe: , base: }": f"4:5: {WRITE}; here are 2 keys: 'probe', 'base'",
    "{label: x}": f"4:5: {WRITE}",
    "{probe: , label: 3}": "4:22: a label is a text of one line, not 3; quote it",
    "{probe: , label: ' '}": "4:22: a label is a text of one line, not ' '; quote it",
    '{probe: , label: "a\\nb"}': r"4:22: a label is a text of one line, not 'a\nb'; quote it",
    "{probe: , label: base}": "4:22: 'base' is a baseline that is always on the board; "
    "choose another label",
    "probe\n  - probe": "5:5: two attacks are named 'probe', the other in line 4; give one a label",
    "probe\n  - probe: {size: 3}\n    label: b": "5:5: attack 'b' is the same as 'probe'; "
    "remove one, or change a parameter",
    "probe: [3]": "4:5: the parameters of 'probe' must be a mapping, like {probe: {...}}",
    "probe: {sise: 3}": "4:13: unknown key 'sise'; did you mean 'size' or 'step'?",
    "scorer: {sise: 3}": "4:14: unknown key 'sise'; it takes none; remove it",
    "probe: {size: 0}": "4:19: size should be at least 1, not 0",
    "probe: {size: 10}": "4:19: size should be at most 9, not 10",
    "probe: {size: 7}": "4:19: size: 7 is not allowed; take another",
    "probe: {size: '3'}": "4:19: size should be a whole number, not '3'; remove the quotes",
    "probe: {size: true}": "4:19: size should be a whole number, not true",
    "probe: {size: 3.0}": "4:19: size should be a whole number, not 3.0; write 3",
    "probe: {size: }": "4:18: size has no value; write one",
    "probe: {size: 8}": "4:5: attack 'probe' of toys fails to take its parameters "
    "(KeyError: 'bug'); report it there",
    "probe: {step: 1}": "4:19: step should be less than 1, not 1",
    "probe: {step: 0}": "4:19: step should be more than 0, not 0",
    "probe: {step: .nan}": "4:19: step should be a finite number, not .nan",
    "probe: {mode: fats}": "4:19: mode should be 'fast' or 'slow', not 'fats'; "
    "did you mean 'fast'?",
    "probe: {mode: 3}": "4:19: mode should be 'fast' or 'slow', not 3",
    "probe: {flag: no}": "4:19: flag should be true or false, not 'no'",
    "probe: {flag: 1}": "4:19: flag should be true or false, not 1",
    "probe: {title_: 3}": "4:21: title_ should be a text, not 3; put it in quotes",
    "probe: {many: none}": "4:19: many should be a whole number or 'all', not 'none'",
    "probe: {many: 1.5}": "4:19: many should be a whole number or 'all', not 1.5",
    "probe: {rows: 3}": "4:19: rows should be a list, not 3; put it in [ ]",
    "probe: {rows: [1, x]}": "4:23: an item of rows should be a whole number, not 'x'",
    "probe: {rows: [1, 2, 3]}": "4:19: rows should have at most 2 items, not a list",
    "probe: {tags: [1]}": "4:20: an item of tags should be a text, not 1; put it in quotes",
    "probe: {inner: {}}": "4:20: 'y' is missing; add it",
    "probe: {inner: {y: 1, z: 2}}": "4:27: unknown key 'z'; known are: x, y",
    "probe: {inner: {y: a}}": "4:24: inner.y should be a number, not 'a'",
    "probe: {inner: 3}": "4:20: inner should be a mapping, not 3",
    "probe: {either: 3}": "4:21: either should be a mapping or a list, not 3",
    "probe: {either: {x: a, y: 1}}": "4:25: either.x should be a whole number, not 'a'",
    "probe: {either: [a]}": "4:22: an item of either should be a number, not 'a'",
    "probe: {path: 3}": "4:19: path should be a text, not 3",
    "probe: {even: 3}": "4:19: even should be a multiple of 2, not 3",
    "probe: {short: ''}": "4:20: short should have at least 1 character, not ''",
    "probe: {short: abc}": "4:20: short should have at most 2 characters, not 'abc'",
    "probe: {short: A}": "4:20: short should match ^[a-z]+$, not 'A'",
    "repeat": "4:5: 'attack' is missing; add it",
    "repeat: {attack: nope}": "4:22: attack: unknown attack 'nope'; known are: base,",
    "repeat: {attack: noise}": "4:22: attack: 'noise' is not an attack, it is a defence",
    "repeat: {attack: }": f"4:21: attack: {WRITE}",
    "repeat: {attack: [probe]}": f"4:22: attack: {WRITE}; chains are for defences",
    "repeat: {attack: {probe: {}, label: x}}": f"4:22: attack: {WRITE}; here are 2 keys",
    "repeat: {attack: {probe: {size: 0}}}": "4:37: attack.probe.size should be at least 1, not 0",
    "repeat: {attack: {probe: {sise: 0}}}": "4:31: unknown key 'sise'; did you mean 'size' or",
    "repeat: {attack: {probe: {size: 8}}}": "4:22: attack: attack 'probe' of toys fails to take",
    "repeat: {attack: repeat}": "4:22: 'attack' is missing; add it",
    "repeat: {attack: {repeat: }}": "4:30: 'attack' is missing; add it",
    "repeat: {attack: {repeat: {attack: {probe: {inner: {y: a}}}}}}": "4:60: "
    "attack.repeat.attack.probe.inner.y should be a number, not 'a'",
    "mixed: {attacks: [probe, {probe: {size: 0}}]}": "4:45: "
    "attacks.probe.size should be at least 1, not 0",
    "mixed: {spare: {probe: {rows: [x]}}}": "4:36: an item of spare.probe.rows should be a whole "
    "number, not 'x'",
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_wrong_attack(entry: str, tournament_file: Writer) -> None:
    found = complaints(tournament_file(VALID.replace("probe", entry)))
    assert found[0].startswith(ENTRIES[entry])
    assert len(found) == 1


DATA = {
    "wne": "2:22: dataset: no data set is called 'wne';",
    "3": "2:22: dataset: a data set is a name (",
    "{csv: d.csv}": "2:22: dataset: csv and label go together: write {csv: PATH, label: COLUMN}",
    "{cvs: d.csv, label: y}": "2:23: unknown key 'cvs'; did you mean 'csv'?",
    "{openml: many}": "2:31: dataset.openml should be a whole number, not 'many'",
    "{openml: 0}": "2:31: dataset.openml should be more than 0, not 0",
    "{csv: d.csv, label: [y]}": "2:42: dataset.label should be a text, not a list",
    "{csv: no.csv, label: y}": "2:22: '{folder}/no.csv' does not exist: give the path of a",
    "{csv: ., label: y}": "2:22: '{folder}' is a directory: give the path of a readable CSV file",
    "{csv: d.csv, label: z}": "2:22: '{folder}/d.csv'",
    "{csv: one.csv, label: y}": "2:22: '{folder}/one.csv'",
    "{csv: binary.csv, label: y}": "2:22: '{folder}/binary.csv'",
}


@pytest.mark.parametrize("written", DATA)
def test_wrong_data_is_told_at_the_target(
    written: str, tournament_file: Writer, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text(CSV)
    (tmp_path / "one.csv").write_text("a,y\n1,u\n2,u\n")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    found = complaints(tournament_file(VALID.replace("box", f"table: {{dataset: {written}}}")))
    assert found[0].startswith(DATA[written].replace("{folder}", str(tmp_path)))
    assert len(found) == 1


def test_a_pool_must_leave_rows_to_score_on(tournament_file: Writer, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(CSV)
    text = VALID.replace("box", "table: {dataset: {csv: d.csv, label: y}}")
    read(tournament_file(f"{text}knowledge: {{pool: 3}}"))
    assert complaints(tournament_file(f"{text}knowledge: {{pool: 4}}")) == [
        "5:19: a pool of 4 rows leaves none of d's 4 for scoring; make it smaller"
    ]


def test_a_check_that_fails_is_laid_at_its_door(tournament_file: Writer) -> None:
    assert complaints(tournament_file(VALID.replace("box", "fussy"))) == [
        "2:5: the check of 'fussy' fails: KeyError: 'surprise'; report it"
    ]


def test_several_mistakes_are_a_line_each_in_the_order_of_the_file(tournament_file: Writer) -> None:
    text = (
        "budget: 0\ntargets:\n  - box: {width: 0, hight: 2}\nattacks:\n  - prob\n"
        "  - repeat: {attack: {probe: {size: 0, step: 2}}, times: 0}\nprice: -1\n"
        "goal: {reach: [2]}\nattack: [x]\n"
    )
    assert complaints(tournament_file(text)) == [
        "1:9: budget should be at least 1, not 0",
        "3:18: width should be at least 1, not 0",
        "3:21: unknown key 'hight'; known are: reveals, width",
        "5:5: unknown attack 'prob'; did you mean 'probe'?",
        "6:37: attack.probe.size should be at least 1, not 0",
        "6:46: attack.probe.step should be less than 1, not 2",
        "6:58: times should be at least 1, not 0",
        "7:8: price should be at least 0, not -1",
        "8:16: a level of 2 is not below 1; fidelity is 1 at most",
        "9:1: unknown key 'attack'; did you mean 'attacks'?",
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", ["1:1: the file is empty; write a mapping with targets and attacks"]),
        ("# x\n", ["1:1: the file is empty; write a mapping with targets and attacks"]),
        ("- a\n", ["1:1: this is a list; write a mapping with targets and attacks"]),
        ("hello", ["1:1: this is 'hello'; write a mapping with targets and attacks"]),
        ("{}", ["1:1: 'attacks' is missing; add it", "1:1: 'targets' is missing; add it"]),
        (
            "targets: []\nattacks:\n",
            [
                "1:10: targets should have at least 1 item, not an empty list",
                "2:9: attacks has no value; write one",
            ],
        ),
        (
            "targets: box\nattacks: {probe: }\n",
            [
                "1:10: targets should be a list, not 'box'; put it in [ ]",
                "2:10: attacks should be a list, not a mapping",
            ],
        ),
    ],
)
def test_a_file_that_is_no_tournament(
    text: str, sentences: list[str], tournament_file: Writer
) -> None:
    assert complaints(tournament_file(text)) == sentences


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert complaints(tmp_path / "no.yaml") == ["there is no such tournament file; check the path"]
    with pytest.raises(ArenaError, match=r"is a folder; name a tournament file$"):
        read(tmp_path)
    for content in (b"\xff\xfea\x00", b"name: \xe9", bytes(range(128, 256))):
        (tmp_path / "b.yaml").write_bytes(content)
        assert complaints(tmp_path / "b.yaml") == ["not a text in UTF-8; save it as UTF-8"]
    assert complaints(tmp_path / ("n" * 300)) == [
        "cannot be read: File name too long; check the path"
    ]


def test_bom_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert read(path).attacks[0].label == "probe"


def test_anchors_serve_twice(tournament_file: Writer) -> None:
    t = read(
        tournament_file(
            "targets: [box]\nattacks:\n  - probe: &p {size: 4}\n  - repeat: {attack: {probe: *p}}\n"
        )
    )
    assert [e.label for e in t.attacks[:2]] == ["probe(size=4)", "repeat(attack=probe(size=4))"]


def test_wrappers_nest_as_deeply_as_yaml_may(tournament_file: Writer) -> None:
    def nested(levels: int) -> str:
        return levels * "{repeat: {attack: " + "probe" + levels * "}}"

    t = read(tournament_file(VALID.replace("probe", nested(20))))
    assert t.attacks[0].label.count("repeat") == 20
    assert "nested too deeply" in complaints(tournament_file(VALID.replace("probe", nested(60))))[0]


# --------------------------------------------------------------------- plugins that are not there


def test_a_broken_plugin_says_why(tournament_file: Writer) -> None:
    broken = Broken("bad-one", "their-pack", "2.1", "import fails with SyntaxError: no")
    registry = Registry(REGISTRY.plugins, (broken,))
    sentence = "attack 'bad-one' of their-pack 2.1 is broken: import fails with SyntaxError: no"
    for name in ("bad-one", "their-pack/bad-one"):
        found = complaints(tournament_file(VALID.replace("probe", name)), registry)
        assert found == [f"4:5: {sentence.replace('bad-one', name, 1)}"]
    nested = tournament_file(VALID.replace("probe", "repeat: {attack: bad-one}"))
    assert complaints(nested, registry) == [f"4:22: attack: {sentence}"]
    found = complaints(tournament_file(VALID.replace("probe", "other")), registry)
    assert found[0].endswith("(1 more are broken: arena plugins says why)")


def test_two_plugins_of_one_name_are_told_apart_by_distribution(tournament_file: Writer) -> None:
    class Probe(toys._Attacks):
        """Another probe."""

        name = "probe"
        distribution = "theirs"

    registry = Registry((*REGISTRY.plugins, Registered(Probe, "theirs", "2", "m")))
    assert complaints(tournament_file(VALID), registry) == [
        "4:5: 2 attacks are called 'probe'; write one in full: 'toys/probe' and 'theirs/probe'"
    ]
    text = VALID.replace("probe", "theirs/probe\n  - toys/probe: {size: 0}")
    assert complaints(tournament_file(text), registry) == ["5:24: size should be at least 1, not 0"]
    text = VALID.replace("probe", "theirs/probe\n  - {toys/probe: , label: ours}")
    t = load(tournament_file(text), registry)
    assert [e.plugin.identity()[0] for e in t.attacks[:2]] == ["theirs/probe", "toys/probe"]


def test_accuracy_has_levels_that_the_held_out_rows_allow(tournament_file: Writer) -> None:
    text = VALID.replace("box", "table: {dataset: wine}")
    goal = "goal: {metric: accuracy, reach: [0.6, 0.7]}\n"
    assert complaints(tournament_file(text + goal)) == [
        "5:39: level 0.7 is too fine for the 53 held-out rows of wine, which accuracy is measured "
        "on; ask at most 0.6226"
    ]
    assert read(tournament_file(text + goal.replace(", 0.7", ""))).goal.reach == (0.6,)


def test_a_wrapper_wants_an_attack_that_asks() -> None:
    from arena_plugins.attacks.constant import Constant
    from arena_plugins.attacks.majority import Majority

    with pytest.raises(ValueError, match="'constant' asks nothing; wrap an attack that asks"):
        Majority(attack=Constant(), repeats=2)


@pytest.mark.parametrize("name", ["...yaml", "a\tb.yaml", os.fsdecode(b"b\xff.yaml")])
def test_a_file_whose_name_is_no_folder_s_wants_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(VALID)
    assert complaints(path) == ["1:1: the file's name cannot name a folder; write a name in it"]
    path.write_text(f"name: good\n{VALID}")
    assert read(path).name == "good"
