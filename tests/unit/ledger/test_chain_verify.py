"""Verification finds every kind of damage, and nothing on a sound chain."""

from __future__ import annotations

import pytest
from chain_world import ChainWorld

from ledger.chain_verify import verify_chain
from ledger.codec import encode
from ledger.objects import Transaction, TransactionEnvelope, decode_transaction
from ledger.store import MemoryStore


def world_of_two_epochs() -> ChainWorld:
    world = ChainWorld(transactions=4)
    world.commit(2)
    world.end_epoch([3, 4, 5, 6], closing=1)
    world.commit(2)
    world.commit(1)
    return world


ROWS = dict(world_of_two_epochs().store.scan(b""))
GENESIS = ChainWorld().chain.genesis


def test_a_sound_chain_has_no_fault() -> None:
    report = verify_chain(MemoryStore(ROWS), GENESIS)
    assert report.fault is None
    assert (report.height, report.blocks, report.transactions, report.receipts) == (6, 7, 24, 31)
    assert (report.certificates, report.state_keys) == (4, 13)


def test_more_blocks_than_undo_rows() -> None:
    world = ChainWorld(transactions=1, scheduled=0)
    for _ in range(9):
        world.commit(30)
    report = verify_chain(world.store, world.chain.genesis)
    assert report.fault is None
    assert report.height == 270


def test_another_genesis_is_a_fault() -> None:
    assert verify_chain(MemoryStore(ROWS), ChainWorld(voters=1).chain.genesis).fault is not None


CHECKED = [key for key in ROWS if key not in (b"Mformat", b"Mgenesis")]


@pytest.mark.parametrize("key", CHECKED, ids=lambda key: key[:12].hex())
def test_a_missing_row_is_found(key: bytes) -> None:
    rows = dict(ROWS)
    del rows[key]
    assert verify_chain(MemoryStore(rows), GENESIS).fault is not None


@pytest.mark.parametrize("key", CHECKED, ids=lambda key: key[:12].hex())
def test_a_changed_row_is_found(key: bytes) -> None:
    for at in {0, len(ROWS[key]) // 2, len(ROWS[key]) - 1}:
        value = bytearray(ROWS[key])
        value[at] ^= 1
        fault = verify_chain(MemoryStore(ROWS | {key: bytes(value)}), GENESIS).fault
        assert fault is not None


@pytest.mark.parametrize(
    "key",
    [
        b"H" + (7).to_bytes(8, "big"),
        b"R" + (9).to_bytes(8, "big") + bytes(4),
        b"X" + bytes(32),
        b"A" + bytes(40),
        b"S" + b"stray",
        b"Bff0",
        b"U" + (99).to_bytes(8, "big"),
        b"F" + (2**60).to_bytes(8, "big"),
    ],
)
def test_a_surplus_row_is_found(key: bytes) -> None:
    value = ROWS[b"H" + (6).to_bytes(8, "big")] if key[:1] == b"H" else b"\x90"
    assert verify_chain(MemoryStore(ROWS | {key: value}), GENESIS).fault is not None


def test_a_bad_signature_under_right_roots_is_found() -> None:
    """A block whose sender never signed, committed by a faulty committee."""
    world = ChainWorld(transactions=1)
    honest = world.transaction

    def forged() -> Transaction:
        good = honest()
        return decode_transaction(encode(TransactionEnvelope(good.body_bytes, bytes(64))))

    world.transaction = forged  # type: ignore[method-assign]  # the fault under test
    world.commit(1)
    fault = verify_chain(world.store, world.chain.genesis).fault
    assert fault is not None
    assert "signature" in fault.message
