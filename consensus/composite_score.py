"""The composite score of market C (rules 5.1 of the market specification): how well a node kept what it traded, and how
much of it. Integers only; ratios in ppm, energy in Wh; every quotient is rounded down once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

Node = TypeVar("Node")
Trades = Sequence[tuple[int, int]]
"""Of one node in one period: (promised Wh, real Wh) of each trade."""

ONE: Final = 1_000_000
DEFAULT_ALPHA: Final = 700_000


def reputation(trades: Trades) -> int:
    """S_rep = floor(max(0, sum pre - sum |pre - real|) * ONE / sum pre); with nothing promised ONE if nothing deviated,
    else 0."""
    promised = sum(pre for pre, _ in trades)
    deviation = sum(abs(pre - real) for pre, real in trades)
    if promised == 0:
        return ONE if deviation == 0 else 0
    return max(0, promised - deviation) * ONE // promised


def quantity(energy: int, least: int, most: int) -> int:
    """S_amount = floor((E - Emin) * ONE / (Emax - Emin)); 0 if all nodes traded the same."""
    return 0 if most == least else (energy - least) * ONE // (most - least)


def composite_scores(
    trades: Mapping[Node, Trades], previous: Mapping[Node, int], alpha: int = DEFAULT_ALPHA
) -> dict[Node, int]:
    """S_com = floor((a * S_rep + (ONE - a) * S_amount) / ONE) of every node that is named, ppm.

    `alpha` in ppm. A node without a trade in the period keeps its score of before, a new one has 0.
    """
    energy = {node: sum(pre for pre, _ in found) for node, found in trades.items() if found}
    least, most = _range(energy.values())
    scores = {node: previous.get(node, 0) for node in (*previous, *trades)}
    for node, wh in energy.items():
        scores[node] = (alpha * reputation(trades[node]) + (ONE - alpha) * quantity(wh, least, most)) // ONE
    return scores


def _range(values: Iterable[int]) -> tuple[int, int]:
    known = tuple(values)
    return (min(known), max(known)) if known else (0, 0)
