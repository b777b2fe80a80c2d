"""What a run would play, and what it would cost at most."""

from __future__ import annotations

from pathlib import Path

from arena import engine, pairing
from arena.tournament import Tournament
from arena.wording import plural


def forecast(tournament: Tournament, out: Path | None, only: str | None, fresh: bool) -> str:
    """Say how many matches a run would play, the most they cost, and which pairs cannot meet."""
    specs = [s for s in pairing.plan(tournament) if pairing.selected(s, only)]
    meeting = [s for s in specs if not s.skipped]
    todo = meeting if fresh else engine.to_play(tournament, out, only)
    most = sum(s.budget for s in todo)
    lines = [
        f"{plural(len(meeting), 'match', 'matches')}: "
        f"{plural(len({s.target.label for s in meeting}), 'target')}, "
        f"{plural(len({s.defense.label for s in meeting}), 'defence')}, "
        f"{plural(len({s.attack.label for s in meeting}), 'attack')}, "
        f"{plural(tournament.repetitions, 'repetition')}",
        f"{len(todo):,} to be played, {len(meeting) - len(todo):,} stored",
        f"at most {most:,} queries, ${most * tournament.price:,.2f}",
    ]
    skipped = dict.fromkeys((s.title, s.skipped) for s in specs if s.skipped)
    lines += [f"skipped: {title}: {reason}" for title, reason in skipped]
    return "\n".join(lines) + "\n"
