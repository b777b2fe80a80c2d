"""A tournament whose processes are killed at random moments; `tests/kills.py` does it at length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "kills.py"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 12])
def test_kills_lose_nothing_play_nothing_twice_and_leave_nothing(kills: int) -> None:
    command = [sys.executable, str(SCRIPT), "--kills", str(kills), "--gap", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"\n{kills} kills" in done.stdout
