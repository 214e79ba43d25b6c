"""Rule 6.3 for cycles too large for branch and bound on the chain: a good assignment, and multipliers that bound it.

A Lagrangian heuristic in integers, the same on every machine: capacities are relaxed at multipliers, subgradient steps
tighten the bound, the relaxed assignments are repaired and improved by local search. The view `check` of the contract
`assignment` verifies the result without trusting this code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SCALE: Final = 2**20
"""Of multipliers, as in the contract: M per Wh and M per user served, times this."""
_PATIENCE: Final = 5
_FRACTION: Final = 64
_PASSES: Final = 30
_REPAIRS: Final = 25


@dataclass(frozen=True, slots=True)
class Solution:
    """An assignment and its certificate. `choice`: for each user the position of its provider, their number for nobody.
    The sum of M of an assignment that serves as many users cannot exceed `m_bound`."""

    choice: tuple[int, ...]
    served: int
    sum_m: int
    m_bound: int
    service: int
    multipliers: tuple[int, ...]

    @property
    def gap_ppm(self) -> int:
        """How far the sum of M may be below the best, in ppm of the bound."""
        return 0 if self.m_bound <= self.sum_m else (self.m_bound - self.sum_m) * 1_000_000 // self.m_bound


@dataclass(frozen=True, slots=True)
class _Prices:
    service: int
    multipliers: list[int]


@dataclass(frozen=True, slots=True)
class _Relaxed:
    bound: int
    loads: list[int]
    taken: int


class _Search:
    """One problem: requests and capacities in Wh, M users by providers (below 0: not allowed), and the best found."""

    def __init__(self, wh: Sequence[int], capacity: Sequence[int], m: Sequence[Sequence[int]]) -> None:
        self.wh, self.capacity, self.m = list(wh), list(capacity), [list(row) for row in m]
        self.users, self.nobody = range(len(wh)), len(capacity)
        self.big = 1 + sum(max((0, *row)) for row in m)
        self.options = [
            [at for at in range(self.nobody) if self.m[user][at] >= 0 and self.wh[user] <= self.capacity[at]]
            for user in self.users
        ]
        self.best = [self.nobody] * len(self.wh)
        self.value = 0

    def worth(self, user: int, at: int) -> int:
        """Value of a pair, below 0 if it is not allowed."""
        if at == self.nobody:
            return 0
        return self.big + self.m[user][at] if self.m[user][at] >= 0 else -1

    def served(self) -> int:
        """Users served by the best assignment found."""
        return self.value // self.big

    def offer(self, choice: list[int]) -> None:
        """Improve an assignment and keep it if it is the best."""
        self._improve(choice)
        value = sum(self.worth(user, at) for user, at in enumerate(choice))
        if value > self.value:
            self.best, self.value = choice, value

    def filled(self, order: Sequence[int], gains: Sequence[Sequence[int]]) -> list[int]:
        """Users in an order, each to the provider with room of largest gain (ties: the first)."""
        left, choice = list(self.capacity), [self.nobody] * len(self.wh)
        for user in order:
            free = [at for at in self.options[user] if left[at] >= self.wh[user]]
            if free:
                at = max(free, key=lambda at: (gains[user][at], -at))
                choice[user] = at
                left[at] -= self.wh[user]
        return choice

    def _improve(self, choice: list[int]) -> None:
        left = [*self.capacity, sum(self.wh)]
        for user, at in enumerate(choice):
            left[at] -= self.wh[user]
        for _ in range(_PASSES):
            moves = [self._move(choice, left, user) for user in self.users]
            swaps = [self._swap(choice, left, user) for user in self.users]
            chains = [self._make_room(choice, left, user) for user in self.users if choice[user] == self.nobody]
            if not any((*moves, *swaps, *chains)):
                return

    def _put(self, choice: list[int], left: list[int], user: int, at: int) -> None:
        left[choice[user]] += self.wh[user]
        left[at] -= self.wh[user]
        choice[user] = at

    def _move(self, choice: list[int], left: list[int], user: int) -> bool:
        """To a better provider with room."""
        free = [at for at in self.options[user] if left[at] >= self.wh[user]]
        best = max(free, key=lambda at: (self.m[user][at], -at), default=self.nobody)
        if best == self.nobody or self.worth(user, best) <= self.worth(user, choice[user]):
            return False
        self._put(choice, left, user, best)
        return True

    def _swap(self, choice: list[int], left: list[int], user: int) -> bool:
        """Exchange providers with an earlier user, if that brings more."""
        for other in range(user):
            mine, theirs = choice[user], choice[other]
            more = self.wh[user] - self.wh[other]
            if mine == theirs or left[theirs] < more or left[mine] < -more:
                continue
            there, back = self.worth(user, theirs), self.worth(other, mine)
            if min(there, back) >= 0 and there + back > self.worth(user, mine) + self.worth(other, theirs):
                self._put(choice, left, user, theirs)
                self._put(choice, left, other, mine)
                return True
        return False

    def _make_room(self, choice: list[int], left: list[int], user: int) -> bool:
        """Serve a user that nobody serves by moving one other away."""
        for at in self.options[user]:
            missing = self.wh[user] - left[at]
            for other in self.users:
                if choice[other] == at and self.wh[other] >= missing:
                    away = [to for to in self.options[other] if to != at and left[to] >= self.wh[other]]
                    if away:
                        self._put(choice, left, other, max(away, key=lambda to: (self.m[other][to], -to)))
                        self._put(choice, left, user, at)
                        return True
        return False

    def relaxed(self, prices: _Prices) -> _Relaxed:
        """The relaxation at some multipliers; its bound is on the sum of M + `service` a user, times `SCALE`."""
        bound = sum(price * room for price, room in zip(prices.multipliers, self.capacity, strict=True))
        loads, taken = [0] * self.nobody, 0
        for user in self.users:
            gains = [(self._gain(prices, user, at), -at) for at in self.options[user]]
            gain, at = max(gains, default=(0, 0))
            if gain > 0:
                loads[-at] += self.wh[user]
                taken += 1
                bound += gain
        return _Relaxed(bound, loads, taken)

    def _gain(self, prices: _Prices, user: int, at: int) -> int:
        return self.m[user][at] * SCALE + prices.service - prices.multipliers[at] * self.wh[user]

    def repaired(self, prices: _Prices) -> list[int]:
        """A feasible assignment near the relaxed one: who loses most by its second choice comes first."""
        gains = [[self._gain(prices, user, at) for at in range(self.nobody)] for user in self.users]
        losses = []
        for user in self.users:
            ranked = sorted((max(0, gains[user][at]) for at in self.options[user]), reverse=True)
            losses.append(ranked[0] - (ranked[1] if len(ranked) > 1 else 0) if ranked else 0)
        return self.filled(sorted(self.users, key=lambda user: (-losses[user], user)), gains)

    def stepped(self, prices: _Prices, found: _Relaxed, length: int, served: int) -> _Prices | None:
        """One subgradient step; None where there is no direction left."""
        over = [load - room for load, room in zip(found.loads, self.capacity, strict=True)]
        over = [excess if excess > 0 or prices.multipliers[at] > 0 else 0 for at, excess in enumerate(over)]
        mean = max(1, sum(self.wh) // len(self.wh))
        short = (served - found.taken) * mean
        norm = sum(excess * excess for excess in over) + short * short
        if norm == 0:
            return None
        multipliers = [
            max(0, price + length * excess // norm) for price, excess in zip(prices.multipliers, over, strict=True)
        ]
        return _Prices(max(0, prices.service + length * short * mean // norm), multipliers)

    def tightened(self, served: int, rounds: int) -> tuple[int, _Prices]:
        """The smallest bound found on the sum of M of assignments that serve `served` users, times `SCALE`, and its
        multipliers. Assignments met on the way are offered."""
        prices: _Prices | None = _Prices(0, [0] * self.nobody)
        assert prices is not None, "the first prices are there"
        best, known, part, stale = (1 << 250), prices, _FRACTION, 0
        for index in range(rounds):
            if prices is None:
                break
            found = self.relaxed(prices)
            bound = found.bound - prices.service * served
            stale += 1
            if bound < best:
                best, known, stale = bound, prices, 0
            if index % max(1, rounds // _REPAIRS) == 0:
                self.offer(self.repaired(prices))
            if stale == _PATIENCE:
                part, stale, prices = max(1, part * 3 // 4), 0, known
                found = self.relaxed(prices)
                bound = best
            floor = max(0, self.value - served * self.big)
            if bound // SCALE <= floor:
                break
            prices = self.stepped(prices, found, (bound - floor * SCALE) * part // _FRACTION, served)
        return best, known


def solve(wh: Sequence[int], capacity: Sequence[int], m: Sequence[Sequence[int]], rounds: int = 200) -> Solution:
    """Assign users (`wh`) to providers (`capacity`) by M with `rounds` of subgradient steps. Time grows with users *
    providers * rounds; no clock is asked."""
    search = _Search(wh, capacity, m)
    search.offer(search.filled(sorted(search.users, key=lambda user: (search.wh[user], user)), search.m))
    bound, prices = 0, _Prices(0, [0] * search.nobody)
    if search.wh and search.nobody:
        before = -1
        while before != search.served():
            before = search.served()
            bound, prices = search.tightened(before, rounds)
    served = search.served()
    return Solution(
        tuple(search.best), served, search.value - served * search.big, max(0, bound // SCALE), prices.service,
        tuple(prices.multipliers),
    )  # fmt: skip
