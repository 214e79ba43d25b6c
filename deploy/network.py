"""Founding a network: keys, certificates, genesis with the contract library, one home per node. Nothing is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

INSTITUTIONS: Final = ("energy_bureau", "grid_company", "notary", "trading_center")
"""Roles of the contract library, in the order of the default organisations bureau, grid, notary, trading."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What to found. Times are milliseconds; market time = `origin_ms` + `speed` * (block time - genesis time).

    `accounts`: names of further keys made under DIR/keys. `market`: overrides of the contracts' genesis parameters.
    `first_api_port` 0 lets the system choose ports. `passphrase` encrypts all key files.
    """

    directory: Path
    chain_name: str = "dev-grid"
    engine: str = "bft"
    names: tuple[str, ...] = ("bureau", "grid", "notary", "trading")
    speed: int = 1
    slot_minutes: int = 15
    genesis_time_ms: int | None = None
    origin_ms: int | None = None
    market: Mapping[str, object] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    first_api_port: int = 8600
    first_p2p_port: int = 8700
    lan: bool = True
    log_format: str = "json"
    passphrase: bytes | None = None
