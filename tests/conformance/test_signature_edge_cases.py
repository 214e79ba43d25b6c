"""Edge cases of Ed25519 on which libraries differ: decided by libsodium's rule, which plain integers say once more.

After Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs (2020). What a cofactored verifier takes and this one does
not, or the other way round, would fork a chain whose nodes use both.
"""

from __future__ import annotations

import pytest
from counter_world import counter_genesis
from edwards import BASE, L, P, add, challenge, encoded, libsodium_accepts, times, torsion
from msgspec.structs import replace

from ledger.crypto import SigningKey, valid_public_key, verify
from ledger.errors import GenesisError
from ledger.genesis import check_genesis

SECRET, NONCE = 0x1234567890ABCDEF**3 % L, 0xFEDCBA0987654321**3 % L
KEY, COMMITMENT = times(SECRET, BASE), times(NONCE, BASE)
SMALL = torsion()
MESSAGE = b"a message"


def signature(r: bytes, public: bytes, message: bytes, more: int = 0) -> bytes:
    """R and S = r + k*a, plus a multiple of L."""
    s = (NONCE + challenge(r, public, message) * SECRET) % L
    return r + (s + more * L).to_bytes(32, "little")


def message_where(public: bytes, r: bytes, eighths: bool) -> bytes:
    """A message whose k is a multiple of 8, or odd: so the torsion part of a key vanishes, or shows."""
    wanted = (lambda k: k % 8 == 0) if eighths else (lambda k: k % 2 == 1)
    return next(m for m in (b"%d" % n for n in range(1_000)) if wanted(challenge(r, public, m)))


def cases() -> dict[str, tuple[bytes, bytes, bytes, bool]]:
    """Key, message, signature, whether it is accepted."""
    key, r = encoded(KEY), encoded(COMMITMENT)
    mixed = [encoded(add(KEY, point)) for point in SMALL[1:]]
    odd = encoded(add(COMMITMENT, SMALL[1]))
    made = {"a plain signature": (key, MESSAGE, signature(r, key, MESSAGE), True)}
    for more in (1, 2, 15):
        made[f"S + {more} L"] = (key, MESSAGE, signature(r, key, MESSAGE, more), False)
    made["S is L"] = (key, MESSAGE, r + L.to_bytes(32, "little"), False)
    made["S with its highest bits set"] = (key, MESSAGE, r + b"\xff" * 32, False)
    for number, point in enumerate(SMALL):
        small = encoded(point)
        made[f"a key of small order {number}, S = 0"] = (small, MESSAGE, encoded(SMALL[0]) + bytes(32), False)
        made[f"a key of small order {number}, plain R"] = (small, MESSAGE, r + NONCE.to_bytes(32, "little"), False)
        s = challenge(small, key, MESSAGE) * SECRET % L
        made[f"R of small order {number}"] = (key, MESSAGE, small + s.to_bytes(32, "little"), False)
    for number, public in enumerate(mixed, 1):
        vanishing, showing = message_where(public, r, True), message_where(public, r, False)
        made[f"a key with torsion {number} that vanishes"] = (public, vanishing, signature(r, public, vanishing), True)
        made[f"a key with torsion {number} that shows"] = (public, showing, signature(r, public, showing), False)
    made["R with torsion"] = (key, MESSAGE, signature(odd, key, MESSAGE), False)
    for low in range(19):
        high = (P + low).to_bytes(32, "little")
        made[f"a key of p + {low}"] = (high, MESSAGE, signature(r, high, MESSAGE), False)
        made[f"R of p + {low}"] = (key, MESSAGE, signature(high, key, MESSAGE), False)
    wrong_sign = (1 | 1 << 255).to_bytes(32, "little")
    made["a key of x = 0 with a sign"] = (wrong_sign, MESSAGE, wrong_sign + bytes(32), False)
    made["R of x = 0 with a sign"] = (key, MESSAGE, signature(wrong_sign, key, MESSAGE), False)
    good = signature(r, key, MESSAGE)
    for name, public, raw in (
        ("no signature", key, b""),
        ("63 bytes", key, good[:63]),
        ("65 bytes", key, good + b"\0"),
        ("a key of 31 bytes", key[:31], good),
        ("a key of 33 bytes", key + b"\0", good),
        ("no key", b"", good),
    ):
        made[name] = (public, MESSAGE, raw, False)
    return made


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_an_edge_case_is_decided_by_libsodium_s_rule(name: str) -> None:
    public, message, raw, accepted = CASES[name]
    assert libsodium_accepts(public, message, raw) is accepted
    assert verify(public, b"", message, raw) is accepted


def test_keys_that_libraries_differ_on_are_not_registered() -> None:
    assert valid_public_key(encoded(KEY))
    for point in SMALL:
        assert not valid_public_key(encoded(point)), "small order"
        assert not valid_public_key((P + point[1]).to_bytes(32, "little") if point[1] < 19 else b"\xff" * 32)
    for point in SMALL[1:]:
        assert not valid_public_key(encoded(add(KEY, point))), "a torsion part"
    assert not valid_public_key((1 | 1 << 255).to_bytes(32, "little"))


def test_plain_integers_agree_with_the_library_on_plain_signatures() -> None:
    for number in range(8):
        signer = SigningKey(number.to_bytes(32, "big"))
        raw = signer.sign(b"", b"%d" % number)
        assert libsodium_accepts(signer.public, b"%d" % number, raw)
        assert not libsodium_accepts(signer.public, b"other", raw)


@pytest.mark.parametrize("number", range(1, 8))
def test_a_genesis_with_such_a_key_is_refused(number: int) -> None:
    genesis = counter_genesis()
    for key in (encoded(SMALL[number]), encoded(add(KEY, SMALL[number]))):
        first = replace(genesis.validators[0], public_key=key)
        with pytest.raises(GenesisError, match="not a valid Ed25519 key"):
            check_genesis(replace(genesis, validators=(first, *genesis.validators[1:])))
