"""What the processes of a demo load before their network is founded, and the pace that follows from what it took."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from contracts.library_crossing import Crossing
from contracts.library_sources import (
    COMMITTEE,
    COUNCIL,
    SHARDS,
    Institutions,
    LibraryParameters,
    library_contracts,
)
from contracts.self_test import self_test
from deploy.demo_options import DemoOptions
from deploy.founding_checks import check_vacant
from deploy.held import Held, Loaded
from deploy.market.interface import Market
from deploy.neighbourhood import SLOTS, Neighbourhood, Plan
from deploy.pace import SLOT_MS, Pace, lead_for, pace_for, quickest_slot_ms, slowness_of, window_for

_ELECTING: Final = {"bft": (COMMITTEE,), "dpos": (COUNCIL,), "sharded": (SHARDS,)}
"""What an engine has besides the library."""


def processes(
    options: DemoOptions, market: Market, directory: Path, names: Sequence[str]
) -> AbstractContextManager[Held]:
    """The nodes' processes, loading. Raise `ConfigError` where a network is already."""
    check_vacant(directory)
    self_test()  # founding makes it once in a process: the network's clock must not wait for it
    return Held.open(directory, names, contracts_of(options, market))


def contracts_of(options: DemoOptions, market: Market) -> tuple[str, ...]:
    """The contracts of the library that genesis will install."""
    sealed = not options.published
    numbers = range(options.start, options.start + options.slots)
    anybody = Institutions(*(bytes([number]) * 32 for number in range(5)))
    any_day_ms = SLOTS * SLOT_MS  # windows of its first slots open the day before
    calendar = market.calendar(SLOT_MS, any_day_ms, numbers, sealed=sealed)
    mode = market.mode(sealed=sealed, slots=options.slots)
    crossing = Crossing() if options.engine == "sharded" else None
    installed = library_contracts(LibraryParameters(anybody, calendar, mode, crossing=crossing))
    own = _ELECTING.get(options.engine, ())
    return ("governance", *own, *(installation.name for installation in installed))


def pace_of(options: DemoOptions, market: Market, street: Neighbourhood, plan: Plan, loaded: Sequence[Loaded]) -> Pace:
    """How fast this run goes; `--speed` decides if it is given."""
    cores, members = os.cpu_count() or 1, len(street.members)
    slowness = slowness_of(loaded, cores)
    lead_ms = lead_for(options.nodes, cores, members, slowness) + market.spare_ms * slowness // 100
    if options.speed is not None:
        return Pace(lead_ms, options.speed, window=window_for(SLOT_MS // options.speed, slowness))
    numbers = range(options.start, options.start + options.slots)

    def trade_slots(window: int) -> int | None:
        calendar = market.calendar(SLOT_MS, 0, numbers, sealed=not options.published, window=window)
        return market.first_trade(street, plan, numbers, calendar)

    quickest_ms = quickest_slot_ms(members, slowness, options.slots)
    return pace_for(lead_ms, trade_slots, slowness, quickest_ms, market.slowest_slot_ms)
