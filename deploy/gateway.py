"""The keys that sign for a household and for institutions."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.values import Value
from deploy.neighbourhood import Member
from ledger.crypto import SigningKey
from node.client_account import NonceSource, build_transaction

GAS_LIMIT = 10_000_000


class Signer:
    """A key that nobody else signs with: every transaction has a new nonce, and no node need be asked for it."""

    __slots__ = ("_chain_id", "_key", "_nonces")

    def __init__(self, key: SigningKey, chain_id: str) -> None:
        self._key = key
        self._chain_id = chain_id
        self._nonces = NonceSource()

    @property
    def address(self) -> bytes:
        """The account of the key."""
        return self._key.address

    def call(self, contract: str, entry: str, *arguments: Value) -> bytes:
        """The bytes of a signed call."""
        return build_transaction(
            self._key, self._chain_id, self._nonces.take(), (contract, entry, arguments), GAS_LIMIT
        )


@dataclass(frozen=True, slots=True)
class Household:
    """A member of the data with the two keys that speak for it."""

    member: Member
    owner: Signer
    meter: Signer
