"""A bench for contract tests: a dictionary with the protocol of an overlay, and one-call runs of sources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from contracts.abi import outgoing
from contracts.compile import compile_source
from contracts.executor import BlockContext, ExecutionLimits, Executor, MarketClock
from contracts.faults import Halt
from contracts.frames import Machine
from contracts.limits import PYC1
from contracts.outcome import outcome_of
from contracts.program import Instance
from contracts.rules import SourceRejected
from contracts.values import decode_value, encode_value
from ledger.objects import Receipt, Transaction, TransactionBody

CHAIN = "test-chain"
GAS = 50_000_000
ALICE, BOB = hashlib.sha256(b"alice").digest(), hashlib.sha256(b"bob").digest()


class DictView:
    """State as one dictionary, with a journal."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.journal: list[tuple[bytes, bytes | None]] = []
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self.rows.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        assert type(key) is bytes
        assert type(value) is bytes
        self.journal.append((key, self.rows.get(key)))
        self.rows[key] = value

    def delete(self, key: bytes) -> None:
        self.journal.append((key, self.rows.get(key)))
        self.rows.pop(key, None)

    def checkpoint(self) -> int:
        return len(self.journal)

    def rollback(self, mark: int) -> None:
        while len(self.journal) > mark:
            key, before = self.journal.pop()
            if before is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = before

    def scan(self, prefix: bytes, after: bytes | None = None, limit: int = 1 << 62) -> list[tuple[bytes, bytes]]:
        keys = sorted(key for key in self.rows if key.startswith(prefix) and (after is None or key > after))
        return [(key, self.rows[key]) for key in keys[:limit]]


@dataclass(frozen=True, slots=True)
class Run:
    """Outcome of a pure run: status ok, rejected or reverted."""

    status: str
    value: Any = None
    code: str = ""
    line: int = 0
    gas: int = 0


def run(source: str | bytes, entry: str = "main", arguments: list[Any] | None = None, gas: int = GAS) -> Run:
    """Admit a source of pure functions and call one of them."""
    try:
        program = compile_source(source, pure=True)
    except SourceRejected as error:
        return Run("rejected", code=error.code, line=error.line)
    machine = Machine(MarketClock(0, 0, 1), ExecutionLimits())
    view: Any = DictView()
    if entry not in program.contract.functions:
        return Run("rejected", code="NO_ENTRY")
    machine.open(view, BlockContext(CHAIN, 1, 1_000, 1_000))
    instance = Instance(program, "single", frozenset(), machine.library)
    machine.meter.gas, machine.meter.mem = gas, PYC1.memory
    try:
        raw = encode_value(arguments or [])
        value = machine.result(instance, instance.entries[entry], raw, bytes(32), bytes(32))
        shown = outgoing(value, machine.meter)
    except (Exception, Halt) as error:  # noqa: BLE001  # what the executor does at this border
        code, line = outcome_of(error)
        return Run("reverted", code=code, line=line, gas=gas - max(0, machine.meter.gas))
    return Run("ok", shown, gas=gas - machine.meter.gas)


class Bench:
    """Contracts on a dictionary view: install, call, query, scheduled calls."""

    def __init__(self, limits: ExecutionLimits | None = None) -> None:
        self.executor = Executor(MarketClock(0, 0, 1), limits)
        self.view: Any = DictView()
        self.nonces: dict[bytes, int] = {}
        self.now = 1_000
        self.height = 1

    def block(self) -> BlockContext:
        return BlockContext(CHAIN, self.height, self.now, self.now)

    def install(self, name: str, source: str, *arguments: Any, calls: tuple[str, ...] = ()) -> Receipt:
        return self.executor.install(self.view, name, source, encode_value(list(arguments)), calls, self.block())

    def installed(self, name: str, source: str, *arguments: Any, calls: tuple[str, ...] = ()) -> None:
        receipt = self.install(name, source, *arguments, calls=calls)
        assert receipt.ok, (receipt.code, receipt.line)

    def transaction(
        self,
        contract: str,
        entry: str,
        *arguments: Any,
        sender: bytes = ALICE,
        gas: int = GAS,
        raw: bytes | None = None,
    ) -> Transaction:
        nonce = self.nonces.get(sender, 0)
        self.nonces[sender] = nonce + 1
        encoded = encode_value(list(arguments)) if raw is None else raw
        body = TransactionBody(1, CHAIN, sender, nonce, contract, entry, encoded, gas)
        mark: Any = hashlib.sha256(sender + nonce.to_bytes(8, "big")).digest()
        who: Any = sender
        return Transaction(b"", mark, body, b"", bytes(64), who)

    def call(self, contract: str, entry: str, *arguments: Any, **options: Any) -> Receipt:
        return self.executor.execute(self.view, self.transaction(contract, entry, *arguments, **options), self.block())

    def value(self, contract: str, entry: str, *arguments: Any, **options: Any) -> Any:
        receipt = self.call(contract, entry, *arguments, **options)
        assert receipt.ok, (receipt.code, receipt.line)
        return decode_value(receipt.value)

    def query(self, contract: str, entry: str, *arguments: Any) -> Any:
        return self.executor.query(self.view, contract, entry, list(arguments), self.block())
