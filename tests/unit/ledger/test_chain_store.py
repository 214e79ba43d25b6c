"""The chain on a store: commits, indexes, finality, undo, reopening, and what it refuses."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from chain_world import ChainWorld, certify, committee, make_document

from ledger.certificates import VoteKind
from ledger.chain import ChainStore
from ledger.chain_reader import UNDO_BLOCKS
from ledger.chain_verify import verify_chain
from ledger.codec import decode, encode
from ledger.errors import InvariantBroken, StoreError
from ledger.objects import Receipt, decode_transaction, header_hash
from ledger.schema import DB_UNDO, db_height
from ledger.state import Overlay, verify_state_proof
from ledger.store import Batch, MemoryStore, Store, open_store


def test_a_new_chain_has_its_genesis_block() -> None:
    world = ChainWorld()
    chain = world.chain
    assert chain.height == 0
    assert chain.header(0) == chain.head
    assert chain.head.parent == world.document.hash
    assert chain.height_of(chain.head_hash) == 0
    assert chain.state().get(b"m\x05token") == b"installed"
    assert chain.final_by(0) == 0
    assert chain.finality(0) is None
    assert chain.validators(world.document.validator_set.hash) == world.document.validator_set
    receipts = chain.receipts(0)
    assert receipts is not None
    assert len(receipts) == 1


def test_what_was_committed_is_found_again() -> None:
    world = ChainWorld()
    blocks, certificate = world.prepare(3)
    world.chain.append(blocks, certificate)
    chain = ChainStore.open(world.store, world.document)
    assert chain.height == 3
    assert chain.head_hash == blocks[-1].block.hash
    for committed in blocks:
        height = committed.block.header.height
        assert chain.block(height) == committed.block
        assert chain.header_by_hash(committed.block.hash) == committed.block.header
        assert chain.body_bytes(height) == committed.block.body_bytes
        assert chain.receipt_bytes(height) == list(committed.receipts)
        assert chain.final_by(height) == 3
        counts = chain.counts(height)
        assert counts is not None
        assert (counts.transactions, counts.receipts) == (3, 4)
        for index, transaction in enumerate(committed.transactions):
            assert chain.locate(transaction.id) == (height, index)
            assert chain.find_transaction(transaction.id) == (height, index + 1)
            raw = chain.receipt_of(transaction.id)
            assert raw is not None
            assert decode(Receipt, raw).subject == transaction.id
        assert [decode(Receipt, raw) for raw in committed.receipts] == chain.receipts(height)
    finality = chain.finality(3)
    assert finality is not None
    assert finality.certificate == certificate
    assert chain.finality(2) is None


def test_nothing_is_found_beyond_the_head() -> None:
    chain = ChainWorld().chain
    for height in (1, -1, 1 << 63):
        assert chain.header(height) is None
        assert chain.block(height) is None
        assert chain.receipts(height) is None
        assert chain.receipt(height, 0) is None
        assert chain.final_by(height) is None
        assert chain.finality(height) is None
    assert chain.height_of(b"\x01" * 32) is None
    assert chain.header_by_hash(b"\x01" * 32) is None
    assert chain.locate(b"\x01" * 32) is None
    assert chain.receipt_of(b"\x01" * 32) is None
    assert chain.validators(b"\x01" * 32) is None
    assert chain.receipt(0, 1) is None
    assert chain.receipt(0, -1) is None


def test_receipts_beyond_one_chunk() -> None:
    world = ChainWorld(transactions=150, scheduled=3)
    blocks, certificate = world.prepare(1)
    world.chain.append(blocks, certificate)
    assert world.chain.receipt_bytes(1) == list(blocks[0].receipts)
    assert world.chain.receipt(1, 152) == blocks[0].receipts[152]
    assert world.chain.receipt(1, 153) is None
    assert world.chain.receipt_of(blocks[0].transactions[-1].id) == blocks[0].receipts[152]


def test_transactions_of_an_account() -> None:
    world = ChainWorld(transactions=4)
    world.commit(3)
    sender = world.senders[0].address
    expected = [
        (height, index)
        for height in (1, 2, 3)
        for index, transaction in enumerate(world_transactions(world, height))
        if transaction == sender
    ]
    chain = world.chain
    assert chain.account_transactions(sender) == expected
    assert chain.account_transactions(sender, reverse=True) == expected[::-1]
    assert chain.account_transactions(sender, after=1) == [found for found in expected if found[0] > 1]
    assert chain.account_transactions(sender, after=3, reverse=True, limit=1) == [
        f for f in expected[::-1] if f[0] == 2
    ]
    assert chain.account_transactions(b"\x09" * 32) == []


def world_transactions(world: ChainWorld, height: int) -> list[bytes]:
    block = world.chain.block(height)
    assert block is not None
    return [decode_transaction(raw).sender for raw in block.body.transactions]


def test_a_commit_through_closing_blocks_changes_the_committee() -> None:
    world = ChainWorld()
    world.commit(2)
    world.end_epoch([3, 4, 5, 6], closing=2)
    finality = world.chain.finality(3)
    assert finality is not None
    assert len(finality.closing) == 2
    assert finality.certificate.block_hash == header_hash(finality.closing[-1])
    assert world.chain.height == 3
    world.commit(1)
    assert world.chain.head.epoch == 2
    assert world.chain.head.validators == committee([3, 4, 5, 6]).hash
    assert [world.chain.boundary_of(epoch) for epoch in (0, 1, 2, 3)] == [0, 0, 3, None]
    assert ChainStore.open(world.store).validators(world.chain.head.validators) == committee([3, 4, 5, 6])


def test_past_states_and_their_proofs() -> None:
    world = ChainWorld()
    kept: dict[int, list[tuple[bytes, bytes]]] = {}
    for _ in range(12):
        kept[world.chain.height] = world.chain.state().scan(b"")
        world.commit(1)
    for height, expected in kept.items():
        header = world.chain.header(height)
        assert header is not None
        past = world.chain.state_at(height)
        assert past.scan(b"") == expected
        assert past.root == header.state_root
        verify_state_proof(past.prove(b"m\x05token"), header.state_root, b"m\x05token", b"installed")
        verify_state_proof(past.prove(b"bill12"), header.state_root, b"bill12", None)
    assert world.chain.state_at(12) is world.chain.state()
    with pytest.raises(StoreError) as refused:
        world.chain.state_at(13)
    assert refused.value.code == "STATE_UNKNOWN"


def test_a_view_does_not_move() -> None:
    world = ChainWorld()
    world.commit(2)
    with world.chain.view() as view, world.chain.view(1) as old:
        now, before = view.state, old.state
        assert (view.height, old.height) == (2, 1)
        rows, old_rows, root = now.scan(b""), before.scan(b""), now.root
        world.commit(2)
        assert now.scan(b"") == rows
        assert now.root == root
        assert before.scan(b"") == old_rows
        assert now.get(b"bill3") is None
        assert view.chain.header(3) is None
        verify_state_proof(now.prove(b"bill2"), root, b"bill2", b"settled 2")
        verify_state_proof(before.prove(b"bill2"), before.root, b"bill2", None)
    assert world.chain.state().get(b"bill3") == b"settled 3"


def test_undo_is_kept_for_256_blocks() -> None:
    world = ChainWorld(transactions=0, scheduled=0)
    for _ in range(10):
        world.commit(30)
    assert len(world.store.scan(DB_UNDO)) == UNDO_BLOCKS
    oldest = world.chain.state_at(300 - UNDO_BLOCKS)
    assert oldest.get(b"bill44") == b"settled 44"
    assert oldest.get(b"bill45") is None
    header = world.chain.header(44)
    assert header is not None
    verify_state_proof(oldest.prove(b"bill45"), header.state_root, b"bill45", None)
    with pytest.raises(StoreError) as refused:
        world.chain.state_at(43)
    assert refused.value.code == "STATE_PRUNED"


def test_older_states_stay_for_as_long_as_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.chain.UNDO_BLOCKS", 3)
    monkeypatch.setattr("ledger.chain.UNDO_MOST", 12)
    monkeypatch.setattr("ledger.chain._UNDO_STEP", 4)
    world = ChainWorld(transactions=0, scheduled=0)
    wanted = 2
    world.chain.wanted = lambda: wanted
    oldest = []
    for height in range(1, 21):
        world.commit(1)
        wanted = 11 if height >= 17 else 2
        oldest.append(world.chain.oldest(world.chain.height))
        world.chain.state_at(oldest[-1]).prove(b"bill1")  # checked against the header's root
    assert oldest == [0, 0, 0, 1, *[2] * 10, 3, 4, 5, 9, 11, 11]
    assert verify_chain(world.store, world.chain.genesis).fault is None
    again = ChainStore.open(world.store)
    assert again.oldest(again.height) == 11
    with pytest.raises(StoreError, match="old state is not kept"):
        again.state_at(10)


def test_an_unfinalised_child_lives_on_after_the_commit() -> None:
    world = ChainWorld()
    first, over_first = world.build(world.chain.head, world.chain.head_hash, world.chain.state())
    second, over_second = world.build(first.block.header, first.block.hash, over_first)
    fork, over_fork = world.build(first.block.header, first.block.hash, over_first)
    third = Overlay(over_second)
    third.put(b"x", b"y")
    certificate = certify(world.document.chain_id, committee(world.numbers), world.numbers, first.block.header)
    world.chain.append([first], certificate)
    over_second.rebase(world.chain.state())
    over_fork.rebase(world.chain.state())
    assert third.get(b"bill1") == b"settled 1"
    expected = third.seal()
    certificate = certify(world.document.chain_id, committee(world.numbers), world.numbers, second.block.header)
    world.chain.append([second], certificate)
    third.rebase(world.chain.state())
    again = Overlay(world.chain.state())
    again.put(b"x", b"y")
    assert again.seal() == expected
    with pytest.raises(InvariantBroken):
        over_fork.rebase(world.chain.state())
    with pytest.raises(InvariantBroken):
        world.chain.append([fork], certificate)


def test_what_does_not_fit_is_an_invariant_broken() -> None:
    world = ChainWorld()
    blocks, certificate = world.prepare(2)
    voters = committee(world.numbers)
    wrong_kind = certify(
        world.document.chain_id, voters, world.numbers, blocks[-1].block.header, kind=VoteKind.NOTARIZE
    )
    for bad_blocks, bad_certificate in (
        ([], certificate),
        (blocks[:1], certificate),
        (blocks[1:], certificate),
        (blocks[::-1], certificate),
        (blocks, wrong_kind),
        ([replace(blocks[0], delta=blocks[1].delta), blocks[1]], certificate),
        ([replace(blocks[0], receipts=()), blocks[1]], certificate),
    ):
        before = dict(world.store.rows) if isinstance(world.store, MemoryStore) else {}
        with pytest.raises(InvariantBroken):
            world.chain.append(bad_blocks, bad_certificate)
        assert world.store.scan(b"") == sorted(before.items())
    world.chain.append(blocks, certificate)


def test_an_empty_or_foreign_database_is_refused() -> None:
    with pytest.raises(StoreError) as empty:
        ChainStore.open(MemoryStore())
    assert empty.value.code == "CHAIN_EMPTY"
    world = ChainWorld()
    with pytest.raises(StoreError) as foreign:
        ChainStore.open(world.store, make_document(voters=1))
    assert foreign.value.code == "CHAIN_GENESIS"
    assert foreign.value.expected != foreign.value.found
    with pytest.raises(StoreError) as twice:
        ChainStore.create(world.store, world.document, *([None] * 3))  # type: ignore[arg-type]  # refused before use
    assert twice.value.code == "CHAIN_EXISTS"
    batch = Batch()
    batch.put(b"Mformat", b"\x00" * 7 + b"\x09")
    world.store.write(batch, sync=True)
    with pytest.raises(StoreError) as other:
        ChainStore.open(world.store)
    assert other.value.code == "STORE_FORMAT"


@pytest.mark.parametrize("damage", ["state top", "head", "header", "undo"])
def test_damage_is_named(damage: str) -> None:
    world = ChainWorld()
    world.commit(3)
    batch = Batch()
    match damage:
        case "state top":
            row = world.store.scan(b"T")[0]
            batch.put(row[0], bytes(512))
        case "head":
            batch.put(b"Mhead", b"short")
        case "header":
            batch.delete(b"H" + (3).to_bytes(8, "big"))
        case _:
            batch.delete(db_height(DB_UNDO, 2))
    world.store.write(batch, sync=True)
    with pytest.raises(StoreError) as refused:
        ChainStore.open(world.store).state_at(1)
    assert refused.value.code == "STORE_CORRUPT"
    assert refused.value.fix


def test_a_damaged_bucket_is_found_when_its_sector_is_loaded() -> None:
    world = ChainWorld()
    world.commit(3)
    key, records = world.store.scan(b"B")[0]
    batch = Batch()
    batch.put(key, records[:-1] + bytes((records[-1] ^ 1,)))
    world.store.write(batch, sync=True)
    state = ChainStore.open(world.store).state()
    with pytest.raises(StoreError):
        for _ in state.load_all():
            pass


def stores(path: Path) -> list[Store]:
    engines = {"plyvel": "leveldb", "rocksdict": "rocksdb"}
    found = [open_store(path / name, name) for module, name in engines.items() if importlib.util.find_spec(module)]
    return [MemoryStore(), *found]


def test_roots_do_not_depend_on_the_store(tmp_path: Path) -> None:
    roots: set[bytes] = set()
    for store in stores(tmp_path):
        world = ChainWorld(store=store)
        world.commit(5)
        world.commit(1)
        roots.add(world.chain.head_hash)
        assert encode(world.chain.head) == world.chain.header_bytes(6)
        store.close()
    assert len(roots) == 1
