"""Nonce windows: each nonce of an account is used once, in any order within 4,096 of the lowest unused one.

Record under `schema.state_nonce(address)`: lowest unused nonce (8 bytes, big-endian), then the used nonces above it as
a bitmap (little-endian, bit i for lowest + i, no zero byte at the end). In sequence the bitmap is empty: 8 bytes an
account. The record depends on the set of used nonces only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import StoreError
from ledger.schema import STATE_NONCE, state_nonce
from ledger.state import Overlay, StateReader

NONCE_WINDOW = 4096


@dataclass(frozen=True, slots=True)
class NonceWindow:
    """`lowest` unused nonce; bit i of `used` tells whether lowest + i is used (bit 0 is never set)."""

    lowest: int = 0
    used: int = 0

    def admits(self, nonce: int) -> bool:
        """Tell whether `nonce` is unused and below lowest + 4,096."""
        distance = nonce - self.lowest
        return 0 <= distance < NONCE_WINDOW and not self.used >> distance & 1

    def with_used(self, nonce: int) -> NonceWindow:
        """The window after `nonce`, which it admits, is used."""
        return NonceWindow(*_use(self.lowest, self.used, nonce - self.lowest))


def nonce_state(reader: StateReader, address: bytes) -> NonceWindow:
    """The window of an account; a fresh one if it never sent."""
    raw = reader.get(state_nonce(address))
    return NonceWindow() if raw is None else NonceWindow(*_decode(raw))


def admits_nonce(reader: StateReader, address: bytes, nonce: int) -> bool:
    """Tell whether the account admits `nonce`: `nonce_state(...).admits(...)`, for the road of every transaction."""
    raw = reader.get(state_nonce(address))
    lowest, used = (0, 0) if raw is None else _decode(raw)
    distance = nonce - lowest
    return 0 <= distance < NONCE_WINDOW and not used >> distance & 1


def use_nonce(overlay: Overlay, address: bytes, nonce: int) -> bool:
    """Mark `nonce` used; False, and nothing written, if the window does not admit it."""
    key = STATE_NONCE + address
    get = overlay.get
    raw = get(key)
    if raw is not None and len(raw) == 8 and int.from_bytes(raw, "big") == nonce:
        put = overlay.put
        put(key, (nonce + 1).to_bytes(8, "big"))  # in sequence, as nearly all are
        return True
    lowest, used = (0, 0) if raw is None else _decode(raw)
    distance = nonce - lowest
    if not 0 <= distance < NONCE_WINDOW or used >> distance & 1:
        return False
    lowest, used = _use(lowest, used, distance)
    overlay.put(key, _encode(lowest, used))
    return True


def _use(lowest: int, used: int, distance: int) -> tuple[int, int]:
    used |= 1 << distance
    if used & 1:
        run = (~used & (used + 1)).bit_length() - 1
        return lowest + run, used >> run
    return lowest, used


def _encode(lowest: int, used: int) -> bytes:
    head = lowest.to_bytes(8, "big")
    return head + used.to_bytes((used.bit_length() + 7) // 8, "little") if used else head


def _decode(raw: bytes) -> tuple[int, int]:
    if len(raw) == 8:
        return int.from_bytes(raw, "big"), 0
    if len(raw) < 8 or len(raw) > 8 + NONCE_WINDOW // 8 or raw[-1] == 0:
        raise StoreError("a nonce record is damaged", expected="8 to 520 bytes", found=raw.hex())
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "little")
