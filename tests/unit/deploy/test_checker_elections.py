"""The demo's check follows committees that elections name: real blocks of `dpos`, whole and with one thing changed."""

from __future__ import annotations

from dataclasses import replace

from council_world import CouncilWorld
from demo_runs import TARIFFS

from deploy.market.roster import market_of
from deploy.settlement_checker import Calendar, Network, ServedBlock, check
from ledger.validators import Validator


def served(world: CouncilWorld) -> list[ServedBlock]:
    """Every block, from a node that did not propose it."""
    return [
        ServedBlock(
            height=kept.block.header.height,
            header=kept.block.header_bytes,
            body=kept.block.body_bytes,
            receipts=kept.receipt_bytes,
            final_by=kept.block.header.height,
            certificate=certificate,
            closing=(),
            source="a follower",
        )
        for kept, certificate in zip(world.kept, world.certificates, strict=True)
    ]


def network_of(world: CouncilWorld) -> Network:
    genesis = world.genesis
    return Network(
        chain_id=genesis.chain_id,
        genesis_hash=genesis.hash,
        genesis_block=world.chain.header_bytes(0) or b"",
        validators=genesis.validator_set,
        tariffs=TARIFFS,
        calendar=Calendar(genesis.time_ms, 0, 1, 0, 900_000),
        grid_account=bytes(32),
        proposers={one.public_key: one.name for one in genesis.validators},
        market=market_of("C"),
        electable=tuple(Validator(one.name, one.public_key) for one in genesis.validators),
    )


def test_certificates_are_those_of_the_committee_that_the_last_election_named() -> None:
    world = CouncilWorld()
    for _ in range(3):
        world.end_epoch(*world.ready(*range(6)))
    assert world.queue != ["v0", "v1", "v2", "v3"]
    network, blocks = network_of(world), served(world)
    verdict = check(network, blocks, ())
    assert verdict.problems == []
    assert verdict.blocks == len(world.kept) == 12

    others = check(replace(network, electable=network.electable[::-1]), blocks, ())
    assert any("the committee after height 4 is wrong" in problem for problem in others.problems)
    stale = [*blocks[:-1], replace(blocks[-1], certificate=blocks[3].certificate)]
    assert check(network, stale, ()).problems
    none = check(replace(network, electable=()), blocks, ())
    assert any("an election is wrong" in problem for problem in none.problems)
