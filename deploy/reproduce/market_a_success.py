"""A.fig8 and A.fig9: how participation and volume raise a prosumer's chance to be matched, in two scenarios of
weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

from contracts.library_sources import ONE
from deploy.reproduce.chart import Chart, Line, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.wind_days import CONTRACTS, rule
from ledger.draws import uniform

_OWN: Final = (10_000).to_bytes(2, "big")
_PRICE: Final = 50_000
_RETAIL: Final = 100_000


class _Floor:
    """Draws of one seed: the other 19 prosumers and the deviation, the same for every point of the curves."""

    def __init__(self, inputs: Inputs, seed: int) -> None:
        self.inputs = inputs
        self.periods, self.reference = inputs.whole("periods"), inputs.whole("reference_wh")
        reserve = inputs.whole("reserve_wh")
        self.others: list[list[list[object]]] = []
        self.deviations: list[int] = []
        for number in range(inputs.whole("draws")):
            rows: list[list[object]] = []
            for place in range(inputs.whole("prosumers") - 1):
                trades = uniform(self.periods + 1, seed, "trades", number, place)
                volume = uniform(self.reference + 1, seed, "volume", number, place)
                rows.append([place.to_bytes(2, "big"), self.reputation(trades, volume), reserve, reserve, 0, 0])
            self.others.append(rows)
            self.deviations.append(-1 - uniform(inputs.whole("deviation_wh"), seed, "deviation", number))

    def reputation(self, trades: int, volume: int) -> int:
        weight = self.inputs.whole("participation_weight_ppm")
        return int(rule("prosumer_reputation", trades, self.periods, volume, self.reference, weight))

    def success(self, trades: int, volume: int) -> float:
        """The share of draws in which a prosumer with these counters is matched."""
        reserve = self.inputs.whole("reserve_wh")
        own = [_OWN, self.reputation(trades, volume), reserve, reserve, 0, 0]
        hits = 0
        for rows, deviation in zip(self.others, self.deviations, strict=True):
            found = rule("rank_match", deviation, [*rows, own], _PRICE, _RETAIL)
            hits += any(name == _OWN for name, _ in found[0])
        return hits / len(self.deviations)


def run_success(inputs: Inputs, seed: int) -> Trial:
    """Both curves of one scenario; what is not varied stands at one half."""
    floor = _Floor(inputs, seed)
    steps = inputs.whole("steps")
    half = (floor.periods // 2, floor.reference // 2)
    rows = []
    for step in range(steps + 1):
        by_trades = floor.success(floor.periods * step // steps, half[1])
        by_volume = floor.success(half[0], floor.reference * step // steps)
        rows.append((step / steps, by_trades, by_volume))
    figures: dict[str, Figures] = {}
    curves = {"participation": [row[1] for row in rows], "volume": [row[2] for row in rows]}
    for name, curve in curves.items():
        falls = sum(after < before for before, after in pairwise(curve))
        figures[name] = {"rise": curve[-1] - curve[0], "steps that fall": float(falls)}
    heavy = inputs.whole("participation_weight_ppm") > ONE // 2
    rises = [figures["participation"]["rise"], figures["volume"]["rise"]]
    more, less = rises if heavy else reversed(rises)
    figures["slope"] = {"weighs 0.8": more, "weighs 0.2": less}
    return Trial({"slope": figures["slope"], **figures}, rows)


def draw_success(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Success over what is varied, the mean of the seeds."""
    x = [float(row[0] or 0) for row in trials[0].rows]
    share = inputs.whole("participation_weight_ppm") / ONE
    lines = tuple(
        Line(
            f"{name} (weighs {weight:.1f})", x,
            [fmean(float(trial.rows[at][place] or 0) for trial in trials) for at in range(len(x))],
            place - 1, dotted=True,
        )
        for place, (name, weight) in enumerate((("participation", share), ("volume", 1 - share)), start=1)
    )  # fmt: skip
    title = f"mean of {len(trials)} seeds; the other item stands at one half"
    panel = Panel(title, "share of the window's periods, of the reference volume", "share of matches", lines, zero=True)
    return Chart("Chance to be matched", (panel,))


def _rising(found: Figures) -> bool:
    return found["rise"] > 0 and found["steps that fall"] == 0


def _scenario(name: str, title: str, weights: str) -> Experiment:
    return Experiment(
        id=name,
        title=title,
        source=f"System A, figure {name[-1]}: success rate against participation and volume, {weights}.",
        method=(
            "One of 20 prosumers; trades and volume of the other 19 and the deficit are drawn evenly, 60 times, "
            "the same draws for each point. The contract computes all reputations and ranks. Where the text says "
            "b1 = 0.8 for the second scenario but speaks of the volume weight, the volume weighs 0.8 (reading of "
            "the specification)."
        ),
        contracts=CONTRACTS,
        claims=(
            Claim(
                "slope", "the item that weighs 0.8 raises success more", Kind.SHAPE, "larger rise from none to all",
                lambda found: found["weighs 0.8"] > found["weighs 0.2"],
            ),
            Claim("participation", "rises", Kind.SHAPE, "rises, and falls at no step", _rising),
            Claim("volume", "rises", Kind.SHAPE, "rises, and falls at no step", _rising),
        ),
        columns=("share", "success_by_participation", "success_by_volume"),
        run=run_success,
        draw=draw_success,
    )  # fmt: skip


PARTICIPATION: Final = _scenario("A.fig8", "Success and participation", "participation weighs 0.8")
VOLUME: Final = _scenario("A.fig9", "Success and volume", "volume weighs 0.8")
