"""Every limit and every price, in versioned tables. Consensus data: a table is never edited, only added.

`Limits` bounds what a program may be and hold; `GasTable` prices what it does. One gas is about 10 ns on the reference
host. `ExecutionLimits` beside them says which limits are consensus and which are a node's own policy.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

LANGUAGE = "pyc/1"
GAS_VERSION = 1


_NODE_GAS: dict[str, int] = {
    "Name": 1,
    "Constant": 1,
    "BinOp": 3,
    "UnaryOp": 2,
    "BoolOp": 2,
    "Compare": 0,
    **dict.fromkeys(("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "In", "NotIn"), 4),
    **dict.fromkeys(("Is", "IsNot"), 2),
    "Pow": 20,
    "LShift": 4,
    "Mod": 1,
    "FloorDiv": 1,
    "IfExp": 2,
    "Call": 12,
    "Attribute": 3,
    "Subscript": 4,
    "Slice": 4,
    "List": 6,
    "Tuple": 4,
    "Dict": 12,
    "Set": 16,
    "ListComp": 25,
    "DictComp": 25,
    "SetComp": 25,
    "GeneratorExp": 25,
    "Lambda": 6,
    "JoinedStr": 10,
    "FormattedValue": 80,
    "NamedExpr": 2,
    "Starred": 60,
    "Assign": 1,
    "AnnAssign": 2,
    "AugAssign": 4,
    "For": 8,
    "While": 3,
    "If": 2,
    "Return": 2,
    "Delete": 4,
    "Assert": 3,
    "Raise": 6,
    "Try": 6,
    "Match": 6,
    "match_case": 4,
    "Expr": 0,
    "Pass": 0,
    "Break": 1,
    "Continue": 1,
    "FunctionDef": 10,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of language version pyc/1. Sizes in bytes unless said otherwise."""

    source_bytes: int = 64 * 1024
    brackets: int = 30
    indents: int = 12
    line_chars: int = 400
    logical_line_tokens: int = 2_000
    prefix_run: int = 8
    elif_chain: int = 64
    literal_digits: int = 78
    tree_depth: int = 64
    tree_nodes: int = 20_000
    comparisons: int = 8
    comprehension_clauses: int = 3
    int_low: int = -(2**255)
    int_high: int = 2**255  # exclusive
    text: int = 64 * 1024
    items: int = 65_536
    nesting: int = 32
    key_items: int = 4
    small_key: int = 256
    narrow_key: int = 2**44
    strip_chars: int = 64
    key_bytes: int = 1_024
    code_chars: int = 64
    memory: int = 32 * 1024 * 1024
    nested_functions: int = 64
    nested_scopes: int = 4
    function_depth: int = 64
    frames: int = 160
    call_depth: int = 8
    stored_value: int = 64 * 1024
    event_bytes: int = 64 * 1024
    call_events: int = 16_384
    page: int = 4_096
    record_fields: int = 64
    parameters: int = 32
    value_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GasTable:
    """Prices of gas version 1. Static prices by syntax node; the rest are prices of helpers, gas unless said otherwise.

    helper               a lookup or change of a dict or set; a star, `list(...)` and what else copies an iterable
    item, pair           each item that is copied; each item of what makes pairs, keys or calls
    text                 a short text made of a number; a text joined by +; `in` of a dict or set; pop of a list
    keyed                each item that becomes a key of a new dict or set
    merge                each entry of two sets or dicts that an operator or a method makes one of
    update               each entry that `update` puts into a dict or set, and once more if both might not fit into one
    walk                 each part of a value that is compared, sorted or hashed, and 6 more for each list or set, 8 for
                         each dict, where a dict has two parts for each entry; item more for each one of a set
    scan_bytes_per_gas   characters read for 1 gas;  bytes_per_gas: characters copied for 1 gas
    compares_per_gas     characters compared in a search for 1 gas (`search_gas`)
    order_per_64         each 64 characters of the shorter of two texts that are ordered by <, <=, >, >=
    match                each match of `replace`;  search: a search in a text
    made, scanned        a method that makes a text, or a sequence made by + and *; one that reads all of its text
    prefix, slice        startswith and endswith; a slice (a step other than 1 costs scan, not copying)
    pairs, sum, sort     enumerate and zip; sum; sorted, sort, min and max of sequences
    listing              keys, values, items, copy of a dict or set, iterating a dict, `update`, map, filter, decode,
                         list(range()), pow with a modulus
    order, shift         < of two sequences; insert into a list
    """

    nodes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType(_NODE_GAS))
    helper: int = 15
    item: int = 4
    text: int = 12
    walk: int = 10
    scan_bytes_per_gas: int = 4
    compares_per_gas: int = 32
    order_per_64: int = 4
    match: int = 3
    search: int = 60
    made: int = 20
    scanned: int = 20
    prefix: int = 40
    slice: int = 25
    pairs: int = 60
    sum: int = 60
    sort: int = 80
    listing: int = 50
    order: int = 60
    shift: int = 25
    bytes_per_gas: int = 32
    pair: int = 6
    keyed: int = 12
    merge: int = 12
    update: int = 24
    hash_base: int = 120
    hash_per_64_bytes: int = 30
    mul_div: int = 25
    parse: int = 40
    wide_key: int = 35
    tuple_key: int = 40
    wide_sum: int = 12
    read: int = 120
    read_per_byte: int = 1
    write: int = 200
    write_per_byte: int = 10
    scan: int = 400
    scan_item: int = 150
    event: int = 150
    event_per_byte: int = 4
    cross_call: int = 700
    copy_per_byte: int = 2
    schedule: int = 1_000
    transaction: int = 500
    argument_byte: int = 2
    install_per_byte: int = 20
    verify: int = 8_000
    deploy_per_byte: int = 100
    deploy_per_node: int = 4_500


FUNCTION_GAS = 12
"""Charged at every entry into a contract function."""
LOOP_GAS = 5
"""Charged for every turn of a loop and every item of a comprehension clause."""

HANDLER_GAS = 200
"""Charged at the start of an `except` block that was entered."""

LIST_BYTES = 48
ITEM_BYTES = 32
TEXT_BYTES = 49
WIDE_KEY_BYTES = 128
"""More memory of a dict or set entry whose key is a tuple or beyond `narrow_key`; charged where the entry is made."""

PYC1 = Limits()
GAS1 = GasTable()


@dataclass(frozen=True, slots=True)
class ExecutionLimits:
    """Gas caps. Consensus: all but `query_gas`, which is a node's own policy. `deploy_gas`: a transaction that calls
    `deploy` of `governance`; the default is enough for every source within `Limits` that nests no functions."""

    transaction_gas: int = 50_000_000
    deploy_gas: int = 100_000_000
    install_gas: int = 50_000_000
    scheduled_gas: int = 20_000_000
    scheduled_default_gas: int = 10_000_000
    scheduled_block_gas: int = 60_000_000
    query_gas: int = 100_000_000


def static_gas(node: ast.AST) -> int:
    """The static price of one syntax node, children not included."""
    gas = _NODE_GAS.get(type(node).__name__, 0)
    if isinstance(node, ast.Dict):
        return gas + 4 * len(node.keys)
    return gas + 4 * len(node.elts) if isinstance(node, ast.Set) else gas


def search_gas(text: str | bytes, part: str | bytes, start: int = 0, repeated: bool = False) -> int:
    """The price of looking for `part` in `text[start:]`; `repeated`: the search goes on behind every match.

        n, m = lengths;  scan = (n + m) // scan_bytes_per_gas, search and scan twice if repeated
        places = min(occurrences of the last character of the part, n - m + 1, simple places)
        places = 0 if m < 2, m > n or n * m <= 1,024
        gas = search + scan + places * m // compares_per_gas

    CPython has three algorithms (`fastsearch.h`, equal in 3.10 to 3.13): a simple one, which in the worst case compares
    the whole part at each place where its last character stands; one that begins like it and turns linear after 2,000
    places; and a linear one. So common searches cost hardly more than reading the text, and the worst what they take.
    """
    begin = min(len(text), start if start >= 0 else max(0, len(text) + start))
    size, length = len(text) - begin, len(part)
    gas = (1 + repeated) * (GAS1.search + (size + length) // GAS1.scan_bytes_per_gas)
    if length < 2 or length > size or size * length <= 1_024:
        return gas
    last: Any = part[-1:]
    places = min(text.count(last, begin), size - length + 1, _simple_places(size, length, repeated))
    return gas + places * length // GAS1.compares_per_gas


def _simple_places(size: int, length: int, repeated: bool) -> int:
    """At how many places a search may compare the whole part. What is left behind a match is shorter, so a repeated
    search ends with the simple algorithm; of a part long enough for the second one, three fit into a text."""
    if length < 6 or size < 2_500 or (length < 100 and size < 30_000):
        return size
    if repeated:
        return 30_000 if length < 100 else 6_006
    return 0 if (length >> 2) * 3 < size >> 2 else 2_002


def strip_gas(text: str, chars: str) -> int:
    """The price of `strip` beside that of its result: each character may be compared with all of `chars`."""
    return len(text) * (4 + len(chars)) // 8
