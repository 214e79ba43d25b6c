"""Who may vote, and how many votes decide.

One quorum function for votes, certificates, proofs, sync and regions (`quorum`); nothing else may compute one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger.codec import Bytes32, ShortText, Uint, Wire, encode
from ledger.crypto import DOMAIN_VALIDATORS, Hash, hash_of
from ledger.errors import GenesisError

MAX_VALIDATORS: Final = 1_024
"""Seats of a committee at most, so that a certificate has a greatest size before anybody verifies it."""


def fault_bound(total_weight: int) -> int:
    """F = floor((W - 1) / 3): the weight that may be faulty."""
    return (total_weight - 1) // 3


def quorum(total_weight: int) -> int:
    """q = floor((W + F) / 2) + 1: the least weight such that two quorums share an honest member (consensus A.2)."""
    return (total_weight + fault_bound(total_weight)) // 2 + 1


class Validator(Wire, frozen=True):
    """A member of a committee: its organisation's name, its voting key, its integer weight."""

    name: ShortText
    public_key: Bytes32
    weight: Uint = 1


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """An ordered committee. The order is part of its identity: votes name a signer by its index."""

    validators: tuple[Validator, ...]
    hash: Hash = field(init=False)
    total_weight: int = field(init=False)
    quorum: int = field(init=False)
    _index: dict[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {validator.public_key: position for position, validator in enumerate(self.validators)}
        if not self.validators or len(index) != len(self.validators) or any(v.weight < 1 for v in self.validators):
            raise GenesisError("a validator set is not empty, names no key twice and gives everybody a weight")
        if len(self.validators) > MAX_VALIDATORS:
            raise GenesisError("too many validators", expected=f"at most {MAX_VALIDATORS}", found=len(self.validators))
        total = sum(validator.weight for validator in self.validators)
        object.__setattr__(self, "hash", hash_of(DOMAIN_VALIDATORS, encode(self.validators)))
        object.__setattr__(self, "total_weight", total)
        object.__setattr__(self, "quorum", quorum(total))
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self.validators)

    def index_of(self, public_key: bytes) -> int | None:
        """Position of a key, None for a stranger."""
        return self._index.get(public_key)

    def weight_of(self, signers: set[int] | frozenset[int] | list[int]) -> int:
        """Total weight of distinct, valid positions."""
        return sum(self.validators[position].weight for position in signers)
