"""Call frames: one meter, its linked instances, and calls from contract to contract.

A called contract sees its caller's contract address as sender and copies of the arguments; it runs only if the caller's
manifest names it and it is not already running. Its failure ends the transaction, unless the caller asked for
`on_fail="return"`: then its writes and events are undone and the caller gets the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from contracts.abi import Entry, encode_result, incoming, outgoing
from contracts.clock import MarketClock
from contracts.compile import compile_source
from contracts.faults import (
    AuthDenied,
    BadValue,
    Blocked,
    DepthExceeded,
    Halt,
    OutOfGas,
    OutOfMemory,
    Reentrancy,
    TypeMismatch,
    Unknown,
)
from contracts.limits import GAS_VERSION, LANGUAGE, ExecutionLimits
from contracts.meter import GAS, LIMITS, Meter, StateReader, StateView, no_view, refuse_write
from contracts.outcome import encoded_details, outcome_of
from contracts.program import Instance, Library
from contracts.routes import SIMPLE, callee_failed, make_route
from contracts.state_format import InstanceRecord, ScheduledCall, sequence_key
from contracts.values import ValueRefused, encode_value
from ledger.codec import decode, encode
from ledger.crypto import Hash, contract_address
from ledger.errors import GridchainError, InvariantBroken
from ledger.objects import Event, Receipt
from ledger.schema import state_contract, state_scheduled, state_source

ROLE_VIEW = "has_role"
"""The view of an instance that says who has which role: (account, role) -> bool."""
_CROSS_CALL = GAS.cross_call
_TRANSACTION, _ARGUMENT_BYTE, _MEMORY = GAS.transaction, GAS.argument_byte, LIMITS.memory
_CALL_DEPTH, _FUNCTION_DEPTH, _FRAMES = LIMITS.call_depth, LIMITS.function_depth, LIMITS.frames


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block that calls run in. Times in ms; `market_time_ms` by the chain's `MarketClock`."""

    chain_id: str
    height: int
    time_ms: int
    market_time_ms: int


class Machine:
    """One meter and everything linked to it. Runs one call at a time; its owner hands it to one thread at a time."""

    def __init__(self, clock: MarketClock, limits: ExecutionLimits) -> None:
        self.clock = clock
        self.limits = limits
        self.meter = Meter()
        self.meter.invoke = self.invoke
        self.meter.schedule = self.schedule
        self.meter.has_role = self.has_role
        self.meter.route = partial(make_route, self)
        self.library = Library(self.meter)
        self.linked: dict[str, tuple[bytes, Instance, bytes]] = {}
        self.addresses: dict[str, bytes] = {}
        self.stack: list[Instance] = []
        self.frames = 0
        self.view: StateView | None = None
        self.block: BlockContext | None = None
        self.native: Callable[[str], Instance | None] = _no_native
        """Contracts that are part of the runtime, looked up after those in state."""

    # opening and closing

    def open(self, view: StateView, block: BlockContext) -> None:
        """Bind the meter to a view that may be written; nothing to do if it still is."""
        if view is self.view and block is self.block:
            return
        meter = self.meter
        self.view = view
        meter.get, meter.scan, meter.put, meter.delete = view.get, view.scan, view.put, view.delete
        meter.readonly = False
        self._context(block)

    def open_reader(self, view: StateReader, block: BlockContext) -> None:
        """Bind the meter to a view that is only read."""
        meter = self.meter
        self.view = None
        meter.get, meter.scan, meter.put, meter.delete = view.get, view.scan, refuse_write, refuse_write
        meter.readonly = True
        self._context(block)

    def _context(self, block: BlockContext) -> None:
        meter = self.meter
        self.block = block
        meter.chain_id = block.chain_id
        meter.height = block.height
        meter.block_time_ms = block.time_ms
        meter.market_time_ms = block.market_time_ms

    def close(self) -> None:
        """Let go of the view, so that its memory can be freed."""
        meter = self.meter
        self.view = self.block = None
        meter.get = meter.put = meter.delete = meter.scan = no_view
        self.stack.clear()
        meter.events = []

    # instances

    def instance(self, name: str) -> Instance | None:
        """The linked instance under a name in the current view; None if there is none."""
        known, get = self.linked.get(name), self.meter.get
        if known is not None:
            raw = get(known[2])
            if raw == known[0]:
                return known[1]
        else:
            raw = get(state_contract(name))
        if raw is None:
            return self.native(name)
        record = decode(InstanceRecord, raw)
        linked = self.link(name, record, frozenset(record.calls))
        if record.status:
            linked.block(record.status, _blocker(record.status))
        self.linked[name] = (raw, linked, state_contract(name))
        return linked

    def link(self, name: str, record: InstanceRecord, calls: frozenset[str]) -> Instance:
        """Link the artifact of a record, which may call `calls`."""
        source = self.meter.get(state_source(record.source_hash))
        if source is None or record.language != LANGUAGE:
            raise InvariantBroken(f"contract {name} has no source, or one in {record.language}")
        try:
            program = compile_source(source)
        except GridchainError as error:
            raise InvariantBroken(f"the installed source of {name} does not compile: {error}") from error
        return Instance(program, name, calls, self.library, dict(record.slots), record.roles)

    def address(self, name: str) -> bytes:
        """The account of an instance."""
        found = self.addresses.get(name)
        if found is None:
            found = self.addresses[name] = contract_address(name)
        return found

    # running

    def result(self, instance: Instance, entry: Entry, arguments: bytes, sender: bytes, subject: bytes) -> Any:
        """Run one top-level call with the gas that the meter holds; return what it returns."""
        meter = self.meter
        meter.name = instance.name
        meter.sender = meter.origin = sender
        meter.self_address = instance.address
        meter.tx_hash = subject
        meter.depth = 0
        meter.allowed = _FUNCTION_DEPTH
        self.frames = 0
        self.stack.append(instance)
        if entry.role == "view":
            meter.readonly = True
            meter.put = meter.delete = refuse_write
        if instance.fresh:
            instance.renew()
        call, decode = entry.call, entry.decode
        return call(*decode(arguments))

    def attempt(
        self, instance: Instance, entry: Entry, arguments: bytes, sender: bytes, subject: Hash, gas: int
    ) -> Receipt:
        """Run a call in a frame of its own: a failure undoes its writes and drops its events."""
        view, meter = self.view, self.meter
        if view is None:
            raise InvariantBroken("a call that writes needs a view that can be written")
        mark = view.checkpoint()
        meter.mem = _MEMORY
        events: list[Event] = []
        meter.events = events
        stack = self.stack
        if stack:
            stack.clear()
        try:
            meter.gas = gas - (_TRANSACTION + _ARGUMENT_BYTE * len(arguments))
            if meter.gas < 0:
                raise OutOfGas
            value = encode_result(self.result(instance, entry, arguments, sender, subject), meter)
        except (Exception, Halt) as error:  # noqa: BLE001  # the call into contract code: every outcome is mapped, host faults re-raise
            code, line = outcome_of(error)
            view.rollback(mark)
            return Receipt(
                subject, entry.scheduled, instance.name, entry.name, False, code, getattr(error, "line", 0) or line,
                gas - max(meter.gas, 0), GAS_VERSION, LANGUAGE, encoded_details(error), (),
            )  # fmt: skip
        finally:
            stack.clear()
            if meter.readonly:
                meter.readonly = False
                meter.put, meter.delete = view.put, view.delete
        return Receipt(
            subject, entry.scheduled, instance.name, entry.name, True, "", 0, gas - meter.gas, GAS_VERSION, LANGUAGE,
            value, tuple(events),
        )  # fmt: skip

    # calls between contracts

    def invoke(
        self, name: Any, entry_name: Any, arguments: tuple[Any, ...], view_only: bool, quiet: bool, gas: Any
    ) -> Any:
        """`call` and `view_call` of contract source. `gas`: a cap for the callee, which then fails alone."""
        meter = self.meter
        meter.gas -= _CROSS_CALL
        if meter.gas < 0:
            raise OutOfGas
        return self.called(name, entry_name, arguments, view_only, quiet, gas)

    def called(
        self,
        name: Any,
        entry_name: Any,
        arguments: tuple[Any, ...],
        view_only: bool = False,
        quiet: bool = False,
        gas: Any = None,
    ) -> Any:
        """`invoke` behind its charge."""
        meter, stack = self.meter, self.stack
        if type(name) is not str or type(entry_name) is not str:
            raise TypeMismatch
        if name not in stack[-1].calls:
            raise AuthDenied
        if len(stack) >= _CALL_DEPTH:
            raise DepthExceeded
        instance = self.instance(name)
        entry = None if instance is None else instance.entries.get(entry_name)
        if instance is None or entry is None:
            code = "UNKNOWN_CONTRACT" if instance is None else "UNKNOWN_ENTRY"
            if quiet:
                # an upgrade may take an entry away, and a caller that asked for codes is told
                return (False, code)
            raise Unknown(code)
        role = entry.role
        if entry.scheduled or (role != "view" and (view_only or role != "export")):
            raise AuthDenied
        if role != "view" and not entry.reentrant and instance in stack:
            raise Reentrancy
        texts = entry.fits(arguments)
        if texts is None:
            arguments = self.copied(arguments)
        else:
            meter.gas -= texts
            if meter.gas < 0:
                raise OutOfGas
        if gas is None:
            return self.enter(instance, entry, arguments, quiet, texts is not None)
        return self.capped(instance, entry, arguments, quiet, gas)

    def has_role(self, role: Any) -> bool:
        """`ctx.has_role("role")`: whether the instance that the manifest names says so of the sender."""
        meter, stack = self.meter, self.stack
        meter.spend(GAS.cross_call)
        if type(role) is not str:
            raise TypeMismatch
        if not stack[-1].roles:
            return False
        if len(stack) >= LIMITS.call_depth:
            raise DepthExceeded
        instance = self.instance(stack[-1].roles)
        if instance is None:
            raise Unknown("UNKNOWN_CONTRACT")
        entry = instance.entries.get(ROLE_VIEW)
        if entry is None or entry.role != "view":
            raise Unknown("UNKNOWN_ENTRY")
        return self.enter(instance, entry, (meter.sender, role), False) is True

    def capped(self, instance: Instance, entry: Entry, arguments: tuple[Any, ...], quiet: bool, gas: Any) -> Any:
        """A call under a gas cap: running out of the cap is the callee's failure, with code OutOfGas."""
        if type(gas) is not int:
            raise TypeMismatch
        if gas < 0:
            raise BadValue
        meter = self.meter
        kept = meter.gas - gas
        if kept <= 0:
            return self.enter(instance, entry, arguments, quiet)
        meter.gas = gas
        try:
            return self.enter(instance, entry, arguments, quiet, capped=True)
        finally:
            meter.gas = max(0, meter.gas) + kept

    def copied(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Values as another contract gets them: nothing is shared that could change."""
        meter = self.meter
        return tuple([value if type(value) in SIMPLE else outgoing(value, meter) for value in arguments])

    def enter(
        self,
        instance: Instance,
        entry: Entry,
        arguments: tuple[Any, ...],
        quiet: bool,
        fitting: bool = False,
        capped: bool = False,
    ) -> Any:
        """Run a checked call in a frame of its own and come back to the caller's. `fitting`: the entry takes these
        arguments as they are. `capped`: running out of gas is the callee's failure."""
        meter, view, stack = self.meter, self.view, self.stack
        name, sender, own, depth = meter.name, meter.sender, meter.self_address, meter.depth
        allowed, frames, readonly = meter.allowed, self.frames, meter.readonly
        program, caller = instance.program, stack[-1].program
        now = frames + (depth if caller.counted else caller.chain)
        room = _FRAMES - now
        if room > _FUNCTION_DEPTH:
            room = _FUNCTION_DEPTH
        if room < (1 if program.counted else program.chain):
            raise DepthExceeded
        fresh = instance.fresh
        constants = {label: instance.scope[label] for label in fresh} if fresh and instance in stack else None
        mark = view.checkpoint() if quiet and view is not None else 0
        events = len(meter.events) if quiet else 0
        self.frames = now
        meter.allowed, meter.depth = room, 0
        meter.sender, meter.self_address, meter.name = own, instance.address, instance.name
        if entry.role == "view" and not readonly:
            meter.readonly = True
            meter.put = meter.delete = refuse_write
        stack.append(instance)
        if fresh:
            instance.renew()
        try:
            call = entry.call
            result = call(*arguments) if fitting else call(*entry.take(arguments))
            found = result if type(result) in SIMPLE else incoming(outgoing(result, meter), meter)
            answer = (True, found) if quiet else found
        except (Exception, Halt) as error:  # the call into contract code: mapped, host faults re-raise
            if isinstance(error, OutOfMemory) or (isinstance(error, OutOfGas) and not capped):
                raise
            failed = callee_failed(error)
            if not quiet:
                raise failed from None
            if view is not None:
                view.rollback(mark)
            del meter.events[events:]
            answer = (False, failed.code)
        finally:
            stack.pop()
            self.frames = frames
            meter.name, meter.sender, meter.self_address = name, sender, own
            meter.depth, meter.allowed = depth, allowed
            if meter.readonly is not readonly and view is not None:
                meter.readonly = False
                meter.put, meter.delete = view.put, view.delete
            if constants:
                instance.scope.update(constants)
        return answer

    # scheduled calls

    def schedule(self, due: int, entry: str, arguments: tuple[Any, ...], gas: Any) -> None:
        """`schedule(due_market_ms, "entry", *arguments, gas=N)` of contract source."""
        meter, limits = self.meter, self.limits
        cap = limits.scheduled_default_gas if gas is None else gas
        if type(cap) is not int:
            raise TypeMismatch
        due_ms = self.clock.block_time(due)
        if not 0 < cap <= limits.scheduled_gas or due_ms >= 2**64:
            raise BadValue
        if meter.readonly:
            raise AuthDenied
        try:
            raw = encode_value([outgoing(value, meter) for value in arguments])
        except ValueRefused:
            raise BadValue from None
        if len(raw) > LIMITS.stored_value:
            raise BadValue
        meter.spend(GAS.schedule + GAS.write_per_byte * len(raw))
        counter = sequence_key(meter.name)
        last = meter.get(counter)
        number = 0 if last is None else int.from_bytes(last, "big")
        meter.put(counter, (number + 1).to_bytes(8, "big"))
        meter.put(state_scheduled(due_ms, meter.name, number), encode(ScheduledCall(due, entry, raw, cap)))


def _no_native(_: str) -> None:
    return None


def _blocker(status: str) -> Callable[..., Any]:
    def blocked(*_: Any) -> Any:
        raise Blocked(status)

    return blocked
