"""D.assignment: what the contract chooses against brute force and an independent integer programme."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from contracts.library_sources import ONE
from contracts.solvers.milp import Programme, installed
from deploy.reproduce.chart import Bars, Chart, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs
from deploy.reproduce.matching_market import CONTRACTS, Matching, Table, published_mode
from ledger.draws import uniform

_WATTS: Final = 20_000
_LEFT_OUT: Final = "The integer programme was left out: it needs pip install 'gridchain[solvers]'. Brute force was run."


def _fits(table: Table, left: list[int], user: int = 0) -> Iterator[tuple[int, ...]]:
    """Every assignment in which all pairs are allowed and no provider is overloaded."""
    if user == len(table.wh):
        yield ()
        return
    for at in (*range(len(left)), len(left)):
        if at < len(left):
            if table.m[user][at] < 0 or left[at] < table.wh[user]:
                continue
            left[at] -= table.wh[user]
        for rest in _fits(table, left, user + 1):
            yield (at, *rest)
        if at < len(left):
            left[at] += table.wh[user]


def _worth(table: Table, choice: Sequence[int]) -> tuple[int, int]:
    """Users served, sum of M."""
    pairs = [(user, at) for user, at in enumerate(choice) if at < len(table.capacity)]
    return len(pairs), sum(table.m[user][at] for user, at in pairs)


def brute_force(table: Table) -> tuple[int, ...]:
    """The best of all assignments: users served, then sum of M, then the smallest vector of providers (nobody last)."""
    best: tuple[int, ...] = ()
    value = (-1, 0)
    for choice in _fits(table, list(table.capacity)):
        # Vectors come in ascending order, so among equals the first is the smallest.
        if (worth := _worth(table, choice)) > value:
            best, value = choice, worth
    return best


def integer_programme(table: Table) -> tuple[int, int]:
    """Users served and sum of M at the optimum, by two integer programmes: first the number, then M at that number."""
    served = _solved(table, 0)[0]
    return _solved(table, served)


def _solved(table: Table, served: int) -> tuple[int, int]:
    programme = Programme()
    column = {
        (user, at): programme.column(0, 1, float(m) if served else 1.0, whole=True)
        for user, row in enumerate(table.m)
        for at, m in enumerate(row)
        if m >= 0
    }
    if not column:
        return 0, 0
    for user in range(len(table.wh)):
        programme.row([(x, 1.0) for (there, _), x in column.items() if there == user], high=1.0)
    for at, room in enumerate(table.capacity):
        programme.row(
            [(x, float(table.wh[user])) for (user, there), x in column.items() if there == at], high=float(room)
        )
    programme.row([(x, 1.0) for x in column.values()], low=float(served))
    values = programme.solve().values
    taken = [pair for pair, x in column.items() if values[x] > 0.5]
    return len(taken), sum(table.m[user][at] for user, at in taken)


def _drawn(inputs: Inputs, name: str, seed: int, *keys: int) -> int:
    low, high = inputs.span(name)
    return low + uniform(high - low + 1, seed, name, *keys)


def _cycle(inputs: Inputs, market: Matching, seed: int, cycle: int, users: int) -> Table:
    """One cycle of drawn requests and offers; its delivery moves the reputations of the next."""
    slot = market.open(cycle)
    for at, name in enumerate(market.providers):
        keys = (seed, cycle, at)
        market.offer(slot, name, _drawn(inputs, "capacity_wh", *keys), _drawn(inputs, "price", *keys))
    for at, name in enumerate(market.users[:users]):
        keys = (seed, cycle, at)
        market.request(slot, name, _drawn(inputs, "wh", *keys), _drawn(inputs, "limit", *keys))
    deals = market.match(slot)
    found = market.table(slot)
    market.deliver(
        slot, {deal.number: deal.wh * _drawn(inputs, "delivered_ppm", seed, deal.number) // ONE for deal in deals}
    )
    return found


def run_assignment(inputs: Inputs, seed: int) -> Trial:
    """Some cycles; in each the contract's choice against the others."""
    counts = inputs.wholes("users")
    market = Matching(published_mode(), inputs.whole("cycles"), max(counts), inputs.whole("providers"), _WATTS)
    rows: list[tuple[int | str | None, ...]] = []
    tally = {"brute force": [0, 0], "integer programme": [0, 0]}
    for cycle, users in enumerate(counts):
        table = _cycle(inputs, market, seed, cycle, users)
        ours = (table.served, table.sum_m)
        by_force: tuple[int, int] | None = None
        if users <= inputs.whole("brute_force_users"):
            best = brute_force(table)
            by_force = _worth(table, best)
            _count(tally["brute force"], best == table.choice and by_force == ours)
        programme = integer_programme(table) if installed() else None
        if programme is not None:
            _count(tally["integer programme"], programme == ours)
        others = (*(by_force or (None, None)), *(programme or (None, None)))
        rows.append((cycle + 1, users, table.by, *ours, *others, " ".join(map(str, table.choice))))
    figures: dict[str, Figures] = {
        name: {"cycles compared": float(compared), "cycles that differ": float(differ)}
        for name, (compared, differ) in tally.items()
    }
    return Trial(figures, rows, "" if installed() else _LEFT_OUT)


def _count(tally: list[int], same: bool) -> None:
    tally[0] += 1
    tally[1] += not same


def _equal(found: Figures) -> bool:
    return found["cycles compared"] > 0 and found["cycles that differ"] == 0


def draw_assignment(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Sum of M in the cycles of the first seed, by each of the three."""
    rows = trials[0].rows
    places = [float(at) for at in range(len(rows))]
    names = tuple(f"{row[1]} users" for row in rows)
    marks = []
    for colour, (name, column) in enumerate((("contract", 4), ("brute force", 6), ("integer programme", 8))):
        known = [
            (place, float(row[column] or 0)) for place, row in zip(places, rows, strict=True) if row[column] is not None
        ]
        if known:
            marks.append(Bars(name, places, [dict(known).get(place, 0.0) for place in places], colour))
    panel = Panel(
        "sum of M in the cycles of the first seed; in the first all reputations and so all M are 0",
        "requests in the cycle",
        "sum of M",
        tuple(marks),
        names,
    )
    return Chart("Assignment by branch and bound, and by others", (panel,))


ASSIGNMENT: Final = Experiment(
    id="D.assignment",
    title="Assignment by branch and bound",
    source="System D, matching by branch and bound.",
    method=(
        "Six cycles of drawn requests and offers are placed, matched, delivered and settled by the deployed contracts, "
        "so that reputations grow from cycle to cycle. The table of matching degrees that the contract fixed is given "
        "to two others: all assignments one by one (up to 7 users) and an integer programme (HiGHS). Whom the "
        "contract assigned must be the best of all, ties included."
    ),
    contracts=CONTRACTS,
    claims=(
        Claim(
            "brute force",
            "finds the optimum",
            Kind.EXACT,
            "users served, sum of M and the whole vector of providers equal those of brute force in every cycle",
            _equal,
            "Capacity is the sum over a provider’s users; the printed constraint is for each pair, by which branch and "
            "bound would be pointless.",
        ),
        Claim(
            "integer programme",
            "finds the optimum",
            Kind.EXACT,
            "users served and sum of M equal the optimum of an integer programme in every cycle, 12 users included",
            _equal,
        ),
    ),
    columns=(
        "cycle", "users", "by", "served", "sum_m", "brute_force_served", "brute_force_sum_m", "programme_served",
        "programme_sum_m", "providers_of_users",
    ),
    run=run_assignment,
    draw=draw_assignment,
)  # fmt: skip
