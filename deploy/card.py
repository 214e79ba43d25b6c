"""What the day brought, from committed receipts only: one JSON document, and the same as a card for people.

Definitions: sellers' income = trade receipts + feed-in - shortfall bought; buyers' cost = trade payments + grid
purchases - resale; "grid only" is what the same readings would have brought or cost without neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.books import Books, Position, amount
from deploy.market.interface import Market
from deploy.market.words import change, currency, kwh, tokens
from deploy.screen import wrapped

LATE_CODES = frozenset({"ORDER_LATE"})


@dataclass(frozen=True, slots=True)
class Energy:
    """Wh over the run. `local`: use met by generation of the same slot."""

    consumption: int
    generation: int
    traded: int
    grid_import: int
    grid_export: int
    local: int

    @property
    def self_sufficiency_ppm(self) -> int:
        """Share of the use that the neighbourhood made itself within the same quarter of an hour."""
        return self.local * 1_000_000 // self.consumption if self.consumption else 0


@dataclass(frozen=True, slots=True)
class Money:
    """Micro-currency over the run."""

    sellers_income: int
    buyers_cost: int
    sellers_income_grid_only: int
    buyers_cost_grid_only: int
    tokens_minted: int
    tokens_held: int


@dataclass(frozen=True, slots=True)
class Orders:
    """What became of the orders that were posted, whether a contract said no or already a node did."""

    accepted: int = 0
    rejected: int = 0
    late: int = 0

    @property
    def posted(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.late

    def after(self, code: str) -> Orders:
        """With one more order: accepted if `code` is empty, else turned down for that reason."""
        if not code:
            return Orders(self.accepted + 1, self.rejected, self.late)
        if code in LATE_CODES:
            return Orders(self.accepted, self.rejected, self.late + 1)
        return Orders(self.accepted, self.rejected + 1, self.late)


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node's own answer about the common height."""

    name: str
    height: int
    state_root: str


@dataclass(frozen=True, slots=True)
class Run:
    """What is not in any receipt: who ran, on what, how fast. Times in seconds, latencies in milliseconds."""

    chain_id: str
    engine: str
    market: Market
    nodes: tuple[NodeRow, ...]
    day: str
    first_slot: int
    slots: int
    seed: int
    speed: int
    forecast: str
    members: int
    sealed: bool
    first_trade_s: float | None
    wall_s: float
    latencies_ms: tuple[float, ...]
    incidents: tuple[str, ...] = ()
    council: tuple[str, ...] = ()
    """Elections, the last queue and the scores, of engine `dpos`."""
    proofs: int = 0
    """Settlement proofs that hold against the genesis hash alone."""
    unposted: int = 0
    """What the grid company posted too late for the first slot."""


@dataclass(frozen=True, slots=True)
class Result:
    """The checked figures of a run."""

    run: Run
    orders: Orders
    trades: int
    estimated: int
    energy: Energy
    money: Money
    blocks: int
    transactions: int
    problems: tuple[str, ...] = field(default=())
    figures: Mapping[str, int] = field(default_factory=dict)
    """What only this market has (`Books.facts`)."""
    missed: int = 0
    """Meter-slots that had begun before their member was approved: they are in no figure."""

    @property
    def conserved(self) -> bool:
        """No sentence of complaint from the checker."""
        return not self.problems

    @property
    def out_of_time(self) -> bool:
        """Orders were posted and every one came after its window: this was no market."""
        return self.orders.late > 0 and self.orders.accepted == 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the figures must know beside them."""
        late, posted = self.orders.late, self.orders.posted
        told = []
        if self.run.unposted:
            told.append(f"{self.run.unposted} postings of the grid company came after the first window had opened")
        if self.missed:
            meter_slots = self.run.members * self.run.slots
            told.append(f"{self.missed} of {meter_slots} meter-slots began before their member joined: not counted")
        if late:
            told.append(
                f"{late} of {posted} orders came after their window closed: speed {self.run.speed} is too much here"
            )
        return tuple(told)


def energy_of(books: Books[Any]) -> Energy:
    """Sum the settled positions; import and export are what the grid sold to and bought from members, less what it only
    passed on between them."""
    slots: dict[int, list[int]] = {}
    use = made = traded = bought = fed = 0
    for (slot, _), held in books.positions.items():
        if not held.settled:
            continue
        use, made, traded = use + held.use, made + held.generation, traded + held.bought
        bought, fed = bought + held.grid_buy, fed + held.grid_sell
        sums = slots.setdefault(slot, [0, 0])
        sums[0] += held.use
        sums[1] += held.generation
    local = sum(min(used, generated) for used, generated in slots.values())
    passed = sum(books.passed(slot) for slot in slots)
    return Energy(use, made, traded, bought - passed, fed - passed, local)


def money_of(books: Books[Any]) -> Money:
    """Income of the producers' meters and cost of all others, against the grid alone."""
    income = cost = income_grid = cost_grid = 0
    for (_, meter), held in books.positions.items():
        if not held.settled:
            continue
        if meter in books.producers:
            income += held.net(books.tariffs) + held.elsewhere
            income_grid += _grid_only(books, held)
        else:
            cost -= held.net(books.tariffs) + held.elsewhere
            cost_grid -= _grid_only(books, held)
    return Money(income, cost, income_grid, cost_grid, books.minted, books.held())


def _grid_only(books: Books[Any], held: Position) -> int:
    return amount(books.tariffs.feed, held.generation) - amount(books.tariffs.retail, held.use)


def percentile(values: Sequence[float], share: int) -> float | None:
    """The nearest-rank percentile of `share` in 1..100; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-share * len(ordered) // 100) - 1)]


def as_json(result: Result) -> dict[str, Any]:
    """The document that `gridchain demo --json` prints last."""
    run, energy, money = result.run, result.energy, result.money
    return {
        "market": run.market.letter,
        "engine": run.engine,
        "validators": len(run.nodes),
        "nodes": [{"name": row.name, "height": row.height, "state_root": row.state_root} for row in run.nodes],
        "slots": run.slots,
        "orders": {"accepted": result.orders.accepted, "rejected": result.orders.rejected, "late": result.orders.late},
        "trades": result.trades,
        "forecast": run.forecast,
        "energy_wh": {
            "consumption": energy.consumption,
            "generation": energy.generation,
            "traded": energy.traded,
            "grid_import": energy.grid_import,
            "grid_export": energy.grid_export,
        },
        "money_micro": {
            "sellers_income": money.sellers_income,
            "buyers_cost": money.buyers_cost,
            "sellers_income_grid_only": money.sellers_income_grid_only,
            "buyers_cost_grid_only": money.buyers_cost_grid_only,
            "tokens_minted": money.tokens_minted,
            "tokens_held": money.tokens_held,
        },
        "conserved": result.conserved,
        "first_trade_s": None if run.first_trade_s is None else round(run.first_trade_s, 3),
        "wall_s": round(run.wall_s, 3),
        "latency_ms": {"p50": _rounded(run, 50), "p95": _rounded(run, 95)},
        **_background(result),
    }


def _background(result: Result) -> dict[str, Any]:
    """What a reader needs to repeat the run or to follow a complaint."""
    run = result.run
    return {
        "chain_id": run.chain_id,
        "day": run.day,
        "first_slot": run.first_slot,
        "seed": run.seed,
        "speed": run.speed,
        "members": run.members,
        "sealed": run.sealed,
        "figures": dict(result.figures),
        "estimated_readings": result.estimated,
        "self_sufficiency_ppm": result.energy.self_sufficiency_ppm,
        "proofs": run.proofs,
        "blocks": result.blocks,
        "transactions": result.transactions,
        "incidents": list(run.incidents),
        "council": list(run.council),
        "problems": list(result.problems),
        "warnings": list(result.warnings),
    }


def _rounded(run: Run, share: int) -> float | None:
    value = percentile(run.latencies_ms, share)
    return None if value is None else round(value, 1)


def render(result: Result) -> RenderableType:
    """The card."""
    run, orders = result.run, result.orders
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column()
    for name, text in _lines(result):
        rows.add_row(name, text)
    roots = {row.state_root for row in run.nodes}
    nodes = Table("node", "height", "state root", box=None, padding=(0, 2))
    for row in run.nodes:
        nodes.add_row(row.name, str(row.height), row.state_root[:18] + "..", style="" if len(roots) == 1 else "red")
    verdict = wrapped(
        "money conserved to the last micro-unit, energy to the last watt-hour"
        if result.conserved
        else f"NOT CONSERVED: {len(result.problems)} complaints, first: {result.problems[0]}",
        style="bold green" if result.conserved else "bold red",
    )
    same = wrapped(
        "all state roots equal" if len(roots) == 1 else "STATE ROOTS DIFFER",
        style="green" if len(roots) == 1 else "red",
    )
    readable = "true: orders were hidden until revealed" if run.sealed else "false: orders were readable"
    note = wrapped(f"sealed = {readable}; orders rejected {orders.rejected}, late {orders.late}.", style="dim")
    warnings = [wrapped(text, style="bold yellow") for text in result.warnings]
    return Panel(
        Group(rows, Text(), nodes, same, Text(), verdict, *warnings, note),
        title=f"gridchain demo - market {run.market.letter}: {run.market.title}",
        expand=False,
    )


def _lines(result: Result) -> list[tuple[str, str]]:
    run, energy, money = result.run, result.energy, result.money
    latency: Mapping[str, float | None] = {"p50": _rounded(run, 50), "p95": _rounded(run, 95)}
    first = (
        "no trade was possible" if run.first_trade_s is None else f"{run.first_trade_s:.1f} s after the network started"
    )
    share = energy.self_sufficiency_ppm
    last_slot = run.first_slot + run.slots - 1
    return [
        ("day", f"{run.day}, slots {run.first_slot} to {last_slot}, {run.members} members, seed {run.seed}"),
        (
            "sellers earned",
            f"{currency(money.sellers_income)}  (grid only {currency(money.sellers_income_grid_only)}, "
            f"{change(money.sellers_income, money.sellers_income_grid_only)})",
        ),
        (
            "buyers paid",
            f"{currency(money.buyers_cost)}  (grid only {currency(money.buyers_cost_grid_only)}, "
            f"{change(money.buyers_cost, money.buyers_cost_grid_only)})",
        ),
        ("self-sufficiency", f"{share // 10_000}.{share // 1000 % 10} % of {kwh(energy.consumption)} used"),
        (
            "traded",
            f"{kwh(energy.traded)} {run.market.dealt.format(result.trades)} from {result.orders.accepted} orders",
        ),
        (
            "grid",
            f"{kwh(energy.grid_import)} bought, {kwh(energy.grid_export)} sold; generation {kwh(energy.generation)}",
        ),
        *run.market.facts(result.figures, run.day),
        ("tokens", f"{tokens(money.tokens_minted)} minted, {tokens(money.tokens_held)} held"),
        ("forecast", f"{run.forecast} ({result.estimated} readings estimated)"),
        ("proofs", f"{run.proofs} settlements, one of each node, proven by the genesis hash alone"),
        ("chain", run.chain_id),
        ("engine", f"{run.engine}, {result.blocks} blocks, {result.transactions} transactions"),
        ("first trade", first),
        ("latency", f"p50 {latency['p50']} ms, p95 {latency['p95']} ms from posting to commit"),
        ("whole run", f"{run.wall_s:.1f} s"),
        *(("council", text) for text in run.council),
        *(("incident", text) for text in run.incidents),
    ]
