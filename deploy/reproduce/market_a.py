"""Experiments of market A: the wind producer and its prosumers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

from contracts.library_sources import ONE
from deploy.reproduce.chart import Bars, Chart, Line, Mark, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.market_a_gas import GAS
from deploy.reproduce.market_a_success import PARTICIPATION, VOLUME
from deploy.reproduce.market_a_table import TABLE
from deploy.reproduce.wind_days import CONTRACTS, HOURS, WindDay, drawn, rule, wind_day

_DATA: Final = (
    "SimBench wind profiles (one of 12 sites and 5 days, drawn by the seed) for a 2 MW producer stand in for the wind "
    "speeds that the specification names, which are not shipped. "
)
_AT: Final = 4
"""The hour that the text puts into both lists."""
_TERMS: Final = [500_000, 50_000, 500_000, 500_000, 0]

# A.fig3, A.fig4, A.fig5


def traded_day(inputs: Inputs, seed: int) -> tuple[WindDay, list[Any]]:
    """A day, and its hours as the contract cleared them: [buys at, sells at, deviation, matches, rest]."""
    day = wind_day(inputs, seed)
    ahead = [drawn(inputs, "da_price", seed, hour) for hour in range(HOURS)]
    members = [
        [
            place.to_bytes(2, "big"), *(
                [drawn(inputs, "reserve_wh", seed, way, place, hour) for hour in range(HOURS)] for way in ("up", "down")
            ), 0, 0,
        ]
        for place in range(inputs.whole("prosumers"))
    ]  # fmt: skip
    prices = [ahead, ahead, [2 * price for price in ahead]]
    window = [HOURS, max(1, sum(abs(wh) for wh in day.deviation))]
    found = rule(
        "day", list(day.forecast), list(day.actual), prices, inputs.whole("reputation_ppm"), window, _TERMS, members
    )
    return day, list(found[0])


def _run_hours(side: int) -> Callable[[Inputs, int], Trial]:
    def run(inputs: Inputs, seed: int) -> Trial:
        day, hours = traded_day(inputs, seed)
        both, wrong, rows = 0, 0, []
        for hour, (forecast, actual) in enumerate(zip(day.forecast, day.actual, strict=True)):
            matched = sum(wh for _, wh in hours[hour][3])
            sold, bought = (matched, 0) if actual > forecast else (0, matched)
            rest = hours[hour][4] if actual > forecast else -hours[hour][4]
            both += sold > 0 and bought > 0
            wrong += actual != forecast + sold - bought + rest
            rows.append((hour, forecast, actual, sold, bought, rest))
        here = float(day.deviation[_AT] > 0) if side > 0 else float(day.deviation[_AT] < 0)
        figures = {
            "both at 04:00": {"hours with surplus and deficit": float(both), "04:00 of this sign": here},
            "balance": {"hours in which energy is not conserved": float(wrong)},
        }
        return Trial(figures, rows, f"{day.profile}, {day.date}")

    return run


def _steps(name: str, values: Sequence[float], colour: int, dashed: bool = False) -> Line:
    """One value an hour."""
    return Line(name, [float(hour) for hour in range(HOURS)], values, colour, dashed=dashed, stepped=True)


def _draw_hours(title: str, columns: tuple[tuple[str, int], ...]) -> Callable[[Inputs, Sequence[Trial]], Chart]:
    def draw(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
        rows = trials[0].rows
        hours = [float(hour) for hour in range(HOURS)]
        marks: list[Mark] = []
        for colour, (name, at) in enumerate(columns):
            values = [float(row[at] or 0) / 1_000 for row in rows]
            steps = _steps(name, values, colour)
            marks.append(steps if len(columns) > 1 else Bars(name, hours, values))
        return Chart(title, (Panel(f"first seed: {trials[0].note}", "hour", "kWh", tuple(marks), zero=True),))

    return draw


_RUNS: Final = {1: _run_hours(1), -1: _run_hours(-1)}


def run_surplus(inputs: Inputs, seed: int) -> Trial:
    """A day's hours; looks whether 04:00 has a surplus."""
    return _RUNS[1](inputs, seed)


def run_deficit(inputs: Inputs, seed: int) -> Trial:
    """A day's hours; looks whether 04:00 has a deficit."""
    return _RUNS[-1](inputs, seed)


def _hours(
    name: str, title: str, says: str, run: Callable[[Inputs, int], Trial], columns: tuple[tuple[str, int], ...]
) -> Experiment:
    return Experiment(
        id=name,
        title=title,
        source=f"System A, figure {name[-1]}, and the text on it.",
        method=_DATA + "The contract ranks 20 prosumers each hour and matches the deviation; the rest is balanced.",
        contracts=CONTRACTS,
        claims=(
            Claim(
                "both at 04:00", says, Kind.CANNOT,
                "an hour that has both a surplus and a deficit",
                lambda found: found["hours with surplus and deficit"] > 0,
                "An hour has one deviation and so one sign. The text puts 04:00 into the surplus and into the deficit "
                "hours (15:00 and 18:00 as well, or outside the windows that it states).",
            ),
            Claim(
                "balance", "actual = forecast + sold - bought + balancing floor", Kind.EXACT,
                "in every hour, to the Wh",
                lambda found: found["hours in which energy is not conserved"] == 0,
            ),
        ),
        columns=("hour", "forecast_wh", "actual_wh", "sold_wh", "bought_wh", "balancing_wh"),
        run=run,
        draw=_draw_hours(title, columns),
    )  # fmt: skip


# A.fig10


def run_prices(inputs: Inputs, seed: int) -> Trial:
    """Balancing prices of 24 hours for each reputation, by the contract."""
    terms = [inputs.whole(name) for name in ("s0_ppm", "kb_ppm", "ks_ppm")]
    rows, ordered = [], 0
    means = [[0.0, 0.0] for _ in inputs.wholes("reputations_ppm")]
    for hour in range(HOURS):
        ahead = drawn(inputs, "da_price", seed, hour)
        found = [rule("balancing_prices", ahead, rep, *terms) for rep in inputs.wholes("reputations_ppm")]
        ordered += all(a[0] > b[0] and a[1] < b[1] for a, b in pairwise(found))
        for mean, (buy, sell) in zip(means, found, strict=True):
            mean[0] += buy / ahead / HOURS
            mean[1] += sell / ahead / HOURS
        rows.append((hour, ahead, *(price for pair in found for price in pair)))
    figures: dict[str, Figures] = {
        "order": {"hours strictly ordered": float(ordered)},
        "spread": {
            f"{side} at {rep / ONE:g}": mean[at]
            for rep, mean in zip(inputs.wholes("reputations_ppm"), means, strict=True)
            for at, side in enumerate(("buys", "sells"))
        },
    }
    return Trial(figures, rows)


def draw_prices(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Prices over the day of the first seed; below, relative to day-ahead, over all."""
    rows = trials[0].rows
    marks: list[Mark] = [_steps("day-ahead", [float(row[1] or 0) / ONE for row in rows], 3)]
    for at, rep in enumerate(inputs.wholes("reputations_ppm")):
        for side, word in enumerate(("buys", "sells")):
            values = [float(row[2 + 2 * at + side] or 0) / ONE for row in rows]
            marks.append(_steps(f"{word} at {rep / ONE:g}", values, at, dashed=side == 1))
    panel = Panel("first seed", "hour", "currency per kWh", tuple(marks), zero=True)
    names = tuple(trials[0].figures["spread"])
    bars = [fmean(trial.figures["spread"][name] for trial in trials) for name in names]
    shares = Bars("", [float(at) for at in range(len(names))], bars)
    below = Panel("share of the day-ahead price", "reputation", "ratio", (shares,), names, zero=True)
    return Chart("Balancing prices by reputation", (panel, below))


PRICES: Final = Experiment(
    id="A.fig10",
    title="Balancing price and reputation",
    source="System A, figure 10: balancing prices for a low, a medium and a high reputation.",
    method=(
        "The contract’s balancing prices for reputations 0.3, 0.6 and 0.9 and 24 day-ahead prices drawn evenly. "
        "The published formula is lost; the reading of the specification is linear in what reputation lacks to one."
    ),
    contracts=CONTRACTS,
    claims=(
        Claim(
            "order", "higher reputation: lower buy, higher sell", Kind.SHAPE, "strictly ordered in all 24 hours",
            lambda found: found["hours strictly ordered"] == HOURS,
        ),
        Claim(
            "spread", "prices as a share of the day-ahead price", Kind.SHAPE, "buys above 1, sells below 1",
            lambda found: all((value > 1) == name.startswith("buys") for name, value in found.items()),
        ),
    ),
    columns=("hour", "da_price", "buys_low", "sells_low", "buys_medium", "sells_medium", "buys_high", "sells_high"),
    run=run_prices,
    draw=draw_prices,
)  # fmt: skip

EXPERIMENTS: Final[tuple[Experiment, ...]] = (
    _hours(
        "A.fig3", "Actual and forecast output", "surplus and deficit at 04:00", run_surplus,
        (("forecast", 1), ("actual", 2)),
    ),
    _hours("A.fig4", "Sold to prosumers", "surplus hours hold 04:00", run_surplus, (("sold", 3),)),
    _hours("A.fig5", "Bought from prosumers", "deficit hours hold 04:00", run_deficit, (("bought", 4),)),
    GAS,
    PARTICIPATION,
    VOLUME,
    PRICES,
    TABLE,
)  # fmt: skip
