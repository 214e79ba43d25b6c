"""Why a query gave no value, said so that the asker can put it right: what there is, what was given, what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping

from contracts.abi import Entry
from contracts.faults import Fault, Halt, OutOfGas, OutOfMemory
from contracts.program import Instance
from contracts.resolve import MISSING, Function
from contracts.values import Value, encode_value, to_json
from ledger.errors import GridchainError

_SHOWN = 160


class QueryFailed(GridchainError):
    """A query that gave no value; `code` is the contract's or UNKNOWN_CONTRACT, UNKNOWN_ENTRY, NOT_A_VIEW."""

    code = "QUERY_FAILED"


def no_contract(name: str) -> QueryFailed:
    """No contract is installed under this name."""
    return QueryFailed(
        f"there is no contract {name}",
        code="UNKNOWN_CONTRACT",
        expected="the name of an installed contract",
        found=name,
        fix="check the name; genesis lists what the network began with",
    )


def no_entry(contract: str, entry: str, entries: Mapping[str, Entry]) -> QueryFailed:
    """The contract has no entry of this name."""
    views = _views(entries)
    near = difflib.get_close_matches(entry, views, n=1)
    return QueryFailed(
        f"{contract} has no entry {entry}",
        code="UNKNOWN_ENTRY",
        expected=_one_of(views),
        found=entry,
        fix=f"did you mean {near[0]}?" if near else "ask one of these views",
    )


def no_view(contract: str, entry: Entry, entries: Mapping[str, Entry]) -> QueryFailed:
    """The entry is there, but only the chain itself calls it."""
    by_hand = entry.role == "export" and not entry.scheduled
    return QueryFailed(
        f"{contract}.{entry.name} is no view",
        code="NOT_A_VIEW",
        expected=_one_of(_views(entries)),
        found=f"{entry.name}, which " + ("changes state" if by_hand else "only the chain calls"),
        fix=f"submit a transaction: gridchain tx send {contract} {entry.name}" if by_hand else "ask one of these views",
    )


def no_value(instance: Instance, entry: str, arguments: list[Value], code: str, line: int) -> QueryFailed:
    """The call failed: on its arguments, in the contract, or because its result is too large for an answer."""
    called = f"{instance.name}.{entry}"
    given = json.dumps(to_json(arguments))
    found = given if len(given) <= _SHOWN else given[:_SHOWN] + ".."
    if code in (OutOfGas.code, OutOfMemory.code):
        message, fix = f"{called} asks for more than a query may use", "ask for less at once"
    elif line:
        message, fix = f"{called} failed at line {line}", "ask with other arguments; the code is the contract's own"
    elif _takes(instance.entries[entry], arguments):
        message, fix = f"the result of {called} cannot be shown", "ask for less at once"
    else:
        message, fix = f"{called} does not take these arguments", "give arguments of these types, bytes as 0x hex"
    signature = _signature(instance.program.contract.functions[entry])
    return QueryFailed(message, code=code, expected=signature, found=found, fix=fix)


def _takes(entry: Entry, arguments: list[Value]) -> bool:
    try:
        entry.decode(encode_value(arguments))
    except (Fault, Halt):
        return False
    return True


def _views(entries: Mapping[str, Entry]) -> list[str]:
    return sorted(name for name, entry in entries.items() if entry.role == "view")


def _one_of(views: list[str]) -> str:
    return f"one of the views {', '.join(views)}" if views else "a view; this contract has none"


def _signature(function: Function) -> str:
    taken = ", ".join(
        f"{parameter.name}: {parameter.shape}" + ("" if parameter.default is MISSING else " = ..")
        for parameter in function.parameters
    )
    return f"{function.name}({taken})"
