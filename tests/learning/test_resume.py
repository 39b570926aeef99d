import json
from pathlib import Path

import pytest
from miniature.runs import content

TESTS = Path(__file__).resolve().parents[1]
KILLS = 9


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_like_one_that_was_not(tmp_path, warm):
    done = warm.run(TESTS / "miniature" / "killed.py", tmp_path, KILLS)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["rounds_at_kill"]) == KILLS
    assert {0, 1, 2} <= set(told["rounds_at_kill"])  # hit in every round
    whole = content(tmp_path / "whole")
    assert len([name for name in whole if name.endswith("model.safetensors")]) == 3
    for number in range(told["runs"]):
        killed = content(tmp_path / f"killed{number:02d}")
        assert killed.keys() == whole.keys()
        assert [name for name in whole if killed[name] != whole[name]] == []
