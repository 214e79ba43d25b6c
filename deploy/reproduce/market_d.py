"""Experiments of market D: reputations, and the assignment of users to providers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from contracts.library_sources import ONE
from deploy.reproduce.chart import Band, Chart, Level, Line, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.market_d_assignment import ASSIGNMENT
from deploy.reproduce.market_d_time import TIME
from deploy.reproduce.matching_market import CONTRACTS, Matching, published_mode
from ledger.draws import uniform

# D.fig4


def _value(inputs: Inputs, seed: int, provider: int, cycle: int, trade: int) -> int:
    """What part of the agreed energy a provider delivers in a trade, ppm."""
    keys = (provider, cycle, trade)
    honest = uniform(ONE, seed, "honest", *keys) < inputs.wholes("honest_ppm")[provider]
    low, high = inputs.span("full_ppm" if honest else "short_ppm")
    return low + uniform(high - low + 1, seed, "v", *keys)


def _after(before: int, actual: Sequence[int], agreed: int, alpha: int) -> int:
    """Rule 6.1 by itself: RC after trades of `agreed` Wh each with these actual Wh."""
    mean = sum(wh * ONE // agreed for wh in actual) // len(actual)
    return (alpha * mean + (ONE - alpha) * before) // ONE


def run_reputation(inputs: Inputs, seed: int) -> Trial:
    """Ten cycles of ten trades for each of four providers, as orders that are matched, delivered and settled."""
    cycles, trades, agreed = inputs.whole("cycles"), inputs.whole("trades"), inputs.whole("agreed_wh")
    count, alpha = len(inputs.wholes("honest_ppm")), inputs.whole("alpha_ppm")
    market = Matching(published_mode(alpha=alpha), cycles, trades * count, count, 100_000)
    expected, apart = [0] * count, 0
    paths: list[list[int]] = [[] for _ in range(count)]
    for cycle in range(cycles):
        slot = market.open(cycle)
        for name in market.providers:
            market.offer(slot, name, trades * agreed, inputs.whole("price"))
        for name in market.users:
            market.request(slot, name, agreed, inputs.whole("price"))
        sent: dict[int, int] = {}
        done: list[list[int]] = [[] for _ in range(count)]
        for deal in market.match(slot):
            at = market.providers.index(deal.provider)
            wh = deal.wh * _value(inputs, seed, at, cycle, len(done[at])) // ONE
            sent[deal.number] = wh
            done[at].append(wh)
        market.deliver(slot, sent)
        for at, name in enumerate(market.providers):
            expected[at] = _after(expected[at], done[at], agreed, alpha)
            paths[at].append(market.reputation(name))
            apart = max(apart, abs(paths[at][-1] - expected[at]))
    rows = [(cycle + 1, *(path[cycle] / ONE for path in paths)) for cycle in range(cycles)]
    return Trial(_reputation_figures(paths, apart), rows)


def _reputation_figures(paths: Sequence[Sequence[int]], apart: int) -> dict[str, Figures]:
    first, second, third, fourth = paths
    ordered = sum(
        second[at] < min(third[at], fourth[at]) and max(third[at], fourth[at]) < first[at]
        for at in range(2, len(first))
    )
    finals = {f"provider {at + 1}": path[-1] / ONE for at, path in enumerate(paths)}
    return {
        "final reputations": {**finals, "cycles in order, from the third": float(ordered)},
        "rule 6.1": {"largest difference, ppm": float(apart)},
        "throughout": {"cycles with provider 1 above 1": float(sum(rc > ONE for rc in first))},
    }


def _ordered(found: Figures) -> bool:
    first, second, third, fourth = (found[f"provider {place}"] for place in (1, 2, 3, 4))
    middle = all(0.7 < value < 0.95 for value in (third, fourth))
    return first > 1 and second < 0.7 and middle and found["cycles in order, from the third"] == 8


def draw_reputation(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """RC over the cycles: the mean of the seeds, and all of them as a band."""
    cycles = [float(cycle) for cycle in range(1, inputs.whole("cycles") + 1)]
    marks: list[Line | Band | Level] = [Level("1: as agreed", 1.0)]
    for place in range(4):
        values = [[float(trial.rows[at][place + 1] or 0) for trial in trials] for at in range(len(cycles))]
        lows, highs = [min(found) for found in values], [max(found) for found in values]
        marks.append(Band("", cycles, lows, highs, place))
        marks.append(Line(f"provider {place + 1}", cycles, [fmean(found) for found in values], place, dotted=True))
    title = f"mean of {len(trials)} seeds; shaded: all of them" if len(trials) > 1 else "one seed"
    return Chart("Reputation of four providers", (Panel(title, "cycle", "reputation RC", tuple(marks), zero=True),))


REPUTATION: Final = Experiment(
    id="D.fig4",
    title="Reputation of four providers",
    source="System D, figure 4: 4 providers, 10 cycles of 10 trades, a = 0.4; 1 honest, 2 not, 3 and 4 now and then.",
    method=(
        "40 users ask for 2 kWh each in every cycle, each provider offers ten times that. The contract matches "
        "them, makes electronic orders with escrow, takes the reports of both devices, settles, and keeps the "
        "reputation that is shown. "
        "The published inputs are classes of behaviour only; how much each class delivers is our choice."
    ),
    contracts=CONTRACTS,
    claims=(
        Claim(
            "final reputations",
            {"provider 1": 1.05, "provider 2": 0.60, "provider 3": 0.83, "provider 4": 0.79},
            Kind.SHAPE,
            "provider 1 ends above 1, 2 below 0.7, 3 and 4 within 0.7 and 0.95; that order from cycle 3 on",
            _ordered,
            "The four numbers are a reference run with one draw of the behaviour; the figure shows the order.",
        ),
        Claim(
            "rule 6.1",
            "RC = a C + (1 - a) RC of the cycle before",
            Kind.EXACT,
            "the contract’s RC equals an independent calculation in every cycle, to the ppm",
            lambda found: found["largest difference, ppm"] == 0,
        ),
        Claim(
            "throughout",
            "provider 1 is above 1 throughout",
            Kind.CANNOT,
            "RC of provider 1 above 1 in all ten cycles",
            lambda found: found["cycles with provider 1 above 1"] == 10,
            "RC starts at 0, so RC(1) = 0.4 C: above 1 only if provider 1 delivered 2.5 times what it agreed. After "
            "ten cycles 1 - 0.6^10 of C is reached; a mean of 1.05 crosses 1 in cycle 6.",
        ),
    ),
    columns=("cycle", "provider 1", "provider 2", "provider 3", "provider 4"),
    run=run_reputation,
    draw=draw_reputation,
)  # fmt: skip

EXPERIMENTS: Final[tuple[Experiment, ...]] = (REPUTATION, TIME, ASSIGNMENT)
