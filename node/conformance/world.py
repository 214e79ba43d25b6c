"""Library contracts on the real executor over state in memory, for one case: no network, no signatures.

Block time is market time. Members are enrolled as the registry does it, money comes from the treasury, so a case meets
the contracts that a genesis installs and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from contracts.executor import BlockContext, ExecutionLimits, Executor, MarketClock, QueryFailed
from contracts.library_sources import Installation, Institutions, LibraryParameters, library_contracts
from contracts.values import ValueRefused, decode_value, encode_value
from ledger.accounts import nonce_state
from ledger.crypto import Address, Hash, contract_address
from ledger.errors import InvariantBroken
from ledger.objects import Event, Receipt, Transaction, TransactionBody
from ledger.state import Overlay, StateBase
from node.conformance.ids import to_bytes
from node.conformance.mechanism import CaseFailed
from node.contract_testing.watched_state import NoRows

_CHAIN_ID: Final = "dev-" + "0" * 32
_GAS: Final = 50_000_000
_REGISTRY: Final = Address(contract_address("registry"))


def account(name: str) -> Address:
    """The address that stands for a name of a case."""
    return Address(hashlib.sha256(b"case " + to_bytes(name)).digest())


INSTITUTIONS: Final = Institutions(
    energy_bureau=account("/bureau"),
    grid_company=account("/grid"),
    notary=account("/notary"),
    trading_center=account("/center"),
    community=account("/community"),
)
_LIMITS: Final = ExecutionLimits(query_gas=10**10)
"""A query may be long: how long is a node's own policy, and no node answers here."""
_EXECUTOR: Final = Executor(MarketClock(genesis_ms=0, origin_ms=0, speed=1), _LIMITS)


def chosen(parameters: LibraryParameters, *names: str) -> list[Installation]:
    """Those of the library's contracts that are in `names`, as genesis installs them."""
    return [item for item in library_contracts(parameters) if item.name in names]


class CaseWorld:
    """A chain for one case. `events` holds what all calls emitted, in order."""

    def __init__(self, contracts: Iterable[Installation]) -> None:
        """Install contracts as genesis does. Raise `CaseFailed` if one is refused."""
        self.view = Overlay(StateBase(NoRows()))
        self.now = 0
        self.height = 0
        self.events: list[Event] = []
        for item in contracts:
            block = self._block()
            self._taken(_EXECUTOR.install(self.view, item.name, item.source, item.arguments, item.calls, block))

    def _block(self) -> BlockContext:
        return BlockContext(_CHAIN_ID, self.height, self.now, self.now)

    def _taken(self, receipt: Receipt) -> Receipt:
        if not receipt.ok:
            raise CaseFailed(
                "the contract refuses", expected="ok", found=f"{receipt.contract}.{receipt.entry} {receipt.code}",
                fix="see docs/contracts.md for the code",
            )  # fmt: skip
        self.events.extend(receipt.events)
        return receipt

    def go(self, market_ms: int) -> list[Receipt]:
        """Move on to a time; scheduled calls run when they are due. Returns their receipts."""
        done: list[Receipt] = []
        while (due := _EXECUTOR.next_due_ms(self.view)) is not None and due <= market_ms:
            self.now = max(self.now, due)
            self.height += 1
            for receipt in _EXECUTOR.run_due(self.view, self._block()):
                done.append(self._taken(receipt))
        self.now = market_ms
        return done

    def attempt(self, sender: Address, contract: str, entry: str, *arguments: Any) -> Receipt:
        """Make a transaction; a refusal is returned."""
        nonce = nonce_state(self.view, sender).lowest
        body = TransactionBody(
            version=1, chain_id=_CHAIN_ID, public_key=bytes(sender), nonce=nonce, contract=contract, entry=entry,
            arguments=encode_value(list(arguments)), gas_limit=_GAS,
        )  # fmt: skip
        mark = Hash(hashlib.sha256(bytes(sender) + nonce.to_bytes(8, "big")).digest())
        tx = Transaction(raw=b"", id=mark, body=body, body_bytes=b"", signature=bytes(64), sender=sender)
        self.height += 1
        receipt = _EXECUTOR.execute(self.view, tx, self._block())
        if receipt.ok:
            self.events.extend(receipt.events)
        return receipt

    def send(self, sender: Address, contract: str, entry: str, *arguments: Any) -> Any:
        """Make a transaction and return its value. Raise `CaseFailed` if it is refused."""
        return decode_value(self._taken(self.attempt(sender, contract, entry, *arguments)).value)

    def enrol(self, name: str, markets: tuple[str, ...], rated_w: int, funds: int) -> None:
        """A member with one meter, its own legal owner, and money."""
        member = account(name)
        for market in markets:
            self.send(_REGISTRY, market, "enrol", member, meter(name), bytes(member), rated_w)
        self.send(Address(INSTITUTIONS.trading_center), "token", "deposit", member, funds, f"bank {self.height}")

    def seen(self, name: str) -> list[dict[str, Any]]:
        """Fields of the events of a name."""
        return [_fields(event) for event in self.events if event.name == name]

    def query(self, contract: str, entry: str, *arguments: Any) -> Any:
        """Ask a view. Raise `CaseFailed` if it fails."""
        try:
            return _EXECUTOR.query(self.view, contract, entry, list(arguments), self._block())
        except (QueryFailed, ValueRefused) as error:
            found = f"{contract}.{entry} {error.code}"
            raise CaseFailed("the contract fails", expected="a value", found=found, fix="report the case") from None


def meter(name: str) -> Address:
    """The address of the meter of a name of a case."""
    return account(f"{name}/meter")


def _fields(event: Event) -> dict[str, Any]:
    match decode_value(event.data):
        case dict() as fields:
            return {str(name): value for name, value in fields.items()}
        case other:
            raise InvariantBroken(f"an event holds {other!r}")
