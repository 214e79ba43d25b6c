"""Random days of three regions: nothing is made or lost, inboxes are consumed once and in order, every lock ends once,
and the order of a block's entries says nothing (invariants I14 and I15)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from shard_world import ShardWorld, body_of, buy, hash_named, pay, sell

from consensus.sharded.discipline import Audit, ShardRules
from consensus.sharded.global_chain import apply_global
from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import GlobalBlock, GlobalEntry, GlobalOutcome, NewMembers, Posted, Submitted
from consensus.sharded.records import Filled, Forced, Released
from ledger.objects import transaction_id


@dataclass
class Ledgers:
    """What an outsider writes down: locks opened and ended, items sent to each region and consumed by it."""

    opened: dict[bytes, int] = field(default_factory=dict)
    ended: dict[bytes, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

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
