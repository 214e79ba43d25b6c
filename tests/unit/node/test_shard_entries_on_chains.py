"""Double votes and withdrawals on a sharded network's chains: judged on the global one, paid by a region's contract."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from sharded_chains import DEPOSIT, ShardedWorld, centre_key, member_key, network_genesis, user

from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import DoubleVote, Source, Withdrawal
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, Paid
from consensus.sharded.withdrawals import withdrawal_bytes
from contracts.values import decode_value
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_VOTE, SigningKey, address_of
from ledger.engine_settings import GLOBAL
from ledger.objects import Transaction, decode_transaction
from node import speaker as speaker_module
from node.ingress import Submitted
from node.log import node_logger
from node.shards.accuser import Accuser, Court
from node.shards.global_side import GlobalSide
from node.speaker import Voice
from node.tasks import task_scope


def vote(world: ShardedWorld, region: int, member: int, kind: VoteKind, block: bytes) -> Vote:
    """Of a member of a region, in view 5 of its chain's first epoch."""
    hosted = world.head(world.regions[region])
    key = member_key(region, member)
    voters = hosted.genesis.validator_set
    signer = voters.index_of(key.public)
    assert signer is not None
    said = vote_bytes(hosted.genesis.chain_id, voters.hash, kind, 1, 5, block)
    return Vote(kind, 1, 5, block, signer, key.sign(DOMAIN_VOTE, said))


def two_votes(world: ShardedWorld, member: int = 3) -> tuple[Vote, Vote]:
    """That no honest member of the first region signs both."""
    return vote(world, 0, member, VoteKind.FINALIZE, b"x" * 32), vote(world, 0, member, VoteKind.NULLIFY, bytes(32))


def order(world: ShardedWorld, key: SigningKey, source: Source, number: int = 0) -> bytes:
    """To a household of the first region."""
    chain_id = world.head(GLOBAL).genesis.chain_id
    bare = Withdrawal(key.public, number, source, "ra", address_of(user(0).public), bytes(64))
    signature = key.sign(DOMAIN_RECORD_SIGNATURE, withdrawal_bytes(chain_id, bare))
    return encode(msgspec.structs.replace(bare, signature=signature))


def code(world: ShardedWorld, transaction: Transaction) -> str:
    return world.receipt(transaction).code


def test_who_signed_twice_is_convicted_by_the_signatures_alone() -> None:
    world = ShardedWorld(network_genesis(2))
    world.step()
    entry = encode(DoubleVote("ra", 1, *two_votes(world)))
    other = encode(DoubleVote("rb", 1, *two_votes(world)))
    sent = [world.send(GLOBAL, user(9), "shards", "double_vote", raw) for raw in (entry, other, entry, b"rubbish")]
    world.block(GLOBAL)
    assert [code(world, one) for one in sent] == ["", "EVIDENCE_SIGNATURE", "", "MALFORMED"]
    guilty = member_key(0, 3).public
    assert world.state.removed == {guilty}
    assert world.state.pool == DEPOSIT
    row = world.head(GLOBAL).query("shards", "member", guilty)
    assert (row["deposit"], row["removed"], row["fined"]) == (0, True, DEPOSIT)
    assert world.head(GLOBAL).query("shards", "region", "ra")["fined"] == DEPOSIT
    again = world.send(GLOBAL, user(9), "shards", "double_vote", entry)
    world.block(GLOBAL)
    assert code(world, again) == "PUNISHED_BEFORE"
    world.check_conserved()


def test_a_reward_is_paid_by_the_regions_contract_once() -> None:
    world = ShardedWorld(network_genesis(2, fee=100_000, pool_blocks=4))
    world.step()
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 2_000, 300_000, 100)
    world.run(5_000)
    while not world.state.rewards:
        world.send(GLOBAL, user(9), "shards", "post", "rb", world.now.to_bytes(8, "big"))
        world.step()
    centre = centre_key(1)
    reward = world.state.rewards[centre.public]
    balance = world.head("ra").query("crossing", "balance", address_of(user(0).public))
    forged = msgspec.structs.replace(decode(Withdrawal, order(world, centre, Source.REWARD)), account=bytes(32))
    raws = [order(world, centre, Source.REWARD), encode(forged), order(world, centre, Source.REWARD, 3)]
    raws += [order(world, centre, Source.DEPOSIT), order(world, member_key(0, 1), Source.DEPOSIT)]
    raws += [order(world, member_key(0, 1), Source.REWARD)]
    sent = [world.send(GLOBAL, user(8), "shards", "withdraw", raw) for raw in raws]
    world.block(GLOBAL)
    codes = ["", "BAD_SIGNATURE", "BAD_NUMBER", "STILL_MEMBER", "STILL_MEMBER", "NOTHING_TO_WITHDRAW"]
    assert [code(world, one) for one in sent] == codes
    view = world.state.region("ra")
    assert view is not None
    assert [item for _, item in view.inbox if isinstance(item, Paid)] == [
        Paid(address_of(user(0).public), reward, "reward")
    ]
    world.check_conserved()
    shown = world.head(GLOBAL).query("shards", "inbox", "ra", view.position.inbox_count + len(view.inbox) - 1, 8)
    assert [(row["kind"], row["owner"], row["money"], row["reason"]) for row in shown] == [
        ("paid", address_of(user(0).public), reward, "reward")
    ]
    again = world.send(GLOBAL, user(8), "shards", "withdraw", raws[0])
    world.run(4_000)
    assert code(world, again) == "WITHDRAWN_BEFORE"
    assert world.head("ra").query("crossing", "balance", address_of(user(0).public)) == balance + reward
    row = world.head(GLOBAL).query("shards", "member", centre.public)
    assert row["withdrawals"] == 1
    fresh = world.centres[1].restarted().chains[GLOBAL]
    assert isinstance(fresh.side, GlobalSide)
    assert encode_global(fresh.side.state(fresh.chain.state())) == encode_global(world.state)


def test_a_node_accuses_in_turn_and_says_nothing_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_module, "TURN_S", 0.0)
    world = ShardedWorld(network_genesis(1))
    world.step()
    taken: list[bytes] = []

    async def submit(raws: Sequence[bytes]) -> list[Submitted]:
        taken.extend(raws)
        return [Submitted(None, True, "") for _ in raws]

    hosted = world.head(GLOBAL)
    key = member_key(0, 1)
    voice = Voice(key.public, key, hosted.genesis.chain_id, submit)
    seats = hosted.genesis.validator_set
    court = Court("ra", 1, seats, hosted.chain.state(), voice, (centre_key(0).public, key.public), node_logger("test"))

    async def accused() -> None:
        async with task_scope() as tasks:
            accuser = Accuser(court)
            accuser.start(tasks)
            accuser.equivocation(*two_votes(world))
            await asyncio.sleep(0.05)

    asyncio.run(accused())
    (raw,) = taken
    body = decode_transaction(raw).body
    assert (body.contract, body.entry) == ("shards", "double_vote")
    (argument,) = decode_value(body.arguments)
    world.send(GLOBAL, user(9), "shards", "double_vote", argument)
    world.block(GLOBAL)
    assert world.state.removed == {member_key(0, 3).public}
    court = Court("ra", 1, seats, hosted.chain.state(), voice, court.speakers, court.log)
    asyncio.run(accused())
    assert len(taken) == 1, "the global chain has removed it"
