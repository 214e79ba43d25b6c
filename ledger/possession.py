"""Proofs of possession: who holds a key wants it in a network's register, for one role and no other."""

from __future__ import annotations

from typing import Literal

from ledger.codec import Bytes32, Wire, encode
from ledger.crypto import DOMAIN_POSSESSION, SigningKey, verify

KeyRole = Literal["node", "validator", "account"]


class _Possession(Wire, frozen=True):
    name: str
    role: str
    public_key: Bytes32


def prove_possession(key: SigningKey, network: str, role: KeyRole) -> bytes:
    """Sign that the holder of `key` wants it in the network's register for `role`; 64 bytes."""
    return key.sign(DOMAIN_POSSESSION, encode(_Possession(network, role, key.public)))


def verify_possession(public_key: bytes, network: str, role: KeyRole, proof: bytes) -> bool:
    """Tell whether `proof` is by `public_key` over (network, role, key)."""
    return verify(public_key, DOMAIN_POSSESSION, encode(_Possession(network, role, public_key)), proof)
