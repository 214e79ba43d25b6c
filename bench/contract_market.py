"""A market of the library's contracts in memory: no process, no network, no signature check, no tree of blocks.

The committed state is a `StateBase` over a store in memory, and every round runs on a fresh overlay of it, as a block
does; the overlay is dropped, never sealed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from contracts.executor import BlockContext, Executor, MarketClock
from contracts.library_sources import AuctionMode, Calendar, Institutions, LibraryParameters, library_contracts
from contracts.values import Value, encode_value
from ledger.codec import encode
from ledger.crypto import Address, Hash
from ledger.merkle import receipts_root, transactions_root
from ledger.objects import Receipt, Transaction, TransactionBody
from ledger.state import Overlay, StateBase
from ledger.store_protocol import Batch, MemoryStore, Store

MEMBERS: Final = 200
SLOT: Final = 5
_SLOT_MS: Final = 900_000
_SLOT0_MS: Final = 40 * _SLOT_MS
_CHAIN: Final = "bench-" + "0" * 32
_GAS: Final = 10_000_000
_FUNDS: Final = 10**15


def _address(text: str) -> Address:
    return Address(hashlib.sha256(b"bench " + text.encode()).digest())


@dataclass(slots=True)
class Clearing:
    """The clearing of one slot, to be measured many times; `gas` and `trades` of the last run."""

    run: Callable[[], float]
    gas: int = 0
    trades: int = 0


@dataclass(frozen=True, slots=True)
class BlockCost:
    """CPU seconds of a block of orders: contracts, state tree with both roots, the synced batch of the store."""

    execute_s: float
    state_s: float
    commit_s: float


@dataclass(slots=True)
class BenchMarket:
    """200 members with funds and an open slot. `order_gas`: gas of the last order."""

    executor: Executor
    base: StateBase
    store: MemoryStore
    height: int = 0
    now: int = 0
    order_gas: int = 0
    last: Overlay | None = None
    nonces: dict[str, int] = field(default_factory=dict)

    @classmethod
    def found(cls) -> BenchMarket:
        """Install the library, let all members join, and open the order window of `SLOT`."""
        store = MemoryStore()
        market = cls(Executor(MarketClock(0, 0, 1)), StateBase(store), store)
        desk = {role: _address(role) for role in ("bureau", "grid", "notary", "center", "community")}
        parameters = LibraryParameters(
            Institutions(desk["bureau"], desk["grid"], desk["notary"], desk["center"], desk["community"]),
            Calendar(_SLOT_MS, _SLOT0_MS),
            AuctionMode(sealed=False),
        )
        view = Overlay(market.base)
        for item in library_contracts(parameters):
            market._ok(
                market.executor.install(view, item.name, item.source, item.arguments, item.calls, market._context())
            )
        for number in range(MEMBERS):
            market._join(view, number)
        market.now = _SLOT0_MS + (SLOT - 4) * _SLOT_MS
        market._due(view)
        market._commit(view)
        return market

    # measuring

    def order_round(self, count: int) -> Callable[[], float]:
        """A function that executes `count` orders on a fresh overlay and returns the CPU seconds that it took."""
        orders = self._orders(count, lambda number: number % MEMBERS)
        context = self._context()

        def run() -> float:
            view, execute = Overlay(self.base), self.executor.execute
            begun = time.process_time()
            receipts = [execute(view, order, context) for order in orders]
            used = time.process_time() - begun
            self.last = view  # freed in no round's time, as a node frees a block's overlay after its commit
            for receipt in receipts:
                self._ok(receipt)
            self.order_gas = receipts[-1].gas
            return used

        return run

    def order_block(self, count: int, store: Store) -> BlockCost:
        """Execute, seal and write a block of `count` orders; `store` gets what a commit writes of the state. The market
        stays as it is."""
        orders = self._orders(count, lambda number: number % MEMBERS)
        context, view, execute = self._context(), Overlay(self.base), self.executor.execute
        marks = [time.process_time()]
        receipts = [execute(view, order, context) for order in orders]
        marks.append(time.process_time())
        view.seal()
        transactions_root([order.raw for order in orders])
        receipts_root([encode(receipt) for receipt in receipts])
        marks.append(time.process_time())
        batch = Batch()
        batch.extend(view.delta().rows())
        store.write(batch, sync=True)
        marks.append(time.process_time())
        for receipt in receipts:
            self._ok(receipt)
        return BlockCost(*(after - before for before, after in pairwise(marks)))

    def clearing_round(self) -> Clearing:
        """100 asks and 100 bids, all crossing somebody; the clock stands at T1."""
        view = Overlay(self.base)
        for order in self._orders(MEMBERS, lambda number: number):
            self._ok(self.executor.execute(view, order, self._context()))
        self._commit(view)
        self.now = _SLOT0_MS + (SLOT - 2) * _SLOT_MS

        def run() -> float:
            fresh = Overlay(self.base)
            context = self._context()
            begun = time.process_time()
            receipts = self.executor.run_due(fresh, context)
            used = time.process_time() - begun
            self.last = fresh
            for receipt in receipts:
                self._ok(receipt)
            clearing.gas = sum(receipt.gas for receipt in receipts)
            clearing.trades = sum(event.name == "Trade" for receipt in receipts for event in receipt.events)
            return used

        clearing = Clearing(run)
        return clearing

    # the market

    def _orders(self, count: int, member: Callable[[int], int]) -> list[Transaction]:
        """Asks below bids, prices and amounts spread; asks of odd members, bids of even ones."""
        orders, nonces = [], dict(self.nonces)
        for number in range(count):
            who = member(number)
            side, floor = ("sell", 450_000) if who % 2 else ("buy", 500_000)
            arguments: list[Value] = [SLOT, side, 10 + number % 50, floor + number * 7_919 % 100_000, "keep"]
            orders.append(self._transaction(f"member {who}", nonces, "double_auction", "submit_order", arguments))
        return orders

    def _transaction(
        self, sender: str, nonces: dict[str, int], contract: str, entry: str, arguments: list[Value]
    ) -> Transaction:
        """A transaction as ingress hands it on, with a signature that nobody looks at here."""
        nonce = nonces.get(sender, 0)
        nonces[sender] = nonce + 1
        address = _address(sender)
        body = TransactionBody(1, _CHAIN, bytes(address), nonce, contract, entry, encode_value(arguments), _GAS)
        raw = encode(body)
        return Transaction(raw, Hash(hashlib.sha256(raw).digest()), body, raw, bytes(64), address)

    def _join(self, view: Overlay, number: int) -> None:
        who = f"member {number}"
        account = _address(who)
        role, device = ("producer", "pv") if number % 2 else ("consumer", "load")
        application: list[Value] = [
            _address(f"meter {number}"), _address(f"owner {number}"), [role], [device], [10_000_000],
            f"connection {number}", "bench", ["name"], [bytes(32)],
        ]  # fmt: skip
        self._send(view, who, "registry", "apply", application)
        member: Any = self.executor.query(view, "registry", "member", [account], self._context())
        self._send(view, "bureau", "registry", "attest", [account, member["digest"], ["licence"]])
        self._send(view, "grid", "registry", "attest", [account, member["digest"], ["meter", "connection"]])
        self._send(view, "center", "token", "deposit", [account, _FUNDS, f"bench {number}"])

    def _send(self, view: Overlay, sender: str, contract: str, entry: str, arguments: list[Value]) -> None:
        transaction = self._transaction(sender, self.nonces, contract, entry, arguments)
        self._ok(self.executor.execute(view, transaction, self._context()))

    def _due(self, view: Overlay) -> None:
        while self.executor.run_due(view, self._context()):
            self.height += 1

    def _commit(self, view: Overlay) -> None:
        view.seal()
        delta = view.delta()
        batch = Batch()
        batch.extend(delta.rows())
        self.store.write(batch, sync=False)
        self.base.absorb(delta)

    def _context(self) -> BlockContext:
        return BlockContext(_CHAIN, self.height, self.now, self.now)

    @staticmethod
    def _ok(receipt: Receipt) -> None:
        if not receipt.ok:
            raise AssertionError(f"{receipt.entry} failed: {receipt.code}, line {receipt.line}")
