"""Entries of the global chain that members bring: two votes of a member, withdrawals of rewards and deposits."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from shard_world import MONEY, ShardWorld, agreed, hash_named, key_of, members, order, vote, votes_of

from consensus.sharded.admission import choose, fault, region_of
from consensus.sharded.discipline import Offence, ShardRules
from consensus.sharded.evidence import accused_in
from consensus.sharded.global_codec import decode_global, encode_global
from consensus.sharded.global_state import DoubleVote, GlobalEntry, NewMembers, Posted, Source
from consensus.sharded.records import Asset, Paid
from consensus.sharded.withdrawals import held_for, withdrawal_bytes
from consensus.simulator.scheme import mock_sign
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH
from ledger.engine_settings import GLOBAL
from ledger.errors import GenesisError
from ledger.validators import ValidatorSet

DEPOSIT = 1_000_000
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
ONE, TWO = hash_named("one"), hash_named("two")
TWICE = (NOTARIZE, ONE), (NOTARIZE, TWO)


def refused(world: ShardWorld, entry: GlobalEntry) -> str:
    """Its code, which leaders know before and the block finds alike; "" if it takes effect."""
    known = fault(world.context, world.state, entry)
    (code,) = world.block(entry, rounds=0).refused or ("",)
    assert code == known
    return code


# --- double votes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((NOTARIZE, ONE), (NOTARIZE, TWO)),
        ((FINALIZE, ONE), (FINALIZE, TWO)),
        ((NULLIFY, ZERO_HASH), (FINALIZE, ONE)),
        ((FINALIZE, ONE), (NULLIFY, ZERO_HASH)),
    ],
)
def test_two_votes_cost_deposit_and_seat(first: tuple[VoteKind, bytes], second: tuple[VoteKind, bytes]) -> None:
    world = ShardWorld()
    guilty = world.own[0].validators.validators[2].public_key
    entry = votes_of(world, first, second)
    assert region_of(world.state, entry) == "r0"
    assert accused_in(world.view(0), entry) == guilty
    outcome = world.block(entry)
    ((member, region, seq, offence, fine),) = [
        (one.member, one.region, one.seq, one.offence, one.fine) for one in outcome.fined
    ]
    assert (member, region, seq, offence, fine) == (guilty, "r0", 0, Offence.DOUBLE_VOTE.value, DEPOSIT)
    assert world.state.pool == DEPOSIT
    assert world.state.removed == {guilty}
    assert not world.state.may_publish(world.view(0), guilty)
    ((epoch, reason, size),) = [(one.epoch, one.reason, len(one.members)) for one in outcome.epochs]
    assert (epoch, reason, size) == (2, "two votes", 3)


def test_it_counts_once_whoever_brings_it_and_however_often() -> None:
    world = ShardWorld()
    entries = [votes_of(world, *TWICE), votes_of(world, (NULLIFY, ZERO_HASH), (FINALIZE, ONE)), votes_of(world, *TWICE)]
    outcome = world.block(*entries)
    assert (len(outcome.fined), outcome.refused) == (1, ("PUNISHED_BEFORE", "PUNISHED_BEFORE"))
    assert refused(world, entries[1]) == "PUNISHED_BEFORE", "its epoch is that before now"
    assert (world.view(0).epoch, world.state.pool) == (2, DEPOSIT)


def test_what_proves_nothing_has_a_code() -> None:
    world = ShardWorld()
    good = votes_of(world, *TWICE)
    change = msgspec.structs.replace
    stranger = vote("chain-r1", world.own[1].validators, 2, NOTARIZE, TWO)
    for entry, code in (
        (votes_of(world, (NOTARIZE, ONE), (NOTARIZE, ONE)), "EVIDENCE_EMPTY"),
        (votes_of(world, (NOTARIZE, ONE), (FINALIZE, TWO)), "EVIDENCE_EMPTY"),
        (votes_of(world, (NOTARIZE, ONE), (NULLIFY, ZERO_HASH)), "EVIDENCE_EMPTY"),
        (change(good, second=change(good.second, view=8)), "EVIDENCE_EMPTY"),
        (change(good, second=change(good.second, signer=3)), "EVIDENCE_EMPTY"),
        (change(good, second=change(good.second, signature=bytes(64))), "EVIDENCE_SIGNATURE"),
        (change(good, second=stranger), "EVIDENCE_SIGNATURE"),
        (
            change(good, first=change(good.first, signer=1 << 40), second=change(good.second, signer=1 << 40)),
            "EVIDENCE_SIGNATURE",
        ),
        (change(good, epoch=2), "EVIDENCE_EPOCH"),
        (change(good, epoch=0), "EVIDENCE_EPOCH"),
        (change(good, region="nowhere"), "NO_REGION"),
    ):
        assert refused(world, entry) == code, entry
    assert world.state.removed == frozenset()
    assert world.state.pool == 0


def test_all_who_signed_twice_are_convicted_before_their_region_begins_anew() -> None:
    world = ShardWorld()
    before = world.own[0].validators
    entries = [votes_of(world, *TWICE, signer=signer) for signer in (0, 1, 3)]
    assert choose(world.context, world.state, list(enumerate(entries))) == [0, 1, 2]
    outcome = world.block(*entries)
    guilty = {before.validators[signer].public_key for signer in (0, 1, 3)}
    assert outcome.refused == ()
    assert {one.member for one in outcome.fined} == guilty
    assert world.state.removed == guilty
    ((opened, epoch, reason),) = [(one.region, one.epoch, one.reason) for one in outcome.epochs]
    assert (opened, epoch, reason) == ("r0", 2, "two votes")
    assert world.view(0).validators.hash == world.centres.hash, "one member is left: the centres take over"


def test_a_centre_that_signs_twice_on_its_own_chain_earns_nothing_any_more() -> None:
    world = ShardWorld(pool_blocks=4)
    context = world.context
    first, second = (vote(context.chain_id, world.centres, 1, *parts) for parts in TWICE)
    entry = DoubleVote(GLOBAL, 1, first, second)
    guilty = world.centres.validators[1].public_key
    world.state = replace(world.state, rewards={guilty: 700, world.centres.validators[0].public_key: 50}, pool=300)
    assert choose(context, world.state, [(0, entry)]) == [0]
    world.totals[Asset.MONEY] += 1_050
    outcome = world.block(entry)
    assert [(one.member, one.region, one.offence, one.fine) for one in outcome.fined] == [
        (guilty, GLOBAL, Offence.DOUBLE_VOTE.value, 0)
    ]
    assert (world.state.removed, world.state.pool) == ({guilty}, 1_000)
    assert guilty not in world.state.rewards
    assert outcome.epochs == (), "its seat is of genesis"
    assert decode_global(encode_global(world.state)) == world.state
    assert refused(world, entry) == "PUNISHED_BEFORE"
    assert refused(world, msgspec.structs.replace(entry, epoch=2)) == "EVIDENCE_EPOCH"
    assert refused(world, msgspec.structs.replace(entry, region="r0")) == "EVIDENCE_SIGNATURE"
    for proposer in (0, 1, 1, 1):
        world.block(proposer=proposer)
    assert guilty not in world.state.rewards, "it has no share of the pool"
    assert sum(world.state.rewards.values()) + world.state.pool == 1_050


def test_only_votes_are_judged_of_the_centres_chain() -> None:
    world = ShardWorld()
    assert refused(world, Posted(GLOBAL, b"x")) == "NO_REGION"
    assert refused(world, NewMembers(GLOBAL, 1, (), (), ())) == "NO_REGION"


def test_evidence_of_the_epoch_before_is_heard_for_a_while() -> None:
    world = ShardWorld(ShardRules(evidence_rounds=5))
    early, late = votes_of(world, *TWICE, signer=0), votes_of(world, *TWICE, signer=1)
    old = world.own[0].validators
    world.block(agreed(world, members("new")))
    outcome = world.block(early)
    assert [one.member for one in outcome.fined] == [old.validators[0].public_key]
    assert outcome.epochs == (), "it has no seat to lose"
    world.block(rounds=5)
    assert refused(world, late) == "EVIDENCE_EPOCH"
    assert world.state.deposits[old.validators[1].public_key] == DEPOSIT


def test_where_a_region_cannot_begin_anew_its_member_loses_deposit_and_word_only() -> None:
    world = ShardWorld()
    world.context = replace(world.context, new_epochs=False)
    outcome = world.block(votes_of(world, *TWICE))
    assert (len(outcome.fined), outcome.epochs) == (1, ())
    assert world.view(0).epoch == 1
    assert len(world.view(0).validators) == 4
    assert refused(world, votes_of(world, *TWICE, signer=2)) == "PUNISHED_BEFORE"


def test_who_signed_twice_loses_the_seat_that_it_has_in_another_region_now() -> None:
    """Seed 2 of the property test of entries."""
    world = ShardWorld()
    mover = world.own[0].validators.validators[0]
    evidence = votes_of(world, *TWICE, signer=0)
    world.block(agreed(world, members("new")))
    old = world.own[1].validators.validators
    world.block(agreed(world, ValidatorSet((mover, *old)), 1))
    outcome = world.block(evidence)
    assert [(one.region, one.reason, len(one.members)) for one in outcome.epochs] == [("r1", "two votes", 4)]
    assert world.view(1).validators.index_of(mover.public_key) is None


def test_a_centre_that_signs_twice_where_it_stands_in_does_so_no_more() -> None:
    world = ShardWorld(ShardRules(takeover_rounds=5))
    world.block(rounds=6)
    takeover = NewMembers("r0", 1, (), (), ())
    assert [one.reason for one in world.block(takeover, rounds=0).epochs] == ["takeover"]
    assert refused(world, votes_of(world, *TWICE, signer=1)) == ""
    centres = {one.public_key for one in world.centres.validators}
    guilty = world.centres.validators[1].public_key
    assert {one.public_key for one in world.view(0).validators.validators} == centres - {guilty}
    world.block(rounds=6)
    assert refused(world, msgspec.structs.replace(takeover, epoch=3)) == "TAKEN_OVER"
    assert refused(world, NewMembers("r1", 1, (), (), ())) == ""
    assert world.view(1).validators.index_of(guilty) is None


# --- members ----------------------------------------------------------------------------------------------------------


def test_who_was_removed_never_comes_back_and_a_key_has_one_seat() -> None:
    world = ShardWorld()
    old = world.own[0].validators
    world.block(votes_of(world, *TWICE))
    kept = [one for one in old.validators if one.public_key not in world.state.removed]
    guilty = next(one for one in old.validators if one.public_key in world.state.removed)
    for stranger, code in (
        (guilty, "REMOVED_MEMBER"),
        (world.own[1].validators.validators[0], "KEY_TAKEN"),
        (world.centres.validators[0], "KEY_TAKEN"),
    ):
        assert refused(world, agreed(world, ValidatorSet((*kept, stranger)))) == code
    new = members("new", 1).validators
    assert refused(world, agreed(world, ValidatorSet((*kept, *new)))) == ""
    assert {one.public_key for one in world.view(0).validators.validators} == {one.public_key for one in (*kept, *new)}


def test_what_centres_signed_for_one_network_or_epoch_is_good_for_no_other() -> None:
    world, other = ShardWorld(), ShardWorld()
    entry = agreed(world, members("new"))
    view = other.view(0)
    regions = (replace(view, chain_id="chain-of-another-network"), *other.state.regions[1:])
    other.state = replace(other.state, regions=regions)
    assert refused(other, entry) == "BAD_SIGNATURE"
    assert refused(world, entry) == ""


# --- withdrawals ------------------------------------------------------------------------------------------------------


def earning(world: ShardWorld) -> bytes:
    """A centre with a reward of 7,000."""
    centre = world.centres.validators[1].public_key
    world.state = replace(world.state, rewards={centre: 7_000, **world.state.rewards})
    world.totals[Asset.MONEY] += 7_000
    return centre


def test_a_reward_comes_home_as_an_item_of_an_inbox() -> None:
    world = ShardWorld()
    centre = earning(world)
    account = world.own[1].accounts[1]
    outcome = world.block(order(world, centre, Source.REWARD))
    assert outcome.items == (("r1", Paid(account, 7_000, "reward")),)
    ((taken),) = outcome.withdrawn
    assert (taken.member, taken.number, taken.money) == (centre, 0, 7_000)
    assert (held_for(world.state, centre, Source.REWARD), world.state.withdrawals) == (0, {centre: 1})
    assert world.ledger(1).amount(account, Asset.MONEY) == MONEY
    world.block(world.submit(1))
    assert world.ledger(1).amount(account, Asset.MONEY) == MONEY + 7_000
    assert world.view(1).inbox == ()
    assert decode_global(encode_global(world.state)) == world.state


def test_each_signature_counts_once() -> None:
    world = ShardWorld()
    centre = earning(world)
    entry = order(world, centre, Source.REWARD)
    assert world.block(entry, entry).refused == ("WITHDRAWN_BEFORE",)
    earning(world)
    assert refused(world, entry) == "WITHDRAWN_BEFORE"
    assert refused(world, order(world, centre, Source.REWARD, 2)) == "BAD_NUMBER"
    assert refused(world, order(world, centre, Source.REWARD, 1)) == ""
    assert refused(world, order(world, centre, Source.REWARD, 2)) == "NOTHING_TO_WITHDRAW"


def test_what_is_signed_is_what_happens() -> None:
    world = ShardWorld()
    entry = order(world, earning(world), Source.REWARD)
    member = world.own[2].validators.validators[0].public_key
    change = msgspec.structs.replace
    forged = (
        change(entry, account=key_of("thief")),
        change(entry, region="r0"),
        change(entry, signature=bytes(64)),
        change(entry, signature=mock_sign(member, withdrawal_bytes("", entry))),
        change(entry, signature=mock_sign(entry.member, withdrawal_bytes("another-network", entry))),
    )
    for other in forged:
        assert refused(world, other) == "BAD_SIGNATURE"
    assert refused(world, change(entry, region="nowhere")) == "NO_REGION"
    assert refused(world, order(world, key_of("stranger"), Source.REWARD)) == "NOTHING_TO_WITHDRAW"
    world.context = replace(world.context, payees=frozenset({"r0"}))
    assert refused(world, entry) == "NO_ACCOUNTS"
    world.context = replace(world.context, payees=None, rules=ShardRules(inbox_limit=1))
    world.block(order(world, entry.member, Source.REWARD))
    earning(world)
    assert refused(world, order(world, entry.member, Source.REWARD, 1)) == "INBOX_FULL"


def test_a_deposit_stays_until_no_evidence_can_come() -> None:
    world = ShardWorld(ShardRules(evidence_rounds=5))
    leaver = world.own[0].validators.validators[0].public_key
    centre = world.centres.validators[0].public_key
    assert refused(world, order(world, leaver, Source.DEPOSIT)) == "STILL_MEMBER"
    assert refused(world, order(world, centre, Source.DEPOSIT)) == "STILL_MEMBER"
    late = votes_of(world, *TWICE, signer=0)
    world.block(agreed(world, members("new")))
    world.block(rounds=5)
    assert refused(world, order(world, leaver, Source.DEPOSIT)) == "EVIDENCE_OPEN"
    world.block()
    outcome = world.block(order(world, leaver, Source.DEPOSIT), rounds=0)
    assert outcome.items == (("r1", Paid(world.own[1].accounts[1], DEPOSIT, "deposit")),)
    assert leaver not in world.state.deposits
    assert refused(world, late) == "EVIDENCE_EPOCH", "nobody is left to pay, and nobody asks"
    assert refused(world, order(world, leaver, Source.DEPOSIT, 1)) == "NOTHING_TO_WITHDRAW"


def test_a_fine_of_the_same_block_comes_before_the_withdrawal() -> None:
    """Whatever the order of the entries: who is guilty takes nothing home."""
    world = ShardWorld(ShardRules(evidence_rounds=5))
    guilty = world.own[0].validators.validators[0].public_key
    evidence = votes_of(world, *TWICE, signer=0)
    world.block(agreed(world, members("new")))
    world.block(rounds=5)
    world.context = replace(world.context, rules=ShardRules(evidence_rounds=6))
    taking = order(world, guilty, Source.DEPOSIT)
    outcome = world.block(taking, evidence)
    assert outcome.withdrawn == ()
    assert outcome.refused == ("EVIDENCE_OPEN",)
    assert world.state.pool == DEPOSIT
    world.block(rounds=10)
    assert refused(world, taking) == "NOTHING_TO_WITHDRAW"


def test_rules_refuse_a_time_without_evidence() -> None:
    with pytest.raises(GenesisError):
        ShardRules(evidence_rounds=0)
