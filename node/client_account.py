"""An account that calls contracts: it builds, signs and numbers transactions.

Nonces are used in any order within a window, so calls may overlap; a refused transaction gives its nonce back. One
`Account` per key at a time: two programs that sign with one key must agree on nonces themselves.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from contracts.values import Value, encode_value
from ledger.crypto import SigningKey
from ledger.objects import TRANSACTION_VERSION, TransactionBody, sign_transaction
from node.client_errors import Refusal

if TYPE_CHECKING:
    from node.client import Client
    from node.client_streams import Outcome

DEFAULT_GAS: Final = 2_000_000
NONCE_REFUSALS: Final = frozenset({"NONCE_USED", "NONCE_PENDING", "NONCE_TOO_HIGH"})


def build_transaction(
    key: SigningKey, chain_id: str, nonce: int, call: tuple[str, str, Sequence[Value]], gas_limit: int = DEFAULT_GAS
) -> bytes:
    """Sign a call (contract, entry, arguments). Raise `GridchainError` for arguments that are no contract values."""
    contract, entry, arguments = call
    body = TransactionBody(
        version=TRANSACTION_VERSION,
        chain_id=chain_id,
        public_key=key.public,
        nonce=nonce,
        contract=contract,
        entry=entry,
        arguments=encode_value(list(arguments)),
        gas_limit=gas_limit,
    )
    return sign_transaction(body, key)


class NonceSource:
    """The nonces of one account: `take` gives the lowest free one, `give_back` returns one that was never used."""

    __slots__ = ("_returned", "_upcoming")

    def __init__(self, first: int = 0) -> None:
        self._upcoming = first
        self._returned: list[int] = []

    def take(self) -> int:
        """The next nonce to sign with."""
        if self._returned:
            return heapq.heappop(self._returned)
        self._upcoming += 1
        return self._upcoming - 1

    def give_back(self, nonce: int) -> None:
        """A transaction with this nonce was refused: sign another with it, lest the window has a hole."""
        heapq.heappush(self._returned, nonce)

    def skip_to(self, nonce: int) -> None:
        """Nonces below `nonce` are used."""
        self._upcoming = max(self._upcoming, nonce)
        self._returned = [returned for returned in self._returned if returned >= nonce]
        heapq.heapify(self._returned)


class Account:
    """A key, its nonces, and the client it speaks through."""

    def __init__(self, client: Client, key: SigningKey) -> None:
        self._client = client
        self._key = key
        self._nonces: NonceSource | None = None

    @property
    def address(self) -> bytes:
        """The account's address, 32 bytes."""
        return self._key.address

    async def sign(
        self, contract: str, entry: str, arguments: Sequence[Value] = (), *, gas_limit: int = DEFAULT_GAS
    ) -> tuple[int, bytes]:
        """Build and sign a call with the next nonce; return the nonce and the bytes."""
        chain_id = await self._client.chain_id()
        nonces = await self._own_nonces()
        nonce = nonces.take()
        return nonce, build_transaction(self._key, chain_id, nonce, (contract, entry, arguments), gas_limit)

    async def send(
        self, contract: str, entry: str, arguments: Sequence[Value] = (), *, gas_limit: int = DEFAULT_GAS
    ) -> bytes:
        """Sign and submit a call; return its id without waiting for its block. Raise `Refusal`."""
        nonce, raw = await self.sign(contract, entry, arguments, gas_limit=gas_limit)
        try:
            return await self._client.submit_one(raw)
        except Refusal as error:
            await self._refused(nonce, error.code)
            raise

    async def call(
        self,
        contract: str,
        entry: str,
        arguments: Sequence[Value] = (),
        *,
        gas_limit: int = DEFAULT_GAS,
        timeout_s: float = 30.0,
    ) -> Outcome:
        """Sign, submit, and wait for the outcome. Raise `Refusal` if the node refuses the transaction."""
        await self._own_nonces()
        await self._client.watch_receipts(timeout_s)
        identity = await self.send(contract, entry, arguments, gas_limit=gas_limit)
        return await self._client.wait(identity, timeout_s)

    async def _own_nonces(self) -> NonceSource:
        if self._nonces is None:
            state = await self._client.account_state(self.address)
            highest = max(state.used_above, default=state.next_nonce - 1)
            if self._nonces is None:
                self._nonces = NonceSource(highest + 1)
        return self._nonces

    async def _refused(self, nonce: int, code: str) -> None:
        nonces = await self._own_nonces()
        if code in NONCE_REFUSALS:
            nonces.skip_to((await self._client.account_state(self.address)).next_nonce)
        else:
            nonces.give_back(nonce)
