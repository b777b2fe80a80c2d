from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from board_entries import missing, reaching, record, runs, skipped, standings, terms
from hypothesis import given, settings
from hypothesis import strategies as st

from arena import wording
from arena.boards import Format, render
from arena.duels import By
from arena.records import BoardTerms, Checkpoint, Entry, Figure, FloorTerms, Goal, Status
from arena.standings import Standings

KEYS = [
    "target",
    "defense",
    "attack",
    "metric",
    "inputs",
    "goal",
    "ert",
    "ci_low",
    "ci_high",
    "successes",
    "runs",
    "best",
    "price",
    "floor_ratio",
    "status",
    "reason",
]
BYS: tuple[By, ...] = ("target", "attack", "defense")
FORMATS: tuple[Format, ...] = ("text", "markdown", "csv", "json", "latex")


def small() -> Standings:
    """Two defences, a goal given away, a crash, a pair that cannot meet, one not played."""
    free = record([(0, 0.85)], Status.FINISHED)
    entries = [
        *runs("public-data", free, free, baseline=True),
        *runs("public-data", free, free, defense="label-flip(rate=0.1)", baseline=True),
        *runs("eat", record([(5, 0.85), (10, 0.95)]), record([(8, 0.85), (20, 0.95)])),
        *runs(
            "eat",
            record([(9, 0.949)], Status.CRASHED, "boom"),
            record([(9, 0.94)]),
            defense="label-flip(rate=0.1)",
        ),
        *skipped("solve", "solve needs score", defense="label-flip(rate=0.1)"),
        *runs("solve", None, None),
    ]
    flipped = [
        replace(e, record=replace(e.record, utility=0.9)) if e.defense != "none" and e.record else e
        for e in entries
    ]
    return standings(flipped, terms((0.8, 0.95)))


GOLDEN = """\
cup
===
fidelity on natural inputs; budget 100 queries (50 dollars at 0.5 a query); 2 repetitions
12 matches: 4 finished, 3 exhausted, 1 crashed, 2 skipped, 2 not played yet
PROVISIONAL: fewer than 10 runs of a pair.
Cells: expected queries to the goal [95 % interval] runs that reached it / runs.
Never reached: > budget (best: median over the runs of each run's best).
For the hardest goal reached: price (dollars).

wine
----

  #  attack                              >= .80*                 >= .95    price  note
---  ----------------------------  -------------  ---------------------  -------  ------
     against label-flip(rate=0.1)
  1  eat                             9       2/2  > 100 (best .944) 0/2      4.5  [1]
  2  public-data (baseline)          0       2/2  > 100 (best .85)  0/2
  -  solve                               skipped                      -           [2]

     against none
  1  eat                           6.5 [5-8] 2/2     15 [10-20]     2/2      7.5
  2  public-data (baseline)          0       2/2  > 100 (best .85)  0/2
* >= .80 on wine: given away by public-data, which asks nothing; shown, not ranked.

Attacks overall
---------------

  #  attack                    goals reached    mean  not ranked
---  ----------------------  ---------------  ------  ------------
  1  eat                                 1/2    54.8
  2  public-data (baseline)              0/2     200
  -  solve                               0/1     200  cannot meet
mean: geometric, of the expected queries over the goals that count; one not reached counts as 200.

Defences overall
----------------

  #  defence                 labels kept    goals lost    mean
---  --------------------  -------------  ------------  ------
  1  label-flip(rate=0.1)         90.0 %           0/1     200
  2  none                                          1/1      15
Judged by the strongest attack on each goal. labels kept: the share of natural inputs whose label it
  leaves alone, so what it costs honest users.
mean: geometric, of the expected queries over the goals that count; one not reached counts as 200.

The strongest attack on each defence
------------------------------------

  #  defence                 labels kept  >= .80       >= .95
---  --------------------  -------------  -----------  -----------------
     on wine
  1  label-flip(rate=0.1)         90.0 %  given away*  > 100 (best .944)
  2  none                                 given away*  15 by eat
* >= .80 on wine: given away by public-data, which asks nothing; shown, not ranked.

Notes
-----
[1] crashed (1 match): boom
[2] skipped (2 matches): solve needs score
Not played yet: wine / none / solve (2)
"""


def test_golden_text() -> None:
    assert render(small()) == GOLDEN


# -------------------------------------------------------------------------------- JSON and CSV


def test_json_has_exactly_the_published_keys() -> None:
    board = json.loads(render(small(), format="json"))
    assert list(board) == ["schema", "rows"]
    assert board["schema"] == 1
    assert len(board["rows"]) == 10
    assert all(list(row) == KEYS for row in board["rows"])


def test_json_nulls() -> None:
    entries = runs("rare", reaching(10), *[missing()] * 4) + runs("never", missing())
    rare, never = json.loads(render(standings(entries, terms()), format="json"))["rows"]
    assert rare["ert"] == 410
    assert rare["ci_low"] is not None
    assert rare["ci_high"] is None
    assert [never[k] for k in ("ert", "ci_low", "ci_high", "price", "floor_ratio")] == [None] * 5
    assert (never["best"], never["status"], never["reason"]) == (0.7, "exhausted", "")


def test_json_never_holds_a_number_that_json_lacks() -> None:
    endless = record([(1, float("nan")), (2, float("inf"))])
    text = render(standings(runs("a", endless), terms((0.1,), "geometric-error")), format="json")
    assert json.loads(text)["rows"][0]["best"] is None


def test_csv_parses_back() -> None:
    board = small()
    read = list(csv.DictReader(io.StringIO(render(board, format="csv"))))
    assert list(read[0]) == KEYS
    for row, back in zip(board.rows, read, strict=True):
        expected = {k: "" if v is None else str(v) for k, v in row.columns().items()}
        assert back == expected


def compared() -> Standings:
    figures = (
        Figure("wine", "eat", None, 1234, goal=0.9),
        Figure("wine", "eat", "another", 7, goal=0.9),
        Figure("wine", "walk", "none", 189, value=0.87),
    )
    played = [*runs("eat", reaching(30)), *runs("walk", record([(60, 0.71), (80, 0.82)]))]
    return standings(played, replace(terms(), published=figures, source="Ours et al."))


def test_published_figures_stand_beside_ours() -> None:
    text = render(compared())
    assert "published: the figures of Ours et al." in text
    assert re.search(r"eat +30 .* 1234 >= \.90$", text, re.MULTILINE)
    assert re.search(r"walk +> 100 .* 0 \(\.82\) +189 \(\.87\)$", text, re.MULTILINE)
    assert "published" not in render(small())


def test_published_figures_are_in_json_and_csv_where_there_are_any() -> None:
    rows = json.loads(render(compared(), format="json"))["rows"]
    assert [(row["attack"], row["published"]) for row in rows] == [("eat", 1234), ("walk", None)]
    read = list(csv.DictReader(io.StringIO(render(compared(), format="csv"))))
    assert [row["published"] for row in read] == ["1234", ""]


def test_csv_keeps_awkward_names() -> None:
    name = 'a, "b"; c'
    read = list(csv.DictReader(io.StringIO(render(named(name), format="csv"))))
    assert read[0]["attack"] == name


# ------------------------------------------------------------------------------- what is shown


def named(name: str, reason: str = "") -> Standings:
    status = Status.FAILED if reason else Status.EXHAUSTED
    played = record([(10, 0.95)], status, reason)
    return standings(runs(name, played, target=name, defense=name), replace(terms(), name=name))


def line(text: str, start: str) -> str:
    found = [ln for ln in text.splitlines() if re.match(rf" *[-\d=]+ +{re.escape(start)} ", ln)]
    return found[0]


def test_a_goal_reached_and_one_never_reached() -> None:
    entries = runs("a", reaching(10), reaching(30, 0.93)) + runs("b", missing(0.899), record())
    text = render(standings(entries, terms((0.9, 0.95))))
    assert line(text, "a").split() == [
        "1",
        "a",
        "20",
        "[10-30]",
        "2/2",
        "110",
        "[10-inf]",
        "1/2",
        "55",
    ]
    assert "> 100 (best .899) 0/2" in line(text, "b")


def test_by_attack_and_by_defense_show_the_same_cells() -> None:
    board = small()
    cells = re.compile(r"15 \[10-20\]\s+2/2")
    assert all(len(cells.findall(render(board, by))) == 1 for by in BYS)
    assert "on wine" in render(board, "attack")
    assert "against none" in render(board, "target")


def test_given_away_is_marked_in_every_view() -> None:
    note = "* >= .80 on wine: given away by public-data"
    for by in BYS:
        assert note in render(small(), by)
    assert ">= .80*" in render(small(), "target")
    assert "2/2*" in render(small(), "attack")


def test_floor_ratio_is_shown_where_it_applies() -> None:
    floor = FloorTerms("halfspace", 30, True, 0.0, ("score",))
    board = standings(
        runs("solve", record([(45, 1e-5)], floor=floor)), terms((1e-4,), "geometric-error")
    )
    text = render(board)
    assert line(text, "solve").split() == ["1", "solve", "45", "1/1", "22.5", "1.5"]
    assert "<= 0.0001" in text
    assert "x floor" not in render(small())


def test_columns_and_words_that_do_not_apply_are_left_out() -> None:
    free = standings(runs("a", *[reaching(9)] * 10), terms(price=0, repetitions=10))
    text = render(free)
    for word in ("price", "dollars", "PROVISIONAL", "note", "Notes", "not ranked", "given away"):
        assert word not in text


def test_the_strongest_attacks_on_a_defence_are_named() -> None:
    entries = runs("a", reaching(9)) + runs("b", reaching(9)) + runs("c", reaching(99))
    text = render(standings(entries, terms()))
    assert "9 by a = b" in text
    assert [line(text, name).split()[0] for name in "abc"] == ["1=", "1=", "3"]


def test_many_unplayed_pairs_are_counted() -> None:
    entries = [e for i in range(13) for e in runs(f"a{i:02}", None)]
    text = render(standings(entries, terms()))
    assert "13 matches: 13 not played yet" in text
    assert "wine / none / a09 (1); and 3 more pairs" in text
    assert "a10" not in text


def test_terminal_lines_stay_within_120_columns() -> None:
    defence = "rounding(digits=2) + label-flip(rate=0.05)"
    attack = "majority(repeats=5, attack=eat(candidates=50))"
    faults = [record([(9, 0.5)], Status.OUT_OF_MEMORY, "reason " * 60)] * 2
    played = [record([(9, 0.91), (400, 0.96)]), record([(30, 0.91)]), *faults]
    level = replace(terms((0.9, 0.95, 0.99)), budget=500, price=1e-4)
    board = standings(runs(attack, *played, target="x" * 40, defense=defence), level)
    for by in BYS:
        assert max(map(len, render(board, by).splitlines())) <= 120


def test_no_control_characters_reach_a_terminal() -> None:
    board = named("red \x1b[31m", "first\nsecond \x1b[2J\x07")
    for fmt in FORMATS:
        assert "\x1b" not in render(board, format=fmt)
    assert "first second ?[2J?" in render(board)


# ---------------------------------------------------------------------------- Markdown and LaTeX


def test_markdown_escapes_names() -> None:
    text = render(named("a|b_*c*<i>[x](y)"), format="markdown")
    assert "a\\|b\\_\\*c\\*\\<i>[x]\\(y)" in text
    table = [ln for ln in text.splitlines() if ln.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", ln)) for ln in table[:3]}) == 1


def test_latex_escapes_names_and_uses_booktabs() -> None:
    text = render(named("50%_a&b#{$}~^\\", "cost 5 $ & more"), format="latex")
    name = r"50\%\_a\&b\#\{\$\}\textasciitilde{}\^{}\textbackslash{}"
    assert rf"\section*{{{name}}}" in text
    assert rf"\caption{{{name}}}" in text
    assert f" {name} " in text
    assert r"cost 5 \$ \& more" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 4
    assert text.count(r"\begin{") == text.count(r"\end{")


def test_all_faces_carry_the_same_tables() -> None:
    for fmt in ("text", "markdown", "latex"):
        text = render(small(), format=fmt)
        for words in ("wine", "Attacks overall", "Defences overall", "strongest attack", "boom"):
            assert words in text


# ------------------------------------------------------------------------------------- wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.01234, "0.0123"),
        (57.64, "57.6"),
        (99.6, "100"),
        (8319.4, "8319"),
        (9999.7, "10,000"),
        (204675.0, "204,675"),
        (1e-6, "1e-06"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert wording.number(value) == text


def test_levels() -> None:
    fidelity, error = Goal(), Goal("geometric-error")
    shown = [wording.level(fidelity, level) for level in (0.9, 0.95, 0.995, 1.0)]
    assert shown == [">= .90", ">= .95", ">= .995", ">= 1.00"]
    assert [wording.level(error, level) for level in (1e-3, 1e-5)] == ["<= 0.001", "<= 1e-05"]


@given(st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99, 0.999]))
def test_a_miss_never_reads_as_if_the_level_were_met(value: float, level: float) -> None:
    fidelity, error = Goal("fidelity", "natural", (level,)), Goal("geometric-error")
    shown = float(wording.score(value, fidelity))
    assert shown <= value
    assert value - shown < 0.01
    assert float(wording.score(value, error)) >= value * (1 - 1e-12)


# ------------------------------------------------------------------------------------ in general

words = st.text(max_size=40)


@st.composite
def curves(draw: st.DrawFn, metric: str) -> tuple[Checkpoint, ...]:
    value = st.floats(min_value=0) if metric.endswith("error") else st.floats(0, 1)
    values = st.lists(st.one_of(value, st.just(float("nan"))), max_size=2)
    queries = sorted(draw(st.sets(st.integers(0, 120), max_size=4)))
    return tuple(Checkpoint(q, i, tuple(draw(values))) for i, q in enumerate(queries))


@st.composite
def boards(draw: st.DrawFn) -> Standings:
    metric = draw(st.sampled_from(["fidelity", "accuracy", "geometric-error", "parameter-error"]))
    names = st.sampled_from(draw(st.lists(words, min_size=1, max_size=4)))
    floors = st.builds(
        FloorTerms,
        st.sampled_from(["halfspace", "softmax", "tree"]),
        st.integers(1, 50),
        st.booleans(),
        st.one_of(st.none(), st.floats(0, 1)),
        st.sampled_from([("label",), ("label", "score")]),
    )
    matches = st.builds(
        lambda curve, *rest: replace(record((), *rest), curve=curve),
        curves(metric),
        st.sampled_from(list(Status)),
        words,
        st.one_of(st.none(), st.floats(0, 1)),
        st.one_of(st.none(), floors),
    )
    entry = st.builds(
        Entry,
        names,
        names,
        names,
        st.integers(0, 3),
        st.one_of(st.just(""), words),
        st.one_of(st.none(), matches),
        st.booleans(),
    )
    inputs = draw(st.sampled_from(["natural", "uniform", "balanced"]))
    reach = tuple(sorted(draw(st.sets(st.floats(1e-6, 1), min_size=1, max_size=3))))
    level = BoardTerms(
        draw(words),
        Goal(metric, inputs, reach),
        draw(st.integers(1, 100_000)),
        draw(st.floats(0, 10)),
        draw(st.integers(1, 20)),
        draw(st.one_of(st.none(), st.floats(0, 1))),
    )
    return standings(draw(st.lists(entry, max_size=12)), level)


@settings(max_examples=60, deadline=None)
@given(boards())
def test_any_entries_render(board: Standings) -> None:
    for by in BYS:
        for fmt in FORMATS:
            text = render(board, by, fmt)
            assert text.endswith("\n")
            assert text == render(board, by, fmt)
            assert "\x1b" not in text


def test_an_empty_board_renders() -> None:
    for by in BYS:
        for fmt in FORMATS:
            assert render(standings([], terms()), by, fmt).endswith("\n")


@pytest.mark.parametrize("value", [-1000.001, -1e30, -1e300, -1.7976931348623157e308])
def test_very_bad_scores_are_not_told_apart(value: float) -> None:
    assert wording.score(value, Goal("r2", "natural", (0.9,), 400)) == "below -1000"


def test_a_bad_score_is_written() -> None:
    assert wording.score(-999.5, Goal("r2", "natural", (0.9,), 400)) == "-999.50"


def test_long_names_break_between_parameters() -> None:
    name = "majority(attack=equation-solving, repeats=10)"
    text = render(standings(runs(name, record([(5, 0.95)])), terms()))
    assert re.search(r"majority\( .*\n +attack=equation-solving, *\n +repeats=10\)", text)
