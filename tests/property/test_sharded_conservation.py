"""Random days of three regions: nothing is made or lost, inboxes are consumed once and in order, every lock ends once,
every withdrawal counts once, and the order of a block's entries says nothing (invariants I14 and I15)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from shard_world import ShardWorld, agreed, body_of, buy, hash_named, members, order, pay, sell, votes_of

from consensus.sharded.discipline import Audit, ShardRules
from consensus.sharded.global_chain import apply_global
from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import (
    DoubleVote,
    GlobalBlock,
    GlobalEntry,
    GlobalOutcome,
    NewMembers,
    Posted,
    Source,
    Submitted,
    Withdrawal,
)
from consensus.sharded.records import Filled, Forced, Paid, Released
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH
from ledger.objects import transaction_id
from ledger.validators import ValidatorSet


@dataclass
class Ledgers:
    """What an outsider writes down: locks opened and ended, items sent to each region and consumed by it."""

    opened: dict[bytes, int] = field(default_factory=dict)
    ended: dict[bytes, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    taken: dict[tuple[bytes, int], int] = field(default_factory=dict)
    paid: int = 0

    def note(self, world: ShardWorld, outcome: GlobalOutcome) -> None:
        for lock in outcome.opened:
            assert lock.residual.lock_id not in self.opened
            self.opened[lock.residual.lock_id] = world.state.height
        for region, item in outcome.items:
            self.sent[region] = self.sent.get(region, 0) + 1
            if isinstance(item, Released) or (isinstance(item, Filled) and item.ended):
                assert item.lock_id in self.opened
                assert item.lock_id not in self.ended, "a lock ended twice"
                self.ended[item.lock_id] = world.state.height
            self.paid += item.money if isinstance(item, Paid) else 0
        for one in outcome.withdrawn:
            assert one.money > 0
            assert (one.member, one.number) not in self.taken, "a withdrawal counted twice"
            self.taken[(one.member, one.number)] = one.money
        assert self.paid == sum(self.taken.values())
        assert set(self.opened) - set(self.ended) == set(world.state.locks)
        for view in world.state.regions:
            assert view.position.inbox_count + len(view.inbox) == self.sent.get(view.name, 0)


def some_transactions(draw: random.Random, world: ShardWorld, region: int, expiry: int) -> list[bytes]:
    own, ledger = world.own[region], world.ledger(region)
    found = []
    for account in draw.sample(own.accounts, draw.randrange(1, 5)):
        nonce = ledger.nonces.get(account, 0) + (draw.random() < 0.1)
        wh, limit = draw.randrange(1, 60_000), draw.randrange(1, 400_000)
        kind = draw.randrange(5)
        if kind == 0:
            found.append(pay(account, nonce, draw.choice(own.accounts), draw.randrange(12_000_000)))
        else:
            found.append((buy if kind < 3 else sell)(account, nonce, wh, limit, expiry + draw.randrange(12)))
    return found


def one_submission(draw: random.Random, world: ShardWorld, region: int) -> Submitted:
    """Right, or wrong in one of the ways in which agents and regions lie."""
    transactions = some_transactions(draw, world, region, world.state.height)
    view = world.view(region)
    free = [at for at, m in enumerate(view.validators.validators) if not world.state.barred(m.public_key)]
    agent = draw.choice(free or [0])
    lie = draw.randrange(12)
    if lie == 0:
        return world.submit(region, transactions, agent, record=lambda r: msgspec.structs.replace(r, n_tx=r.n_tx + 1))
    if lie == 1:
        return world.submit(
            region, transactions, agent, section=lambda s: msgspec.structs.replace(s, post_root=hash_named("x"))
        )
    if lie == 2:
        return world.submit(region, transactions, agent, body=lambda b: msgspec.structs.replace(b, fills=()))
    if lie == 3:
        return world.submit(region, transactions, agent, body=lambda b: msgspec.structs.replace(b, receipts=()))
    return world.submit(region, transactions, agent)


def some_evidence(draw: random.Random, world: ShardWorld, region: int) -> DoubleVote:
    """Two votes of a member, mostly such as exclude each other; sometimes spoiled, or of another epoch."""
    hashes = [hash_named(f"block {at}") for at in range(3)]
    kinds = [(draw.choice(list(VoteKind)), draw.choice(hashes)) for _ in range(2)]
    if draw.random() < 0.5:
        kinds = [(VoteKind.FINALIZE, hashes[0]), (VoteKind.NULLIFY, ZERO_HASH)]
    signer = draw.randrange(len(world.view(region).validators))
    entry = votes_of(world, kinds[0], kinds[1], signer, region)
    spoiled = (
        entry,
        entry,
        msgspec.structs.replace(entry, epoch=entry.epoch - 1 if entry.epoch else 1),
        msgspec.structs.replace(entry, first=msgspec.structs.replace(entry.first, signature=bytes(64))),
        msgspec.structs.replace(entry, second=msgspec.structs.replace(entry.second, signer=99)),
    )
    return draw.choice(spoiled)


def some_withdrawal(draw: random.Random, world: ShardWorld, region: int, old: list[GlobalEntry]) -> Withdrawal:
    """Of anybody's reward or deposit; sometimes repeated, out of turn, forged or changed on its way."""
    before = [entry for entry in old if isinstance(entry, Withdrawal)]
    if before and draw.random() < 0.3:
        return draw.choice(before)
    keys = sorted({*world.state.rewards, *world.state.deposits, hash_named("stranger")})
    key = draw.choice(sorted(world.state.rewards) or keys if draw.random() < 0.4 else keys)
    number = world.state.withdrawals.get(key, 0) + (draw.random() < 0.1)
    entry = order(world, key, draw.choice(list(Source)), number, region)
    if draw.random() < 0.2:
        return msgspec.structs.replace(entry, account=draw.choice(world.own[region].accounts))
    return entry


def some_members(draw: random.Random, world: ShardWorld, region: int) -> NewMembers:
    """Of a region: a part of the old ones and strangers; sometimes a removed one, or one of another region."""
    pool = [*world.own[region].validators.validators, *world.own[(region + 1) % 3].validators.validators]
    old = draw.sample(pool[:4], draw.randrange(1, 4)) + (draw.sample(pool[4:], 1) if draw.random() < 0.2 else [])
    new = members(f"new {draw.randrange(4)} of {region}", 3).validators
    return agreed(world, ValidatorSet((*old, *new)), region)


@pytest.mark.parametrize("seed", range(8))
def test_members_come_go_cheat_and_take_money_out(seed: int) -> None:
    """No sequence of entries, valid or not, raises or makes money; each withdrawal once; who is removed never sits."""
    print("seed", seed)
    draw = random.Random(seed)
    world, notes = ShardWorld(ShardRules(evidence_rounds=3, takeover_rounds=9), pool_blocks=5), Ledgers()
    sent: list[GlobalEntry] = []
    for _ in range(60):
        entries: list[GlobalEntry] = []
        for region in range(3):
            if draw.random() < 0.4:
                entries.append(one_submission(draw, world, region))
            if draw.random() < 0.2:
                entries.append(some_evidence(draw, world, region))
            if draw.random() < 0.4:
                entries.append(some_withdrawal(draw, world, region, sent))
            if draw.random() < 0.1:
                entries.append(some_members(draw, world, region))
        if sent and draw.random() < 0.3:
            entries.append(draw.choice(sent))
        sent += entries
        before, shuffled = world.state, draw.sample(entries, len(entries))
        proposer = draw.randrange(4)
        outcome = world.block(*entries, rounds=draw.randrange(3), proposer=proposer)
        key = world.centres.validators[proposer].public_key
        block = GlobalBlock(world.state.height, world.state.round, key, tuple(shuffled))
        assert encode_global(apply_global(world.context, before, block).state) == encode_global(outcome.state)
        notes.note(world, outcome)
        for view in outcome.state.regions:
            seats = {one.public_key for one in view.validators.validators}
            assert not seats & outcome.state.removed
    assert notes.taken
    assert world.state.removed


@pytest.mark.parametrize("audit", list(Audit))
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_made_or_lost(seed: int, audit: Audit) -> None:
    print("seed", seed, audit)
    draw = random.Random(seed)
    world, notes = ShardWorld(ShardRules(audit=audit, takeover_rounds=6), pool_blocks=7), Ledgers()
    for _ in range(40):
        entries: list[GlobalEntry] = []
        for region in range(3):
            if draw.random() < 0.6:
                entries.append(one_submission(draw, world, region))
            if draw.random() < 0.2:
                entries.append(Posted(f"r{region}", draw.choice(some_transactions(draw, world, region, 50))))
            if draw.random() < 0.1:
                entries.append(NewMembers(f"r{region}", world.view(region).epoch, (), (), ()))
        if entries and draw.random() < 0.3:
            entries.append(draw.choice(entries))
        before, shuffled = world.state, draw.sample(entries, len(entries))
        proposer = draw.randrange(4)
        outcome = world.block(*entries, rounds=draw.randrange(3), proposer=proposer)
        key = world.centres.validators[proposer].public_key
        block = GlobalBlock(world.state.height, world.state.round, key, tuple(shuffled))
        other = apply_global(world.context, before, block)
        assert encode_global(other.state) == encode_global(outcome.state)
        assert (other.items, other.corrections, other.epochs) == (outcome.items, outcome.corrections, outcome.epochs)
        notes.note(world, outcome)
    assert notes.ended


@pytest.mark.parametrize("seed", range(6))
def test_a_forced_transaction_is_answered_once(seed: int) -> None:
    """Whatever else a region carries, the item is run in its place and never again."""
    print("seed", seed)
    draw = random.Random(seed)
    world = ShardWorld()
    one, two = world.own[0].accounts[:2]
    forced = [pay(one, nonce, two, 1 + draw.randrange(9)) for nonce in range(draw.randrange(1, 6))]
    for raw in forced:
        world.block(Posted("r0", raw))
    waiting = [item.transaction for _, item in world.view(0).inbox if isinstance(item, Forced)]
    assert waiting == forced
    entry = world.submit(0, [forced[0]] if draw.random() < 0.5 else [])
    answered = [receipt.transaction for receipt in body_of(entry).receipts][: len(forced)]
    assert answered == [transaction_id(raw) for raw in forced]
    assert world.block(entry).corrections == ()
    assert world.view(0).inbox == ()
    assert world.ledger(0).nonces[one] == len(forced)
