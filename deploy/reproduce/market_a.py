"""Experiments of market A: the wind producer and its prosumers."""

from __future__ import annotations

from typing import Final

from deploy.reproduce.experiment import Kind, NotBuilt, Offered


def _awaited(name: str, title: str, kind: Kind, published: str, tolerance: str) -> NotBuilt:
    return NotBuilt(
        name, title, f"System A, {name[2:]}.", kind, published, tolerance, "This experiment is not written yet."
    )


_HOURS: Final = "an hour has one sign"
_RISES: Final = ("rises; steeper where it weighs 0.8", "rising; larger slope")

EXPERIMENTS: Final[tuple[Offered, ...]] = (
    _awaited("A.fig3", "Actual and forecast output", Kind.CANNOT, "surplus and deficit at 04:00", _HOURS),
    _awaited("A.fig4", "Sold to prosumers", Kind.CANNOT, "surplus hours hold 04:00", _HOURS),
    _awaited("A.fig5", "Bought from prosumers", Kind.CANNOT, "deficit hours hold 04:00", _HOURS),
    _awaited(
        "A.fig7", "Cost of operations", Kind.SHAPE, "ranking about 600k gas, all others below 150k",
        "ranking is the dearest, at least 3 times any store",
    ),
    _awaited("A.fig8", "Success and participation", Kind.SHAPE, *_RISES),
    _awaited("A.fig9", "Success and volume", Kind.SHAPE, *_RISES),
    _awaited(
        "A.fig10", "Balancing price and reputation", Kind.SHAPE, "higher reputation: lower buy, higher sell",
        "strictly ordered every hour",
    ),
    _awaited(
        "A.table2", "Revenue and cost with real-time trade", Kind.CALIBRATED, "+9.55 % revenue, -5.6 % cost",
        "9.55 +/- 1.5 points; -5.6 +/- 2 points, cost never above the baseline",
    ),
)  # fmt: skip
