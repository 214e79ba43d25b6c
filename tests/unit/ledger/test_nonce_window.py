"""Nonces: each once, any order within the window."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.accounts import NONCE_WINDOW, NonceWindow, nonce_state, use_nonce
from ledger.errors import StoreError
from ledger.schema import state_nonce
from ledger.state import Overlay, StateBase
from ledger.store import MemoryStore

ADDRESS = b"\x05" * 32


def fresh() -> Overlay:
    return Overlay(StateBase(MemoryStore()))


def test_sequence_keeps_eight_bytes() -> None:
    overlay = fresh()
    for nonce in range(1_000):
        assert use_nonce(overlay, ADDRESS, nonce)
    assert overlay.get(state_nonce(ADDRESS)) == (1_000).to_bytes(8, "big")
    assert nonce_state(overlay, ADDRESS) == NonceWindow(1_000)


def test_replay_and_beyond_the_window_are_refused_and_write_nothing() -> None:
    overlay = fresh()
    assert use_nonce(overlay, ADDRESS, 5)
    before = overlay.get(state_nonce(ADDRESS))
    for nonce in (5, -1, NONCE_WINDOW, NONCE_WINDOW + 5, 1 << 64):
        assert not use_nonce(overlay, ADDRESS, nonce)
        assert not nonce_state(overlay, ADDRESS).admits(nonce)
    assert overlay.get(state_nonce(ADDRESS)) == before
    assert use_nonce(overlay, ADDRESS, NONCE_WINDOW - 1)
    assert use_nonce(overlay, ADDRESS, 0)
    assert nonce_state(overlay, ADDRESS).lowest == 1
    assert use_nonce(overlay, ADDRESS, NONCE_WINDOW)
    assert not use_nonce(overlay, ADDRESS, NONCE_WINDOW + 1)


def test_filling_the_gap_jumps_over_all_that_is_used() -> None:
    overlay = fresh()
    for nonce in range(NONCE_WINDOW - 1, 0, -1):
        assert use_nonce(overlay, ADDRESS, nonce)
    assert len(overlay.get(state_nonce(ADDRESS)) or b"") == 8 + NONCE_WINDOW // 8
    assert use_nonce(overlay, ADDRESS, 0)
    assert nonce_state(overlay, ADDRESS) == NonceWindow(NONCE_WINDOW)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 60) | st.integers(4_000, 4_200), max_size=80))
def test_the_record_depends_on_the_set_of_used_nonces(nonces: list[int]) -> None:
    overlay, used = fresh(), set[int]()
    window = NonceWindow()
    for nonce in nonces:
        lowest = next(number for number in range(5_000) if number not in used)
        allowed = nonce not in used and nonce < lowest + NONCE_WINDOW
        assert window.admits(nonce) == allowed
        assert use_nonce(overlay, ADDRESS, nonce) == allowed
        if allowed:
            used.add(nonce)
            window = window.with_used(nonce)
        assert nonce_state(overlay, ADDRESS) == window
    other = fresh()
    for nonce in sorted(used):
        assert use_nonce(other, ADDRESS, nonce)
    assert other.get(state_nonce(ADDRESS)) == overlay.get(state_nonce(ADDRESS))


@pytest.mark.parametrize("raw", [b"", b"\x00" * 7, b"\x00" * 8 + b"\x02\x00", b"\x00" * 8 + b"\x01" * 513])
def test_a_damaged_record_is_named(raw: bytes) -> None:
    overlay = fresh()
    overlay.put(state_nonce(ADDRESS), raw)
    with pytest.raises(StoreError):
        nonce_state(overlay, ADDRESS)
