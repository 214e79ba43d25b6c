"""How fast the day in regions goes: it lasts as long everywhere, unless somebody chooses its speed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from deploy.demo_options import DemoOptions
from deploy.held import Loaded
from deploy.market.interface import Market
from deploy.pace import Pace, lead_for, slowness_of

HOUR_MS: Final = 3_600_000
SPARE_MS: Final = 6_000
"""More than `lead_for`: every node opens two chains, and members join three of them side by side."""
LONGEST_LEAD_MS: Final = 90_000
RUN_MS: Final = 300_000
"""How long a whole day may take from the loading of nodes to its last settlement."""
TAIL_SLOTS: Final = 4
QUICKEST_MS: Final = 4_000
SLOWEST_MS: Final = 9_000


def pace_of_regions(options: DemoOptions, market: Market, members: int, loaded: Sequence[Loaded]) -> Pace:
    """The day shares the time that loading and the start leave of a run."""
    cores = os.cpu_count() or 1
    slowness = slowness_of(loaded, cores)
    lead_ms = min(LONGEST_LEAD_MS, lead_for(len(loaded), cores, members, slowness) + SPARE_MS * slowness // 100)
    if options.speed is not None:
        return Pace(lead_ms, options.speed, HOUR_MS)
    numbers = range(options.start, options.start + options.slots)
    ahead = market.calendar(HOUR_MS, 0, numbers, sealed=not options.published).open_slots
    left_ms = RUN_MS - lead_ms - max(one.wall_ms for one in loaded)
    slot_ms = min(SLOWEST_MS, max(QUICKEST_MS, left_ms // (options.slots + ahead + TAIL_SLOTS)))
    return Pace(lead_ms, HOUR_MS // slot_ms, HOUR_MS)
