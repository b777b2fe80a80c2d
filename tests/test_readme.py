"""What the README shows is what the project does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Runner

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_board_is_as_it_prints(run_arena: Runner) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- board -->\n```text\n(.*?)\n```\n", text, re.DOTALL)
    assert found is not None
    printed = run_arena("run", ROOT / "tournaments" / "uci.yaml", timeout=600).stdout
    for part in found[1].split("\n...\n"):
        assert part in printed
