"""A market day on a running network: onboarding, gateways, screen, failure; it ends when every slot is settled.

Everything that happens is told by committed events: they open windows for the gateways, fill the screen, end the day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.follow import Follower, NodeState
from deploy.market.interface import Gateway, Market, MarketDay, Passed
from deploy.onboarding import applications, attestations, deposits
from deploy.outbox import Outbox, Refusal
from deploy.screen import Progress, Screen, TradeLine
from ledger.errors import GridchainError
from node.client import Client, EventSeen, Outcome

ONBOARDING_TIMEOUT_S = 90.0
DRAIN_TIMEOUT_S = 60.0
MARGIN_S = 0.05
"""After its time, so that a block's clock has surely reached it."""
LEVEL_BLOCKS = 3
"""How far apart nodes that are level may be seen, asked one after the other while blocks are made."""
LATE_SLOTS_AFTER = 6
"""Delivery, grace and the wait for missing readings: when the last slot must be settled, counted from its start."""


@dataclass(slots=True)
class Played:
    """What the day leaves to the card. Times are seconds of the monotonic clock; `last_height` has the last receipt."""

    first_trade_at: float | None = None
    last_height: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    refused: tuple[Refusal, ...] = ()
    council: tuple[str, ...] = ()
    """What was elected, where an engine elects."""
    unposted: int = 0
    """What institutions posted for the first slot when its window had opened already."""


class DayRunner:
    """Plays one `MarketDay` on the nodes behind `clients`. `guard` runs beside it and raises when it must end; `watch`
    sees every event."""

    def __init__(
        self,
        market: Market,
        day: MarketDay,
        clients: Sequence[Client],
        progress: Progress,
        screen: Screen,
        guard: Callable[[], Coroutine[Any, Any, None]] | None = None,
        watch: Callable[[EventSeen], None] | None = None,
    ) -> None:
        self._market = market
        self._day = day
        self._guard = guard
        self._watch = watch
        self._progress = progress
        self._screen = screen
        self._played = Played()
        self._outbox = Outbox(clients, time.monotonic)
        self._gateways = [
            market.gateway(house, day, number % len(clients)) for number, house in enumerate(day.households)
        ]
        self._names = day.member_of
        self._of_meter = dict(zip(self._names, self._gateways, strict=True))
        told = market.signals
        self._public = {told.opened, told.delivered, *told.public}
        self._follower = Follower(
            clients, on_event=self._on_event, on_outcome=self._on_outcome, on_states=self._on_states
        )
        self._prepared: set[bytes] = set()
        self._passed: dict[int, Passed] = {}
        self._joined = False
        self._heard: list[EventSeen] = []
        """What gateways hear when their members are approved: nobody takes orders of strangers."""
        self._applied: dict[bytes, bytes] = {}
        self._approved = 0
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
            self._joined = True
            for event in self._heard:
                self._tell_gateways(event)
            workers.append(group.create_task(self._post_notices()))
            async with asyncio.TaskGroup() as acts:
                acts.create_task(self._until_settled())
                if interrupt is not None:
                    acts.create_task(self._interrupted(interrupt))
            for worker in workers:
                worker.cancel()
        self._played.latencies_ms = self._outbox.latencies_ms
        self._played.refused = tuple(self._outbox.refused.values())
        return self._played

    async def _post_notices(self) -> None:
        """What institutions post at their time: they keep the calendar, so they alone have a clock."""
        for number, notice in enumerate(self._market.notices(self._day)):
            await asyncio.sleep(max(0.0, self._day.seconds_until(notice.at_ms) + MARGIN_S))
            self._outbox.post(notice.raw, number)

    async def _onboard(self) -> None:
        day = self._day
        started = time.monotonic()
        self._screen.say(f"{len(day.households)} members apply; bureau and grid company attest; the treasury deposits.")
        for number, raw in enumerate(self._market.preparations(day)):
            self._prepared.add(self._outbox.post(raw, number))
        first = [
            *applications(self._market, day.street, day.households),
            *deposits(self._market, day),
        ]
        for number, raw in enumerate(first):
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
        for number, raw in enumerate((*self._market.after_approval(day), *day.after_joining)):
            self._outbox.post(raw, number)
        if self._failed:
            raise GridchainError(
                "the members' or the institutions' first steps failed",
                code="ONBOARDING",
                expected="applications, attestations, deposits and what is posted before the first window, all taken",
                found=self._failed,
                fix="a busy machine needs more time before the first window: try again, or look at the nodes' logs",
            )

    async def _until_settled(self) -> None:
        day = self._day
        due_s = (day.slots + day.calendar.open_slots + LATE_SLOTS_AFTER) * day.slot_s
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
        if not outcome.ok and outcome.id in self._prepared:
            self._played.unposted += 1
        elif not outcome.ok:
            self._failed[outcome.code] = self._failed.get(outcome.code, 0) + 1
        self._changed.set()

    def _on_states(self, states: Sequence[NodeState]) -> None:
        top = max(state.height for state in states)
        for node, (line, state) in enumerate(zip(self._progress.nodes, states, strict=True)):
            line.peers, line.latency_ms = state.peers, state.latency_ms
            line.height = state.height if state.up else line.height
            # A node that starts answers before it has caught up; nobody hears of what it takes meanwhile.
            self._outbox.node_level(node, level=state.up and state.height >= top - LEVEL_BLOCKS)
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
        if self._watch is not None:
            self._watch(event)
        known = _SEEN.get((event.contract, event.name))
        if known is not None:
            known(self, event.data)
        if event.contract == self._market.contract:
            self._show(event)
            if self._joined:
                self._tell_gateways(event)
            else:
                self._heard.append(event)
        self._changed.set()

    def _tell_gateways(self, event: EventSeen) -> None:
        """Gateways answer what they hear: everybody what concerns all, else the parties."""
        heard: Sequence[Gateway] = ()
        if event.name in self._public:
            heard = self._gateways
        elif event.name in self._market.signals.parties:
            meters = [event.data[field] for field in self._market.signals.parties[event.name]]
            heard = [self._of_meter[meter] for meter in meters if meter in self._of_meter]
        for gateway in heard:
            for raw in gateway.answer(event.name, event.data):
                self._outbox.post(raw, gateway.home)

    def _show(self, event: EventSeen) -> None:
        told, data, progress = self._market.signals, event.data, self._progress
        if (passed := self._market.passed(event.name, data)) is not None:
            self._passed[passed.slot] = passed
        if event.name == told.opened:
            progress.opened = data[told.period]
        elif event.name == told.trade:
            self._saw_trade(data)
        elif event.name == told.settled and data[told.period] in self._day.numbers:
            self._saw_slot_settled(data)

    def _saw_application(self, data: Mapping[str, Any]) -> None:
        self._applied[_bytes(data["account"])] = _bytes(data["digest"])

    def _saw_approval(self, data: Mapping[str, Any]) -> None:
        self._approved += 1

    def _saw_trade(self, data: Mapping[str, Any]) -> None:
        if self._played.first_trade_at is None:
            self._played.first_trade_at = time.monotonic()
        progress = self._progress
        shown = self._market.show(data, self._names)
        progress.trades += 1
        progress.traded_wh += shown.wh
        progress.traded_money += shown.money
        progress.last_trades.append(TradeLine(data[self._market.signals.period], shown.cells))

    def _saw_slot_settled(self, data: Mapping[str, Any]) -> None:
        progress = self._progress
        self._settled.add(data[self._market.signals.period])
        progress.settled = len(self._settled)
        passed = self._passed.get(data[self._market.signals.period])
        through, money = (0, 0) if passed is None else (passed.wh, passed.money)
        progress.traded_wh += through
        progress.traded_money += money
        progress.use_wh += data["use_wh"]
        progress.generation_wh += data["generation_wh"]
        progress.grid_sales_wh += data["grid_sales_wh"] - through
        progress.grid_purchases_wh += data["grid_purchases_wh"] - through


def _bytes(shown: str) -> bytes:
    """Bytes as the API shows them."""
    return bytes.fromhex(shown.removeprefix("0x"))


_SEEN: dict[tuple[str, str], Callable[[DayRunner, Mapping[str, Any]], None]] = {
    ("registry", "Applied"): DayRunner._saw_application,
    ("registry", "Approved"): DayRunner._saw_approval,
}
