"""What a genesis fixes for its engine: paces for all, the council of `dpos`, regions and centres of `sharded`."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ledger.codec import Bytes32, Bytes64, ShortText, Uint, Wire
from ledger.errors import GenesisError
from ledger.objects import Name
from ledger.validators import MAX_VALIDATORS

Positive = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
Share = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
GLOBAL: Final = "global"
"""The name of the centres' chain in a sharded network; no region has it."""
MAX_NETWORK_NAME: Final = 64
MAX_REGIONS: Final = 64
LEAST_ASSIGNED_ROUNDS: Final = 2
"""With one, an honest centre whose attestation comes a block late would be called silent."""
LEAST_MEMBERS: Final = 4
"""Of a region, of the centres or of a council: with fewer, nobody may be faulty (F = 0)."""
MOST_CANDIDATES: Final = 150
MOST_SEATS: Final = 50
"""Of a council: the sizes that `dpos` was simulated with."""
AUDITS: Final = ("eager", "next_round", "assigned")
LOTTERIES: Final = ("work", "hash")


def floor_size(seats: int) -> int:
    """The least number of eligible members of a council: max(4, N / 2) (consensus B.4)."""
    return max(LEAST_MEMBERS, (seats + 1) // 2)


class EngineSettings(Wire, frozen=True):
    """What genesis fixes for the engine. Milliseconds and blocks (consensus A.4, A.8, A.9).

    `delta_ms`: bound on one message delay, 500, or 150 with `lan`. `min_block_interval_ms`: least distance of block
    times.
    """

    delta_ms: Positive = 500
    min_block_interval_ms: Uint = 250
    epoch_blocks: Positive = 1024
    heartbeat_ms: Positive = 30_000
    lan: bool = False


class GenesisValidator(Wire, frozen=True):
    """A voter of the first epoch. `possession`: by its key over (network name, "validator", key)."""

    name: ShortText
    public_key: Bytes32
    weight: Positive
    possession: Bytes64


class CouncilSettings(Wire, frozen=True):
    """Engine `dpos` (markets 5, consensus B.4). `seats`: N, 4 to 50. `floor`: names of validators that are never all
    missing, at least `floor_size`. `bar_elections`: K. `alpha`: weight of reputation in the composite score, ppm."""

    seats: Positive
    floor: tuple[ShortText, ...]
    bar_elections: Positive = 3
    alpha: Share = 700_000


class RegionSettings(Wire, frozen=True):
    """A region and who votes on its chain at first."""

    name: Name
    validators: tuple[GenesisValidator, ...]


class ShardSettings(Wire, frozen=True):
    """Engine `sharded` (consensus B.2). Rounds are `round_ms` of block time since genesis; they count records, so a
    round is at most a market slot.

    `audit`: eager, next_round (published) or assigned. `lottery`: work or hash. `region_views`: views of a region's
    epoch, so of a lottery. `deposit`: of each member of a region, micro-units. Shares in ppm of a deposit, `fee` of the
    money of a trade across regions. `stale_rounds`, `takeover_rounds`: D and D2. `pool_blocks`: global blocks between
    two splits of the pool.
    """

    regions: tuple[RegionSettings, ...]
    round_ms: Positive = 5_000
    audit: str = "eager"
    lottery: str = "work"
    region_views: Positive = 256
    stale_rounds: Positive = 3
    takeover_rounds: Positive = 10
    penalty_rounds: Positive = 8
    assigned_rounds: Positive = 2
    inbox_limit: Positive = 10_000
    deposit: Uint = 100_000_000
    lying: Share = 100_000
    signer: Share = 100_000
    fee: Share = 1_000
    pool_blocks: Positive = 64


def check_council(engine: str, council: CouncilSettings | None, validators: tuple[GenesisValidator, ...]) -> None:
    """Raise `GenesisError` unless council and engine fit."""
    if (engine == "dpos") != (council is not None):
        raise _refused(
            "engine dpos and a council go together", engine, "no council" if council is None else "a council"
        )
    if council is None:
        return
    if not LEAST_MEMBERS <= len(validators) <= MOST_CANDIDATES:
        raise _refused("too few or too many for a council", f"{LEAST_MEMBERS} to {MOST_CANDIDATES}", len(validators))
    most = min(MOST_SEATS, len(validators))
    if not LEAST_MEMBERS <= council.seats <= most:
        raise _refused("a council has another number of seats", f"{LEAST_MEMBERS} to {most}", council.seats)
    names = {validator.name for validator in validators}
    if set(council.floor) - names or len(set(council.floor)) != len(council.floor):
        raise _refused("the floor of the council names validators, each once", sorted(names), list(council.floor))
    if len(council.floor) < floor_size(council.seats):
        raise _refused("the floor of the council is too small", floor_size(council.seats), len(council.floor))
    if any(validator.weight != 1 for validator in validators):
        raise _refused("each member of a council weighs 1", 1, sorted({validator.weight for validator in validators}))


def check_shards(
    engine: str, network: str, shards: ShardSettings | None, centres: tuple[GenesisValidator, ...]
) -> None:
    """Raise `GenesisError` unless every region has a name and members of its own and all sets are large enough."""
    if (engine == "sharded") != (shards is not None):
        raise _refused("engine sharded and regions go together", engine, "no regions" if shards is None else "regions")
    if shards is None:
        return
    names = [region.name for region in shards.regions]
    if not names or len(set(names)) != len(names) or GLOBAL in names:
        raise _refused("regions need different names", f"one or more, none of them {GLOBAL}", names)
    if len(names) > MAX_REGIONS:
        raise _refused("too many regions", f"at most {MAX_REGIONS}", len(names))
    for name in names:  # each names a chain, network-region, by the rules of a network's name
        if not name.isalnum() or len(network) + 1 + len(name) > MAX_NETWORK_NAME:
            wanted = f"letters and digits, with the network's name and a hyphen at most {MAX_NETWORK_NAME}"
            raise _refused("a region's name is part of its chain's", wanted, f"{network}-{name}")
    keys = [one.public_key for region in shards.regions for one in region.validators]
    keys += [one.public_key for one in centres]
    if len(set(keys)) != len(keys):
        raise _refused("a key votes in two chains", "one chain for each voting key", "a key twice")
    for name, members in (*((region.name, region.validators) for region in shards.regions), (GLOBAL, centres)):
        if not LEAST_MEMBERS <= len(members) <= MAX_VALIDATORS:
            raise _refused(f"{name} has too few or too many members", f"at least {LEAST_MEMBERS}", len(members))
    for what, known, found in (("audit", AUDITS, shards.audit), ("lottery", LOTTERIES, shards.lottery)):
        if found not in known:
            raise _refused(f"{what} is unknown", ", ".join(known), found)
    if shards.audit == "assigned" and shards.assigned_rounds < LEAST_ASSIGNED_ROUNDS:
        raise _refused(
            "assigned centres need time to speak", f"assigned_rounds >= {LEAST_ASSIGNED_ROUNDS}", shards.assigned_rounds
        )
    if shards.takeover_rounds <= shards.stale_rounds:
        raise _refused("a region is stale before it is taken over", "takeover_rounds > stale_rounds", shards)


def _refused(message: str, expected: object, found: object) -> GenesisError:
    return GenesisError(message, code="GENESIS_ENGINE", expected=expected, found=found, fix="correct the document")
