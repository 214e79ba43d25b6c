"""What a region's blocks do to its ledger. The region runs this, and so do the centres when they audit a record.

Order inside a block: inbox items, then transactions; a round's last block clears its orders. A transaction is refused
with a code and changes nothing; one that no honest region would carry at all (it does not decode, its signature is
bad) is a fault of the block as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from consensus.sharded.accounts import (
    OpenOrder,
    Order,
    Place,
    Reading,
    RegionLedger,
    RegionTransaction,
    Transfer,
    changed_lines,
    put,
    read_transaction,
)
from consensus.sharded.auction import Match, Quote, clear, cost
from consensus.sharded.records import (
    Asset,
    Filled,
    Forced,
    InboxItem,
    LocalFill,
    Paid,
    RegionBlock,
    RegionBody,
    RegionSection,
    Released,
    Residual,
    Side,
    TransactionReceipt,
    Wrong,
    lock_id,
    outbox_root,
)
from consensus.sharded.verdicts import Verify
from ledger.crypto import Hash
from ledger.objects import transaction_id


@dataclass(frozen=True, slots=True)
class BodyFault:
    """What no honest region has in a block."""

    kind: Wrong
    transaction: Hash


@dataclass(frozen=True, slots=True)
class BlockResult:
    """A region after one block."""

    ledger: RegionLedger
    receipts: tuple[TransactionReceipt, ...]
    faults: tuple[BodyFault, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """A round's clearing: trades at home, and what goes to the global chain with its escrow."""

    ledger: RegionLedger
    fills: tuple[LocalFill, ...]
    residuals: tuple[Residual, ...]


@dataclass(frozen=True, slots=True)
class Execution:
    """A whole record, executed. `body` is what an honest region would have published."""

    ledger: RegionLedger
    body: RegionBody
    residuals: tuple[Residual, ...]
    faults: tuple[BodyFault, ...]


class _Desk:
    """The ledger of one block while it runs."""

    def __init__(self, ledger: RegionLedger, verify: Verify) -> None:
        self.lines = dict(ledger.lines)
        self.nonces = dict(ledger.nonces)
        self.readings = dict(ledger.readings)
        self.orders = list(ledger.orders)
        self.verify = verify
        self.receipts: list[TransactionReceipt] = []
        self.faults: list[BodyFault] = []

    def add(self, place: Place, amount: int) -> None:
        """Credit a line."""
        put(self.lines, place, self.lines.get(place, 0) + amount)

    def take(self, place: Place, amount: int) -> bool:
        """Debit a line, if it holds that much."""
        have = self.lines.get(place, 0)
        if have < amount:
            return False
        put(self.lines, place, have - amount)
        return True

    def consume(self, item: InboxItem) -> None:
        """One item of the inbox."""
        match item:
            case Forced(transaction):
                self.run(transaction, forced=True)
            case Paid(account, money):
                self.add((account, Asset.MONEY), money)
            case Filled() | Released():
                self.add((item.owner, Asset.MONEY), item.money)
                self.add((item.owner, Asset.ENERGY), item.wh)
            case _:
                assert_never(item)

    def run(self, raw: bytes, forced: bool) -> None:
        """One transaction. Of a forced one nobody in the region is to blame."""
        name = transaction_id(raw)
        code, wrong = self._judge(name, raw)
        self.receipts.append(TransactionReceipt(name, code))
        if wrong is not None and not forced:
            self.faults.append(BodyFault(wrong, name))

    def _judge(self, name: Hash, raw: bytes) -> tuple[str, Wrong | None]:
        read = read_transaction(raw)
        if read is None:
            return "MALFORMED", Wrong.STATE
        body, signed = read
        if not self.verify(body.account, signed.body, signed.signature):
            return "BAD_SIGNATURE", Wrong.METER if isinstance(body, Reading) else Wrong.STATE
        if body.nonce != self.nonces.get(body.account, 0):
            return "NONCE", None
        code = self._apply(name, body)
        if not code:
            self.nonces[body.account] = body.nonce + 1
        return code, None

    def _apply(self, name: Hash, body: RegionTransaction) -> str:
        match body:
            case Transfer(account, _, to, asset, amount):
                if not self.take((account, asset), amount):
                    return "FUNDS"
                self.add((to, asset), amount)
            case Order(account, _, side, wh, limit, expiry):
                locked = cost(limit, wh) if side is Side.BUY else wh
                order = OpenOrder(name, side, account, wh, limit, locked, expiry)
                if wh == 0 or not self.take((account, order.asset), locked):
                    return "FUNDS"
                self.orders.append(order)
            case Reading(account, _, slot, wh):
                if (account, slot) in self.readings:
                    return "READING_EXISTS"
                self.readings[(account, slot)] = wh
        return ""


def run_block(
    ledger: RegionLedger, items: Sequence[InboxItem], transactions: Sequence[bytes], verify: Verify
) -> BlockResult:
    """One block. `items`: exactly the next ones of the region's inbox, in order; the caller has them from the global
    chain, so nobody can invent or repeat one."""
    desk = _Desk(ledger, verify)
    for item in items:
        desk.consume(item)
    for raw in transactions:
        desk.run(raw, forced=False)
    after = replace(
        ledger,
        lines=desk.lines,
        nonces=desk.nonces,
        readings=desk.readings,
        orders=tuple(desk.orders),
        inbox_count=ledger.inbox_count + len(items),
    )
    return BlockResult(after, tuple(desk.receipts), tuple(desk.faults))


def close_round(ledger: RegionLedger, region: str) -> Closing:
    """Clear the orders of a round: matched at home, the rest leaves with its escrow."""
    seq = ledger.seq + 1
    left = {order.id: order for order in ledger.orders}
    quotes = [(order.side, Quote(order.id, order.owner, order.wh, order.limit)) for order in ledger.orders]
    matches = clear([q for s, q in quotes if s is Side.BUY], [q for s, q in quotes if s is Side.SELL])
    lines = dict(ledger.lines)
    fills = tuple(_settle(lines, left, match) for match in matches)
    residuals: list[Residual] = []
    for order in sorted(left.values(), key=lambda one: one.id):
        if order.wh:
            name = lock_id(region, seq, Hash(order.id))
            residuals.append(
                Residual(name, order.side, order.owner, order.wh, order.limit, order.locked, order.expiry, slot=0)
            )
        else:
            _add(lines, (order.owner, order.asset), order.locked)
    return Closing(replace(ledger, lines=lines, orders=(), seq=seq), fills, tuple(residuals))


def _settle(lines: dict[Place, int], left: dict[bytes, OpenOrder], match: Match) -> LocalFill:
    buy, sell = left[match.buy], left[match.sell]
    paid = cost(match.price, match.wh)
    left[buy.id] = _less(buy, match.wh, paid)
    left[sell.id] = _less(sell, match.wh, match.wh)
    _add(lines, (sell.owner, Asset.MONEY), paid)
    _add(lines, (buy.owner, Asset.ENERGY), match.wh)
    return LocalFill(buy.owner, sell.owner, match.wh, match.price)


def _less(order: OpenOrder, wh: int, locked: int) -> OpenOrder:
    return OpenOrder(order.id, order.side, order.owner, order.wh - wh, order.limit, order.locked - locked, order.expiry)


def _add(lines: dict[Place, int], place: Place, amount: int) -> None:
    put(lines, place, lines.get(place, 0) + amount)


def execute_record(
    region: str, ledger: RegionLedger, inbox: Sequence[InboxItem], blocks: Sequence[RegionBlock], verify: Verify
) -> Execution | None:
    """All blocks of a record on the state before it. `inbox`: the region's items from `ledger.inbox_count` on, as far
    as the record may consume them. None if the blocks consume items out of order or that are not there."""
    at = ledger
    receipts: list[TransactionReceipt] = []
    faults: list[BodyFault] = []
    for block in blocks:
        first, last = at.inbox_count - ledger.inbox_count, block.inbox_to - ledger.inbox_count
        if not first <= last <= len(inbox):
            return None
        result = run_block(at, inbox[first:last], block.transactions, verify)
        receipts += result.receipts
        faults += result.faults
        at = result.ledger
    closing = close_round(at, region)
    changed = changed_lines(ledger.lines, closing.ledger.lines)
    body = RegionBody(tuple(blocks), tuple(receipts), closing.fills, changed)
    return Execution(closing.ledger, body, closing.residuals, tuple(faults))


def section_of(
    region: str, before: RegionLedger, prev_record: Hash, inbox_height: int, execution: Execution
) -> RegionSection:
    """What the block that closes a round carries of the record that ends in it. `before`: the state that the last
    record left; `inbox_height`: the global block up to which the inbox is consumed."""
    return RegionSection(
        region=region,
        seq=execution.ledger.seq,
        prev_record=prev_record,
        body_root=execution.body.root,
        n_tx=sum(len(block.transactions) for block in execution.body.blocks),
        pre_root=before.root,
        post_root=execution.ledger.root,
        inbox_height=inbox_height,
        inbox_count=execution.ledger.inbox_count,
        outbox_root=outbox_root(execution.residuals),
    )
