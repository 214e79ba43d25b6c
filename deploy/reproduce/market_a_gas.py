"""A.fig7: what the operations of market A cost, in gas of our runtime, beside the published Ethereum gas."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from contracts.library_sources import HOUR_MS, ONE, Calendar, LibraryParameters, Tariffs
from contracts.wind_mode import WindMode
from deploy.reproduce.chart import Bars, Chart, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.wind_days import drawn
from ledger.crypto import Address
from ledger.draws import uniform
from ledger.objects import Receipt
from node.conformance.mechanism import CaseFailed
from node.conformance.world import INSTITUTIONS, account, meter
from node.market_days.village import Village

_MARKET: Final = "wind"
_PERIODS: Final = 2
_FUNDS: Final = 10**15
_STORES: Final = ("post prices", "store forecast", "store demand", "store reserves", "store actual output")
_SCHEDULED: Final = {"match_slot": "ranking", "begin_day": "reputation"}
_PUBLISHED: Final = {"ranking": 600_000.0, "any other, at most": 150_000.0}


def _sent(world: Village, sender: Address, contract: str, entry: str, *arguments: Any) -> int:
    """Gas of a transaction. Raise `CaseFailed` if it is refused."""
    receipt: Receipt = world.attempt(sender, contract, entry, *arguments)
    if not receipt.ok:
        raise CaseFailed("the contract refuses", expected="ok", found=f"{entry} {receipt.code}", fix="report this")
    return receipt.gas


def _village(inputs: Inputs) -> Village:
    mode = WindMode(
        sealed=False, periods=_PERIODS, da_clearing=False, netting=False, removal=False, tiny=True, capped=False,
        metered=False, clamp=False, self_trade=True,
    )  # fmt: skip
    calendar = Calendar(HOUR_MS, 10 * HOUR_MS, last_slot=_PERIODS - 1)
    tariffs = Tariffs(feed=inputs.whole("feed"), retail=inputs.whole("retail"))
    world = Village(LibraryParameters(INSTITUTIONS, calendar, mode, tariffs))
    world.join("w", "wind", inputs.whole("producer_w"), _FUNDS)
    for place in range(inputs.whole("prosumers")):
        world.join(f"p{place}", "storage", inputs.whole("prosumer_w"), _FUNDS, role="prosumer")
    return world


def run_gas(inputs: Inputs, seed: int) -> Trial:
    """One day of two hours on the deployed market with published rules; gas of each operation, the mean where it is
    done more than once."""
    world = _village(inputs)
    world.go_slot(0, -4)
    gas: dict[str, list[int]] = {}

    def note(name: str, value: int) -> None:
        gas.setdefault(name, []).append(value)

    operator = Address(INSTITUTIONS.trading_center)
    prices = [drawn(inputs, "da_price", seed, hour) for hour in range(_PERIODS)]
    note("post prices", _sent(world, operator, _MARKET, "post_day", 0, prices))
    wh = [drawn(inputs, "offer_wh", seed, hour) for hour in range(_PERIODS)]
    note("store forecast", _sent(world, account("w"), _MARKET, "offer_day", 0, wh, [0] * _PERIODS))
    for hour in range(_PERIODS):
        error = inputs.whole("error_ppm")
        made = wh[hour] * (ONE - error + uniform(2 * error + 1, seed, "error", hour)) // ONE
        note("store actual output", _sent(world, account("w"), _MARKET, "announce", hour, made))
        for place in range(inputs.whole("prosumers")):
            name = f"p{place}"
            up, down = (drawn(inputs, "reserve_wh", seed, way, place, hour) for way in ("up", "down"))
            note("store demand", _sent(world, meter(name), "metering", "submit_forecast", hour, "demand", 1_000))
            note("store reserves", _sent(world, account(name), _MARKET, "reserve", hour, up, down, 0, 0, 0))
    for hour in range(_PERIODS):
        for receipt in world.go(world.start(hour) - HOUR_MS):
            if receipt.entry in _SCHEDULED:
                note(_SCHEDULED[receipt.entry], receipt.gas)
    means = {name: fmean(values) for name, values in gas.items()}
    return Trial(_figures(means), [(name, round(value)) for name, value in means.items()])


def _figures(gas: dict[str, float]) -> dict[str, Figures]:
    others = {name: value for name, value in gas.items() if name != "ranking"}
    store = max(gas[name] for name in _STORES)
    return {
        "ranking": {
            "ranking to the dearest store": gas["ranking"] / store,
            "ranking to the dearest other": gas["ranking"] / max(others.values()),
        },
        "ratios": {f"ranking to {name}": gas["ranking"] / value for name, value in others.items()},
    }


def draw_gas(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Gas of each operation, ours; and as a share of the ranking, beside the published bound."""
    names = tuple(str(row[0]) for row in trials[0].rows)
    means = [fmean(float(trial.rows[at][1] or 0) for trial in trials) for at in range(len(names))]
    rank = means[names.index("ranking")]
    x = [float(at) for at in range(len(names))]
    bound = _PUBLISHED["any other, at most"] / _PUBLISHED["ranking"]
    ours = Bars("ours", x, [value / rank for value in means], 0)
    told = Bars("published (others: at most)", x, [1.0 if name == "ranking" else bound for name in names], 1)
    return Chart(
        "Cost of operations",
        (
            Panel("our runtime", "operation", "gas", (Bars("", x, means),), names, zero=True),
            Panel("share of the ranking", "operation", "ratio", (ours, told), names, zero=True),
        ),
    )


GAS: Final = Experiment(
    id="A.fig7",
    title="Cost of operations",
    source="System A, figure 7: gas of the contract's operations on Ethereum with 20 prosumers.",
    method=(
        "One day of two hours on the deployed market with the published rules, one producer and 20 prosumers. Gas is "
        "our runtime’s and no Ethereum gas, so only ratios are compared. Settlement from metered readings has no "
        "counterpart in the publication and is left out."
    ),
    contracts=("registry", "token", "metering", "wind_rules", "wind"),
    claims=(
        Claim(
            "ranking", "ranking about 600k gas, all others below 150k (4 times)", Kind.SHAPE,
            "ranking is the dearest, at least 3 times any store",
            lambda found: found["ranking to the dearest store"] >= 3 and found["ranking to the dearest other"] > 1,
        ),
        Claim(
            "ratios", "ranking at least 4 times each other operation", Kind.SHAPE, "ranking above each other operation",
            lambda found: all(ratio > 1 for ratio in found.values()),
        ),
    ),
    columns=("operation", "gas"),
    run=run_gas,
    draw=draw_gas,
)  # fmt: skip
