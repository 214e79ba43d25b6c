"""The executor: transactions, scheduled calls and queries become state changes and receipts.

Pure: the same view, transaction and block give the same receipt and the same writes on every node. Whatever a contract
or an argument does, the outcome is a receipt with a code; only a fault of the host raises (`InvariantBroken`). An
executor belongs to one thread at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from contracts.abi import outgoing
from contracts.clock import MarketClock
from contracts.faults import Halt
from contracts.frames import BlockContext, Machine
from contracts.lifecycle import Lifecycle, make_machine, valid_name
from contracts.limits import GAS1, GAS_VERSION, LANGUAGE, PYC1, ExecutionLimits
from contracts.meter import Meter, StateReader
from contracts.migration import ACTIVATIONS, activation_height, activation_instance, parked_key
from contracts.outcome import outcome_of
from contracts.query_failures import QueryFailed, no_contract, no_entry, no_value, no_view
from contracts.rules import SourceRejected
from contracts.state_format import (
    GOVERNANCE,
    LIFECYCLE,
    ScheduledCall,
    scheduled_contract,
    scheduled_due_ms,
    scheduled_subject,
    well_named,
)
from contracts.typed_json import typed_arguments
from contracts.values import Value, decode_value, encode_value
from ledger.accounts import use_nonce
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_CONTRACT, ZERO_HASH, Hash, domain, hash_of, sha256
from ledger.errors import DecodeError, InvariantBroken
from ledger.objects import Receipt, Transaction
from ledger.schema import STATE_SCHEDULE, state_contract
from ledger.state import Overlay

__all__ = ["ENGINE_ADDRESS", "BlockContext", "EngineCall", "ExecutionLimits", "Executor", "MarketClock", "QueryFailed"]

_RECURSION = 5_000
"""Above the host frames that contracts can need: `frames` functions, each with `nested_scopes` lambdas or
comprehensions of at most five host frames, is 3,360. CPython's default of 1,000 would be reached."""

_DEPLOY = (GOVERNANCE, "deploy")
"""Contract and entry of a transaction that has the gas of a deployment."""

DOMAIN_ENGINE_CALL = domain("engine-call")
ENGINE_ADDRESS = bytes(hash_of(DOMAIN_ENGINE_CALL, b"sender"))
"""Who contracts see as the sender of what the consensus engine does."""

_PARKING_GAS = 2_000
"""What putting a scheduled call aside takes of the block's gas for them."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """What the engine calls; `seq` tells calls of the same entry in one block apart."""

    contract: str
    entry: str
    seq: int = 0


class Executor:
    """Executes on views of state. `clock` converts block time and market time; `limits` are the gas caps."""

    def __init__(self, clock: MarketClock, limits: ExecutionLimits | None = None) -> None:
        self.clock = clock
        self.limits = limits or ExecutionLimits()
        self._machine = Machine(clock, self.limits)
        self._lifecycle = Lifecycle(self._machine)
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
        subject = hash_of(DOMAIN_CONTRACT, sha256(raw) + name.encode("utf-8"))
        if not valid_name(name):
            return _refused(subject, name, "BAD_NAME", 0)
        if view.get(state_contract(name)) is not None:
            return _refused(subject, name, "ALREADY_INSTALLED", 0)
        mark = view.checkpoint()
        machine, setup = self._machine, ""
        machine.open(view, block)
        machine.meter.gas, machine.meter.mem = 1 << 62, PYC1.memory
        try:
            setup = self._lifecycle.installed(name, raw, calls)
            price = GAS1.install_per_byte * len(raw)
            if setup:
                receipt = self._set_up(name, setup, arguments, subject, self.limits.install_gas - price)
                receipt = replace(receipt, gas=receipt.gas + price)
            elif arguments != encode_value([]):
                receipt = _refused(subject, name, "TypeMismatch", 0)
            else:
                receipt = Receipt(subject, False, name, "", True, "", 0, price, GAS_VERSION, LANGUAGE, b"\xc0", ())
        except SourceRejected as error:
            receipt = _refused(subject, name, error.code, error.line)
        finally:
            machine.close()
        if not receipt.ok:
            view.rollback(mark)
        return receipt

    def _set_up(self, name: str, entry: str, arguments: bytes, subject: Hash, gas: int) -> Receipt:
        machine = self._machine
        instance = machine.instance(name)
        if instance is None:
            raise InvariantBroken(f"{name} was just installed")
        return machine.attempt(instance, instance.entries[entry], arguments, bytes(ZERO_HASH), subject, gas)

    # blocks

    def execute(self, view: Overlay, tx: Transaction, block: BlockContext) -> Receipt:
        """Execute one transaction whose signature was checked. Its nonce is used even when the call fails. The view
        stays bound until another is used, for the next transaction of the block.
        Raise `InvariantBroken` if the nonce is not admissible: the caller had to check."""
        body = tx.body
        if not use_nonce(view, tx.sender, body.nonce):
            raise InvariantBroken(f"nonce {body.nonce} of {tx.sender.hex()} is not admissible")
        gas, most = body.gas_limit, self.limits.transaction_gas
        if gas > most:
            gas = min(gas, self.limits.deploy_gas) if (body.contract, body.entry) == _DEPLOY else most
        machine = self._machine
        if machine.view is not view or machine.block is not block:
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
            return machine.attempt(instance, entry, body.arguments, tx.sender, tx.id, gas)
        except BaseException:
            machine.close()
            raise

    def refuse(self, view: Overlay, tx: Transaction, code: str) -> Receipt:
        """The receipt of a transaction that the engine refuses with a code; its nonce is used. Raise `InvariantBroken`
        if the nonce is not admissible."""
        if not use_nonce(view, tx.sender, tx.body.nonce):
            raise InvariantBroken(f"nonce {tx.body.nonce} of {tx.sender.hex()} is not admissible")
        return _refused(tx.id, tx.body.contract, code, 0, tx.body.entry)

    def engine_call(
        self, view: Overlay, block: BlockContext, call: EngineCall, arguments: list[Value], gas: int
    ) -> Receipt:
        """Call an exported entry as the engine (`ENGINE_ADDRESS`, which nobody has the key of). The receipt counts as a
        scheduled call's; its subject is the hash of height, contract, entry and `call.seq`."""
        subject = hash_of(DOMAIN_ENGINE_CALL, encode((block.height, call.contract, call.entry, call.seq)))
        machine = self._machine
        machine.open(view, block)
        try:
            instance = machine.instance(call.contract)
            entry = None if instance is None else instance.entries.get(call.entry)
            if instance is None or entry is None or entry.scheduled or entry.role != "export":
                return _unknown(subject, call.contract, call.entry)
            receipt = machine.attempt(instance, entry, encode_value(arguments), ENGINE_ADDRESS, subject, gas)
            return replace(receipt, scheduled=True)
        finally:
            machine.close()

    def run_due(self, view: Overlay, block: BlockContext) -> list[Receipt]:
        """Begin the upgrades whose height this is; then run the scheduled calls that are due at the block's time, in
        order (due, contract, seq), each under its own gas cap and together under the block's. What does not fit stays
        first for the next block; what is for an instance that takes no calls now waits until it does."""
        receipts = self._activated(view, block)
        left = self.limits.scheduled_block_gas
        ran = False
        while True:
            found = view.scan(STATE_SCHEDULE, None, 1)
            if not found or scheduled_due_ms(found[0][0]) > block.time_ms:
                return receipts
            key, raw = found[0]
            call = decode(ScheduledCall, raw)
            if call.gas > left and ran:
                return receipts
            view.delete(key)
            name, subject = scheduled_contract(key), scheduled_subject(key)
            receipt = self._scheduled(view, block, name, call, subject)
            ran = True
            if receipt is None:
                view.put(parked_key(name, key), raw)
                left -= _PARKING_GAS
                continue
            left -= receipt.gas
            receipts.append(receipt)

    def _activated(self, view: Overlay, block: BlockContext) -> list[Receipt]:
        receipts: list[Receipt] = []
        for key, _ in view.scan(ACTIVATIONS):
            if activation_height(key) > block.height:
                break
            view.delete(key)
            due, name = activation_height(key), encode_value([activation_instance(key)])
            call = ScheduledCall(due, "activate", name, self.limits.scheduled_gas)
            subject = scheduled_subject(key)
            receipt = self._scheduled(view, block, LIFECYCLE, call, subject)
            receipts.append(receipt or _unknown(subject, LIFECYCLE, "activate"))
        return receipts

    def _scheduled(
        self, view: Overlay, block: BlockContext, name: str, call: ScheduledCall, subject: Hash
    ) -> Receipt | None:
        """Make a scheduled call; None if the instance takes no calls now."""
        machine = self._machine
        machine.open(view, block)
        try:
            instance = machine.instance(name)
            if instance is not None and instance.blocked:
                return None
            entry = None if instance is None else instance.entries.get(call.entry)
            if instance is None or entry is None or not entry.scheduled:
                return _unknown(subject, name, call.entry)
            return machine.attempt(instance, entry, _with_due(call), machine.address(name), subject, call.gas)
        finally:
            machine.close()

    def next_due_ms(self, view: StateReader) -> int | None:
        """Block time at which the chain wants a block though nobody sends anything: when the earliest scheduled call is
        due, and at once while an upgrade waits for its height. None if it wants none."""
        if view.scan(ACTIVATIONS, None, 1):
            return 0
        found = view.scan(STATE_SCHEDULE, None, 1)
        return scheduled_due_ms(found[0][0]) if found else None

    # reading

    def query(
        self,
        view: StateReader,
        contract: str,
        entry: str,
        arguments: list[Value],
        block: BlockContext,
        *,
        as_json: bool = False,
    ) -> Value:
        """The value of a @view, free and without trace, under a local gas limit. `as_json`: arguments are parsed JSON,
        read by the types of the view. Raise `QueryFailed` with a code, `ValueRefused` for what is no value."""
        raw = b"" if as_json else encode_value(arguments)
        machine = make_machine(self.clock, self.limits) if self._machine.stack else self._machine
        machine.open_reader(view, block)
        try:
            instance = machine.instance(contract) if well_named(contract) else None
            if instance is None:
                raise no_contract(contract)
            found = instance.entries.get(entry)
            if found is None:
                raise no_entry(contract, entry, instance.entries)
            if found.role != "view":
                raise no_view(contract, found, instance.entries)
            if as_json:
                declared = instance.program.contract
                arguments = typed_arguments(arguments, declared.functions[entry], declared.records)
                raw = encode_value(arguments)
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
            instance = machine.instance(contract) if well_named(contract) else None
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
    return Receipt(subject, False, contract, entry, False, code, line, 0, GAS_VERSION, "", b"", ())


def _unknown(subject: Hash, contract: str, entry: str) -> Receipt:
    """A scheduled call of what is not there any more."""
    return Receipt(subject, True, contract, entry, False, "UNKNOWN_ENTRY", 0, 0, GAS_VERSION, "", b"", ())
