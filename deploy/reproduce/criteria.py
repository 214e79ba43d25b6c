"""B.criteria: every clause of the shipped contracts and the tests that hold it."""

from __future__ import annotations

from typing import Final

from deploy.reproduce.experiment import Kind, NotBuilt, Offered

CRITERIA: Final = NotBuilt(
    id="B.criteria",
    title="Five validity criteria of a contract",
    source="System B, criteria.",
    kind=Kind.EXACT,
    published="each clause satisfies the five criteria",
    tolerance="every clause has tests, and they pass",
    missing="This experiment is not written yet.",
)

EXPERIMENTS: Final[tuple[Offered, ...]] = (CRITERIA,)
