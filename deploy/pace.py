"""How fast the demo's market day may run on this machine.

Two wishes pull apart: the first trade of a summer day, 27 slots after the first window opens, is to clear within 20 s
of the network's start; and no member may be late for its windows. So the time that the nodes and the members need to
get ready is estimated from a measured start of Python, and the slots share what is left.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

from node.lifeline import child_environment

SLOT_MS = 900_000
SLOWEST_SLOT_MS = 600
"""How long a slot takes at most, however many members there are."""
QUICKEST_SLOT_MS = 330
"""Below this the windows, two slots long, would be shorter than a slow block."""
BLOCK_INTERVAL_MS = 100
"""How often a `bft` demo makes a block at most."""
HIGHEST_SPEED = SLOT_MS // BLOCK_INTERVAL_MS
"""Beyond it a slot is shorter than a block takes, and no order can meet its window."""
PER_MEMBER = 4
"""Transactions of a member in a slot: forecast, commitment, reveal, reading."""
USUAL_RATE = 900
"""Transactions a second that four nodes and the gateways carry together on two idle cores, with room to spare."""
FIRST_TRADE_MS = 18_000
"""When the first possible trade should clear, counted from genesis; 20 s are promised."""
USUAL_START_MS = 800
"""What `measure_start` finds for one process a core on an idle machine of the class that these figures come from."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`lead_ms`: from genesis to the first window. `speed`: market time over clock time. `slot_ms`: of market time."""

    lead_ms: int
    speed: int
    slot_ms: int = SLOT_MS

    @property
    def slot_s(self) -> float:
        """Seconds of a slot."""
        return self.slot_ms / self.speed / 1000


async def measure_start(processes: int) -> int:
    """Milliseconds until `processes` processes, started at once as the nodes will be, have imported a node."""
    command = (sys.executable, "-c", "import deploy.main, node.node, node.api.server")
    started = time.monotonic()
    running = [await asyncio.create_subprocess_exec(*command, env=child_environment()) for _ in range(processes)]
    try:
        for process in running:
            await process.wait()
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return int((time.monotonic() - started) * 1000)


def slowness_of(start_ms: int, nodes: int, cores: int) -> int:
    """How much slower than an idle machine this one is now: 100 to 300 percent. More than that passes, mostly."""
    return min(300, max(100, start_ms * 100 // (USUAL_START_MS * max(1, -(-nodes // cores)))))


def lead_for(start_ms: int, members: int, slowness: int) -> int:
    """From genesis to the first window: the nodes start, side by side as they were measured; then the members join."""
    return start_ms * 11 // 10 + 600 + (200 + 8 * members) * slowness // 100


def quickest_slot_ms(members: int, slowness: int) -> int:
    """How short a slot may be: its windows outlast a slow block, and its transactions fit into it."""
    return min(SLOWEST_SLOT_MS, max(QUICKEST_SLOT_MS, members * PER_MEMBER * 10 * slowness // USUAL_RATE))


def pace_for(
    lead_ms: int, trade_slots: int | None, quickest_ms: int = QUICKEST_SLOT_MS, slowest_ms: int = SLOWEST_SLOT_MS
) -> Pace:
    """A slot takes `slowest_ms`, or less, but not below `quickest_ms`, where the first trade would come too late else.

    The lead is cut where it leaves no time for the slots: members that are late for the first windows cost less than a
    first trade that is late.
    """
    slot_ms = slowest_ms
    if trade_slots is not None:
        lead_ms = min(lead_ms, FIRST_TRADE_MS - trade_slots * QUICKEST_SLOT_MS)
        slot_ms = min(slot_ms, (FIRST_TRADE_MS - lead_ms) // trade_slots)
    return Pace(lead_ms, -(-SLOT_MS // max(quickest_ms, slot_ms)))
