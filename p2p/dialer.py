"""Dials whom the topology wants, again and again, with back-off.

A goal is a node of the address book or a seed address. After a failure its delay doubles from `first_s` to a cap: 1 s
between validators and for seeds, 10 s for others; who was refused waits `refused_s`. Every delay is multiplied by
0.5 to 1 (`jitter`, injected). Of two nodes that learn of each other at once, the one with the larger id waits a
moment, so that they do not dial each other crosswise; if they do, `p2p.network` decides which connection stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any

from p2p.addresses import AddressBook, parse_address
from p2p.frames import PeerId
from p2p.topology import LinkPolicy, to_dial

_POLL_S = 5.0
_STABLE_S = 2.0


@dataclass(frozen=True, slots=True)
class DialPolicy:
    """Times of dialing, in seconds."""

    first_s: float = 0.05
    validator_cap_s: float = 1.0
    other_cap_s: float = 10.0
    refused_s: float = 3.0
    courtesy_s: float = 0.3
    crowded_s: float = 30.0
    connect_timeout_s: float = 3.0


class DialResult(Enum):
    """How one attempt ended."""

    LINKED = "linked"
    FAILED = "failed"
    REFUSED = "refused"
    SELF = "self"


@dataclass(slots=True)
class Goal:
    """A place to dial, and when."""

    host: str
    port: int
    node_id: PeerId | None
    due: float
    delay: float
    busy: bool = False
    failures: int = 0


class Dialer:
    """Keeps the goals and starts the attempts. `dial` makes one attempt and never raises; it sets `goal.node_id`."""

    def __init__(
        self,
        book: AddressBook,
        seeds: Collection[str],
        policies: tuple[DialPolicy, LinkPolicy],
        is_validator: Callable[[PeerId], bool],
        linked: Callable[[], Collection[PeerId]],
        jitter: Callable[[], float],
    ) -> None:
        self._book = book
        self._policy, self._links = policies
        self._is_validator = is_validator
        self._linked = linked
        self._jitter = jitter
        self._poked = asyncio.Event()
        self._nodes: dict[PeerId, Goal] = {}
        self._seeds = [Goal(*parse_address(seed), None, 0.0, self._policy.first_s) for seed in seeds]

    def poke(self) -> None:
        """Look again now: a link was made or lost, an address was learnt."""
        self._poked.set()

    def unreachable(self, node_id: PeerId) -> bool:
        """Whether the last attempt at a node of the address book failed."""
        goal = self._nodes.get(node_id)
        return goal is not None and goal.failures > 0

    def lost(self, node_id: PeerId, lasted_s: float, *, crowded: bool) -> None:
        """A link is gone: dial again soon, at once after a link that had lasted. `crowded`: the peer has enough
        links, so others come first."""
        now = asyncio.get_running_loop().time()
        for goal in self._goals_of(node_id):
            if crowded:
                goal.failures += 2
                goal.due = now + self._policy.crowded_s * self._spread()
                continue
            if lasted_s >= _STABLE_S:
                goal.delay = self._policy.first_s
            goal.due = now + self._wait(goal)
        self.poke()

    async def run(
        self, spawn: Callable[[Coroutine[Any, Any, None]], object], dial: Callable[[Goal], Awaitable[DialResult]]
    ) -> None:
        """Dial for ever. `spawn` starts an attempt beside this task."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            wake = now + _POLL_S
            for goal in self._due_goals(now):
                if goal.due <= now:
                    goal.busy = True
                    spawn(self._attempt(goal, dial))
                else:
                    wake = min(wake, goal.due)
            self._poked.clear()
            try:
                async with asyncio.timeout_at(wake):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def _attempt(self, goal: Goal, dial: Callable[[Goal], Awaitable[DialResult]]) -> None:
        result = await dial(goal)
        goal.busy = False
        goal.failures = 0 if result is DialResult.LINKED else goal.failures + 1
        now = asyncio.get_running_loop().time()
        match result:
            case DialResult.SELF:
                self._seeds = [seed for seed in self._seeds if seed is not goal]
            case DialResult.REFUSED:
                goal.due = now + self._policy.refused_s * self._spread()
            case DialResult.FAILED | DialResult.LINKED:
                goal.due = now + self._wait(goal)
        self.poke()

    def _wait(self, goal: Goal) -> float:
        """The present delay of a goal, jittered; the next one is twice as long, up to the cap."""
        fast = goal.node_id is None or self._is_validator(goal.node_id)
        cap = self._policy.validator_cap_s if fast else self._policy.other_cap_s
        delay = min(goal.delay, cap)
        goal.delay = min(2 * delay, cap)
        return delay * self._spread()

    def _preference(self, node_id: PeerId) -> int:
        """Validators first; who cannot be reached comes after all others, so that a few dead ones block nobody."""
        return (0 if self._is_validator(node_id) else 1) + (2 if self._nodes[node_id].failures > 1 else 0)

    def _spread(self) -> float:
        return 0.5 + 0.5 * self._jitter()

    def _due_goals(self, now: float) -> list[Goal]:
        """Goals that are wanted and not under way, each node at most once."""
        linked = self._linked()
        self._take_from_book(now)
        busy = {goal.node_id for goal in (*self._nodes.values(), *self._seeds) if goal.busy}
        wanted = to_dial(self._book.own.node_id, list(self._nodes), linked, self._preference, self._links)
        goals = [self._nodes[node] for node in wanted if node not in busy]
        chosen = {goal.node_id for goal in goals}
        places = {(goal.host, goal.port) for goal in self._nodes.values()}
        for seed in self._seeds:
            done = seed.node_id is not None and seed.node_id in linked
            elsewhere = seed.node_id is not None and seed.node_id in (busy | chosen)
            if not (seed.busy or done or elsewhere or (seed.host, seed.port) in places):
                goals.append(seed)
        return goals

    def _take_from_book(self, now: float) -> None:
        for known in self._book.others():
            place = (known.record.host, known.record.port)
            goal = self._nodes.get(known.node_id)
            if goal is None:
                courtesy = self._policy.courtesy_s if self._book.own.node_id > known.node_id else 0.0
                self._nodes[known.node_id] = Goal(*place, known.node_id, now + courtesy, self._policy.first_s)
            elif (goal.host, goal.port) != place:
                goal.host, goal.port = place
                goal.due, goal.delay = now, self._policy.first_s

    def _goals_of(self, node_id: PeerId) -> list[Goal]:
        return [goal for goal in (*self._nodes.values(), *self._seeds) if goal.node_id == node_id]
