"""What the demo shows of engine `dpos`: households name their agents, the council is elected, one producer withholds.

A producer that withholds its blocks loses its turns. The headers show it, the next election passes it over, and the one
after that may seat it again. Everything told is read from the chain: the contract `council` and its events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.library_sources import COUNCIL
from deploy.gateway import Household
from deploy.layout import NodeLayout
from deploy.neighbourhood import Member, Side
from deploy.screen import Progress
from ledger.errors import GridchainError
from node.client import Client, EventSeen

WITHHOLD_FILE: Final = "withhold"
ENVIRONMENT: Final = {"GRIDCHAIN_DEV__WITHHOLD": WITHHOLD_FILE}
PATIENCE_S: Final = 60.0
"""How long each step of the incident may take."""
LOOK_S: Final = 0.1


@dataclass(slots=True)
class Elections:
    """What committed events said of the council."""

    names: tuple[str, ...]
    say: Callable[[str], None]
    held: int = 0
    queue: tuple[str, ...] = ()
    scores: dict[str, int] = field(default_factory=dict)

    def seen(self, event: EventSeen) -> None:
        """An event; an election that seats others, or in another order, is told."""
        if (event.contract, event.name) != (COUNCIL, "Elected"):
            return
        self.held += 1
        queue = tuple(self.names[position] for position in event.data["queue"])
        if queue != self.queue:
            barred = ", ".join(self.names[position] for position in event.data["barred"])
            self.say(
                f"election of epoch {event.data['epoch']}: {' '.join(queue)}"
                + (f"; barred: {barred}" if barred else "")
            )
        self.queue = queue

    async def facts(self, client: Client) -> tuple[str, ...]:
        """For the card, scores as the state has them."""
        rows = await client.view(COUNCIL, "validators")
        self.scores = {row["name"]: row["score"] for row in rows} if isinstance(rows, list) else {}
        scores = ", ".join(f"{name} {score / 1_000_000:.3f}" for name, score in self.scores.items())
        return (f"{self.held} elections, the last seated {' '.join(self.queue)}", f"scores: {scores}")


def appointments(households: Sequence[Household], validators: Sequence[str]) -> list[bytes]:
    """Each household names the validator whose customer it is, in turn."""
    return [
        house.owner.call(COUNCIL, "appoint", validators[number % len(validators)])
        for number, house in enumerate(households)
    ]


def with_sellers(members: Sequence[Member], validators: Sequence[str]) -> frozenset[str]:
    """Validators that can have a score: customers of theirs make energy."""
    sellers = (number for number, member in enumerate(members) if member.side is Side.GENERATION)
    return frozenset(validators[number % len(validators)] for number in sellers)


class Withholding:
    """One producer makes blocks and sends none, until the election has passed it over; then it is honest again.

    It is one of `scoring`, if one of them sits: with no score it might never be elected again.
    """

    def __init__(self, clients: Sequence[Client], nodes: Sequence[NodeLayout], scoring: frozenset[str]) -> None:
        self._clients = clients
        self._nodes = nodes
        self._scoring = scoring
        self.told: list[str] = []

    async def play(self, progress: Progress, say: Callable[[str], None]) -> None:
        """Run it once and say what happens. Raise `GridchainError` (NO_BAR, NO_SEAT) if the chain shows none of it."""

        def tell(text: str) -> None:
            line = f"{progress.time}  {text}"
            self.told.append(line)
            say(line)

        queue = (await self._ask(0, "queue"))["queue"]
        rows = {row["name"]: row for row in await self._ask(0, "validators")}
        victim = min(
            [name for name in queue if name in self._scoring] or queue,
            key=lambda name: (-rows[name]["score"], -rows[name]["votes"], rows[name]["key"]),
        )
        place = next(at for at, node in enumerate(self._nodes) if node.name == victim)
        witness = (place + 1) % len(self._nodes)
        switch = self._nodes[place].home / WITHHOLD_FILE
        started = time.monotonic()
        switch.touch()
        tell(f"{victim} withholds its blocks: its turns pass, the others go on.")
        try:
            bar = await self._until(witness, "bars", lambda rows: _bar_of(rows, victim), "NO_BAR")
        finally:
            switch.unlink()
        seconds = time.monotonic() - started
        seated = (await self._ask(witness, "queue"))["queue"]
        lost = f"{victim} lost the turn of view {bar['view']} in epoch {bar['epoch']}, {seconds:.1f} s later"
        if victim in seated:
            tell(f"{lost}; its bar was lifted, too few others could be elected. It sends its blocks again.")
        else:
            tell(f"{lost}, and is barred from an election: {' '.join(seated)} sit. It sends its blocks again.")
        found = await self._until(
            witness, "queue", lambda found: found if victim in found["queue"] else None, "NO_SEAT"
        )
        tell(f"{victim} sits again in epoch {found['epoch']}: {' '.join(found['queue'])}.")

    async def _until(self, witness: int, view: str, wanted: Callable[[Any], Any], code: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while (found := wanted(await self._ask(witness, view))) is None:
            if time.monotonic() > deadline:
                raise GridchainError(
                    "the chain does not show what the incident must bring about",
                    code=code,
                    expected=f"an answer of council.{view} within {PATIENCE_S:.0f} s",
                    found=await self._ask(witness, view),
                    fix="a busy machine takes longer: try again, or look at the nodes' logs",
                )
            await asyncio.sleep(LOOK_S)
        return found

    async def _ask(self, node: int, view: str) -> Any:
        return await self._clients[node].view(COUNCIL, view)


def _bar_of(rows: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((row for row in rows if row["validator"] == name and row["cause"] == "turn"), None)
