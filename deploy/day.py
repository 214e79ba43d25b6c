"""A market day on a running network: onboarding, gateways, screen, failure; it ends when every slot is settled.

Everything that happens is told by committed events: they open windows for the gateways, fill the screen, end the day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.books import Tariffs
from deploy.follow import Follower, NodeState
from deploy.gateway import Gateway, Household, WindowOpened, phase_of
from deploy.neighbourhood import Neighbourhood, Plan
from deploy.onboarding import Desk, applications, attestations, deposits
from deploy.outbox import Outbox, Refusal
from deploy.screen import Progress, Screen, TradeLine
from ledger.errors import GridchainError
from node.client import Client, EventSeen, Outcome

ONBOARDING_TIMEOUT_S = 90.0
DRAIN_TIMEOUT_S = 60.0
OPEN_SLOTS_AHEAD = 4
LATE_SLOTS_AFTER = 6
"""Delivery, grace and the wait for missing readings: when the last slot must be settled, counted from its start."""


@dataclass(frozen=True, slots=True)
class MarketDay:
    """What is traded: consecutive slots of one day by all households, orders drawn from `seed`."""

    street: Neighbourhood
    plan: Plan
    households: tuple[Household, ...]
    desk: Desk
    tariffs: Tariffs
    first_slot: int
    slots: int
    slot_s: float
    seed: int

    @property
    def numbers(self) -> range:
        """The slots' indices in the day."""
        return range(self.first_slot, self.first_slot + self.slots)


@dataclass(slots=True)
class Played:
    """What the day leaves to the card. Times are seconds of the monotonic clock; `last_height` has the last receipt."""

    first_trade_at: float | None = None
    last_height: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    refused: tuple[Refusal, ...] = ()


class DayRunner:
    """Plays one `MarketDay` on the nodes behind `clients`. `guard` runs beside it and raises when it must end."""

    def __init__(
        self,
        day: MarketDay,
        clients: Sequence[Client],
        progress: Progress,
        screen: Screen,
        guard: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._day = day
        self._guard = guard
        self._progress = progress
        self._screen = screen
        self._played = Played()
        self._outbox = Outbox(clients, time.monotonic)
        self._gateways = [
            Gateway(house, day.plan, day.seed, number % len(clients)) for number, house in enumerate(day.households)
        ]
        self._names = {house.meter.address: house.member.name for house in day.households}
        self._follower = Follower(
            clients, on_event=self._on_event, on_outcome=self._on_outcome, on_states=self._on_states
        )
        self._applied: dict[bytes, bytes] = {}
        self._approved = 0
        self._deposited = 0
        self._failed: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._settled: set[int] = set()
        self._interrupt_slot = day.first_slot + (day.slots * 2) // 5

    async def run(self, interrupt: Callable[[], Awaitable[None]] | None) -> Played:
        """Play the day. `interrupt` is awaited once, beside the market, when two fifths of the windows have opened.

        Raise `GridchainError` if onboarding fails or the market stands still.
        """
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._follower.run()), group.create_task(self._outbox.run())]
            if self._guard is not None:
                workers.append(group.create_task(self._guard()))
            await self._onboard()
            workers += [group.create_task(gateway.run(self._post)) for gateway in self._gateways]
            async with asyncio.TaskGroup() as acts:
                acts.create_task(self._until_settled())
                if interrupt is not None:
                    acts.create_task(self._interrupted(interrupt))
            for worker in workers:
                worker.cancel()
        self._played.latencies_ms = self._outbox.latencies_ms
        self._played.refused = tuple(self._outbox.refused.values())
        return self._played

    def _post(self, raw: bytes, home: int) -> None:
        self._outbox.post(raw, home)

    async def _onboard(self) -> None:
        day = self._day
        started = time.monotonic()
        self._screen.say(f"{len(day.households)} members apply; bureau and grid company attest; the treasury deposits.")
        for number, raw in enumerate(applications(day.street, day.households)):
            self._outbox.post(raw, number)
        for number, raw in enumerate(deposits(day.desk, day.households, day.plan, day.tariffs)):
            self._outbox.post(raw, number)
        members = len(day.households)
        await self._wait(
            lambda: len(self._outbox) == 0 and len(self._applied) == members,
            ONBOARDING_TIMEOUT_S,
            "applications and deposits",
        )
        for number, raw in enumerate(attestations(day.desk, day.households, self._applied)):
            self._outbox.post(raw, number)
        await self._wait(lambda: self._approved == members, ONBOARDING_TIMEOUT_S, "attestations")
        self._screen.say(f"{members} members are approved, {time.monotonic() - started:.1f} s later.")
        if self._deposited != members + 1:
            raise GridchainError(
                "a deposit failed",
                code="ONBOARDING",
                expected=f"{members + 1} deposits",
                found=f"{self._deposited}; failed {self._failed}",
                fix="look at the nodes' logs",
            )

    async def _until_settled(self) -> None:
        day = self._day
        due_s = (day.slots + OPEN_SLOTS_AHEAD + LATE_SLOTS_AFTER) * day.slot_s
        await self._wait(lambda: len(self._settled) == day.slots, 60 + 3 * due_s, "settlement of every slot")
        # Readings that came too late are still on their way; they correct settlements that were estimated.
        await self._wait(lambda: len(self._outbox) == 0, DRAIN_TIMEOUT_S, "the last transactions")

    async def _interrupted(self, interrupt: Callable[[], Awaitable[None]]) -> None:
        def due() -> bool:
            opened = self._progress.opened
            return opened is not None and opened >= self._interrupt_slot

        while not due():
            await self._next_change()
        await interrupt()

    async def _wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not done():
                    await self._next_change()
        except TimeoutError:
            raise GridchainError(
                f"the market stands still: waiting for {what}",
                code="STANDSTILL",
                expected=f"within {timeout_s:.0f} s",
                found=f"{len(self._outbox)} transactions on their way, refused {self._outbox.refused_codes()}, "
                f"failed {self._failed}, settled {len(self._settled)} of {self._day.slots}",
                fix="look at the nodes' logs",
            ) from None

    async def _next_change(self) -> None:
        """Return when something was committed, or a node's state was read."""
        self._changed.clear()
        await self._changed.wait()

    # --- what the chain tells ----------------------------------------------------------------------------------------

    def _on_outcome(self, outcome: Outcome) -> None:
        self._outbox.committed(outcome.id)
        self._played.last_height = max(self._played.last_height, outcome.height or 0)
        if not outcome.ok:
            self._failed[outcome.code] = self._failed.get(outcome.code, 0) + 1
        self._changed.set()

    def _on_states(self, states: Sequence[NodeState]) -> None:
        top = max(state.height for state in states)
        for node, (line, state) in enumerate(zip(self._progress.nodes, states, strict=True)):
            line.peers, line.latency_ms = state.peers, state.latency_ms
            line.height = state.height if state.up else line.height
            if not state.up:
                line.state = "down"
                self._outbox.node_down(node)
            elif state.stopped_reason:
                line.state = state.stopped_reason
            elif state.height < top - 1:
                line.state = f"behind by {top - state.height}"
            else:
                line.state = "leader" if state.leader == line.name else "ok"
        self._progress.on_the_way = len(self._outbox)
        self._screen.update()
        self._changed.set()

    def _on_event(self, event: EventSeen) -> None:
        phase = phase_of(event.contract, event.name, event.data.get("slot", -1))
        if phase is not None:
            if isinstance(phase, WindowOpened):
                self._progress.opened = phase.slot
            for gateway in self._gateways:
                gateway.tell(phase)
        known = _SEEN.get((event.contract, event.name))
        if known is not None:
            known(self, event, event.data)
        self._changed.set()

    def _saw_application(self, event: EventSeen, data: Mapping[str, Any]) -> None:
        self._applied[_bytes(data["account"])] = _bytes(data["digest"])

    def _saw_approval(self, event: EventSeen, data: Mapping[str, Any]) -> None:
        self._approved += 1

    def _saw_deposit(self, event: EventSeen, data: Mapping[str, Any]) -> None:
        self._deposited += 1

    def _saw_trade(self, event: EventSeen, data: Mapping[str, Any]) -> None:
        if self._played.first_trade_at is None:
            self._played.first_trade_at = time.monotonic()
        progress = self._progress
        progress.trades += 1
        progress.traded_wh += data["wh"]
        progress.traded_money += int(data["money"])
        seller, buyer = self._name(data["seller"]), self._name(data["buyer"])
        progress.last_trades.append(TradeLine(data["slot"], data["stage"], seller, buyer, data["wh"], data["price"]))

    def _saw_slot_settled(self, event: EventSeen, data: Mapping[str, Any]) -> None:
        progress = self._progress
        self._settled.add(data["slot"])
        progress.settled = len(self._settled)
        progress.use_wh += data["use_wh"]
        progress.generation_wh += data["generation_wh"]
        progress.grid_sales_wh += data["grid_sales_wh"]
        progress.grid_purchases_wh += data["grid_purchases_wh"]

    def _name(self, address: str) -> str:
        return self._names.get(_bytes(address), address[:10])


def _bytes(shown: str) -> bytes:
    """Bytes as the API shows them."""
    return bytes.fromhex(shown.removeprefix("0x"))


_SEEN: dict[tuple[str, str], Callable[[DayRunner, EventSeen, Mapping[str, Any]], None]] = {
    ("registry", "Applied"): DayRunner._saw_application,
    ("registry", "Approved"): DayRunner._saw_approval,
    ("token", "Deposited"): DayRunner._saw_deposit,
    ("double_auction", "Trade"): DayRunner._saw_trade,
    ("double_auction", "SlotSettled"): DayRunner._saw_slot_settled,
}
