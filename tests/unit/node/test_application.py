"""Build, check and commit over real execution; nothing abandoned leaves a trace."""

from __future__ import annotations

import msgspec
import pytest
from chain_world import seeded_key
from counter_world import CounterWorld, counter_genesis

from consensus.engine import Commit, Verdict
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.errors import GenesisError, InvariantBroken
from ledger.genesis import MIN_BLOCK_BYTES, GenesisContract, GenesisHead, make_genesis
from ledger.objects import MAX_TRANSACTION_BYTES, Header, header_hash
from ledger.store import MemoryStore
from node.commit import StateDivergence, SyncedBlock, SyncedBlocks
from node.config import ConsensusSection
from node.founding import engine_parameters, leader_limits, make_executor, open_chain

ALICE, BOB = seeded_key(200), seeded_key(201)


def asked(world: CounterWorld, view: str = "sum_of_all") -> object:
    from contracts.executor import BlockContext

    head = world.chain.head
    context = BlockContext(world.genesis.chain_id, head.height, head.time_ms, head.time_ms)
    return world.executor.query(world.chain.state(), "counter", view, [], context)


def committed(world: CounterWorld, *numbers: int) -> None:
    built = world.application.build(world.template(), [world.transaction(ALICE, n) for n in numbers])
    assert built is not None
    world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))


def test_a_built_block_is_found_valid_elsewhere_and_committed_with_the_same_root() -> None:
    leader, follower = CounterWorld(), CounterWorld()
    transactions = [leader.transaction(ALICE, 5), leader.transaction(BOB, 7)]
    built = leader.application.build(leader.template(), transactions)
    assert built is not None
    judged = follower.application.check(built.block.header, built.block.hash, transactions)
    assert judged.verdict is Verdict.VALID
    for world in (leader, follower):
        outcome = world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))
        assert [candidate.block.hash for candidate in outcome.blocks] == [built.block.hash]
        assert asked(world) == 12
        assert world.chain.height == 1
    assert leader.chain.head.state_root == follower.chain.head.state_root
    assert leader.dump() == follower.dump()
    assert [receipt.ok for receipt in follower.chain.receipts(1) or []] == [True, True]


def test_a_dropped_block_leaves_the_store_and_the_state_byte_identical() -> None:
    world = CounterWorld()
    committed(world, 1)
    before, root = world.dump(), world.chain.state().root
    first = world.application.build(world.template(), [world.transaction(ALICE, 5)])
    assert first is not None
    second = world.application.build(world.template(first.block.header, first.block.hash), [world.transaction(BOB, 9)])
    assert second is not None
    world.application.prune([first.block.hash, second.block.hash])
    assert world.dump() == before
    assert world.chain.state().root == root
    again = world.application.build(world.template(), [])
    assert again is not None
    assert again.block.header.state_root == root


def test_several_blocks_are_committed_in_one_batch_and_children_go_on() -> None:
    world = CounterWorld()
    blocks = []
    parent, parent_hash = None, None
    for n in (1, 2, 3):
        built = world.application.build(world.template(parent, parent_hash), [world.transaction(ALICE, n)])
        assert built is not None
        blocks.append(built)
        parent, parent_hash = built.block.header, built.block.hash
    two = tuple(built.block.hash for built in blocks[:2])
    outcome = world.commits.commit(Commit(two, world.finalization(blocks[1].block.header)))
    assert outcome.event is not None
    assert outcome.event.head.height == 2
    assert world.chain.final_by(1) == 2
    world.commits.commit(Commit((blocks[2].block.hash,), world.finalization(blocks[2].block.header)))
    assert asked(world) == 6


def test_blocks_on_an_abandoned_one_are_dropped_with_it() -> None:
    world = CounterWorld()
    kept = world.application.build(world.template(), [world.transaction(ALICE, 1)])
    other = world.application.build(world.template(later_ms=300), [world.transaction(BOB, 2)])
    assert kept is not None
    assert other is not None
    child = world.application.build(world.template(other.block.header, other.block.hash), [])
    assert child is not None
    world.commits.commit(Commit((kept.block.hash,), world.finalization(kept.block.header)))
    assert world.application.candidate(other.block.hash) is None
    assert world.application.candidate(child.block.hash) is None
    grandchild = world.template(child.block.header, child.block.hash)
    assert world.application.build(grandchild, []) is None
    assert world.application.check(child.block.header, child.block.hash, []).verdict is Verdict.MISSING


def altered(header: Header, **changes: object) -> tuple[Header, Hash]:
    other = msgspec.structs.replace(header, **changes)
    return other, header_hash(encode(other))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state_root": b"\x01" * 32}, "STATE_ROOT"),
        ({"receipts_root": b"\x01" * 32}, "RECEIPTS_ROOT"),
        ({"transactions_root": b"\x01" * 32}, "TRANSACTIONS_ROOT"),
        ({"body_size": 3}, "BODY_SIZE"),
        ({"body_size": 1 << 40}, "BODY_TOO_LARGE"),
        ({"next_validators": b"\x01" * 32}, "NEXT_VALIDATORS"),
        ({"extra_root": b"\x01" * 32}, "EXTRA_ROOT"),
        ({"chain_id": "another"}, "CHAIN"),
    ],
)
def test_every_field_that_the_application_fills_is_compared(changes: dict[str, object], reason: str) -> None:
    leader, follower = CounterWorld(), CounterWorld()
    transactions = [leader.transaction(ALICE, 5)]
    built = leader.application.build(leader.template(), transactions)
    assert built is not None
    before = follower.dump()
    judged = follower.application.check(*altered(built.block.header, **changes), transactions)
    assert (judged.verdict, judged.reason) == (Verdict.INVALID, reason)
    assert follower.dump() == before


def test_a_replayed_nonce_makes_a_block_invalid_and_is_left_out_of_an_own_one() -> None:
    world = CounterWorld()
    once = world.transaction(ALICE, 5, nonce=0)
    committed_one = world.application.build(world.template(), [once])
    assert committed_one is not None
    world.commits.commit(Commit((committed_one.block.hash,), world.finalization(committed_one.block.header)))
    fresh = world.transaction(BOB, 1)
    built = world.application.build(world.template(), [once, fresh])
    assert built is not None
    assert [t.id for t in built.transactions] == [fresh.id]
    dishonest = CounterWorld()
    false = dishonest.application.build(dishonest.template(), [once])
    assert false is not None
    header = msgspec.structs.replace(
        false.block.header, parent=world.chain.head_hash, height=2, view=2, time_ms=world.chain.head.time_ms + 1
    )
    judged = world.application.check(header, header_hash(encode(header)), [once])
    assert (judged.verdict, judged.reason) == (Verdict.INVALID, "NONCE")


def test_limits_of_a_block() -> None:
    genesis = counter_genesis(max_block_txs=2, sender_block_txs=1)
    world, wide = CounterWorld(genesis), CounterWorld()
    mine = [world.transaction(ALICE, n) for n in (1, 2)]
    built = world.application.build(world.template(), mine)
    assert built is not None
    assert len(built.transactions) == 1, "one of a sender"
    three = [world.transaction(key, 1) for key in (ALICE, BOB, seeded_key(202))]
    many = wide.application.build(wide.template(), three)
    assert many is not None
    judged = world.application.check(
        *altered(many.block.header, chain_id=genesis.chain_id, parent=world.chain.head_hash), three
    )
    assert judged.reason == "TOO_MANY_TRANSACTIONS"
    twice = wide.application.build(wide.template(), mine)
    assert twice is not None
    judged = world.application.check(
        *altered(twice.block.header, chain_id=genesis.chain_id, parent=world.chain.head_hash), mine
    )
    assert judged.reason == "TOO_MANY_OF_ONE_SENDER"


def test_the_gas_of_a_block_is_what_genesis_says() -> None:
    """A transaction enters only while those before it used less; a block with one more is invalid."""
    wide = CounterWorld()
    mine = [wide.transaction(ALICE, n) for n in (1, 2, 3)]
    three = wide.application.build(wide.template(), mine)
    assert three is not None
    used = sum(receipt.gas for receipt in three.receipts[:2])
    for limit, fits in ((used, 2), (used + 1, 3)):
        most = max(receipt.gas for receipt in three.receipts)
        genesis = counter_genesis(block_gas=limit, transaction_gas=most, deploy_gas=most)
        world = CounterWorld(genesis)
        own = world.application.build(world.template(), mine)
        assert own is not None
        assert len(own.transactions) == fits
        changed = altered(three.block.header, chain_id=genesis.chain_id, parent=world.chain.head_hash)
        judged = world.application.check(*changed, mine)
        assert (judged.reason == "BLOCK_GAS") is (fits == 2), judged.reason


def test_an_own_block_stops_at_the_gas_that_fits_a_view_and_a_larger_one_is_still_valid() -> None:
    world, other = CounterWorld(), CounterWorld()
    mine = [world.transaction(ALICE, n) for n in (1, 2, 3, 4)]
    whole = world.application.build(world.template(), mine)
    assert whole is not None
    each = [receipt.gas for receipt in whole.receipts]
    for budget, expected in ((1, 1), (each[0], 1), (each[0] + 1, 2), (sum(each[:3]), 3), (sum(each), 4)):
        built = world.application.build(world.template(), mine, budget)
        assert built is not None
        assert len(built.transactions) == expected, budget
    assert other.application.check(whole.block.header, whole.block.hash, mine).verdict is Verdict.VALID


def test_due_calls_use_the_budget_of_an_own_block_and_one_transaction_still_fits() -> None:
    world = CounterWorld()
    committed_one = world.application.build(world.template(), [world.transaction(ALICE, 1_000, entry="later")])
    assert committed_one is not None
    world.commits.commit(Commit((committed_one.block.hash,), world.finalization(committed_one.block.header)))
    mine = [world.transaction(BOB, n) for n in (1, 2, 3)]
    whole = world.application.build(world.template(later_ms=1_000), mine)
    assert whole is not None
    due, first = whole.receipts[0].gas, whole.receipts[1].gas
    assert due > 0
    for budget, expected in ((due, 1), (due + first, 1), (due + first + 1, 2)):
        built = world.application.build(world.template(later_ms=1_000), mine, budget)
        assert built is not None
        assert len(built.transactions) == expected


def test_a_call_that_fails_uses_its_nonce_and_has_a_receipt() -> None:
    world = CounterWorld()
    built = world.application.build(
        world.template(),
        [world.transaction(ALICE, -1), world.transaction(ALICE, 1, contract="nobody"), world.transaction(ALICE, 3)],
    )
    assert built is not None
    assert [(receipt.ok, receipt.code) for receipt in built.receipts] == [
        (False, "NEGATIVE"),
        (False, "UNKNOWN_CONTRACT"),
        (True, ""),
    ]


def test_due_calls_come_first_and_wake_an_idle_chain() -> None:
    world = CounterWorld()
    built = world.application.build(world.template(), [world.transaction(ALICE, 1_000, entry="later")])
    assert built is not None
    outcome = world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))
    assert outcome.event is not None
    assert outcome.event.next_due_ms == built.block.header.time_ms + 1_000
    early = world.application.build(world.template(later_ms=999), [])
    assert early is not None
    assert early.receipts == ()
    due = world.application.build(world.template(later_ms=1_000), [world.transaction(BOB, 1)])
    assert due is not None
    assert [receipt.scheduled for receipt in due.receipts] == [True, False]
    world.commits.commit(Commit((due.block.hash,), world.finalization(due.block.header)))
    assert asked(world, "ticked") == 1


def test_the_boundary_block_names_the_next_committee_and_opens_the_epoch() -> None:
    world = CounterWorld(counter_genesis(epoch_blocks=2))
    committed(world, 1)
    assert world.commits.epoch.epoch == 1
    built = world.application.build(world.template(), [])
    assert built is not None
    assert built.block.header.next_validators == world.commits.epoch.validators.hash
    outcome = world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))
    assert outcome.event is not None
    assert outcome.event.next_epoch is not None
    assert outcome.event.next_epoch.epoch == 2
    assert outcome.event.next_epoch.boundary_hash == built.block.hash
    assert world.commits.position.epoch == 2
    reopened = CounterWorld(world.genesis, world.store)
    assert reopened.commits.epoch == world.commits.epoch


def test_catching_up_executes_compares_and_skips_what_is_there() -> None:
    leader, away = CounterWorld(), CounterWorld()
    blocks = []
    for n in (1, 2):
        transactions = (leader.transaction(ALICE, n),)
        built = leader.application.build(leader.template(), transactions)
        assert built is not None
        leader.commits.commit(Commit((built.block.hash,), leader.finalization(built.block.header)))
        blocks.append(SyncedBlock(built.block.header, built.block.hash, transactions, b""))
    first = SyncedBlocks((blocks[0],), leader.finalization(blocks[0].header), ())
    both = SyncedBlocks(tuple(blocks), leader.finalization(blocks[1].header), ())
    assert len(away.commits.commit_synced(first).blocks) == 1
    assert len(away.commits.commit_synced(both).blocks) == 1
    assert away.commits.commit_synced(both).event is None, "nothing new"
    assert asked(away) == 3


def test_a_final_block_with_another_result_is_never_committed() -> None:
    world = CounterWorld()
    transactions = (world.transaction(ALICE, 1),)
    built = world.application.build(world.template(), transactions)
    assert built is not None
    header, block_hash = altered(built.block.header, state_root=b"\x07" * 32)
    before = world.dump()
    with pytest.raises(StateDivergence):
        world.commits.commit_synced(
            SyncedBlocks((SyncedBlock(header, block_hash, transactions, b""),), world.finalization(header), ())
        )
    with pytest.raises(StateDivergence):
        world.commits.commit(Commit((block_hash,), world.finalization(header)))
    assert world.dump() == before


def test_a_finalization_of_something_else_is_the_nodes_own_fault() -> None:
    world = CounterWorld()
    built = world.application.build(world.template(), [])
    assert built is not None
    wrong = world.finalization(world.chain.head)
    with pytest.raises(InvariantBroken):
        world.commits.commit(Commit((built.block.hash,), wrong))


def test_genesis_is_installed_once_and_the_same_everywhere() -> None:
    genesis = counter_genesis()
    one, two = MemoryStore(), MemoryStore()
    first = open_chain(one, genesis, make_executor(genesis))
    assert open_chain(two, genesis, make_executor(genesis)).head_hash == first.head_hash
    assert isinstance(open_chain(one, genesis, make_executor(genesis)), ChainStore)
    shared = [getattr(genesis, name) for name in GenesisHead.__struct_fields__]
    broken = make_genesis(GenesisHead(*shared), [GenesisContract("counter", "import os\n", b"\x90")])
    with pytest.raises(GenesisError) as refused:
        open_chain(MemoryStore(), broken, make_executor(broken))
    assert refused.value.code == "GENESIS_INSTALL"


def test_what_a_leader_chooses_for_its_blocks_is_no_rule_for_others() -> None:
    """An engine judges by genesis alone: a smaller local choice must not make others' blocks invalid here."""
    genesis = counter_genesis(max_block_txs=20)
    for chosen, led in ((ConsensusSection(max_block_txs=5, max_block_bytes=1_000), 5), (ConsensusSection(), 20)):
        parameters, limits = engine_parameters(genesis, chosen), genesis.limits
        assert (parameters.max_block_txs, parameters.max_block_bytes) == (20, limits.max_block_bytes)
        assert leader_limits(genesis, chosen).transactions == led
    assert leader_limits(genesis, ConsensusSection(max_block_txs=50)).transactions == 20
    smallest = counter_genesis(max_block_bytes=MIN_BLOCK_BYTES)
    assert leader_limits(smallest, ConsensusSection()).bytes >= MAX_TRANSACTION_BYTES + 5, "the mempool's count of one"
