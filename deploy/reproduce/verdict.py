"""From the trials of all seeds to a verdict: the rules of the markets specification, section 9.

An exact or shape claim is reproduced if it holds for nine tenths of the seeds (18 of 20). A calibrated one is judged on
the medians over the seeds, because its inputs were searched and the number alone proves nothing; what other inputs give
is its band. A claim that cannot hold as written is run all the same: should it hold, the statement that it cannot is
wrong, and it counts as reproduced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, assert_never

from deploy.reproduce.experiment import Claim, Figures, Kind, Trial, Verdict
from ledger.errors import InvariantBroken

NEEDED_OF_TEN: Final = 9


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over runs: median, 5 % and 95 % quantile (of fewer than 20 runs: the extremes)."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with its verdict. `held`: for how many of `seeds` seeds the rule holds. `band`: lowest and highest value
    over the other inputs; empty where there are none."""

    claim: Claim
    ours: Mapping[str, Spread]
    held: int
    seeds: int
    verdict: Verdict
    band: Mapping[str, tuple[float, float]]

    @property
    def medians(self) -> dict[str, float]:
        """The median of each figure."""
        return {name: spread.median for name, spread in self.ours.items()}

    @property
    def difference(self) -> dict[str, float]:
        """Ours less published, where both are numbers."""
        published = self.claim.published
        if isinstance(published, str):
            return {}
        return {name: spread.median - published[name] for name, spread in self.ours.items() if name in published}


def needed(seeds: int) -> int:
    """How many of so many seeds must hold."""
    return -(-seeds * NEEDED_OF_TEN // 10)


def spread(values: Sequence[float]) -> Spread:
    """Median and quantiles of at least one value."""
    ranked = sorted(values)
    cut = len(ranked) // 20
    return Spread(median(ranked), ranked[cut], ranked[-1 - cut])


def _figures(claim: Claim, trials: Sequence[Trial]) -> list[Figures]:
    found = [trial.figures[claim.name] for trial in trials]
    if any(list(figures) != list(found[0]) for figures in found):
        raise InvariantBroken(f"figures of {claim.name} differ between seeds")
    return found


def judge(claim: Claim, trials: Sequence[Trial], others: Sequence[Trial] = ()) -> Judged:
    """Judge a claim on the trials of at least one seed; `others`: trials on other inputs."""
    found = _figures(claim, trials)
    ours = {name: spread([figures[name] for figures in found]) for name in found[0]}
    held = sum(bool(claim.holds(figures)) for figures in found)
    elsewhere = _figures(claim, others) if others else []
    band = {
        name: (min(figures[name] for figures in elsewhere), max(figures[name] for figures in elsewhere))
        for name in (ours if elsewhere else ())
    }
    enough = held >= needed(len(found))
    match claim.kind:
        case Kind.EXACT | Kind.SHAPE:
            verdict = Verdict.REPRODUCED if enough else Verdict.NOT_REPRODUCED
        case Kind.CALIBRATED:
            hit = claim.holds({name: one.median for name, one in ours.items()})
            verdict = Verdict.CALIBRATED if hit else Verdict.NOT_REPRODUCED
        case Kind.CANNOT:
            verdict = Verdict.REPRODUCED if enough else Verdict.CANNOT_HOLD
        case _:
            assert_never(claim.kind)
    return Judged(claim, ours, held, len(found), verdict, band)


def overall(judged: Sequence[Judged]) -> Verdict:
    """The verdict of an id: of its headline, unless any claim is not reproduced."""
    if any(one.verdict is Verdict.NOT_REPRODUCED for one in judged):
        return Verdict.NOT_REPRODUCED
    return judged[0].verdict
