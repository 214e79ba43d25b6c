"""A chain that continues another: its names, its first block above height 0, the first state that it keeps."""

from __future__ import annotations

import pytest
from shard_genesis_world import sharded_genesis

from ledger.chain import ChainStore
from ledger.chain_verify import verify_chain
from ledger.codec import encode
from ledger.errors import DecodeError, InvariantBroken
from ledger.genesis import Genesis
from ledger.schema import DB_FIRST_STATE
from ledger.shard_genesis import hosted_genesis
from ledger.state import Overlay, StateBase
from ledger.store import Batch, MemoryStore
from ledger.succession import (
    RegionEpoch,
    Succession,
    SuccessorGenesis,
    decode_summary,
    fields_of,
    next_chain_id,
    succession_of,
    successor_block,
)
from ledger.validators import Validator

FIRST = hosted_genesis(sharded_genesis(), "north")


def successor(epoch: int = 2) -> SuccessorGenesis:
    members = tuple(Validator(one.name, one.public_key, one.weight) for one in FIRST.validators)
    opened = RegionEpoch("north", epoch, 7, b"\x01" * 32, b"\x02" * 32, members, "members")
    name = next_chain_id(FIRST.chain_id, opened)
    succession = Succession("north", name, FIRST.chain_id, FIRST.chain_id, epoch, 7, b"\x01" * 32)
    return SuccessorGenesis(**fields_of(FIRST), succession=succession)


def chain_of(genesis: Genesis, height: int) -> tuple[MemoryStore, ChainStore]:
    store = MemoryStore()
    view = Overlay(StateBase(store))
    for number in range(300):
        view.put(b"e%d" % number, b"value of %d" % number)
    assert isinstance(genesis, SuccessorGenesis)
    block = successor_block(genesis, height, genesis.time_ms + 5, view.seal())
    return store, ChainStore.create(store, genesis, block, (), view.delta())


def test_it_has_a_name_of_its_own_and_its_users_another() -> None:
    genesis = successor()
    assert genesis.chain_id.startswith("dev-grid-north-")
    assert genesis.chain_id != FIRST.chain_id == genesis.transaction_chain_id == FIRST.transaction_chain_id
    assert genesis.summary.chain_id == genesis.chain_id
    assert genesis.summary.transaction_chain_id == FIRST.chain_id
    assert genesis.hash == genesis.summary.hash != FIRST.hash
    assert genesis.hash != successor(epoch=3).hash
    assert (succession_of(genesis), succession_of(FIRST)) == (genesis.succession, None)


def test_a_store_knows_which_kind_of_genesis_it_keeps() -> None:
    for one in (FIRST.summary, successor().summary):
        assert decode_summary(encode(one)) == one
    for wrong in (b"", encode(FIRST.summary)[:-1], encode(successor().succession)):
        with pytest.raises(DecodeError):
            decode_summary(wrong)


def test_it_begins_where_the_other_was_left_and_keeps_its_first_state() -> None:
    genesis = successor()
    store, chain = chain_of(genesis, 41)
    assert (chain.first, chain.began, chain.height, chain.boundary_of(0), chain.final_by(41)) == (41, 41, 41, 41, 41)
    assert chain.header(40) is None
    assert chain.head.parent == genesis.hash
    assert ChainStore.open(store, genesis).genesis == genesis.summary
    assert dict(chain.first_state(None, 1_000)) == dict(chain.state().scan(b""))
    assert [key for key, _ in chain.first_state(b"e10", 2)] == [b"e100", b"e101"]
    assert verify_chain(store, genesis.summary).fault is None
    with chain.view(41) as view:
        assert view.state.get(b"e7") == b"value of 7"


def test_a_changed_first_state_is_found() -> None:
    genesis = successor()
    for value in (b"another", None):
        store, _ = chain_of(genesis, 41)
        batch = Batch()
        batch.extend([(DB_FIRST_STATE + b"e7", value)])
        store.write(batch, sync=False)
        fault = verify_chain(store, genesis.summary).fault
        assert fault is not None
        assert "first state" in fault.message


def test_no_other_chain_begins_above_genesis() -> None:
    genesis, store = successor(), MemoryStore()
    view = Overlay(StateBase(store))
    block = successor_block(genesis, 3, 5, view.seal())
    with pytest.raises(InvariantBroken):
        ChainStore.create(store, FIRST, block, (), view.delta())
