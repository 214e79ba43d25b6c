"""What founding adds for engine `sharded`: regions with their members, and which chain has which contracts.

Every region has the contract library; in market C orders may cross into other regions. The centres' chain has the
contract of governance, and `shards`, by which the engine takes regions' records and shows what came of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from contracts.library_crossing import Crossing
from contracts.library_shards import shards_contract
from contracts.library_sources import AuctionMode, Installation
from deploy.network import NetworkPlan, RegionPlan
from ledger.engine_settings import (
    GLOBAL,
    LEAST_MEMBERS,
    MOST_CANDIDATES,
    GenesisValidator,
    RegionSettings,
    ShardSettings,
)
from ledger.errors import ConfigError
from ledger.genesis import GenesisContract

_REGIONS: Final = ("north", "south", "east", "west")


def default_regions(count: int, members: int) -> tuple[RegionPlan, ...]:
    """Regions by the points of the compass, then numbered ones; members are numbered."""
    names = [_REGIONS[i] if i < len(_REGIONS) else f"region{i + 1}" for i in range(count)]
    return tuple(RegionPlan(name, tuple(f"{name}{i + 1}" for i in range(members))) for name in names)


def check_regions(plan: NetworkPlan) -> None:
    """Raise `ConfigError` unless engine and regions go together and each set of voters is large enough."""
    sharded = plan.engine == "sharded"
    if sharded != bool(plan.regions):
        raise ConfigError(
            "engine sharded and regions go together",
            code="REGIONS",
            expected="regions" if sharded else "no regions",
            found=f"engine {plan.engine}, {len(plan.regions)} regions",
            fix="give --engine sharded --regions N, or leave --regions away",
        )
    sets = [("the centres", plan.names), *((region.name, region.members) for region in plan.regions)]
    for name, members in sets if sharded else ():
        if not LEAST_MEMBERS <= len(members) <= MOST_CANDIDATES:
            few = len(members) < LEAST_MEMBERS
            raise ConfigError(
                f"{name}: too few, nobody may be faulty" if few else f"{name}: too many",
                code="REGIONS",
                expected=f"{LEAST_MEMBERS} to {MOST_CANDIDATES}",
                found=len(members),
                fix=f"choose {'more' if few else 'fewer'} --members or --centres",
            )


def shard_settings(plan: NetworkPlan, voters: Mapping[str, GenesisValidator]) -> ShardSettings | None:
    """The regions of genesis; None for another engine. `voters`: every organisation's, by name."""
    if not plan.regions:
        return None
    regions = tuple(RegionSettings(r.name, tuple(voters[member] for member in r.members)) for r in plan.regions)
    return replace(plan.sharding, regions=regions)


def crossing_of(plan: NetworkPlan) -> Crossing | None:
    """How orders cross into other regions; None where they do not."""
    return plan.crossing if plan.regions and isinstance(plan.mode, AuctionMode) else None


def warnings_of(plan: NetworkPlan) -> tuple[str, ...]:
    """What somebody who founds this should know."""
    if not plan.regions or crossing_of(plan) is not None:
        return ()
    return (
        "only regions of market C trade with each other: here each trades for itself alone, and rewards and "
        "deposits cannot be taken out of the global chain (NO_ACCOUNTS)",
    )


def contracts_of_chains(
    plan: NetworkPlan, library: Sequence[Installation], governance: Installation
) -> list[GenesisContract]:
    """The contracts of genesis, each with the chain that has it."""
    every = [GenesisContract(i.name, i.source, i.arguments, i.calls) for i in (*library, governance)]
    if plan.regions:
        every.append(replace(every[-1], chain=GLOBAL))
        shards = shards_contract()
        every.append(GenesisContract(shards.name, shards.source, shards.arguments, shards.calls, GLOBAL))
    return every
