"""A market of library contracts on the real executor and the real overlay, driven block by block without a network.

Times are market ms; the clock runs at speed 1 from 0, so block time is market time. Senders are names; an address is
derived from the name. Blocks hold the due scheduled calls and then one transaction, or none.
"""

from __future__ import annotations

import hashlib
from typing import Any

from contracts.executor import BlockContext, EngineCall, Executor, MarketClock
from contracts.library_sources import (
    AuctionMode,
    Calendar,
    Institutions,
    LibraryParameters,
    Tariffs,
    library_contracts,
)
from contracts.values import decode_value, encode_value
from ledger.crypto import Address, Hash, contract_address
from ledger.objects import Receipt, Transaction, TransactionBody
from ledger.state import Overlay, StateBase

SLOT_MS = 900_000
SLOT0_MS = 40 * SLOT_MS
CHAIN_ID = "dev-" + "0" * 32
GAS = 50_000_000


def address(name: str) -> Address:
    return Address(hashlib.sha256(b"account " + name.encode()).digest())


def meter(name: str) -> Address:
    return address(f"meter of {name}")


def owner(name: str) -> bytes:
    return hashlib.sha256(b"owner " + name.encode()).digest()


INSTITUTIONS = Institutions(
    energy_bureau=address("bureau"),
    grid_company=address("grid"),
    notary=address("notary"),
    trading_center=address("center"),
    community=address("community"),
)


class EmptyRows:
    """A store that holds nothing: every test begins on an empty state and keeps its writes in one overlay."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = 1 << 62) -> list[tuple[bytes, bytes]]:
        return []


def parameters(mode: Any = AuctionMode, **changes: Any) -> LibraryParameters:
    """Test parameters of the market that `mode` names; `changes` name fields of Calendar, Tariffs or `mode`, or are the
    `crossing`."""

    def picked(kind: Any, **defaults: Any) -> Any:
        names = kind.__dataclass_fields__
        return kind(**{**defaults, **{name: value for name, value in changes.items() if name in names}})

    return LibraryParameters(
        institutions=INSTITUTIONS,
        calendar=picked(Calendar, slot_ms=SLOT_MS, slot0_ms=SLOT0_MS),
        mode=picked(mode, sealed=False),
        tariffs=picked(Tariffs),
        crossing=changes.get("crossing"),
    )


class MarketWorld:
    """Library contracts installed by genesis; `receipts` collects everything in order, scheduled calls included."""

    def __init__(self, **changes: Any) -> None:
        self.parameters = parameters(**changes)
        self.chain_id = changes.get("chain_id", CHAIN_ID)
        self.executor = Executor(MarketClock(genesis_ms=0, origin_ms=0, speed=1))
        self.view = Overlay(StateBase(EmptyRows()))
        self.height = 0
        self.now = 0
        self.nonces: dict[Address, int] = {}
        self.receipts: list[Receipt] = []
        for item in library_contracts(self.parameters):
            receipt = self.executor.install(
                self.view, item.name, item.source, item.arguments, item.calls, self.context()
            )
            assert receipt.ok, (item.name, receipt.code, receipt.line)

    def context(self) -> BlockContext:
        return BlockContext(chain_id=self.chain_id, height=self.height, time_ms=self.now, market_time_ms=self.now)

    # -- blocks

    def run_due(self) -> list[Receipt]:
        """Blocks at the present time until no scheduled call is due."""
        done: list[Receipt] = []
        while (due := self.executor.next_due_ms(self.view)) is not None and due <= self.now:
            self.height += 1
            found = self.executor.run_due(self.view, self.context())
            assert found, "a due call was not run"
            for receipt in found:
                assert receipt.ok, (receipt.entry, receipt.code, receipt.line)
            done.extend(found)
        self.receipts.extend(done)
        return done

    def go(self, market_ms: int) -> list[Receipt]:
        """Move on to a time, stopping at each due call on the way."""
        assert market_ms >= self.now
        done: list[Receipt] = []
        while (due := self.executor.next_due_ms(self.view)) is not None and due <= market_ms:
            self.now = max(self.now, due)
            done.extend(self.run_due())
        self.now = market_ms
        return done

    def go_slot(self, slot: int, offset_slots: int, plus_ms: int = 0) -> list[Receipt]:
        """Move on to `offset_slots` after the start of delivery of `slot` (negative: before)."""
        return self.go(self.start(slot) + offset_slots * SLOT_MS + plus_ms)

    def start(self, slot: int) -> int:
        return SLOT0_MS + slot * SLOT_MS

    # -- calls

    def send(self, sender: Address, contract: str, entry: str, *arguments: Any) -> Receipt:
        """One transaction in a block of its own, at the present time."""
        self.run_due()
        self.height += 1
        nonce = self.nonces.get(sender, 0)
        self.nonces[sender] = nonce + 1
        receipt = self.executor.execute(
            self.view, self.transaction(sender, nonce, contract, entry, *arguments), self.context()
        )
        self.receipts.append(receipt)
        return receipt

    def transaction(self, sender: Address, nonce: int, contract: str, entry: str, *arguments: Any) -> Transaction:
        body = TransactionBody(
            version=1, chain_id=self.chain_id, public_key=bytes(sender), nonce=nonce, contract=contract, entry=entry,
            arguments=encode_value(list(arguments)), gas_limit=GAS,
        )  # fmt: skip
        mark = Hash(hashlib.sha256(bytes(sender) + nonce.to_bytes(8, "big")).digest())
        return Transaction(raw=b"", id=mark, body=body, body_bytes=b"", signature=bytes(64), sender=sender)

    def engine(self, contract: str, entry: str, *arguments: Any) -> Receipt:
        """A call of the engine in a block of its own, before its due calls."""
        self.height += 1
        call = EngineCall(contract, entry, self.height)
        receipt = self.executor.engine_call(self.view, self.context(), call, list(arguments), GAS)
        self.receipts.append(receipt)
        return receipt

    def done(self, sender: Address, contract: str, entry: str, *arguments: Any) -> Any:
        """Send, expect success, return the value."""
        receipt = self.send(sender, contract, entry, *arguments)
        assert receipt.ok, (entry, receipt.code, receipt.line, receipt.value)
        return decode_value(receipt.value) if receipt.value else None

    def refused(self, sender: Address, contract: str, entry: str, *arguments: Any) -> str:
        """Send, expect a refusal, return its code."""
        receipt = self.send(sender, contract, entry, *arguments)
        assert not receipt.ok, (entry, "was accepted")
        assert receipt.events == ()
        return receipt.code

    def query(self, contract: str, entry: str, *arguments: Any) -> Any:
        return self.executor.query(self.view, contract, entry, list(arguments), self.context())

    # -- members and money

    def apply(self, name: str, watts: int = 20_000, legal_owner: str | None = None, bus: str = "bus-1") -> Receipt:
        return self.send(
            address(name), "registry", "apply", meter(name), owner(legal_owner or name), ["prosumer"], ["pv"], [watts],
            bus, "west", ["name", "address"], [bytes(32), owner("salted " + name)],
        )  # fmt: skip

    def member(self, name: str, funds: int = 10**12, **details: Any) -> None:
        """Register and approve a member, and deposit money for it."""
        applied = self.apply(name, **details)
        assert applied.ok
        account, digest = address(name), self.query("registry", "member", address(name))["digest"]
        self.done(INSTITUTIONS.energy_bureau, "registry", "attest", account, digest, ["licence"])
        self.done(INSTITUTIONS.grid_company, "registry", "attest", account, digest, ["meter", "connection"])
        if funds:
            self.deposit(address(name), funds)

    def deposit(self, account: Address, amount: int) -> None:
        self.done(INSTITUTIONS.trading_center, "token", "deposit", account, amount, f"bank {self.height}")

    def order(self, name: str, slot: int, side: str, wh: int, price: int, requote: str = "reference") -> int:
        seq = self.done(address(name), "double_auction", "submit_order", slot, side, wh, price, requote)
        assert isinstance(seq, int)
        return seq

    def read(self, name: str, slot: int, generation: int, use: int) -> None:
        self.done(meter(name), "metering", "submit_reading", slot, generation, use)

    # -- looking

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """Fields of all events of a name so far, in order, that have the given field values."""
        found = []
        for receipt in self.receipts:
            for event in receipt.events:
                if event.name == name:
                    data = decode_value(event.data)
                    if all(data[key] == value for key, value in fields.items()):
                        found.append(data)
        return found

    def accounts(self) -> dict[bytes, tuple[int, int, int]]:
        """Balance, escrow and debt of every account, by pages of the view."""
        found: dict[bytes, tuple[int, int, int]] = {}
        after = b""
        while rows := self.query("token", "page", after, 100):
            for row in rows:
                found[row[0]] = (row[1], row[2], row[3])
            after = rows[-1][0]
        return found

    def assert_money_conserved(self) -> None:
        """Sum of balance + escrow - debt equals minted - burned, less what is elsewhere, exactly."""
        supply = self.query("token", "supply")
        total = sum(balance + escrow - debt for balance, escrow, debt in self.accounts().values())
        assert total == supply["minted"] - supply["burned"] + supply["arrived"] - supply["left"]

    def free(self, name: str) -> int:
        return self.accounts()[address(name)][0]

    def escrow(self, name: str) -> int:
        return self.accounts()[address(name)][1]


AUCTION = contract_address("double_auction")

Executor(MarketClock(genesis_ms=0, origin_ms=0, speed=1))  # raises the recursion limit before hypothesis watches it
