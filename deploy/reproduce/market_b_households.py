"""Experiments of market B: what each household gains, who gets what it bids for, the indices."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Final

from contracts.library_sources import ONE
from deploy.reproduce.chart import Chart, Line, Panel
from deploy.reproduce.community_days import CONSUMERS, HOUSEHOLDS, SLOTS, CommunityDays, Slot, published_mode
from deploy.reproduce.experiment import Cell, Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.market_b import CONTRACTS, METHOD, PENCE, day_of, household_bars

# B.fig14: what each household gains over the day


def run_gains(inputs: Inputs, seed: int) -> Trial:
    """The day with the fee of the inputs, and with dearer ones."""
    fees = [inputs.whole("fee"), *inputs.wholes("dear_fees")]
    gains = []
    for fee in fees:
        slots = day_of(inputs, seed, fee)
        gains.append([sum(slot.gain(name) for slot in slots) / PENCE for name in HOUSEHOLDS])
    figures = {
        "every household gains": {"gain": float(sum(gain > 0 for gain in gains[0])), "least gain, p": min(gains[0])},
    }
    rows = [_row(name, [found[at] for found in gains]) for at, name in enumerate(HOUSEHOLDS)]
    return Trial(figures, rows)


def draw_gains(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Gain by household, for each fee."""
    fees = [inputs.whole("fee"), *inputs.wholes("dear_fees")]
    marks = tuple(household_bars(f"fee {fee / PENCE:g} p", trials, place + 1, place) for place, fee in enumerate(fees))
    panel = Panel(f"mean of {len(trials)} seeds", "household", "gain, p a day", marks, HOUSEHOLDS, zero=True)
    return Chart("Gain of each household over the grid alone", (panel,))


_GAINS: Final = Experiment(
    id="B.fig14",
    title="Gain of each household over the day",
    source="System B, figure 14.",
    method=METHOD + "Repeated with fees of 0.3 and 0.4 p a trade, at which small gains are eaten.",
    contracts=CONTRACTS,
    claims=(
        Claim(
            "every household gains",
            "every household pays less or earns more over the day",
            Kind.SHAPE,
            "all ten gain with a flat fee of 0.2 p a trade and side",
            lambda found: found["gain"] == len(HOUSEHOLDS),
        ),
    ),
    columns=("household", "gain at 0.2 p, p", "gain at 0.3 p, p", "gain at 0.4 p, p"),
    run=run_gains,
    draw=draw_gains,
)


def _row(name: str, values: Sequence[float]) -> list[Cell]:
    return [name, *(round(value, 4) for value in values)]


# B.fig15: who gets what it bids for


def _probabilities(slots: Sequence[Slot]) -> list[float]:
    """Of each consumer, the part of its bid energy that it got."""
    found = []
    for name in CONSUMERS:
        bids = [bid for slot in slots for bid in slot.bids if bid.consumer == name]
        found.append(sum(bid.got_wh for bid in bids) / sum(bid.wh for bid in bids))
    return found


def run_probability(inputs: Inputs, seed: int) -> Trial:
    """The same days under the published rule and with rank by good performance."""
    fee = inputs.whole("fee")
    rules = {
        "published rule": published_mode(fee=fee),
        "with priority": published_mode(fee=fee, priority=True),
    }
    found = {name: _probabilities(CommunityDays(inputs, seed, mode).run()) for name, mode in rules.items()}
    figures = {name: dict(zip(CONSUMERS, values, strict=True)) for name, values in found.items()}
    rows = [_row(who, [values[at] for values in found.values()]) for at, who in enumerate(CONSUMERS)]
    return Trial(figures, rows)


def _by_performance(found: Figures) -> bool:
    low, middle, high = ([found[name] for name in names] for names in (("C1", "C2"), ("C3", "C4"), ("C5", "C6", "C7")))
    return max(low) < min(middle) and max(middle) < min(high)


def draw_probability(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Trading probability by consumer, under both rules."""
    marks = (household_bars("published rule", trials, 1, 0), household_bars("with priority", trials, 2, 1))
    panel = Panel(
        f"mean of {len(trials)} seeds", "consumer", "part of its bids that it got", marks, CONSUMERS, zero=True
    )
    return Chart("Trading probability", (panel,))


_ORDER: Final = "6, 7 and 5 above 3 and 4, these above 1 and 2"
_PROBABILITY: Final = Experiment(
    id="B.fig15",
    title="Trading probability by behaviour",
    source="System B, figure 15 and the words that go with it: who keeps its word trades more.",
    method=METHOD + "Three days, so that good performance can count. Probability: energy got of energy bid for.",
    contracts=CONTRACTS,
    claims=(
        Claim(
            "published rule",
            _ORDER,
            Kind.CANNOT,
            "that order under the published rule",
            _by_performance,
            "The published rank is price times quantity: it has no term for performance, only size and price decide.",
        ),
        Claim(
            "with priority",
            {"C1": 0.63, "C2": 0.61, "C3": 0.73, "C4": 0.68, "C5": 0.78, "C6": 0.92, "C7": 0.88},
            Kind.CALIBRATED,
            "that order of the medians if bids rank by discount tier first",
            _by_performance,
            "The option `priority` is what the words say; the numbers are one reference run of it. Searched: the use "
            "of the households; with different sizes (the first of the other inputs) size outweighs performance "
            "between neighbours in the order. Here all are equal but consumer 5, who is larger.",
        ),
    ),
    columns=("consumer", "published rule", "with priority"),
    run=run_probability,
    draw=draw_probability,
)

# B.indices


def run_indices(inputs: Inputs, seed: int) -> Trial:
    """The day itself, and a day for each ratio of supply to demand at noon."""
    mode = published_mode(fee=inputs.whole("fee"))
    own = _indices(CommunityDays(inputs, seed, mode).run())
    rows: list[tuple[Cell, ...]] = [("as it is", *own)]
    zero = 0
    for ratio in inputs.wholes("ratios_ppm"):
        days = CommunityDays(inputs, seed, mode, sun_ppm=_sun_for(inputs, ratio))
        found = _indices(days.run())
        rows.append((ratio / ONE, *found))
        zero += days.sums_to_zero()
    figures = {
        "value mining": {"part of the bill saved": own[0], "share of households with gain": own[1]},
        "sums zero": {"steps": float(zero)},
        "least value over all ratios": {"": min(float(row[1] or 0) for row in rows)},
    }
    return Trial(figures, rows)


def _indices(slots: Sequence[Slot]) -> tuple[float, float, float, float]:
    """Value mining, share of households with a gain of at least zero, least and median gain in p."""
    gains = [sum(slot.gain(name) for slot in slots) / PENCE for name in HOUSEHOLDS]
    alone = sum(slot.alone[name] for slot in slots for name in HOUSEHOLDS) / PENCE
    return sum(gains) / abs(alone), sum(gain >= 0 for gain in gains) / len(gains), min(gains), median(gains)


def _sun_for(inputs: Inputs, ratio_ppm: int) -> int:
    """The factor on the roofs' output at which the slot from 12:30 has this ratio, without noise."""
    return CommunityDays.sun_for(inputs, ratio_ppm, SLOTS // 2 + 1)


def draw_indices(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Value mining and participation over the ratio."""
    ratios = [str(row[0]) for row in trials[0].rows[1:]]
    places = [float(place) for place in range(len(ratios))]

    def line(name: str, column: int) -> Line:
        means = [fmean(float(trial.rows[at + 1][column] or 0) for trial in trials) for at in range(len(ratios))]
        return Line(name, places, means, column - 1, dotted=True)

    marks = (line("value mining", 1), line("households that do not lose", 2))
    panel = Panel(
        f"mean of {len(trials)} seeds", "supply over demand at 12:30", "part", marks, tuple(ratios), zero=True
    )
    return Chart("Value mining and participation over the supply-demand ratio", (panel,))


_INDICES: Final = Experiment(
    id="B.indices",
    title="Value mining, participation willingness, condition adaptation",
    source="System B, the three indices of its evaluation.",
    method=METHOD + "Repeated with roofs that make ten ratios of supply to demand at noon, 0.2 to 5.",
    contracts=CONTRACTS,
    claims=(
        Claim(
            "value mining",
            "the market lowers bills, and households take part of their own will",
            Kind.SHAPE,
            "value mining above 0 and every household with a gain of at least 0",
            lambda found: found["part of the bill saved"] > 0 and found["share of households with gain"] == 1,
        ),
        Claim(
            "sums zero",
            "the market works from a ratio of 0.2 to one of 5",
            Kind.EXACT,
            "members, grid and operator sum to zero in each of the ten steps",
            lambda found: found["steps"] == 10,
        ),
        Claim(
            "least value over all ratios",
            "value mining is positive under all conditions",
            Kind.SHAPE,
            "above 0 at every ratio",
            lambda found: found[""] > 0,
        ),
    ),
    columns=("supply over demand", "value mining", "part that does not lose", "least gain, p", "median gain, p"),
    run=run_indices,
    draw=draw_indices,
)

EXPERIMENTS: Final[tuple[Experiment, ...]] = (_GAINS, _PROBABILITY, _INDICES)
