"""The only loop that feeds an engine and performs its effects.

One turn: take an event, ask the engine, perform the effects in order. Nothing in a turn waits: signed records go to the
publisher (one sync per batch), blocks to the ledger thread, messages to the peers' queues; what they bring back returns
as an event. After `SLICE_S` of turns the loop is given to others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from consensus.engine import (
    Accuse,
    Arm,
    Behind,
    Broadcast,
    Build,
    Check,
    Commit,
    Disarm,
    Effect,
    Engine,
    EngineStatus,
    Event,
    Expired,
    Fault,
    Halt,
    Millis,
    PeerId,
    Prune,
    Publish,
    Received,
    Record,
    Reply,
    ReportInvalid,
    Request,
    RequestKind,
    Send,
)
from consensus.messages import Message, decode_message
from ledger.crypto import ZERO_HASH
from ledger.errors import DecodeError
from node.clock import Clock
from node.inbox import Inbox
from node.log import Logger
from node.metrics import Metrics
from node.reporter import Reports
from node.timers import Timers

SLICE_S: Final = 0.002


class Outbound(Protocol):
    """Sends what engines say to peers."""

    def send(self, peer: PeerId, message: Message) -> None:
        """Queue a message for one peer; one that is gone is no error."""

    def broadcast(self, message: Message) -> None:
        """Queue a message for all peers."""

    def drop(self, peer: PeerId, reason: str, expected: str = "", found: str = "") -> None:
        """End the connection to a peer that sent what no honest one sends."""


class Publishing(Protocol):
    """Makes records durable, then sends them."""

    def take(self, records: Sequence[Record]) -> None:
        """Guard, sign and queue the records of one turn."""

    def trim(self, epoch: int, view: int) -> None:
        """Set the floor of the log."""


class BlockWork(Protocol):
    """Builds, checks and commits blocks; answers come as events."""

    def build(self, effect: Build) -> None:
        """Answer by `Built`."""

    def check(self, effect: Check) -> None:
        """Answer by `Checked`."""

    def commit(self, effect: Commit) -> None:
        """Answer by `Committed`."""

    def prune(self, effect: Prune) -> None:
        """Forget abandoned blocks."""


class Following(Protocol):
    """What the node does about news that are not consensus."""

    def behind(self, peer: PeerId, height: int) -> None:
        """Peers are ahead: fetch what is missing."""

    def halt(self, reason: str) -> None:
        """Stop voting for good; say why."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a driver works with."""

    clock: Clock
    outbound: Outbound
    publisher: Publishing
    blocks: BlockWork
    following: Following
    reports: Reports
    metrics: Metrics
    log: Logger


class Driver:
    """See the module. `status` is the engine's last answer."""

    def __init__(self, engine: Engine, inbox: Inbox, around: Surroundings) -> None:
        self._engine = engine
        self._inbox = inbox
        self._around = around
        self._timers = Timers(lambda timer, token: inbox.put((timer, token)))
        self.status = EngineStatus(0, 0, 0, ZERO_HASH, b"", False, 0, 0)

    # --- what comes in ------------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Queue an event of this node: never dropped."""
        self._inbox.put(event)

    def released(self, message: Message) -> None:
        """An own message is durable: hear it, then send it."""
        self._inbox.put(Received(None, message))
        self._around.outbound.broadcast(message)

    def receive(self, peer: PeerId, raw: bytes) -> None:
        """Take a peer's message; what does not decode costs the peer its connection."""
        try:
            message = decode_message(raw)
        except DecodeError as error:
            self._around.outbound.drop(peer, "malformed-message", "a consensus message, canonical", str(error))
            return
        self._around.metrics.messages.labels(type(message).__name__).inc()
        self._inbox.put_peer(Received(peer, message), len(raw))

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take turns, for ever."""
        try:
            while True:
                await self._inbox.wait()
                begun = time.thread_time()
                turns = self._turns(asyncio.get_running_loop().time() + SLICE_S)
                self._around.metrics.spent("engine", time.thread_time() - begun, turns)
                await asyncio.sleep(0)
        finally:
            self._timers.close()

    def _turns(self, until: float) -> int:
        """Take turns until nothing is left or the slice is over; return how many."""
        turns = 0
        loop = asyncio.get_running_loop()
        while (event := self._inbox.take()) is not None:
            if isinstance(event, tuple):
                timer, token = event
                if self._timers.take(timer, token):
                    self._turn(Expired(timer))
            else:
                self._turn(event)
            turns += 1
            if loop.time() >= until:
                break
        self._turn(Request(RequestKind.STATUS))
        return turns

    def _turn(self, event: Event) -> None:
        now = Millis(self._around.clock.now())
        effects = self._engine.handle(event, now)
        records = [effect.record for effect in effects if isinstance(effect, Publish)]
        if records:
            self._around.publisher.take(records)
        for effect in effects:
            self._perform(effect, now)

    def _perform(self, effect: Effect, now: Millis) -> None:
        around = self._around
        match effect:
            case Publish():
                pass  # all of a turn went to the publisher together
            case Send(peer, message):
                around.outbound.send(peer, message)
            case Broadcast(message):
                around.outbound.broadcast(message)
            case Arm(timer, at):
                self._timers.arm(timer, at - now)
            case Disarm(timer):
                self._timers.disarm(timer)
            case Build():
                around.blocks.build(effect)
            case Check():
                around.blocks.check(effect)
            case Commit():
                around.blocks.commit(effect)
            case Prune():
                around.blocks.prune(effect)
            case Behind(peer, height):
                around.following.behind(peer, height)
            case Halt(reason, block_hash):
                around.log.error("the engine halted", reason=reason, block=block_hash)
                around.following.halt(reason)
            case Accuse():
                self._accuse(effect)
            case ReportInvalid(complaints):
                first = complaints[0]
                around.log.error("a leader's block is invalid", epoch=first.epoch, view=first.view, by=len(complaints))
                around.reports.invalid(complaints)
            case Reply(status):
                self._note(status)
            case _:
                assert_never(effect)

    def _accuse(self, accusation: Accuse) -> None:
        around = self._around
        match accusation.fault:
            case Fault.EQUIVOCATION:
                around.metrics.equivocations.inc()
                around.log.error(
                    "a validator signed twice",
                    reason=accusation.reason,
                    first=accusation.first,
                    second=accusation.second,
                )
                if accusation.first is not None and accusation.second is not None:
                    around.reports.equivocation(accusation.first, accusation.second)
            case Fault.PEER:
                if accusation.peer is not None:
                    around.outbound.drop(accusation.peer, accusation.reason, accusation.expected, accusation.found)

    def _note(self, status: EngineStatus) -> None:
        if status.view != self.status.view or status.epoch != self.status.epoch:
            self._around.metrics.view.set(status.view)
            self._around.metrics.epoch.set(status.epoch)
        self._around.metrics.unfinalised.set(status.unfinalised)
        self.status = status
