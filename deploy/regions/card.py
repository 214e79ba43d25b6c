"""What the day in regions brought: the card of each region, and what passed between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.card import Result, as_json
from deploy.market.words import change, currency, kwh, tokens
from deploy.regions.audit import GlobalPart
from deploy.regions.colluded import Colluded
from deploy.screen import wrapped


@dataclass(frozen=True, slots=True)
class Across:
    """What one region traded with others: fills, Wh from and to them, settlements that a late fill changed."""

    fills: int
    bought_wh: int
    sold_wh: int
    resettled: int


@dataclass(frozen=True, slots=True)
class RegionsResult:
    """The checked figures of all regions. `problems`: also of what lies between them. `colluded`: None where nothing
    goes wrong on purpose."""

    chain_id: str
    regions: Mapping[str, Result]
    across: Mapping[str, Across]
    centres: GlobalPart
    wall_s: float
    incidents: tuple[str, ...]
    wrong: tuple[str, ...]
    colluded: Colluded | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Every complaint, by region."""
        own = [f"{name}: {text}" for name, result in self.regions.items() for text in result.problems]
        return (*own, *self.centres.problems, *self.wrong, *(() if self.colluded is None else self.colluded.problems))

    @property
    def conserved(self) -> bool:
        """No complaint anywhere."""
        return not self.problems

    @property
    def out_of_time(self) -> bool:
        """No order of any region came in time."""
        return all(result.out_of_time for result in self.regions.values())


def regions_json(result: RegionsResult) -> dict[str, Any]:
    """The document that `gridchain demo --engine sharded --json` prints last."""
    found = {name: as_json(one) for name, one in result.regions.items()}
    first = next(iter(result.regions.values())).run
    return {
        "market": first.market.letter,
        "engine": "sharded",
        "chain_id": result.chain_id,
        "day": first.day,
        "first_slot": first.first_slot,
        "slots": first.slots,
        "seed": first.seed,
        "speed": first.speed,
        "validators": len(result.centres.nodes) + sum(len(one.run.nodes) for one in result.regions.values()),
        "members": sum(one.run.members for one in result.regions.values()),
        "trades": sum(one.trades for one in result.regions.values()),
        "across": {
            name: {"fills": one.fills, "bought_wh": one.bought_wh, "sold_wh": one.sold_wh, "resettled": one.resettled}
            for name, one in result.across.items()
        },
        "global": {
            "nodes": [
                {"name": row.name, "height": row.height, "state_root": row.state_root} for row in result.centres.nodes
            ],
            "blocks": result.centres.blocks,
            "transactions": result.centres.transactions,
            "records": dict(result.centres.confirmed),
            "corrections": result.centres.corrections,
            "fined": [
                {"region": one["region"], "seq": one["seq"], "offence": one["offence"], "fine": one["fine"]}
                for one in result.centres.fined
            ],
            "pool": result.centres.pool,
        },
        "money_micro": {
            name: sum(one["money_micro"][name] for one in found.values())
            for name in next(iter(found.values()))["money_micro"]
        },
        "regions": found,
        "conserved": result.conserved,
        "first_trade_s": min((one["first_trade_s"] for one in found.values() if one["first_trade_s"]), default=None),
        "wall_s": round(result.wall_s, 3),
        "proofs": sum(one.run.proofs for one in result.regions.values()),
        "incidents": [*result.incidents, *([] if result.colluded is None else result.colluded.told)],
        "collusion": None if result.colluded is None else result.colluded.as_json(),
        "problems": list(result.problems),
        "warnings": [f"{name}: {text}" for name, one in result.regions.items() for text in one.warnings],
    }


def render_regions(result: RegionsResult) -> RenderableType:
    """The card."""
    first = next(iter(result.regions.values())).run
    verdict = wrapped(
        "money conserved over all regions to the last micro-unit, energy to the last watt-hour"
        if result.conserved
        else f"NOT CONSERVED: {len(result.problems)} complaints, first: {result.problems[0]}",
        style="bold green" if result.conserved else "bold red",
    )
    same = all(len({row.state_root for row in nodes}) == 1 for nodes in _node_sets(result))
    roots = wrapped("all state roots equal" if same else "STATE ROOTS DIFFER", style="green" if same else "red")
    warnings = [
        wrapped(f"{name}: {text}", style="bold yellow") for name, one in result.regions.items() for text in one.warnings
    ]
    told = [wrapped(text, style="dim") for text in result.incidents]
    parts: list[RenderableType] = [
        _regions(result),
        Text(),
        _totals(result),
        Text(),
        roots,
        verdict,
        *warnings,
        Text(),
        *told,
    ]
    title = f"gridchain demo - market {first.market.letter} in {len(result.regions)} regions - engine sharded"
    return Panel(Group(*parts), title=title, expand=False)


def _node_sets(result: RegionsResult) -> list[tuple[Any, ...]]:
    return [result.centres.nodes, *(one.run.nodes for one in result.regions.values())]


def _regions(result: RegionsResult) -> Table:
    """A column a region, so that it fits a terminal of 80 columns."""
    table = Table("", *result.regions, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, cell in _ROWS:
        table.add_row(Text(name, style="bold"), *(cell(result, region) for region in result.regions))
    return table


def _gain(result: RegionsResult, region: str) -> str:
    """What members have more than with the grid alone."""
    money = result.regions[region].money
    return currency(
        money.sellers_income - money.sellers_income_grid_only + money.buyers_cost_grid_only - money.buyers_cost
    )


def _home(result: RegionsResult, region: str) -> str:
    one = result.regions[region]
    return f"{kwh(one.energy.traded)} ({one.trades})"


_ROWS: Final[tuple[tuple[str, Callable[[RegionsResult, str], str]], ...]] = (
    ("members", lambda result, region: str(result.regions[region].run.members)),
    ("used", lambda result, region: kwh(result.regions[region].energy.consumption)),
    ("made", lambda result, region: kwh(result.regions[region].energy.generation)),
    ("home trades", _home),
    ("from others", lambda result, region: kwh(result.across[region].bought_wh)),
    ("to others", lambda result, region: kwh(result.across[region].sold_wh)),
    ("from grid", lambda result, region: kwh(result.regions[region].energy.grid_import)),
    ("to grid", lambda result, region: kwh(result.regions[region].energy.grid_export)),
    ("records", lambda result, region: str(result.centres.confirmed.get(region, 0))),
    ("members' gain", _gain),
)


def _totals(result: RegionsResult) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column()
    all_ = list(result.regions.values())
    money = [one.money for one in all_]
    fills = sum(one.fills for one in result.across.values())
    sold, bought = sum(one.sellers_income for one in money), sum(one.buyers_cost for one in money)
    sold_before = sum(one.sellers_income_grid_only for one in money)
    bought_before = sum(one.buyers_cost_grid_only for one in money)
    held, minted = sum(one.tokens_held for one in money), sum(one.tokens_minted for one in money)
    fined = len(result.centres.fined)
    corrected = f"{result.centres.corrections} record{'' if result.centres.corrections == 1 else 's'} corrected"
    for name, text in (
        ("sellers earned", f"{currency(sold)}  ({change(sold, sold_before)} against the grid only)"),
        ("buyers paid", f"{currency(bought)}  ({change(bought, bought_before)} against the grid only)"),
        ("across regions", f"{kwh(sum(one.bought_wh for one in result.across.values()))} in {fills} fills"),
        (
            "tokens",
            f"{tokens(minted)} minted, {tokens(held)} in regions, {tokens(result.centres.kept)} with the centres",
        ),
        ("global chain", f"{result.centres.blocks} blocks, {sum(result.centres.confirmed.values())} records confirmed"),
        ("penalties", f"{fined} fined, {corrected}"),
        *([] if result.colluded is None else [("three liars", result.colluded.in_words())]),
        ("proofs", f"{sum(one.run.proofs for one in all_)} settlements proven by their chain's genesis hash alone"),
        ("wall time", f"{result.wall_s:.0f} s"),
        ("chain", result.chain_id),
    ):
        rows.add_row(name, text)
    return rows
