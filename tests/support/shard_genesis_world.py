"""Genesis documents of sharded networks with keys that nobody has: for what is a pure function of them."""

from __future__ import annotations

from ledger.engine_settings import EngineSettings, GenesisValidator, RegionSettings, ShardSettings
from ledger.genesis import GENESIS_VERSION, Genesis, GenesisContract, GenesisLimits, MarketClockSettings, Member


def voters(first: int, count: int) -> tuple[GenesisValidator, ...]:
    keys = [bytes([first + i]) * 32 for i in range(count)]
    return tuple(GenesisValidator(f"v{key[0]}", key, 1, bytes(64)) for key in keys)


def sharded_genesis(regions: tuple[str, ...] = ("north", "south"), name: str = "dev-grid") -> Genesis:
    centres = voters(1, 4)
    shards = ShardSettings(tuple(RegionSettings(r, voters(10 * (i + 1), 4)) for i, r in enumerate(regions)))
    everybody = (*centres, *(one for region in shards.regions for one in region.validators))
    members = tuple(
        Member(v.name, v.name, ("validator", "peer"), node_key=v.public_key, validator_key=v.public_key)
        for v in everybody
    )
    contracts = tuple(GenesisContract("token", f"# {chain}", b"", (), chain) for chain in ("", "global", *regions[:1]))
    return Genesis(
        version=GENESIS_VERSION,
        name=name,
        time_ms=1_700_000_000_000,
        engine="sharded",
        profile="safe",
        engine_parameters=EngineSettings(),
        validators=centres,
        members=members,
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GenesisLimits(),
        council=None,
        shards=shards,
        contracts=contracts,
    )
