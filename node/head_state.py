"""The committed state for the loop: single reads straight from the store, without the ledger thread.

Each read sees the newest commit; several reads may straddle two. That is enough for admission, which a block checks
again; questions that need one consistent state go through `ChainStore.view`.
"""

from __future__ import annotations

import difflib
from typing import Final

from contracts.executor import BlockContext, Executor
from contracts.values import Value
from ledger.accounts import NonceWindow, nonce_state
from ledger.schema import DB_STATE, state_contract
from ledger.store import NO_LIMIT, StoreReader
from node.mempool import Refusal

REGISTER: Final = "registry"
_KNOWN_KEPT: Final = 4_096
_SENDERS_KEPT: Final = 65_536


class HeadState:
    """State at the head as a reader (`ledger.state.StateReader`)."""

    def __init__(self, rows: StoreReader) -> None:
        self._rows = rows

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None if it is absent."""
        return self._rows.get(DB_STATE + key)

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = NO_LIMIT) -> list[tuple[bytes, bytes]]:
        """Entries under `prefix` after `after`, ascending."""
        start = None if after is None else DB_STATE + after
        return [(key[1:], value) for key, value in self._rows.scan(DB_STATE + prefix, start, limit)]


class AdmissionRules:
    """What the mempool asks of the committed state (`node.mempool.Rules`); `executor` serves the loop alone.

    Who may submit (design 3 and 7): accounts that genesis names (`genesis_accounts`), and whoever the register knows as
    an institution, an approved member or a meter. Anybody may apply, so calls of the register itself are open. None
    for `genesis_accounts`, or a chain without a register: everybody may.
    """

    def __init__(self, state: HeadState, executor: Executor, genesis_accounts: frozenset[bytes] | None) -> None:
        self._state = state
        self._executor = executor
        self._known: set[tuple[str, str]] = set()
        self._genesis_accounts = genesis_accounts
        self._admitted: set[bytes] = set()

    def window(self, sender: bytes) -> NonceWindow:
        """Nonce window of an account at the head."""
        return nonce_state(self._state, sender)

    def sender_refusal(self, sender: bytes, contract: str) -> Refusal | None:
        """Why this account may not call this contract. Who was let in once may go on trying: of one that was suspended
        or removed the contracts judge."""
        accounts = self._genesis_accounts
        if accounts is None or sender in accounts or sender in self._admitted or contract == REGISTER:
            return None
        if self._state.get(state_contract(REGISTER)) is not None and not self._role(sender):
            return Refusal(
                "NOT_MEMBER",
                "an account of genesis, an approved member or a meter",
                sender.hex(),
                "apply to the register (registry.apply) and wait for its approval, or sign with another key",
            )
        if len(self._admitted) >= _SENDERS_KEPT:
            self._admitted.clear()
        self._admitted.add(sender)
        return None

    def _role(self, sender: bytes) -> Value:
        nowhen = BlockContext(chain_id="", height=0, time_ms=0, market_time_ms=0)  # the register's roles ask no clock
        return self._executor.query(self._state, REGISTER, "role_of", [sender], nowhen)

    def call_refusal(self, contract: str, entry: str) -> Refusal | None:
        """Why an entry cannot be called. What could be called once may be tried for ever: if an upgrade took it away,
        the receipt says so."""
        if (contract, entry) in self._known:
            return None
        if not self._executor.knows(self._state, contract, entry):
            return self._unknown(contract, entry)
        if len(self._known) >= _KNOWN_KEPT:
            self._known.clear()
        self._known.add((contract, entry))
        return None

    def _unknown(self, contract: str, entry: str) -> Refusal:
        if self._state.get(state_contract(contract)) is None:
            return Refusal(
                "UNKNOWN_CONTRACT", "an installed contract", contract, "GET /v1/status names the chain; check the name"
            )
        callable_ = self._executor.callable(self._state, contract)
        near = difflib.get_close_matches(entry, callable_, n=1)
        return Refusal(
            "UNKNOWN_ENTRY",
            f"an exported entry of {contract}: {', '.join(callable_)}",
            entry,
            f"did you mean {near[0]}?" if near else "call one of these; views are asked by a query",
        )
