"""The genesis of each chain of a sharded network."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace
from shard_genesis_world import sharded_genesis

from ledger.codec import decode, encode
from ledger.engine_settings import check_shards
from ledger.errors import GenesisError
from ledger.genesis import GenesisSummary, check_genesis
from ledger.shard_genesis import (
    ONLY,
    chains_of,
    chains_of_voter,
    check_chain_genesis,
    founders_of,
    home_chain,
    hosted_genesis,
)


def test_each_chain_has_its_own_name_engine_voters_and_contracts() -> None:
    genesis = sharded_genesis()
    assert chains_of(genesis) == ("global", "north", "south")
    hosted = {chain: hosted_genesis(genesis, chain) for chain in chains_of(genesis)}
    assert [one.engine for one in hosted.values()] == ["global", "region", "region"]
    assert [one.name for one in hosted.values()] == ["dev-grid-global", "dev-grid-north", "dev-grid-south"]
    assert [[c.chain for c in one.contracts] for one in hosted.values()] == [["global"], ["", "north"], [""]]
    assert hosted["global"].validators == genesis.validators
    assert hosted["south"].validator_set.validators[0].public_key == bytes([20]) * 32
    assert len({one.chain_id for one in (genesis, *hosted.values())}) == 4
    for chain, one in hosted.items():
        assert one.summary == hosted_genesis(sharded_genesis(), chain).summary, "a pure function"
        assert decode(GenesisSummary, encode(one.summary)) == one.summary, "what the store keeps is read back"


def test_every_chain_commits_to_the_members_of_all_regions() -> None:
    north = hosted_genesis(sharded_genesis(), "north")
    other = hosted_genesis(sharded_genesis(("north", "east")), "north")
    assert north.validators == other.validators
    assert north.hash != other.hash


def test_who_hosts_what() -> None:
    genesis = sharded_genesis()
    centre, member, stranger = bytes([1]) * 32, bytes([21]) * 32, bytes([99]) * 32
    assert (home_chain(genesis, centre), chains_of_voter(genesis, centre)) == ("global", ("global", "north", "south"))
    assert (home_chain(genesis, member), chains_of_voter(genesis, member)) == ("south", ("south", "global"))
    assert (home_chain(genesis, stranger), chains_of_voter(genesis, stranger)) == (None, ())


def test_a_network_of_one_chain_is_itself() -> None:
    genesis = msgspec.structs.replace(sharded_genesis(), engine="bft", shards=None)
    assert chains_of(genesis) == (ONLY,)
    assert hosted_genesis(genesis, ONLY) is genesis
    assert chains_of_voter(genesis, bytes([2]) * 32) == (ONLY,)


def test_an_unknown_chain_is_refused_with_those_there_are() -> None:
    with pytest.raises(GenesisError) as refused:
        founders_of(sharded_genesis(), "east")
    assert refused.value.code == "UNKNOWN_CHAIN"
    assert refused.value.expected == "global or north or south"


@pytest.mark.parametrize("region", ["a_b", "r" * 60, "global"])
def test_a_region_whose_name_makes_no_chain_name_is_refused(region: str) -> None:
    genesis = sharded_genesis((region, "south"))
    with pytest.raises(GenesisError) as refused:
        check_shards("sharded", genesis.name, genesis.shards, genesis.validators)
    assert refused.value.code == "GENESIS_ENGINE"


def test_a_chains_genesis_is_checked_as_far_as_it_can_be() -> None:
    """Proofs of regions start from it; its keys were proved for the network's name, so `check_genesis` refuses it."""
    genesis = sharded_genesis()
    for name in chains_of(genesis):
        hosted = hosted_genesis(genesis, name)
        with pytest.raises(GenesisError):
            check_genesis(hosted)
        check_chain_genesis(hosted)
        check_chain_genesis(hosted.summary)
    region = hosted_genesis(genesis, chains_of(genesis)[1])
    with pytest.raises(GenesisError, match="first committee"):
        check_chain_genesis(replace(region, validators=genesis.validators))
    with pytest.raises(GenesisError):
        check_chain_genesis(replace(region, shards=None))


def test_rules_of_sharding_that_would_blame_the_honest_or_name_nobody_are_refused() -> None:
    genesis = sharded_genesis()
    assert genesis.shards is not None
    good, regions = genesis.shards, genesis.shards.regions
    check_shards("sharded", genesis.name, good, genesis.validators)
    for wrong in (
        replace(good, audit="assigned", assigned_rounds=1),
        replace(good, audit="sometimes"),
        replace(good, lottery="dice"),
        replace(good, takeover_rounds=good.stale_rounds),
        replace(good, regions=()),
        replace(good, regions=(regions[0], regions[0])),
        replace(good, regions=(replace(regions[0], validators=regions[0].validators[:3]), *regions[1:])),
        replace(good, regions=(replace(regions[0], name="global"), *regions[1:])),
    ):
        with pytest.raises(GenesisError) as refused:
            check_shards("sharded", genesis.name, wrong, genesis.validators)
        assert refused.value.code == "GENESIS_ENGINE"
    for engine, shards in (("bft", good), ("sharded", None)):
        with pytest.raises(GenesisError):
            check_shards(engine, genesis.name, shards, genesis.validators)
