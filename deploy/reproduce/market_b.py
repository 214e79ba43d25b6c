"""Experiments of market B: the community virtual power plant. `B.criteria` has a module of its own."""

from __future__ import annotations

from typing import Final

from deploy.reproduce.experiment import Kind, NotBuilt, Offered


def _awaited(name: str, title: str, kind: Kind, published: str, tolerance: str) -> NotBuilt:
    return NotBuilt(
        name, title, f"System B, {name[2:]}.", kind, published, tolerance, "This experiment is not written yet."
    )


_ABOVE: Final = ("supply above demand from 11:30 to 12:30 only", "about 11:00 to 13:00; below 1 elsewhere")
_CHEAPER: Final = ("members are better off than with the grid", "both sides cheaper than grid")
_CAP: Final = ("penalty at most 15 %", "never above the cap")

EXPERIMENTS: Final[tuple[Offered, ...]] = (
    _awaited("B.fig4", "Generation", Kind.SHAPE, *_ABOVE),
    _awaited("B.fig5", "Net production", Kind.SHAPE, *_ABOVE),
    _awaited("B.fig6", "Auction prices", Kind.SHAPE, *_ABOVE),
    _awaited("B.fig7", "Supply and demand", Kind.SHAPE, *_ABOVE),
    _awaited("B.fig8", "Settlement at 11:30", Kind.SHAPE, *_CHEAPER),
    _awaited("B.fig9", "Settlement at 17:00", Kind.SHAPE, *_CHEAPER),
    _awaited("B.fig10", "Deviation of producers", Kind.EXACT, *_CAP),
    _awaited("B.fig11", "Deviation of consumers 1 and 2", Kind.EXACT, *_CAP),
    _awaited("B.fig12", "Deviation of consumers 3 to 5", Kind.EXACT, *_CAP),
    _awaited("B.fig13", "Deviation of consumers 6 and 7", Kind.EXACT, *_CAP),
    _awaited(
        "B.fig14", "Gain of each household over the day", Kind.SHAPE, "every household pays less or earns more",
        "all ten gain with the flat fee at most 0.25 p",
    ),
    _awaited(
        "B.fig15", "Trading probability", Kind.CANNOT, "6, 7 and 5 above 3, 4 above 1, 2", "that order",
    ),
    _awaited(
        "B.indices", "Value mining, participation, adaptation", Kind.SHAPE, "gains over supply-demand ratios 0.2 to 5",
        "sums zero in each of 10 steps",
    ),
)  # fmt: skip
