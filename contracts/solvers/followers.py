"""What followers do at given prices: one linear programme for all of them, then plans and shadow prices in integers
that the contract's check finds exactly feasible.

Of several best plans the leader's is taken (optimistic followers): a second programme keeps each follower's cost and
maximises what the leader gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.solvers.milp import Found, Programme
from contracts.solvers.price_problem import ONE, Follower, Plan, Problem, Store

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Block:
    """Columns and rows of one follower by slot: retail purchase, feed-in, charge, discharge, state of charge; balance
    of the meter, of the storage."""

    bought: list[int]
    fed: list[int]
    charge: list[int]
    discharge: list[int]
    level: list[int]
    balance: list[int]
    storage: list[int]

    def costs(self, problem: Problem, follower: Follower) -> list[tuple[int, float]]:
        """The terms of its cost, trades left out."""
        store = follower.store
        terms: list[tuple[int, float]] = []
        for at in problem.slots:
            terms += [(self.bought[at], problem.retail[at]), (self.fed[at], -problem.feed)]
            terms += [(self.charge[at], store.charge), (self.discharge[at], store.discharge)]
        return terms


def add_follower(programme: Programme, problem: Problem, follower: Follower, traded: Sequence[Sequence[int]]) -> Block:
    """Primal feasibility of a follower; `traded`: the columns whose sum it trades in each slot."""
    store, slots = follower.store, problem.slots
    kept = store.efficiency / ONE
    block = Block(
        [programme.column() for _ in slots], [programme.column() for _ in slots],
        [programme.column(high=store.power) for _ in slots], [programme.column(high=store.power) for _ in slots],
        [programme.column(high=store.capacity) for _ in slots], [], [],
    )  # fmt: skip
    last = block.level[-1]
    programme.bounds[last] = (store.soc, store.soc)
    for at in slots:
        net, sign = follower.net[at], problem.sign(at)
        terms = [(block.bought[at], 1.0), (block.fed[at], -1.0), (block.discharge[at], 1.0), (block.charge[at], -1.0)]
        block.balance.append(programme.row([*terms, *((column, sign) for column in traded[at])], net, net))
        moved = [(block.level[at], 1.0), (block.charge[at], -kept), (block.discharge[at], 1.0)]
        before = 0.0 if at else float(store.soc)
        if at:
            moved.append((block.level[at - 1], -1.0))
        block.storage.append(programme.row(moved, before, before))
    return block


def respond(problem: Problem, prices: Sequence[int]) -> tuple[Plan, ...]:
    """Plans and shadow prices of all followers at a price list, in integers."""
    first, blocks, trades = _programme(problem, prices)
    found = first.solve()
    second, _, _ = _programme(problem, prices)
    second.cost = [0.0] * len(second.cost)
    for follower, block, trade in zip(problem.followers, blocks, trades, strict=True):
        costs = block.costs(problem, follower)
        for at in problem.slots:
            costs.append((trade[at], problem.sign(at) * prices[at]))
            second.cost[trade[at]] = margin(problem, prices, at)
        paid = sum(value * found.values[column] for column, value in costs)
        second.row(costs, high=paid + _SLACK * (1.0 + abs(paid)))
    best = second.solve()
    return tuple(
        _plan(problem, follower, block, trade, best.values, found)
        for follower, block, trade in zip(problem.followers, blocks, trades, strict=True)
    )


def margin(problem: Problem, prices: Sequence[int], at: int) -> int:
    """What the leader gains by each Wh that is traded instead of balanced."""
    return prices[at] - problem.low[at] if problem.sign(at) > 0 else problem.high[at] - prices[at]


def _programme(problem: Problem, prices: Sequence[int]) -> tuple[Programme, list[Block], list[list[int]]]:
    programme = Programme()
    blocks: list[Block] = []
    trades: list[list[int]] = []
    for follower in problem.followers:
        trade = [programme.column(high=follower.quota[at], gain=-problem.sign(at) * prices[at]) for at in problem.slots]
        block = add_follower(programme, problem, follower, [[column] for column in trade])
        for column, cost in block.costs(problem, follower):
            programme.cost[column] = -cost
        blocks.append(block)
        trades.append(trade)
    return programme, blocks, trades


def _plan(
    problem: Problem, follower: Follower, block: Block, trade: Sequence[int], values: Sequence[float], found: Found
) -> Plan:
    charge, discharge = _whole(
        follower.store, [values[at] for at in block.charge], [values[at] for at in block.discharge]
    )
    worth = [
        min(problem.retail[at], max(problem.feed, round(-found.duals[row]))) for at, row in enumerate(block.balance)
    ]
    stored = [max(0, round(found.duals[row])) for row in block.storage]
    traded = [min(follower.quota[at], max(0, round(values[column]))) for at, column in enumerate(trade)]
    return Plan(tuple(charge), tuple(discharge), tuple(traded), tuple(worth), tuple(stored))


def _whole(store: Store, charges: Sequence[float], discharges: Sequence[float]) -> tuple[list[int], list[int]]:
    """Whole Wh that keep the state of charge in range at every slot, in ppm of a Wh, and end with no less than at the
    beginning."""
    charge = [min(store.power, max(0, round(value))) for value in charges]
    discharge = [min(store.power, max(0, round(value))) for value in discharges]
    level = store.soc * ONE
    levels = []
    for at in range(len(charge)):
        room = store.capacity * ONE - level
        charge[at] = min(charge[at], (room + ONE * discharge[at]) // store.efficiency)
        discharge[at] = min(discharge[at], (level + store.efficiency * charge[at]) // ONE)
        level += store.efficiency * charge[at] - ONE * discharge[at]
        levels.append(level)
    missing = store.soc * ONE - level
    room = store.capacity * ONE
    for at in reversed(range(len(charge))):
        room = min(room, store.capacity * ONE - levels[at])
        saved = min(discharge[at], -(-missing // ONE), room // ONE) if missing > 0 else 0
        discharge[at] -= saved
        missing -= saved * ONE
        room -= saved * ONE
    if missing > 0:
        return [0] * len(charge), [0] * len(charge)
    return charge, discharge
