"""What the command line asks of `gridchain demo`, and what of that no demo can play."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.market.roster import DEFAULT
from deploy.neighbourhood import DEFAULT_DATA, SLOTS, default_first_slot
from deploy.network import USUAL_VALIDATORS
from deploy.pace import HIGHEST_SPEED
from ledger.errors import ConfigError
from ledger.genesis import ENGINES

MOST_NODES = 16
"""Each is a process; up to so many the mesh is full."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asks for. `first_slot` None: centred on noon. `directory` None: a temporary one, removed at
    the end. `speed` None: as slow as the first trade allows. `kill`: show the failure of one validator, where the
    others are a quorum without it; with `dpos` one that withholds its blocks. `published`: plain orders, that everybody
    can read."""

    market: str = DEFAULT
    published: bool = False
    slots: int = SLOTS
    first_slot: int | None = None
    day: str = "2016-06-14"
    data: Path = DEFAULT_DATA
    seed: int = 7
    engine: str = "bft"
    validators: int | None = None
    directory: Path | None = None
    speed: int | None = None
    kill: bool = True

    @property
    def nodes(self) -> int:
        """Number of validator processes: four, one for `solo`, five for `dpos`."""
        if self.validators is not None:
            return self.validators
        return USUAL_VALIDATORS.get(self.engine, 4)

    @property
    def start(self) -> int:
        """Index of the first slot in the day."""
        return default_first_slot(self.slots) if self.first_slot is None else self.first_slot


def check_options(options: DemoOptions) -> None:
    """Raise `ConfigError` for a day, a speed or a number of nodes that there is not."""
    _check_nodes(options)
    if not 1 <= options.slots <= SLOTS:
        raise ConfigError(
            "a run has 1 to 96 slots",
            code="SLOTS",
            expected=f"1 .. {SLOTS}",
            found=options.slots,
            fix="choose another --slots",
        )
    if not 0 <= options.start <= SLOTS - options.slots:
        raise ConfigError(
            "the slots leave the day",
            code="FIRST_SLOT",
            expected=f"--first-slot 0 .. {SLOTS - options.slots} with --slots {options.slots}",
            found=options.start,
            fix="choose another --first-slot, or fewer --slots",
        )
    if options.speed is not None and not 1 <= options.speed <= HIGHEST_SPEED:
        raise ConfigError(
            "no order could meet its window at this speed" if options.speed > 0 else "market time must run",
            code="SPEED",
            expected=f"1 .. {HIGHEST_SPEED}: a slot takes as long as a block at least",
            found=options.speed,
            fix="leave --speed away: the demo then measures what this machine carries",
        )


def _check_nodes(options: DemoOptions) -> None:
    if options.engine not in ENGINES:
        raise ConfigError(
            "unknown engine",
            code="GENESIS_ENGINE",
            expected=" or ".join(ENGINES),
            found=options.engine,
            fix="choose another --engine",
        )
    if options.engine == "solo" and options.nodes != 1:
        raise ConfigError(
            "engine solo has one validator",
            code="VALIDATORS",
            expected=1,
            found=options.nodes,
            fix="leave --validators away, or use --engine bft",
        )
    if not 1 <= options.nodes <= MOST_NODES:
        raise ConfigError(
            "a demo has a validator, and no more processes than a machine carries",
            code="VALIDATORS",
            expected=f"1 .. {MOST_NODES}",
            found=options.nodes,
            fix="choose another --validators; `gridchain simulate --nodes` has no processes",
        )
