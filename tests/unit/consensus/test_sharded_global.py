"""The global chain's blocks: trades across regions, audits, stale regions, takeover, members, the pool."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from msgspec import structs
from shard_world import MONEY, WH, ShardWorld, buy, hash_named, members, pay, sell

from consensus.sharded.auction import cost
from consensus.sharded.clearing import open_residuals
from consensus.sharded.discipline import ONE, Audit, ShardRules, Standing
from consensus.sharded.global_chain import apply_global, assigned_centres, attestation_bytes
from consensus.sharded.global_codec import GlobalPart, decode_global, decode_region, encode_global, encode_region
from consensus.sharded.global_state import Attestation, GlobalBlock, Lock, MachineKey, NewMembers, Posted
from consensus.sharded.members import members_bytes
from consensus.sharded.records import Asset, Filled, Released, Residual, Side
from consensus.sharded.work import Work
from consensus.simulator.scheme import mock_sign
from ledger.codec import decode, encode
from ledger.errors import DecodeError, InvariantBroken
from ledger.validators import ValidatorSet


def two_regions(rules: ShardRules | None = None) -> tuple[ShardWorld, bytes, bytes]:
    """A world, a buyer of its first region and a seller of its second."""
    world = ShardWorld(rules or ShardRules())
    return world, world.own[0].accounts[0], world.own[1].accounts[0]


def test_one_block_decides_both_legs() -> None:
    world, buyer, seller = two_regions()
    outcome = world.block(
        world.submit(0, [buy(buyer, 0, 2_000, 300_000)]), world.submit(1, [sell(seller, 0, 1_500, 100_000)])
    )
    paid, fee = 300_000, 300
    (bought, sold) = (item for _, item in outcome.items)
    assert isinstance(bought, Filled)
    assert isinstance(sold, Filled)
    assert (bought.owner, bought.money, bought.wh, bought.ended) == (buyer, 0, 1_500, False)
    assert (sold.owner, sold.money, sold.wh, sold.ended) == (seller, paid - fee, 0, True)
    assert (bought.traded, bought.price) == (sold.traded, sold.price) == (1_500, 200_000)
    assert world.state.pool == fee
    (left,) = world.state.locks.values()
    assert (left.residual.wh, left.residual.locked) == (500, 600_000 - paid)
    world.block(world.submit(0), world.submit(1))
    assert world.ledger(0).amount(buyer, Asset.ENERGY) == WH + 1_500
    assert world.ledger(1).amount(seller, Asset.MONEY) == MONEY + paid - fee
    assert world.view(0).inbox == world.view(1).inbox == ()


def test_a_lock_that_is_used_up_gives_back_the_better_price() -> None:
    world, buyer, seller = two_regions()
    world.block(world.submit(0, [buy(buyer, 0, 1_000, 301)]), world.submit(1, [sell(seller, 0, 5_000, 100)]))
    world.block(world.submit(0), world.submit(1))
    assert world.ledger(0).amount(buyer, Asset.MONEY) == MONEY - 200
    assert [lock.residual.wh for lock in world.state.locks.values()] == [4_000]


def test_at_home_first_and_only_the_rest_abroad() -> None:
    world, buyer, _ = two_regions()
    neighbour = world.own[0].accounts[1]
    world.block(world.submit(0, [buy(buyer, 0, 2_000, 300), sell(neighbour, 0, 1_200, 100)]))
    assert world.ledger(0).amount(buyer, Asset.ENERGY) == WH + 1_200
    assert [lock.residual.wh for lock in world.state.locks.values()] == [800]


def test_energy_of_two_slots_never_meets() -> None:
    """Residuals name the slot of delivery; each slot is cleared by itself, in the order of slots."""
    world, buyer, seller = two_regions()
    world.block(world.submit(1, [sell(seller, 0, 1_000, 100_000)]))
    ((key, lock),) = world.state.locks.items()
    later = replace(lock, residual=msgspec.structs.replace(lock.residual, slot=7))
    world.state = replace(world.state, locks={key: later})
    assert world.block(world.submit(0, [buy(buyer, 0, 1_000, 300_000)])).items == ()
    assert sorted(one.residual.slot for one in world.state.locks.values()) == [0, 7]
    world.state = replace(world.state, locks={**world.state.locks, key: lock})
    assert len(world.block().items) == 2
    assert world.state.locks == {}


def test_only_the_global_height_expires_a_lock() -> None:
    world, buyer, _ = two_regions()
    world.block(world.submit(0, [buy(buyer, 0, 1_000, 300_000, expiry=4)]))
    assert len(world.state.locks) == 1
    world.block(rounds=500)
    assert len(world.state.locks) == 1
    world.block(rounds=0)
    outcome = world.block(rounds=0)
    ((region, item),) = outcome.items
    assert isinstance(item, Released)
    assert (region, item.money, item.reason) == ("r0", 300_000, "expired")
    assert world.state.locks == {}


def test_an_order_that_has_expired_before_it_arrives_goes_home() -> None:
    world, buyer, _ = two_regions()
    outcome = world.block(world.submit(0, [buy(buyer, 0, 1_000, 300, expiry=1)]))
    assert [item.reason for _, item in outcome.items if isinstance(item, Released)] == ["expired"]


def test_the_next_round_confirms() -> None:
    """Audit as published: a record enters on its certificate, its outputs move a block later."""
    world, buyer, seller = two_regions(ShardRules(audit=Audit.NEXT_ROUND))
    first = world.block(world.submit(0, [buy(buyer, 0, 1_000, 300)]), world.submit(1, [sell(seller, 0, 1_000, 100)]))
    assert (len(first.entered), first.confirmed, first.items) == (2, (), ())
    assert world.ledger(0).amount(buyer, Asset.MONEY) == MONEY
    second = world.block()
    assert sorted(second.confirmed) == sorted(first.entered)
    assert len(second.items) == 2


def test_the_next_round_corrects() -> None:
    world, buyer, _ = two_regions(ShardRules(audit=Audit.NEXT_ROUND))
    with_claim = world.submit(
        0, [buy(buyer, 0, 1_000, 300)], section=lambda s: msgspec.structs.replace(s, post_root=hash_named("lie"))
    )
    assert world.block(with_claim).corrections == ()
    (correction,) = world.block().corrections
    assert correction.kind == "W1"
    assert len(world.state.locks) == 1


def attest(world: ShardWorld, centre: bytes, record: bytes, root: bytes) -> Attestation:
    """A centre's word."""
    return Attestation(record, root, centre, mock_sign(centre, attestation_bytes(record, root)))


def test_assigned_centres_confirm_together() -> None:
    world, buyer, _ = two_regions(ShardRules(audit=Audit.ASSIGNED))
    entry = world.submit(0, [buy(buyer, 0, 1_000, 300)])
    record, root = entry.publication.record.id, entry.publication.record.post_root
    assigned = assigned_centres(world.context, record)
    assert len(assigned) == 2
    (stranger, *_) = (c.public_key for c in world.centres.validators if c.public_key not in assigned)
    world.block(entry)
    words = [attest(world, centre, record, root) for centre in assigned]
    assert world.block(words[0], attest(world, stranger, record, root), rounds=0).refused == ("NOT_ASSIGNED",)
    forged = Attestation(record, root, assigned[1], bytes(64))
    assert sorted(world.block(words[0], forged, rounds=0).refused) == ["ATTESTED_BEFORE", "BAD_SIGNATURE"]
    world.block(words[1], rounds=0)
    assert world.block(rounds=0).confirmed == (record,)
    assert world.block(words[1]).refused == ("NO_SUCH_RECORD",)


@pytest.mark.parametrize("objects", [True, False])
def test_an_objection_or_a_silent_centre_lets_everybody_execute(objects: bool) -> None:
    world, buyer, _ = two_regions(ShardRules(audit=Audit.ASSIGNED))
    entry = world.submit(0, [buy(buyer, 0, 1_000, 300)])
    record, root = entry.publication.record.id, entry.publication.record.post_root
    first, second = assigned_centres(world.context, record)
    world.block(entry)
    if objects:
        world.block(attest(world, first, record, hash_named("no")), rounds=0)
        assert world.block(rounds=0).confirmed == (record,)
        assert world.state.accuracy_of(second) == ONE
    else:
        world.block(attest(world, first, record, root), rounds=0)
        assert world.block(rounds=1).confirmed == ()
        assert world.block(rounds=1).confirmed == (record,)
        assert (world.state.accuracy_of(first), world.state.accuracy_of(second)) == (ONE, 600_000)


def test_a_stale_region_is_cleared_without_and_comes_back() -> None:
    world, buyer, seller = two_regions()
    world.block(world.submit(0, [buy(buyer, 0, 1_000, 300)]))
    for _ in range(3):
        world.block(world.submit(1))
    assert world.view(0).standing(world.rules, world.state.round) is Standing.STALE
    assert world.block(world.submit(1, [sell(seller, 0, 1_000, 100)])).items == ()
    outcome = world.block(world.submit(0), world.submit(1))
    assert world.view(0).standing(world.rules, world.state.round) is Standing.CURRENT
    assert len(outcome.items) == 2


def test_a_region_that_lags_opens_nothing_until_it_has_caught_up() -> None:
    """Away for ten blocks; what it made meanwhile had consumed the inbox up to the first of them only."""
    world, buyer, _ = two_regions()
    for _ in range(2):
        world.block(world.submit(0))
    early = 2

    def made_early(nonce: int) -> tuple[bool, list[str]]:
        entry = world.submit(
            0, [buy(buyer, nonce, 100, 300)], section=lambda s: msgspec.structs.replace(s, inbox_height=early)
        )
        outcome = world.block(entry)
        assert outcome.corrections == ()
        return world.view(0).lagging, [item.reason for _, item in outcome.items if isinstance(item, Released)]

    for _ in range(10):
        world.block()
    # what was made early may leave items behind only if none was posted to it; its own locks make items of their own
    assert made_early(0) == (False, [])
    assert made_early(1) == (False, [])
    assert made_early(2) == (True, ["lagging"])
    caught_up = world.block(world.submit(0, [buy(buyer, 3, 100, 300)]))
    assert not world.view(0).lagging
    assert [item for _, item in caught_up.items if isinstance(item, Released)] == []


def test_a_region_that_is_gone_is_taken_over_by_the_centres() -> None:
    world, one, seller = two_regions()
    takeover = NewMembers("r0", 1, (), (), ())
    world.block(rounds=9)
    assert world.block(takeover, rounds=0).refused == ("NOT_SUSPENDED",)
    outcome = world.block(takeover)
    (epoch,) = outcome.epochs
    assert (epoch.base_root, epoch.members) == (world.view(0).position.root, world.centres.validators)
    assert (epoch.base_seq, epoch.base_record) == (world.view(0).position.seq, world.view(0).record_id)
    assert world.block(takeover).refused == ("OTHER_EPOCH",)
    assert world.block(world.submit(0, [pay(one, 0, seller, 5)])).corrections == ()
    assert world.ledger(0).amount(seller, Asset.MONEY) == 5


def new_members(
    world: ShardWorld,
    chosen: ValidatorSet,
    signers: tuple[int, ...],
    epoch: int = 1,
    machines: tuple[MachineKey, ...] = (),
) -> NewMembers:
    """Signed by these centres."""
    said = members_bytes(world.view(0).chain_id, "r0", epoch, chosen.validators, machines)
    keys = [world.centres.validators[at].public_key for at in signers]
    signatures = tuple(mock_sign(key, said) for key in keys)
    return NewMembers("r0", epoch, chosen.validators, signers, signatures, machines)


def test_a_quorum_of_centres_changes_members() -> None:
    world, _, _ = two_regions()
    chosen = members("new", 5)
    good = new_members(world, chosen, (0, 1, 3))
    twice = (*chosen.validators, chosen.validators[0])
    for entry, code in (
        (new_members(world, chosen, (0, 1)), "NO_QUORUM"),
        (NewMembers("r0", 1, chosen.validators, (0, 0, 1), good.signatures), "BAD_SIGNERS"),
        (NewMembers("r0", 1, chosen.validators, (0, 1, 9), good.signatures), "BAD_SIGNERS"),
        (NewMembers("r0", 1, chosen.validators, (0, 1, 2), good.signatures), "BAD_SIGNATURE"),
        (NewMembers("r0", 1, twice, good.signers, good.signatures), "BAD_MEMBERS"),
        (new_members(world, members("alone", 1), (0, 1, 3)), "BAD_MEMBERS"),
        (NewMembers("r0", 2, chosen.validators, good.signers, good.signatures), "OTHER_EPOCH"),
        (NewMembers("nowhere", 1, chosen.validators, good.signers, good.signatures), "NO_REGION"),
    ):
        assert world.block(entry).refused == (code,)
    assert [epoch.reason for epoch in world.block(good).epochs] == ["members"]
    assert world.view(0).validators.hash == chosen.hash
    assert world.block(good).refused == ("OTHER_EPOCH",)


def test_a_seat_needs_a_deposit_and_a_machine_of_its_own() -> None:
    world, _, _ = two_regions(ShardRules(deposit=500))
    chosen = members("new", 4)
    fresh = [one.public_key for one in chosen.validators]
    old = world.view(0).validators.validators[0].public_key
    seated = world.view(1).validators.validators[0].public_key

    def named(*machines: MachineKey) -> NewMembers:
        return new_members(world, chosen, (0, 1, 3), machines=machines)

    good = named(MachineKey(fresh[0], old), MachineKey(fresh[1], fresh[1]))
    for entry, code in (
        (named(MachineKey(old, fresh[0])), "BAD_MACHINES"),
        (named(MachineKey(fresh[0], old), MachineKey(fresh[1], old)), "BAD_MACHINES"),
        (named(MachineKey(fresh[0], old), MachineKey(fresh[0], fresh[1])), "BAD_MACHINES"),
        (named(MachineKey(fresh[0], bytes(32))), "BAD_MACHINES"),
        (good, "NO_DEPOSIT"),
    ):
        assert world.block(entry).refused == (code,)
    world.totals[Asset.MONEY] += 4 * 500 - 1
    put_down = {**world.state.deposits, **dict.fromkeys(fresh, 500), fresh[3]: 499}
    world.state = replace(world.state, deposits=put_down)
    assert world.block(good).refused == ("NO_DEPOSIT",)
    world.totals[Asset.MONEY] += 1
    taken = {old: old, fresh[1]: seated}
    world.state = replace(world.state, deposits={**put_down, fresh[3]: 500}, machines=taken)
    assert world.block(good).refused == ("MACHINE_TAKEN",)
    world.state = replace(world.state, machines={old: old})
    other = structs.replace(good, machines=(MachineKey(fresh[0], fresh[0]),))
    assert world.block(other).refused == ("BAD_SIGNATURE",), "the centres sign the machines too"
    assert [epoch.reason for epoch in world.block(good).epochs] == ["members"]
    assert world.state.machines == {old: fresh[0], fresh[1]: fresh[1]}, "its former member has no seat any more"


def test_money_put_down_becomes_a_deposit_and_what_is_no_key_gets_it_back() -> None:
    world, _, _ = two_regions()
    key = members("new", 1).validators[0].public_key
    work = Work(world.context, world.state)
    rows = tuple(
        Residual(bytes([at]) * 32, Side.DEPOSIT, owner, 0, 0, 70 + at, 9, 0)
        for at, owner in enumerate((key, bytes(32), key))
    )
    open_residuals(work, replace(world.view(0), lagging=True), rows)
    assert work.state.deposits[key] == 70 + 72
    assert work.state.locks == {}
    assert [item for _, item in work.items] == [Released(bytes([1]) * 32, bytes(32), 71, 0, "no key")]


def test_residuals_that_no_honest_contract_hands_over_go_back_as_they_came() -> None:
    world, buyer, seller = two_regions()
    known = bytes([9]) * 32
    good = Residual(known, Side.BUY, buyer, 1_000, 300, cost(300, 1_000), 9, 0)
    work = Work(world.context, world.state)
    open_residuals(work, replace(world.view(0), lagging=False), (good,))
    assert set(work.state.locks) == {known}
    key = members("new", 1).validators[0].public_key
    huge = (1 << 63) - 1
    odd = (
        ("known lock", structs.replace(good, owner=seller, locked=1, wh=1)),
        ("no energy", structs.replace(good, wh=0)),
        ("not covered", structs.replace(good, locked=good.locked - 1)),
        ("not covered", Residual(b"", Side.SELL, seller, 5, 1, 7, 9, 0)),
        ("too much", structs.replace(good, wh=huge, locked=huge)),
        ("too much", structs.replace(good, limit=huge, locked=huge)),
        ("too much", Residual(b"", Side.SELL, seller, huge, 1, huge, 9, 0)),
        ("too much", Residual(b"", Side.DEPOSIT, key, 0, 0, huge, 9, 0)),
    )
    for at, (reason, residual) in enumerate(odd):
        name = known if reason == "known lock" else bytes([20 + at]) * 32
        residual = structs.replace(residual, lock_id=name)
        money = 0 if residual.side is Side.SELL else residual.locked
        open_residuals(work, replace(world.view(1), lagging=False), (residual,))
        home, item = work.items[-1]
        wh = residual.locked if residual.side is Side.SELL else 0
        assert (home, item) == ("r1", Released(name, residual.owner, money, wh, reason))
    assert work.state.locks == {known: Lock("r0", good)}
    assert len(work.items) == len(odd)
    encode_global(work.state)


def test_a_full_inbox_takes_no_more() -> None:
    world, buyer, seller = two_regions(ShardRules(inbox_limit=2))
    posts = [Posted("r0", pay(account, 0, seller, 1)) for account in world.own[0].accounts[1:]]
    assert world.block(*posts, Posted("nowhere", b"")).refused == ("NO_REGION", "INBOX_FULL")
    outcome = world.block(world.submit(1, [sell(seller, 0, 1_000, 100)]))
    assert (len(outcome.opened), len(world.state.locks)) == (1, 1)
    world.block(world.submit(0, [buy(buyer, 0, 1_000, 300)]))
    assert world.state.locks == {}


def test_a_region_whose_inbox_is_full_does_not_trade() -> None:
    world, buyer, seller = two_regions(ShardRules(inbox_limit=2))
    world.block(world.submit(1, [sell(seller, 0, 1_000, 100)]))
    world.block(*(Posted("r1", pay(account, 0, seller, 1)) for account in world.own[1].accounts[1:3]))
    assert world.block(world.submit(0, [buy(buyer, 0, 1_000, 300)])).items == ()
    assert len(world.block(world.submit(1)).items) == 2


def test_a_record_that_waits_is_void_when_its_regions_epoch_ends() -> None:
    world, buyer, _ = two_regions(ShardRules(audit=Audit.ASSIGNED))
    entry = world.submit(0, [buy(buyer, 0, 1_000, 300)])
    assert len(world.block(entry).entered) == 1
    world.block(new_members(world, members("new"), (0, 1, 3)), rounds=0)
    assert [world.block().confirmed for _ in range(3)] == [(), (), ()]
    assert world.ledger(0).amount(buyer, Asset.MONEY) == MONEY
    assert world.block(entry).refused == ("NO_MEMBER",)


def test_the_pool_goes_to_the_centres_that_made_blocks() -> None:
    world = ShardWorld(ShardRules(), pool_blocks=4)
    agent = world.own[0].validators.validators[0].public_key
    lie = world.submit(0, record=lambda record: msgspec.structs.replace(record, post_root=hash_named("lie")))
    world.block(lie, proposer=0)
    assert (world.state.pool, world.state.deposits[agent]) == (100_000, 900_000)
    for proposer in (0, 0, 2):
        world.block(proposer=proposer)
    shares = [world.state.rewards.get(centre.public_key, 0) for centre in world.centres.validators]
    assert (shares, world.state.pool, world.state.served) == ([75_000, 0, 25_000, 0], 0, {})


def test_the_state_has_one_encoding() -> None:
    """After every block of every test here it is read back; what is not canonical is refused."""
    world, buyer, _ = two_regions(ShardRules(audit=Audit.ASSIGNED))
    entry = world.submit(0, [buy(buyer, 0, 1_000, 300)])
    world.block(entry, Posted("r1", b"x"))
    world.block(new_members(world, members("new"), (0, 1, 3)), world.submit(1), rounds=0)
    raw = encode_global(world.state)
    assert decode_global(raw) == world.state
    for view in world.state.regions:
        assert decode_region(encode_region(view)) == view
    part = decode(GlobalPart, raw)
    for broken in (
        raw[:-1],
        raw + b"\x00",
        encode(msgspec.structs.replace(part, deposits=part.deposits[::-1])),
        encode(msgspec.structs.replace(part, deposits=part.deposits + part.deposits[-1:])),
        encode(msgspec.structs.replace(part, regions=(msgspec.structs.replace(part.regions[0], members=()),))),
    ):
        with pytest.raises(DecodeError):
            decode_global(broken)


def test_a_new_epoch_is_a_new_chain() -> None:
    """A vote of the old one counts for nothing in the new one, though its members may be the same."""
    world, _, _ = two_regions()
    same = world.own[0].validators
    names = [world.view(0).chain_id]
    for epoch in (1, 2):
        world.block(new_members(world, same, (0, 1, 3), epoch))
        names.append(world.view(0).chain_id)
        assert world.view(0).before == (names[-2], same)
    assert len(set(names)) == 3
    assert {name.rpartition("-")[0] for name in names[1:]} == {"chain-r0"}


def test_blocks_come_one_after_the_other() -> None:
    world = ShardWorld()
    for height, round_ in ((0, 1), (2, 1)):
        with pytest.raises(InvariantBroken):
            apply_global(world.context, world.state, GlobalBlock(height, round_, bytes(32), ()))
