"""Experiments of market C: trade against feeding in, and the election under malicious agents."""

from __future__ import annotations

from typing import Final

from deploy.reproduce.experiment import Kind, NotBuilt, Offered

MALICIOUS: Final = NotBuilt(
    id="C.fig3",
    title="Share of malicious agents in the council",
    source="System C, figure 3: 150 nodes, 50 seats, 24 rounds, 10 % turn malicious.",
    kind=Kind.SHAPE,
    published="never above 50 %; the control group grows",
    tolerance="maximum below 0.5 when a barred node returns honest; the control's last share above 0.5",
    missing="The engine with composite scores does not exist yet; this figure comes with it.",
)

TRADE: Final = NotBuilt(
    id="C.trade",
    title="Income and cost against feeding in",
    source="System C.",
    kind=Kind.CALIBRATED,
    published="sellers +16.7 %, buyers -7.6 %",
    tolerance="both within 1 point",
    missing="This experiment is not written yet.",
)

EXPERIMENTS: Final[tuple[Offered, ...]] = (TRADE, MALICIOUS)
