"""Every name that contract source finds in scope, and every method it may call. What is not here does not exist."""

from __future__ import annotations

from contracts.faults import CATCHABLE

TYPES = frozenset(("int", "u64", "u256", "bool", "str", "bytes", "Address", "list", "dict", "tuple", "set"))
BUILTINS = frozenset(
    (
        "len", "range", "enumerate", "zip", "reversed", "sorted", "sum", "min", "max", "abs", "any", "all", "map",
        "filter",
        "int", "str", "bool", "bytes", "list", "dict", "tuple", "set", "isinstance", "divmod", "pow", "ord", "chr",
    )
)  # fmt: skip
API = frozenset(
    (
        "require", "revert", "emit", "call", "view_call", "schedule", "sha256", "mul_div", "contract_address",
        "verify_ed25519",
    )
)  # fmt: skip
DECLARATIONS = frozenset(("Var", "Map", "Index", "record", "event"))
DECORATORS = frozenset(("export", "view", "init", "migrate"))
CTX_FIELDS = frozenset(
    ("sender", "origin", "height", "block_time_ms", "market_time_ms", "tx_hash", "chain_id", "self_address")
)
UNBINDABLE = API | DECLARATIONS | DECORATORS | {"ctx", "Revert", "u64", "u256", "Address"}
"""Names that source may use, but never give to a function, a constant or a declaration."""
COMMON_WORDS = DECORATORS | {"record", "event", "call", "schedule"}
"""Those of them that variables and parameters may have too: `for event in events`. A variable cannot be called."""

METHODS: dict[str, frozenset[str]] = {
    "str": frozenset(
        (
            "strip", "lstrip", "rstrip", "lower", "upper", "split", "join", "replace", "startswith", "endswith", "find",
            "count", "isdigit", "encode", "rfind", "index", "rindex", "rsplit", "partition", "rpartition", "splitlines",
            "title", "capitalize", "swapcase", "ljust", "rjust", "center", "zfill", "removeprefix", "removesuffix",
            "isalpha", "isalnum", "isupper", "islower", "isspace", "isascii",
        )
    ),
    "bytes": frozenset(
        ("hex", "startswith", "endswith", "find", "decode", "count", "index", "rfind", "rindex"),
    ),
    "list": frozenset(
        ("append", "extend", "insert", "remove", "pop", "sort", "reverse", "index", "count", "copy", "clear")
    ),
    "tuple": frozenset(("index", "count")),
    "dict": frozenset(("get", "items", "keys", "values", "pop", "popitem", "setdefault", "update", "copy", "clear")),
    "set": frozenset(
        (
            "add", "discard", "remove", "union", "intersection", "difference", "symmetric_difference", "update",
            "issubset", "issuperset", "isdisjoint", "copy", "clear",
        )
    ),
    "int": frozenset(("to_bytes", "bit_length", "bit_count")),
    "record": frozenset(("replace",)),
}  # fmt: skip
ALL_METHODS = frozenset().union(*METHODS.values())
CLASS_METHODS = frozenset((("bytes", "fromhex"), ("int", "from_bytes"), ("dict", "fromkeys")))
MAP_METHODS = frozenset(("get", "items", "keys"))
INDEX_METHODS = frozenset(("items", "keys"))
VAR_METHODS = frozenset(("get", "set"))

GENERATOR_HOSTS = frozenset(("sum", "any", "all", "min", "max", "sorted", "list", "tuple", "set", "dict"))
GENERATOR_METHODS = frozenset(("join", "extend", "update"))
KEY_HOSTS = frozenset(("sorted", "min", "max"))
EXCEPTION_NAMES = frozenset(
    (
        "BaseException", "Exception", "ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError",
        "LookupError", "MemoryError", "NameError", "OverflowError", "RecursionError", "RuntimeError", "StopIteration",
        "SystemExit", "TypeError", "ValueError", "ZeroDivisionError", "KeyboardInterrupt", "GeneratorExit", "OSError",
    )
)  # fmt: skip
PYTHON_ERRORS: dict[str, tuple[str, ...]] = {
    "ArithmeticError": ("DivByZero", "Overflow"),
    "AssertionError": ("Assertion",),
    "IndexError": ("IndexRange",),
    "KeyError": ("KeyMissing",),
    "LookupError": ("IndexRange", "KeyMissing"),
    "OverflowError": ("Overflow",),
    "TypeError": ("TypeMismatch",),
    "ValueError": ("BadValue",),
    "ZeroDivisionError": ("DivByZero",),
}
"""What Python calls the failures that a handler may name. Nothing else of its tree exists: `Exception` would catch
codes that nobody thought of."""
CATCHABLE_NAMES = frozenset((*CATCHABLE, "Revert"))
KNOWN_MISSING = frozenset(
    (
        "open", "eval", "exec", "compile", "getattr", "setattr", "delattr", "hasattr", "globals", "locals", "vars",
        "dir",
        "type", "object", "super", "property", "classmethod", "staticmethod", "input", "id", "hash", "repr", "format",
        "iter", "next", "slice", "float", "complex", "round", "memoryview", "bytearray", "frozenset", "callable", "bin",
        "hex", "oct", "ascii", "breakpoint", "help", "exit", "quit", "aiter", "anext", "issubclass",
    )
)  # fmt: skip
"""Python builtins that people try; the refusal can say more than "not defined"."""
