"""The plan of a network: what `deploy.founding.make_network` writes to disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contracts.library_crossing import Crossing
from contracts.library_sources import AuctionMode, Calendar, CommunityMode, MatchingMode, Tariffs
from contracts.wind_mode import WindMode
from ledger.engine_settings import LEAST_MEMBERS, EngineSettings, ShardSettings

MarketMode = AuctionMode | CommunityMode | MatchingMode | WindMode
INSTITUTIONS: Final = ("energy_bureau", "grid_company", "notary", "trading_center")
"""Roles of the contract library, in the order of the default organisations bureau, grid, notary, trading."""
COMMUNITY: Final = "community"
"""The account that lost deposits go to."""


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """A region of engine `sharded` and the organisations whose nodes run its chain."""

    name: str
    members: tuple[str, ...]


USUAL_VALIDATORS: Final = {"solo": 1, "dpos": 5}
"""Where it is not four; with five, the four seats of `dpos` are contested."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What to found. Times are milliseconds; market time = `origin_ms` + `speed` * (block time - genesis time).

    `genesis_time_ms` None: now. `origin_ms` None: market time is block time. `calendar` None: slots of `slot_minutes`
    counted from 1970, the first one opens as soon as the chain runs. `seats`: of the council of engine `dpos`, None:
    four. `regions`: of engine `sharded`, whose centres are `names`; `sharding`:
    its rules, the regions in it are set by `regions`; `crossing`: how they trade with each other in market C.
    `accounts`: names of further keys made under DIR/keys. Ports begin at `first_*_port` and step over busy ones; 0 lets
    the system choose. `strangers`: nodes take transactions of accounts that nobody knows. `epoch_blocks`: after so many
    the committee of `bft` may be another. `passphrase` encrypts the validators' and accounts' key files.
    """

    directory: Path
    chain_name: str = "dev-grid"
    engine: str = "bft"
    names: tuple[str, ...] = ("bureau", "grid", "notary", "trading")
    seats: int | None = None
    regions: tuple[RegionPlan, ...] = ()
    sharding: ShardSettings = field(default_factory=lambda: ShardSettings(()))
    crossing: Crossing = field(default_factory=Crossing)
    speed: int = 1
    slot_minutes: int = 15
    genesis_time_ms: int | None = None
    origin_ms: int | None = None
    calendar: Calendar | None = None
    tariffs: Tariffs = field(default_factory=Tariffs)
    mode: MarketMode = field(default_factory=lambda: AuctionMode(sealed=True))
    accounts: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    first_api_port: int = 8600
    first_p2p_port: int = 8700
    lan: bool = True
    min_block_interval_ms: int | None = None
    epoch_blocks: int = EngineSettings().epoch_blocks
    log_format: str = "json"
    strangers: bool = False
    passphrase: bytes | None = field(default=None, repr=False)

    @property
    def organisations(self) -> tuple[str, ...]:
        """Whoever has a node: `names`, then the members of the regions."""
        return (*self.names, *(member for region in self.regions for member in region.members))

    @property
    def council_seats(self) -> int:
        """Seats of the council; 0 where no council is elected."""
        if self.engine != "dpos":
            return 0
        return LEAST_MEMBERS if self.seats is None else self.seats
