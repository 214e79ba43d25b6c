"""How fast the demo's market day may run on this machine.

Two wishes pull apart: the first trade of a summer day, 25 slots and two windows after the first one opens, is to clear
within 20 s of the network's start; and no member may be late for its windows. The second one wins. How slow the machine
is now is seen while the nodes load (`deploy.held`). The time that they and the members then need is given in full; the
slots share what is left until the first trade is due, but are never shorter than this machine carries. A window has as
many slots as an order needs from its opening to a block at the worst: short slots make no short windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.held import Loaded

SLOT_MS = 900_000
SLOWEST_SLOT_MS = 600
"""How long a slot takes at most, however many members there are."""
QUICKEST_SLOT_MS = 330
"""Below this a slot is shorter than a slow block, and readings that are due in one are late."""
BLOCK_INTERVAL_MS = 100
"""How often a `bft` demo makes a block at most."""
HIGHEST_SPEED = SLOT_MS // BLOCK_INTERVAL_MS
"""Beyond it a slot is shorter than a block takes, and no order can meet its window."""
PER_MEMBER = 4
"""Transactions of a member in a slot: forecast, commitment, reveal, reading."""
USUAL_RATE = 900
"""Transactions a second that four nodes and the gateways carry together on two idle cores, with room to spare."""
FIRST_TRADE_MS = 18_000
"""When the first possible trade should clear, counted from genesis; 20 s are promised for an idle machine."""
USUAL_WORK_MS = 200
"""Processor time of `deploy.held_node.WORK` in each of two processes a core, on the machine of these figures."""
PATIENT_SLOT_MS = 1_000
"""How long a slot of a whole day takes at most where the machine is slow: the day then takes less than two minutes."""
PATIENT_RUN_MS = 60_000
"""How long shorter runs are made at most: their slots may take longer."""
ORDER_MS = 1_400
"""From the opening of a window to the block with what was posted then, at the worst: the leaders before both blocks are
dead, and beside them a node starts on the same two cores. Half of all need 250 ms, the latest of a day 1,050 ms."""
FEWEST_WINDOW, MOST_WINDOW = 2, 4
"""Slots of a window."""
TAIL_SLOTS = 6
"""From the opening of the first window to its slot, and until the last slot is settled."""
SLOWEST = 2_000


@dataclass(frozen=True, slots=True)
class Pace:
    """`lead_ms`: from genesis to the first window. `speed`: market time over clock time. `slot_ms`: of market time.
    `window`: slots in which members commit, and again in which they reveal."""

    lead_ms: int
    speed: int
    slot_ms: int = SLOT_MS
    window: int = FEWEST_WINDOW

    @property
    def slot_s(self) -> float:
        """Seconds of a slot."""
        return self.slot_ms / self.speed / 1000


def slowness_of(loaded: Sequence[Loaded], cores: int) -> int:
    """How much slower than the usual machine, idle, this one was while the nodes loaded: 100 to 2,000 percent.

    Its processors are compared by a fixed piece of work, what others took of them by the time that nodes waited.
    """
    crowd = max(1, -(-len(loaded) // cores))
    wall_ms, cpu_ms = sum(node.wall_ms for node in loaded), sum(node.cpu_ms for node in loaded)
    usual_ms = USUAL_WORK_MS * len(loaded) * crowd
    slowness = 100 * sum(node.work_ms for node in loaded) * wall_ms // (usual_ms * max(1, cpu_ms))
    return min(SLOWEST, max(100, slowness))


def lead_for(nodes: int, cores: int, members: int, slowness: int) -> int:
    """From genesis to the first window: the homes are written, the nodes open and meet, the members join."""
    crowd = max(1, -(-nodes // cores))
    return 800 + 100 * nodes + (300 * crowd + 500 + 10 * members) * slowness // 100


def quickest_slot_ms(members: int, slowness: int, slots: int) -> int:
    """How short a slot may be: it outlasts a slow block, and its transactions fit into it."""
    usual = max(QUICKEST_SLOT_MS, min(SLOWEST_SLOT_MS, members * PER_MEMBER * 1000 // USUAL_RATE))
    return min(max(PATIENT_SLOT_MS, PATIENT_RUN_MS // (slots + TAIL_SLOTS)), usual * slowness // 100)


def window_for(slot_ms: int, slowness: int) -> int:
    """Of how many slots a window is for an order to be in time at the worst."""
    return min(MOST_WINDOW, max(FEWEST_WINDOW, -(-ORDER_MS * slowness // 100 // slot_ms)))


def pace_for(
    lead_ms: int,
    trade_slots: Callable[[int], int | None],
    slowness: int = 100,
    quickest_ms: int = QUICKEST_SLOT_MS,
    slowest_ms: int = SLOWEST_SLOT_MS,
) -> Pace:
    """A slot takes `slowest_ms`, or less, but not below `quickest_ms`, where the first trade would come too late else.
    The lead and the windows are kept: a first trade that is late costs less than orders that are. `trade_slots`: from
    the opening of the first window to the first trade, with windows of so many slots."""

    def slot_for(window: int) -> int:
        first = trade_slots(window)
        due_ms = slowest_ms if first is None else (FIRST_TRADE_MS - lead_ms) // first
        return max(quickest_ms, min(slowest_ms, due_ms))

    window = FEWEST_WINDOW
    while window < MOST_WINDOW and window < window_for(slot_for(window), slowness):
        window += 1
    return Pace(lead_ms, -(-SLOT_MS // slot_for(window)), window=window)
