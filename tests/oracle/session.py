"""One transaction: its meter, its events, the contracts that it runs in each other. docs/gas.md, section 6."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from oracle.calls import packed
from oracle.contract import MISSING, Contract, Function, copied
from oracle.failures import HOST_ERRORS, Failure, Stop, bad_value, mismatch, of_host
from oracle.gas import G, L, Meter
from oracle.shapes import Types, outgoing
from oracle.statements import Statements
from oracle.storage import State, Storage

_DEPTH = 20_000
SIMPLE = (int, bool, type(None))


@dataclass(frozen=True, slots=True)
class Installed:
    """A contract, its address, and the contracts that its manifest lets it call."""

    contract: Contract
    address: bytes
    calls: frozenset[str]


@dataclass(slots=True)
class Session:
    """`stack`: names of the contracts that run, outermost first. `context`: what every one of them sees alike."""

    contracts: dict[str, Installed]
    state: State
    meter: Meter
    context: dict[str, Any]
    events: list[tuple[str, str, bytes]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def run(self, name: str, entry: Function, arguments: Any, sender: bytes, readonly: bool) -> Any:
        """Run an entry in an interpreter of its own: fresh constants, a new count of functions."""
        installed = self.contracts[name]
        running = started(installed.contract, name, self.meter, self.state)
        running.context = {**self.context, "sender": sender, "self_address": installed.address}
        running.events = self.events
        running.outside = self.invoke
        running.storage.readonly = readonly or entry.role == "view"
        self.stack.append(name)
        try:
            with deep():
                return running.invoke(entry, taken(running.types, entry, arguments))
        finally:
            self.stack.pop()

    def invoke(
        self, caller: Statements, name: Any, entry: Any, arguments: list[Any], view_only: bool, quiet: bool, cap: Any
    ) -> Any:
        """`call` and `view_call`."""
        self.meter.spend(G.cross_call)
        if type(name) is not str or type(entry) is not str:
            raise mismatch()
        function = self.found(caller, name, entry, view_only)
        if isinstance(function, str):
            if quiet:
                return False, function
            raise Stop(function)
        copies = [value if type(value) in SIMPLE else outgoing(self.meter, value) for value in arguments]
        if cap is None:
            return self.enter(caller, name, function, copies, quiet, False)
        if type(cap) is not int:
            raise mismatch()
        if cap < 0:
            raise bad_value()
        kept = self.meter.gas - cap
        if kept <= 0:
            return self.enter(caller, name, function, copies, quiet, False)
        self.meter.gas = cap
        try:
            return self.enter(caller, name, function, copies, quiet, True)
        finally:
            self.meter.gas = max(0, self.meter.gas) + kept

    def found(self, caller: Statements, name: str, entry: str, view_only: bool) -> Function | str:
        """The entry of a contract that may be called now, or the code that says that there is none."""
        if name not in self.contracts[caller.instance].calls:
            raise Stop("AuthDenied")
        if len(self.stack) >= L.call_depth:
            raise Stop("DepthExceeded")
        if name not in self.contracts:
            return "UNKNOWN_CONTRACT"
        function = self.contracts[name].contract.functions.get(entry)
        if function is None or not function.role:
            return "UNKNOWN_ENTRY"
        if function.role != "view" and (view_only or function.role != "export"):
            raise Stop("AuthDenied")
        if name in self.stack and function.role != "view":
            raise Stop("Reentrancy")
        return function

    def enter(
        self, caller: Statements, name: str, function: Function, arguments: list[Any], quiet: bool, capped: bool
    ) -> Any:
        rows, events = dict(self.state.rows), len(self.events)
        sender = caller.context["self_address"]
        try:
            value = self.run(name, function, arguments, sender, caller.storage.readonly)
            if type(value) not in SIMPLE:
                value = caller.types.incoming(outgoing(self.meter, value))
        except (Failure, Stop, *HOST_ERRORS) as error:
            failed = error if isinstance(error, Failure | Stop) else of_host(error, 0)
            ends = isinstance(failed, Stop) and failed.code in ("OutOfGas", "OutOfMemory") and not failed.inside
            if ends and (failed.code == "OutOfMemory" or not capped):
                raise
            if not quiet:
                stop = Stop(failed.code, failed.line, inside=True)
                stop.details = failed.details
                raise stop from None
            self.state.rows.clear()
            self.state.rows.update(rows)
            del self.events[events:]
            return False, failed.code
        return (True, value) if quiet else value


@contextmanager
def deep() -> Iterator[None]:
    """Room for an interpreter that walks trees; what runs after it finds the host's limit as it was."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def started(contract: Contract, name: str, meter: Meter, state: State) -> Statements:
    """An interpreter with fresh constants."""
    types = Types(meter)
    types.records = contract.records
    running = Statements(contract, meter, types, Storage(name, types, meter, state))
    running.constants = {constant: copied(value) for constant, value in contract.constants.items()}
    running.storage.indexes = contract.indexes
    running.events, running.instance = [], name
    return running


def taken(types: Types, function: Function, arguments: list[Any]) -> dict[str, Any]:
    """Arguments from outside by name."""
    plain = function.parameters
    if len(arguments) < function.least or (len(arguments) > len(plain) and function.rest is None):
        raise mismatch()
    if any(default is MISSING for _, _, default in function.by_name):
        raise mismatch()
    found = {name: types.taken(shape, value) for value, (name, shape, _) in zip(arguments, plain, strict=False)}
    if function.rest is not None:
        name, shape = function.rest
        found |= packed(types.meter, name, [types.taken(shape, value) for value in arguments[len(plain) :]])
    return found
