"""The contract `crossing` as the engine calls it: what leaves a region, what comes home, what the region owns.

Entries that only the engine may call (`contracts.executor.ENGINE_ADDRESS`):

- `consume(kind, lock, owner, money, wh, ended, reason, traded, price)`: an item of the inbox; kind 1 a leg of a trade,
  2 a lock that comes home, 3 a forced transaction, which runs after it and is only counted there, 4 money that a member
  took out of its reward or deposit, for account `owner`.
- `close(seq, height) -> list`: residuals `[lock, side, owner, wh, limit, locked, expiry, slot]` since the last close;
  `height` is the newest global block that the region has consumed.

View `totals() -> [money, wh]`: money of the region without what is locked for others, and Wh bought minus Wh locked or
sold across the border. A region without the contract trades with nobody: it has no residuals, and nothing is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from msgspec.structs import replace

from consensus.sharded.records import Filled, Forced, InboxItem, Paid, Released, Residual, outbox_root
from contracts.executor import BlockContext, EngineCall, Executor, QueryFailed
from contracts.library_crossing import CROSSING
from contracts.values import Value, decode_value
from ledger.accounts import admits_nonce
from ledger.codec import convert
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.objects import Receipt, decode_transaction, transaction_id, verify_transaction
from ledger.state import Overlay, StateReader

ITEM_GAS: Final = 5_000_000
CLOSE_GAS: Final = 200_000_000
MOST: Final = 2**63 - 1
"""Of any amount that a region says. A quorum of one can make as much as it likes in its own ledger, or have another
contract do so; what the centres' copies note of it fits an object all the same."""
_FILLED: Final = 1
_RELEASED: Final = 2
_FORCED: Final = 3
_PAID: Final = 4


@dataclass(frozen=True, slots=True)
class Outbox:
    """What a region hands to the global chain at a closing. `receipt`: of the call that did."""

    residuals: tuple[Residual, ...]
    money: int
    wh: int
    receipt: Receipt

    @property
    def root(self) -> Hash:
        """What the section commits to."""
        return outbox_root(self.residuals)


class Border:
    """See the module; `executor` is that of the chain's blocks."""

    def __init__(self, executor: Executor, chain_id: str) -> None:
        self._executor = executor
        self._chain_id = chain_id

    def close(self, view: Overlay, context: BlockContext, seq: int, height: int) -> Outbox:
        """Close round `seq`: take what the contract has to hand over, and count what stays."""
        receipt = self._executor.engine_call(view, context, EngineCall(CROSSING, "close"), [seq, height], CLOSE_GAS)
        residuals = _residuals(receipt)
        money, wh = self._totals(view, context)
        return Outbox(residuals, money, wh, receipt)

    def consume(self, view: Overlay, context: BlockContext, number: int, item: InboxItem) -> list[Receipt]:
        """Bring item `number` of the inbox home, or run the transaction that it is. Never raises on what it holds."""
        match item:
            case Filled(lock, owner, money, wh, ended, traded, price):
                arguments: list[Value] = [_FILLED, lock, owner, money, wh, ended, "", traded, price]
            case Released(lock, owner, money, wh, reason):
                arguments = [_RELEASED, lock, owner, money, wh, True, reason, 0, 0]
            case Paid(account, money, reason):
                arguments = [_PAID, b"", account, money, 0, True, reason, 0, 0]
            case Forced():
                arguments = [_FORCED, b"", bytes(32), 0, 0, True, "", 0, 0]
            case _:
                assert_never(item)
        call = EngineCall(CROSSING, "consume", number)
        receipts = [self._executor.engine_call(view, context, call, arguments, ITEM_GAS)]
        if isinstance(item, Forced):
            receipts.append(self._forced(view, context, item.transaction))
        return receipts

    def _forced(self, view: Overlay, context: BlockContext, raw: bytes) -> Receipt:
        """A transaction that its sender posted to the global chain: it gets a receipt, be it a refusal."""
        try:
            transaction = decode_transaction(raw)
        except DecodeError:
            return _refusal(raw, "MALFORMED")
        if transaction.body.chain_id != self._chain_id:
            return _refusal(raw, "CHAIN")
        if verify_transaction(transaction) is None:
            return _refusal(raw, "BAD_SIGNATURE")
        if not admits_nonce(view, transaction.sender, transaction.body.nonce):
            return _refusal(raw, "NONCE")
        return replace(self._executor.execute(view, transaction, context), scheduled=True)

    def _totals(self, state: StateReader, context: BlockContext) -> tuple[int, int]:
        try:
            value = self._executor.query(state, CROSSING, "totals", [], context)
        except QueryFailed:
            return 0, 0
        match value:
            case [int(money), int(wh)]:
                return min(max(money, 0), MOST), min(max(wh, -MOST), MOST)
            case _:
                return 0, 0


def _residuals(receipt: Receipt) -> tuple[Residual, ...]:
    if not receipt.ok:
        return ()
    try:
        found = convert(tuple[Residual, ...], decode_value(receipt.value))
    except DecodeError:
        return ()  # a contract that speaks otherwise crosses nothing: the same on every node
    fit = all(max(one.wh, one.limit, one.locked, one.expiry, one.slot) <= MOST for one in found)
    return found if fit else ()


def _refusal(raw: bytes, code: str) -> Receipt:
    return Receipt(transaction_id(raw), True, "", "", False, code, 0, 0, 0, "", b"", ())
