"""Calls between contracts whose target stands in the source: `call("token", "lock", ...)` with both names written out.

A route is one helper for one caller, contract and entry. It finds the target once and keeps it for as long as state
shows the same instance record, and knows beforehand what `Machine.invoke` asks of every call. Whatever is not plain,
or not permitted, it leaves to the machine, which decides: meaning, gas and failures are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from contracts import kinds
from contracts.abi import Entry, incoming, outgoing
from contracts.faults import CalleeFailed, DepthExceeded, Halt, OutOfGas, OutOfMemory
from contracts.meter import GAS, LIMITS
from contracts.outcome import outcome_of
from contracts.program import Instance
from contracts.resolve import Function
from ledger.schema import state_contract

if TYPE_CHECKING:
    from contracts.frames import Machine

SIMPLE: Final = (int, bool, type(None))
"""Types of values that go from contract to contract as they are."""
_TAKEN_BY: Final = {
    "u64": ("u64", "u256", "int"),
    "u256": ("u256", "int"),
    "int": ("int",),
    "bool": ("bool",),
    "Address": ("Address", "bytes"),
}
"""Types of parameters that take what is certain to be of another type as it is."""
_CROSS_CALL, _CALL_DEPTH = GAS.cross_call, LIMITS.call_depth
_FUNCTION_DEPTH, _FRAMES = LIMITS.function_depth, LIMITS.frames


def callee_failed(error: BaseException) -> CalleeFailed:
    """What a caller gets of a failure inside the contract that it called. Host faults are raised."""
    code, line = outcome_of(error)
    return CalleeFailed(code, getattr(error, "line", 0) or line, getattr(error, "details", None))


def make_route(
    machine: Machine, caller: Instance, name: str, entry_name: str, *certain: str
) -> Callable[[tuple[Any, ...]], Any]:
    """The helper for `call(name, entry_name, ...)` in the functions of `caller`. `certain`: what the compiler knows of
    each argument, see `kinds.certain`."""
    meter, stack, key = machine.meter, machine.stack, state_contract(name)
    caller_name, caller_address = caller.name, caller.address
    caller_counted, caller_chain = caller.program.counted, caller.program.chain
    record: bytes | None = b""  # no instance has that one
    target, fits, call = caller, _nothing, _nothing
    target_name, target_address, counted, need = "", b"", False, 1
    known: int | None = None
    """What copying the texts of the arguments costs, if they are certain to fit."""

    def found(shown: bytes | None) -> bool:
        """Look the target up; False if the machine has to make the calls to it."""
        nonlocal record, target, fits, call, target_name, target_address, counted, need, known
        record = b""
        if shown is None or name not in caller.calls:
            return False
        instance = machine.instance(name)
        chosen = None if instance is None else instance.entries.get(entry_name)
        if instance is None or chosen is None or not _plain(instance, chosen):
            return False
        record, target, fits, call = shown, instance, chosen.fits, chosen.call
        target_name, target_address = instance.name, instance.address
        counted = instance.program.counted
        need = 1 if counted else instance.program.chain
        known = _copies(instance.program.contract.functions[entry_name], certain)
        return True

    def route(arguments: tuple[Any, ...]) -> Any:
        meter.gas -= _CROSS_CALL
        if meter.gas < 0:
            raise OutOfGas
        get = meter.get
        shown = get(key)
        if (shown is not record and not found(shown)) or len(stack) >= _CALL_DEPTH:
            return machine.called(name, entry_name, arguments)
        texts = fits(arguments) if known is None else known
        if texts is None or target in stack:
            return machine.called(name, entry_name, arguments)
        if texts:
            meter.gas -= texts
            if meter.gas < 0:
                raise OutOfGas
        frames, depth, sender = machine.frames, meter.depth, meter.sender
        now = frames + (depth if caller_counted else caller_chain)
        room = _FRAMES - now
        if room > _FUNCTION_DEPTH:
            room = _FUNCTION_DEPTH
        if room < need:
            raise DepthExceeded
        machine.frames = now
        allowed = meter.allowed
        if counted:
            meter.allowed, meter.depth = room, 0
        meter.sender, meter.self_address, meter.name = caller_address, target_address, target_name
        stack.append(target)
        try:
            result = call(*arguments)
            return result if result is None or type(result) in SIMPLE else incoming(outgoing(result, meter), meter)
        except (OutOfGas, OutOfMemory):
            raise
        except (Exception, Halt) as error:  # noqa: BLE001  # the call into contract code: mapped, host faults re-raise
            raise callee_failed(error) from None
        finally:
            stack.pop()
            machine.frames = frames
            meter.name, meter.sender, meter.self_address = caller_name, sender, caller_address
            if counted:
                meter.depth, meter.allowed = depth, allowed

    return route


def _plain(instance: Instance, entry: Entry) -> bool:
    """Whether a call needs nothing but a frame: no rights other than an export's, nothing that is made anew."""
    return entry.role == "export" and not entry.scheduled and not entry.reentrant and not instance.fresh


def _copies(function: Function, certain: tuple[str, ...]) -> int | None:
    """`Entry.fits` of arguments of which this is certain; None if it has to be asked."""
    tags = [parameter.shape.tag for parameter in function.parameters if not parameter.shape.optional]
    if not len(tags) == len(certain) == len(function.by_place) == len(function.parameters):
        return None
    if any(tag not in _TAKEN_BY.get(given, ()) for tag, given in zip(tags, certain, strict=True)):
        return None
    return sum(kinds.ADDRESS.high // GAS.bytes_per_gas for given in certain if given == "Address")


def _nothing(*_: Any) -> Any:
    return None
