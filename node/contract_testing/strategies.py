"""Hypothesis strategies for the arguments of an entry, from its declared types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from contracts.compile import Program
from contracts.resolve import MISSING, Function
from contracts.shapes import Shape
from node.contract_testing.handles import Entry
from node.contract_testing.show import plain

Strategy = st.SearchStrategy[Any]
_SMALL: Final = 8
"""Items of containers, characters of texts: what a test can read."""
_EDGES: Final = {
    "int": (-(2**255), 2**255 - 1),
    "u64": (0, 2**64 - 1),
    "u256": (0, 2**255 - 1),
}


def strategies_for(entry: Entry, *, addresses: Sequence[bytes] = (), **chosen: Strategy) -> Strategy:
    """Tuples of arguments for an entry. `addresses`: accounts that appear more often than others. `chosen`: strategies
    for parameters by name, in place of those from the types."""
    program = entry.chain.program(entry.contract)
    assert program is not None, "an entry belongs to an installed contract"
    return arguments_of(program, entry.function, addresses, chosen)


def arguments_of(
    program: Program, function: Function, addresses: Sequence[bytes] = (), chosen: Mapping[str, Strategy] | None = None
) -> Strategy:
    """Tuples of arguments for a function of a program."""
    given = chosen or {}
    unknown = set(given) - {found.name for found in function.parameters}
    if unknown:
        raise TypeError(f"{function.name} has no parameter {', '.join(sorted(unknown))}")
    parts = [given.get(found.name, values(found.shape, program, addresses)) for found in function.parameters]
    least = sum(1 for found in function.parameters if found.default is MISSING)
    return st.one_of([st.tuples(*parts[:count]) for count in range(least, len(parts) + 1)])


def values(shape: Shape, program: Program, addresses: Sequence[bytes] = ()) -> Strategy:
    """Values of a declared type: mostly small, and its bounds."""
    found = _plain(shape, program, addresses)
    return st.none() | found if shape.optional else found


def _plain(shape: Shape, program: Program, addresses: Sequence[bytes]) -> Strategy:
    items = [values(item, program, addresses) for item in shape.items]
    match shape.tag:
        case "int" | "u64" | "u256":
            low, high = _EDGES[shape.tag]
            return st.integers(max(low, -1_000), 1_000) | st.integers(low, high) | st.sampled_from((low, high))
        case "bool":
            return st.booleans()
        case "str":
            return st.text(max_size=_SMALL)
        case "bytes":
            return st.binary(max_size=_SMALL)
        case "Address":
            known = [bytes(plain(address)) for address in addresses]
            fresh = st.binary(min_size=32, max_size=32)
            return st.sampled_from(known) | fresh if known else fresh
        case "none":
            return st.none()
        case "record":
            fields = program.contract.records[shape.name].fields
            return st.fixed_dictionaries({name: values(part, program, addresses) for name, part in fields.items()})
        case _:
            return _container(shape.tag, items)


def _container(tag: str, items: list[Strategy]) -> Strategy:
    anything = st.none() | st.booleans() | st.integers(-1_000, 1_000) | st.text(max_size=_SMALL)
    match tag, items:
        case "dict", [key, value]:
            return st.dictionaries(key, value, max_size=_SMALL)
        case "dict", _:
            return st.dictionaries(st.text(max_size=_SMALL), anything, max_size=_SMALL)
        case "tuple", [_, _, *_]:
            return st.tuples(*items).map(list)
        case "any", _:
            return anything
        case _:
            return st.lists(items[0] if items else anything, max_size=_SMALL, unique=tag == "set" and bool(items))
