"""What `tests/model/check.py` reads out of TLC's words, ended or not; TLC itself runs in `make model`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[1] / "model" / "check.py"
SPEC = importlib.util.spec_from_file_location("model_check", PLACE)
assert SPEC is not None
assert SPEC.loader is not None
check = importlib.util.module_from_spec(SPEC)
sys.modules["model_check"] = check
SPEC.loader.exec_module(check)

HALFWAY = (
    "Progress(6) at 2026-11-22 01:44:06: 1,332 states generated (332 s/min), 1,169 distinct states found"
    " (169 ds/min), 132 states left on queue.\n"
    "Progress(9) at 2026-11-22 01:45:06: 9,332 states generated (8,000 s/min), 7,001 distinct states found"
    " (5,832 ds/min), 2,132 states left on queue.\n"
)
WHOLE = (
    "Model checking completed. No error has been found.\n"
    "41337 states generated, 23983 distinct states found, 0 states left on queue.\n"
    "The depth of the complete state graph search is 13.\n"
)


def test_a_run_that_was_stopped_says_how_far_it_came_and_not_that_all_holds() -> None:
    found = check.read(HALFWAY, 72.0, stopped=True)
    assert (found.broken, found.states, found.depth, found.queue, found.ended) == ("", 7_001, 9, 2_132, False)
    assert found.text() == "not ended, holds so far; 7,001 states, depth 9, 2,132 in the queue, 72 s"


def test_a_run_that_ended() -> None:
    found = check.read(HALFWAY + WHOLE, 55.0)
    assert (found.states, found.depth, found.queue, found.ended) == (23_983, 13, 0, True)
    assert found.text() == "holds; 23,983 states, depth 13, 55 s"
    broken = check.read("Error: Invariant OneNotarized is violated.\n" + WHOLE.splitlines()[1], 7.0, stopped=True)
    assert (broken.broken, broken.ended) == ("OneNotarized", True)


def test_random_behaviours_are_counted() -> None:
    said = "Progress: 310,432 states checked, 9,021 traces generated (trace length: mean=34, var(x)=12, sd=3)\n"
    end = said + "Finished in 09s at (2026-11-22 01:46:14)\n"
    assert check.read(end, 9.0).text() == "holds; 310,432 states, 9,021 behaviours, 9 s"
    assert "not ended" in check.read(said, 9.0, stopped=True).text()


def test_a_tlc_that_failed_by_itself_is_no_result() -> None:
    with pytest.raises(SystemExit):
        check.read("java.lang.OutOfMemoryError\n", 1.0)
    with pytest.raises(SystemExit):
        check.read(HALFWAY, 1.0)
    said = "Progress: 310,432 states checked, 9,021 traces generated (trace length: mean=34, var(x)=12, sd=3)\n"
    with pytest.raises(SystemExit):
        check.read(said, 9.0)
    with pytest.raises(SystemExit):
        check.read(said + "Error: Java ran out of memory.\n" + said + "Finished in 09s at (2026-11-22)\n", 9.0)
