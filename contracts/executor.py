"""The executor: transactions, scheduled calls and queries become state changes and receipts.

Pure: the same view, transaction and block give the same receipt and the same writes on every node. Whatever a contract
or an argument does, the outcome is a receipt with a code; only a fault of the host raises (`InvariantBroken`). An
executor belongs to one thread at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from msgspec.structs import replace

from contracts.abi import outgoing
from contracts.clock import MarketClock
from contracts.compile import compile_source
from contracts.faults import Halt
from contracts.frames import BlockContext, Machine, Outcome
from contracts.limits import GAS1, GAS_VERSION, LANGUAGE, PYC1, ExecutionLimits
from contracts.meter import Meter, StateReader
from contracts.outcome import outcome_of
from contracts.query_failures import QueryFailed, no_contract, no_entry, no_value, no_view
from contracts.rules import SourceRejected
from contracts.state_format import (
    InstanceRecord,
    ScheduledCall,
    scheduled_contract,
    scheduled_due_ms,
    scheduled_subject,
)
from contracts.values import Value, decode_value, encode_value
from ledger.accounts import use_nonce
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_CONTRACT, ZERO_HASH, Hash, hash_of, sha256
from ledger.errors import DecodeError, InvariantBroken
from ledger.objects import Receipt, Transaction
from ledger.schema import STATE_SCHEDULE, state_contract, state_source
from ledger.state import Overlay

__all__ = ["BlockContext", "ExecutionLimits", "Executor", "MarketClock", "QueryFailed"]

_RECURSION = 5_000
"""Above the host frames that contracts can need: `frames` functions, each with `nested_scopes` lambdas or
comprehensions of at most five host frames, is 3,360. CPython's default of 1,000 would be reached."""


class Executor:
    """Executes on views of state. `clock` converts block time and market time; `limits` are the gas caps."""

    def __init__(self, clock: MarketClock, limits: ExecutionLimits | None = None) -> None:
        self.clock = clock
        self.limits = limits or ExecutionLimits()
        self._machine = Machine(clock, self.limits)
        if sys.getrecursionlimit() < _RECURSION:
            sys.setrecursionlimit(_RECURSION)

    @property
    def meter(self) -> Meter:
        """The meter that calls run on. For tools that watch: nothing may be decided by it."""
        return self._machine.meter

    # genesis

    def install(
        self, view: Overlay, name: str, source: str, arguments: bytes, calls: Sequence[str], block: BlockContext
    ) -> Receipt:
        """Install a source as an instance and run its @init with encoded arguments. A refused source gives a receipt
        with its rule code and line; nothing is written then."""
        raw = source.encode("utf-8", "surrogatepass")
        source_hash = sha256(raw)
        subject = hash_of(DOMAIN_CONTRACT, source_hash + name.encode("utf-8"))
        if view.get(state_contract(name)) is not None:
            return _refused(subject, name, "ALREADY_INSTALLED", 0)
        try:
            program = compile_source(raw)
        except SourceRejected as error:
            return _refused(subject, name, error.code, error.line)
        price = GAS1.install_per_byte * len(raw)
        mark = view.checkpoint()
        view.put(state_source(source_hash), raw)
        view.put(state_contract(name), encode(InstanceRecord(source_hash, LANGUAGE, 1, tuple(sorted(set(calls))))))
        found = [function.name for function in program.contract.functions.values() if function.role == "init"]
        if not found:
            if arguments != encode_value([]):
                view.rollback(mark)
                return _refused(subject, name, "TypeMismatch", 0)
            return _receipt(subject, False, name, "", Outcome(True, "", 0, price, b"\xc0", ()))
        outcome = self._call(view, block, name, found[0], arguments, subject, self.limits.install_gas - price)
        outcome = replace(outcome, gas=outcome.gas + price)
        if not outcome.ok:
            view.rollback(mark)
        return _receipt(subject, False, name, found[0], outcome)

    # blocks

    def execute(self, view: Overlay, tx: Transaction, block: BlockContext) -> Receipt:
        """Execute one transaction whose signature was checked. Its nonce is used even when the call fails. The view stays
        bound until another is used, for the next transaction of the block.
        Raise `InvariantBroken` if the nonce is not admissible: the caller had to check."""
        body = tx.body
        if not use_nonce(view, tx.sender, body.nonce):
            raise InvariantBroken(f"nonce {body.nonce} of {tx.sender.hex()} is not admissible")
        gas = min(body.gas_limit, self.limits.transaction_gas)
        machine = self._machine
        machine.open(view, block)
        try:
            instance = machine.instance(body.contract)
            if instance is None:
                return _refused(tx.id, body.contract, "UNKNOWN_CONTRACT", 0, body.entry)
            entry = instance.entries.get(body.entry)
            if entry is None:
                return _refused(tx.id, body.contract, "UNKNOWN_ENTRY", 0, body.entry)
            if entry.scheduled or entry.role not in ("export", "view"):
                return _refused(tx.id, body.contract, "AuthDenied", 0, body.entry)
            outcome = machine.attempt(instance, entry, body.arguments, tx.sender, tx.id, gas)
        except BaseException:
            machine.close()
            raise
        return Receipt(
            tx.id, False, body.contract, body.entry, outcome.ok, outcome.code, outcome.line, outcome.gas, GAS_VERSION,
            outcome.value, outcome.events,
        )  # fmt: skip

    def run_due(self, view: Overlay, block: BlockContext) -> list[Receipt]:
        """Run the scheduled calls that are due at the block's time, in order (due, contract, seq), each under its own
        gas cap and together under the block's; what does not fit stays first for the next block."""
        receipts: list[Receipt] = []
        left = self.limits.scheduled_block_gas
        while True:
            found = view.scan(STATE_SCHEDULE, None, 1)
            if not found or scheduled_due_ms(found[0][0]) > block.time_ms:
                return receipts
            key, raw = found[0]
            call = decode(ScheduledCall, raw)
            if call.gas > left and receipts:
                return receipts
            view.delete(key)
            name, subject = scheduled_contract(key), scheduled_subject(key)
            outcome = self._scheduled(view, block, name, call, subject)
            left -= outcome.gas
            receipts.append(_receipt(subject, True, name, call.entry, outcome))

    def _scheduled(self, view: Overlay, block: BlockContext, name: str, call: ScheduledCall, subject: Hash) -> Outcome:
        machine = self._machine
        machine.open(view, block)
        try:
            instance = machine.instance(name)
            entry = None if instance is None else instance.entries.get(call.entry)
            if instance is None or entry is None or not entry.scheduled:
                return Outcome(False, "UNKNOWN_ENTRY", 0, 0, b"", ())
            arguments = _with_due(call)
            return machine.attempt(instance, entry, arguments, machine.address(name), subject, call.gas)
        finally:
            machine.close()

    def next_due_ms(self, view: StateReader) -> int | None:
        """Block time at which the earliest scheduled call is due; None if there is none."""
        found = view.scan(STATE_SCHEDULE, None, 1)
        return scheduled_due_ms(found[0][0]) if found else None

    def _call(
        self, view: Overlay, block: BlockContext, name: str, entry: str, arguments: bytes, subject: Hash, gas: int
    ) -> Outcome:
        machine = self._machine
        machine.open(view, block)
        try:
            instance = machine.instance(name)
            if instance is None:
                raise InvariantBroken(f"{name} was just installed")
            return machine.attempt(instance, instance.entries[entry], arguments, bytes(ZERO_HASH), subject, gas)
        finally:
            machine.close()

    # reading

    def query(self, view: StateReader, contract: str, entry: str, arguments: list[Value], block: BlockContext) -> Value:
        """The value of a @view, free and without trace, under a local gas limit. Raise `QueryFailed` with a code,
        `ValueRefused` for arguments that are no values."""
        raw = encode_value(arguments)
        machine = Machine(self.clock, self.limits) if self._machine.stack else self._machine
        machine.open_reader(view, block)
        try:
            instance = machine.instance(contract)
            if instance is None:
                raise no_contract(contract)
            found = instance.entries.get(entry)
            if found is None:
                raise no_entry(contract, entry, instance.entries)
            if found.role != "view":
                raise no_view(contract, found, instance.entries)
            meter = machine.meter
            meter.gas, meter.mem, meter.events = self.limits.query_gas, PYC1.memory, []
            machine.stack.clear()
            try:
                value: Value = outgoing(machine.result(instance, found, raw, bytes(ZERO_HASH), bytes(ZERO_HASH)), meter)
            except (Exception, Halt) as error:  # noqa: BLE001  # the call into contract code: mapped
                raise no_value(instance, entry, arguments, *outcome_of(error)) from None
            return value
        finally:
            machine.close()

    def knows(self, view: StateReader, contract: str, entry: str) -> bool:
        """Whether a transaction may call this entry: the contract exists and exports it."""
        return entry in self.callable(view, contract)

    def callable(self, view: StateReader, contract: str) -> tuple[str, ...]:
        """What a transaction may call, by name; nothing of a contract that does not exist."""
        machine = self._machine
        machine.meter.get = view.get
        try:
            instance = machine.instance(contract)
        finally:
            machine.close()
        found = () if instance is None else instance.entries.values()
        return tuple(sorted(entry.name for entry in found if entry.role == "export" and not entry.scheduled))


def _with_due(call: ScheduledCall) -> bytes:
    """Argument bytes of a scheduled call: its due time in front of what was scheduled."""
    try:
        rest = decode_value(call.arguments)
    except DecodeError as error:
        raise InvariantBroken(f"a scheduled call holds arguments that the runtime did not write: {error}") from error
    return encode_value([call.due_market_ms, *rest])


def _refused(subject: Hash, contract: str, code: str, line: int, entry: str = "") -> Receipt:
    return Receipt(subject, False, contract, entry, False, code, line, 0, GAS_VERSION, b"", ())


def _receipt(subject: Hash, scheduled: bool, contract: str, entry: str, outcome: Outcome) -> Receipt:
    return Receipt(
        subject, scheduled, contract, entry, outcome.ok, outcome.code, outcome.line, outcome.gas, GAS_VERSION,
        outcome.value, outcome.events,
    )  # fmt: skip
