from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from board_entries import missing, reaching, record, runs, skipped, standings, terms
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.ert import SERIOUSNESS
from arena.records import BoardTerms, Checkpoint, Entry, FloorTerms, Goal, Record, Status
from arena.standings import Place, Row, Standings


def row(board: Standings, attack: str, goal: float = 0.9, defense: str = "none") -> Row:
    found = [r for r in board.rows if (r.attack, r.goal, r.defense) == (attack, goal, defense)]
    assert len(found) == 1
    return found[0]


def place(places: tuple[Place, ...], name: str) -> Place:
    return next(p for p in places if p.name == name)


# ----------------------------------------------------------------------------------------- ERT


def test_ert_charges_a_miss_the_whole_budget() -> None:
    board = standings(runs("eat", reaching(10), reaching(20), missing()), terms())
    r = row(board, "eat")
    assert (r.ert, r.successes, r.runs) == ((10 + 20 + 100) / 2, 2, 3)
    assert r.price == 65 * 0.5


def test_both_halves_must_meet_the_level_at_one_checkpoint() -> None:
    curve = (
        Checkpoint(5, 1, (0.95, 0.89)),
        Checkpoint(6, 2, (0.89, 0.95)),
        Checkpoint(8, 3, (0.9, 0.9)),
        Checkpoint(9, 4, (0.5, 0.5)),
    )
    r = row(standings(runs("eat", replace(record(), curve=curve)), terms()), "eat")
    assert r.ert == 8
    assert r.best == 0.9


def test_errors_are_reached_from_above() -> None:
    curve = (Checkpoint(5, 1, (0.01, 0.2)), Checkpoint(9, 2, (0.1, 0.05)))
    entries = runs("dc", replace(record(), curve=curve), record([(7, 0.3)]))
    r = row(standings(entries, terms((0.1,), "geometric-error")), "dc", 0.1)
    assert r.ert == 109
    assert r.best == pytest.approx((0.1 + 0.3) / 2)


def test_a_crossing_after_the_budget_is_a_miss() -> None:
    assert row(standings(runs("eat", reaching(101)), terms()), "eat").ert is None


def test_unscored_checkpoints_reach_nothing() -> None:
    nan = float("nan")
    curve = (Checkpoint(1, 1, ()), Checkpoint(2, 2, (0.95, nan)), Checkpoint(3, 3, (nan, 0.95)))
    r = row(standings(runs("eat", replace(record(), curve=curve)), terms()), "eat")
    assert (r.ert, r.best, r.runs) == (None, None, 1)


def test_best_is_the_median_of_each_runs_best() -> None:
    entries = runs("eat", missing(0.6), missing(0.8), missing(0.7), record())
    assert row(standings(entries, terms()), "eat").best == 0.7


@pytest.mark.parametrize("status", [s for s in Status if s.counts])
def test_faulty_runs_keep_the_goals_reached_before(status: Status) -> None:
    entries = runs("eat", record([(10, 0.95)], status), record([(3, 0.2)], status))
    r = row(standings(entries, terms()), "eat")
    assert (r.ert, r.successes, r.runs, r.status) == (110, 1, 2, status)


@pytest.mark.parametrize("status", [Status.VOID, Status.SKIPPED, Status.INTERRUPTED])
def test_some_runs_do_not_count_at_all(status: Status) -> None:
    entries = runs("eat", reaching(10), record([(5, 0.99)], status), None)
    r = row(standings(entries, terms(repetitions=3)), "eat")
    assert (r.ert, r.successes, r.runs) == (10, 1, 1)


def test_floor_ratio() -> None:
    floor = FloorTerms("halfspace", 30, True, 0.0, ("label", "score"))
    entries = runs("solve", record([(45, 1e-5)], floor=floor)) + runs("idle", record(floor=floor))
    board = standings(entries, terms((1e-4,), "geometric-error"))
    assert row(board, "solve", 1e-4).floor_ratio == 45 / 30
    assert row(board, "idle", 1e-4).floor_ratio is None


curves = st.lists(
    st.tuples(st.integers(0, 100), st.floats(0, 1)), max_size=6, unique_by=lambda c: c[0]
).map(sorted)


@given(st.lists(curves, min_size=1, max_size=5), st.data())
def test_quitting_early_never_pays(
    played: list[list[tuple[int, float]]], data: st.DataObject
) -> None:
    who = data.draw(st.integers(0, len(played) - 1))
    kept = data.draw(st.integers(0, len(played[who])))
    status = data.draw(st.sampled_from([s for s in Status if s.counts]))
    whole = [record(curve) for curve in played]
    quits = [*whole]
    quits[who] = record(played[who][:kept], status)
    level = terms((0.5, 0.9))
    for goal in (0.5, 0.9):
        before = row(standings(runs("a", *whole), level), "a", goal).ert
        after = row(standings(runs("a", *quits), level), "a", goal).ert
        assert after is None or (before is not None and after >= before)


@given(curves, st.floats(0, 1))
def test_reaching_is_what_the_goal_says(curve: list[tuple[int, float]], level: float) -> None:
    for metric in ("fidelity", "geometric-error"):
        goal = Goal(metric, "natural", (level,))
        expected = next((float(q) for q, v in curve if goal.reached((v, v), level)), None)
        board = standings(runs("a", record(curve)), terms((level,), metric))
        assert board.rows[0].ert == expected


# ----------------------------------------------------------------------------------- intervals


@given(st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=1, max_size=12))
def test_an_interval_holds_its_ert(crossings: list[int | None]) -> None:
    records = [missing() if q is None else record([(q, 0.95)]) for q in crossings]
    r = row(standings(runs("a", *records), terms()), "a")
    if r.ert is None:
        assert r.ci_low is None
        assert r.ci_high is None
    else:
        assert r.ci_low is not None
        assert min(q for q in crossings if q is not None) <= r.ci_low <= r.ert
        assert r.ci_high is None or r.ert <= r.ci_high <= 100 * len(crossings)


def test_an_interval_is_open_above_when_resamples_have_no_success() -> None:
    rare = row(standings(runs("a", reaching(10), *[missing()] * 4), terms()), "a")
    assert rare.ci_low is not None
    assert rare.ci_high is None
    sure = row(standings(runs("a", *[reaching(10)] * 5), terms()), "a")
    assert (sure.ci_low, sure.ci_high) == (10, 10)


def test_an_interval_covers_about_95_percent_of_resamples() -> None:
    costs = list(range(1, 101))
    r = row(standings(runs("a", *map(reaching, costs)), terms()), "a")
    # The mean of 100 draws from 1..100: 50.5 with standard error 2.89.
    assert r.ci_low == pytest.approx(50.5 - 1.96 * 2.89, abs=0.6)
    assert r.ci_high == pytest.approx(50.5 + 1.96 * 2.89, abs=0.6)


def test_an_interval_depends_on_nothing_but_its_own_pair() -> None:
    own = runs("a", reaching(10), reaching(30), missing(), reaching(70))
    alone = row(standings(own, terms()), "a")
    others = runs("b", reaching(5)) + runs("a", reaching(9), target="iris")
    among = [r for r in standings(others + own, terms()).rows if r.target == "wine"]
    assert alone.ci_low is not None
    assert (alone.ci_low, alone.ci_high) in [(r.ci_low, r.ci_high) for r in among]


# --------------------------------------------------------------------------- status and skipped


def test_the_most_serious_status_is_the_rows() -> None:
    for worse, better in itertools.pairwise(SERIOUSNESS):
        entries = runs("a", record((), better, "mild"), record((), worse, "bad"))
        r = row(standings(entries, terms()), "a")
        assert (r.status, r.reason) == (worse, "bad")
    assert set(SERIOUSNESS) == set(Status)


def test_a_skipped_pair_has_rows_without_runs() -> None:
    board = standings(skipped("solve", "needs score") + runs("a", reaching(9)), terms((0.8, 0.9)))
    for goal in (0.8, 0.9):
        r = row(board, "solve", goal)
        assert (r.status, r.reason, r.runs, r.rank) == (Status.SKIPPED, "needs score", 0, None)
        assert (r.ert, r.ci_low, r.ci_high, r.best, r.price, r.floor_ratio) == (None,) * 6
    assert board.counts == {Status.EXHAUSTED: 1, Status.SKIPPED: 2}


def test_unplayed_pairs_are_listed_and_have_no_rows() -> None:
    board = standings(runs("a", reaching(9), None) + runs("b", None, None), terms())
    assert board.unplayed == {("wine", "none", "a"): 1, ("wine", "none", "b"): 2}
    assert {r.attack for r in board.rows} == {"a"}


def test_incidents_are_said_once_with_their_number() -> None:
    void = record((), Status.VOID, "server fell")
    crash = record((), Status.CRASHED, "boom")
    board = standings(runs("a", crash, void, void, reaching(3)), terms())
    said = [(i.status, i.reason, i.matches) for i in board.incidents]
    assert said == [(Status.VOID, "server fell", 2), (Status.CRASHED, "boom", 1)]


@pytest.mark.parametrize(
    ("repetitions", "played", "provisional"), [(10, 10, False), (9, 9, True), (10, 9, True)]
)
def test_fewer_than_ten_runs_are_provisional(
    repetitions: int, played: int, provisional: bool
) -> None:
    entries = runs("a", *[reaching(9)] * played)
    assert standings(entries, terms(repetitions=repetitions)).provisional is provisional


# --------------------------------------------------------------------------------------- ranks


def test_rank_by_ert_then_by_best() -> None:
    board = standings(
        [
            *runs("slow", reaching(50)),
            *runs("fast", reaching(10)),
            *runs("near", missing(0.89)),
            *runs("far", missing(0.6)),
            *runs("mute", record()),
            *runs("fast too", reaching(10)),
            *runs("broken", record((), Status.VOID, "x")),
        ],
        terms(),
    )
    ranks = [(r.attack, r.rank, r.tied) for r in board.rows]
    assert ranks == [
        ("fast", 1, True),
        ("fast too", 1, True),
        ("slow", 3, False),
        ("near", 4, False),
        ("far", 5, False),
        ("mute", 6, False),
        ("broken", None, False),
    ]
    assert [p.name for p in board.duels["wine", "none"]] == [r[0] for r in ranks]


def test_misses_of_errors_rank_from_below() -> None:
    entries = runs("far", record([(1, 0.9)])) + runs("near", record([(1, 0.2)]))
    board = standings(entries, terms((0.1,), "geometric-error"))
    assert [r.attack for r in board.rows] == ["near", "far"]


def test_attacks_overall_most_goals_first_then_geometric_mean() -> None:
    board = standings(
        [
            *runs("both", reaching(100)),
            *runs("both", reaching(100), target="iris"),
            *runs("one", reaching(4)),
            *runs("one", missing(), target="iris"),
            *runs("other", missing()),
            *runs("other", reaching(9), target="iris"),
        ],
        terms(repetitions=1),
    )
    assert board.ceiling == 100
    both, one, other = board.attacks
    assert (both.name, both.rank, both.reached, both.goals) == ("both", 1, 2, 2)
    assert both.mean == pytest.approx(100)
    assert (one.name, one.rank, one.reached, other.name) == ("one", 2, 1, "other")
    assert one.mean == pytest.approx(20)
    assert other.mean == pytest.approx(30)


def test_a_pair_that_cannot_meet_reaches_nothing_and_a_void_one_is_left_out() -> None:
    board = standings(
        [
            *runs("a", reaching(10)),
            *skipped("a", "needs leaf", target="iris"),
            *runs("b", reaching(10)),
            *runs("b", record((), Status.VOID, "x"), target="iris"),
            *skipped("c", "needs leaf"),
        ],
        terms(),
    )
    assert (place(board.attacks, "a").reached, place(board.attacks, "a").goals) == (1, 2)
    assert (place(board.attacks, "b").reached, place(board.attacks, "b").goals) == (1, 1)
    c = place(board.attacks, "c")
    assert (c.rank, c.note, board.attacks[-1]) == (None, "cannot meet", c)


def test_ties_are_said_overall() -> None:
    board = standings(runs("a", missing()) + runs("b", missing(0.8)), terms())
    assert [(p.rank, p.tied) for p in board.attacks] == [(1, True), (1, True)]
    duel = board.duels["wine", "none"]
    assert [(p.name, p.rank, p.tied) for p in duel] == [("b", 1, False), ("a", 2, False)]


# ---------------------------------------------------------------------------------- given away


def test_a_goal_that_a_baseline_reaches_without_a_query_is_not_ranked() -> None:
    free = record([(0, 0.92)], Status.FINISHED)
    board = standings(
        [
            *runs("public-data", free, missing(), baseline=True),
            *runs("eat", reaching(10, 0.99)),
            *runs("eat", reaching(20, 0.99), defense="flip"),
        ],
        terms((0.9, 0.95)),
    )
    assert board.given_away == {("wine", 0.9): "public-data"}
    given_row = row(board, "eat", 0.9, "flip")
    assert (given_row.given_away, given_row.rank, given_row.ert) == ("public-data", None, 20)
    assert (row(board, "eat", 0.95).given_away, row(board, "eat", 0.95).rank) == ("", 1)
    assert place(board.attacks, "eat").goals == 2
    assert place(board.sieges["wine"], "flip").goals == 1


def test_what_does_not_give_a_goal_away() -> None:
    free, asked = record([(0, 0.95)]), record([(1, 0.95)])
    for entries in (
        runs("eat", free),
        runs("random", asked, baseline=True),
        runs("public-data", free, missing(), missing(), baseline=True),
        runs("public-data", record([(0, 0.95)], Status.VOID), baseline=True),
    ):
        assert standings(entries, terms()).given_away == {}


def test_when_all_is_given_away_nobody_is_ranked() -> None:
    entries = runs("constant", record([(0, 1.0)]), baseline=True) + runs("eat", reaching(10))
    board = standings(entries, terms())
    assert {r.rank for r in board.rows} == {None}
    assert [(p.name, p.rank, p.mean) for p in board.attacks] == [
        ("constant", None, None),
        ("eat", None, None),
    ]
    assert [(p.rank, p.note) for p in board.defenses] == [(None, "no goal that counts")]


# ------------------------------------------------------------------------------------ defences


def duel(attack: str, defense: str, queries: int | None, utility: float = 1.0) -> list[Entry]:
    played = missing() if queries is None else reaching(queries)
    return runs(attack, replace(played, utility=utility), defense=defense)


def test_a_defence_is_judged_by_the_strongest_attack() -> None:
    board = standings(
        [
            *duel("weak", "none", 90),
            *duel("strong", "none", 10),
            *duel("weak", "flip", 50),
            *duel("strong", "flip", 80),
            *duel("weak", "wall", None),
            *duel("strong", "wall", None),
        ],
        terms(repetitions=1),
    )
    order = [(p.name, p.rank, p.reached, round(p.mean or 0)) for p in board.defenses]
    assert order == [("wall", 1, 0, 100), ("flip", 2, 1, 50), ("none", 3, 1, 10)]
    assert board.sieges["wine"] == board.defenses


def test_below_the_utility_floor_a_defence_is_shown_not_ranked() -> None:
    entries = duel("a", "wall", None, 0.5) + duel("a", "none", 10) + duel("b", "wall", None, 0.7)
    board = standings(entries, terms(utility_floor=0.9))
    assert [(p.name, p.rank) for p in board.defenses] == [("none", 1), ("wall", None)]
    wall = place(board.defenses, "wall")
    assert wall.utility == pytest.approx(0.6)
    assert "utility floor of 0.9" in wall.note
    assert place(standings(entries, terms()).defenses, "wall").rank == 1


def test_a_defence_that_missed_a_target_is_not_ranked_overall() -> None:
    iris = [replace(e, target="iris") for e in duel("a", "none", 10)]
    board = standings([*duel("a", "wall", None), *duel("a", "none", 10), *iris], terms())
    assert [(p.name, p.rank) for p in board.defenses] == [("none", 1), ("wall", None)]
    assert place(board.defenses, "wall").note == "no match that counts on iris"
    assert place(board.sieges["wine"], "wall").rank == 1


# ------------------------------------------------------------------------------------ in general


statuses = st.sampled_from(list(Status))
records = st.builds(
    record, curves, statuses, st.sampled_from(["", "boom"]), st.one_of(st.none(), st.floats(0, 1))
)
names = st.sampled_from(["a", "b", "c"])
entries = st.lists(
    st.builds(
        Entry,
        target=names,
        defense=names,
        attack=names,
        repetition=st.integers(0, 3),
        skipped=st.sampled_from(["", "", "", "cannot"]),
        record=st.one_of(st.none(), records),
        baseline=st.booleans(),
    ),
    max_size=25,
    unique_by=lambda e: (e.target, e.defense, e.attack, e.repetition),
)


@settings(max_examples=60, deadline=None)
@given(entries, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(played: list[Entry], rng: random.Random) -> None:
    shuffled = [*played]
    rng.shuffle(shuffled)
    level = terms((0.5, 0.9), utility_floor=0.5)
    assert standings(shuffled, level) == standings(played, level)


@settings(max_examples=60, deadline=None)
@given(entries)
def test_what_always_holds(played: list[Entry]) -> None:
    board = standings(played, terms((0.5, 0.9)))
    pairs = {(e.target, e.defense, e.attack) for e in played if e.skipped or e.record}
    assert len(board.rows) == 2 * len(pairs)
    assert sum(board.counts.values()) + sum(board.unplayed.values()) == len(played)
    for r in board.rows:
        assert (r.ert is None) == (r.successes == 0)
        assert 0 <= r.successes <= r.runs
        assert r.ert is None or r.ert <= board.ceiling
        assert (r.rank is None) == (bool(r.given_away) or r.runs == 0)


def test_no_entries_no_rows() -> None:
    board = standings([], terms())
    assert (board.rows, board.attacks, board.defenses, board.counts) == ((), (), (), {})


def test_levels_keep_their_order_and_terms_are_kept() -> None:
    given_terms: BoardTerms = terms((0.5, 0.9))
    played: Record = reaching(9)
    board = standings(runs("b", played) + runs("a", played), given_terms)
    assert [(r.goal, r.attack) for r in board.rows] == [
        (0.5, "a"),
        (0.5, "b"),
        (0.9, "a"),
        (0.9, "b"),
    ]
    assert board.terms is given_terms
