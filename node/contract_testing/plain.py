"""A contract as a plain Python module: for debuggers, and for type checkers.

The language has no import, so a contract file names what no module defines. `as_python` rewrites its declarations
(`Item = record("Item", price=u64)` is a class, `Map(u64, Item)` a typed map) and keeps every line where it is, so that
breakpoints and messages fall on the lines of the file.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from contracts.compile import compile_source
from contracts.vocabulary import CATCHABLE_NAMES, DECLARATIONS, DECORATORS
from ledger.crypto import contract_address
from node.contract_testing import language
from node.contract_testing.world import Context, Revert, World

MARK: Final = "__gridchain_contract__"
"""Bound at the end of every rewritten source."""


def is_contract(tree: ast.Module) -> bool:
    """Whether a module is contract source: it imports nothing, and declares storage, events, records or entries."""
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
        return False
    return any(_declaration(node) or _is_entry(node) for node in tree.body)


def _is_entry(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    names = [found.func if isinstance(found, ast.Call) else found for found in node.decorator_list]
    return any(isinstance(name, ast.Name) and name.id in DECORATORS for name in names)


def _declaration(node: ast.stmt) -> tuple[str, ast.Call] | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=kind)) as call) if (
            kind in DECLARATIONS
        ):
            return name, call
        case _:
            return None


def as_python(text: str) -> str | None:
    """The rewritten source, with the same lines; None if the text is no contract or does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not is_contract(tree):
        return None
    rows = [line.encode() for line in text.split("\n")]
    for node in reversed(tree.body):
        if (found := _declaration(node)) and not _is_index(found[1]):
            _replace(rows, found[1], node, _as_class(*found))
    codes = {
        part.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is not None
        for part in ast.walk(node.type)
        if isinstance(part, ast.Name) and part.id not in CATCHABLE_NAMES
    }
    added = [f"class {code}(Revert): ..." for code in sorted(codes)]
    return "\n".join([b"\n".join(rows).decode(), *added, f"{MARK} = True", ""])


def _is_index(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Index"


def _replace(rows: list[bytes], call: ast.Call, node: ast.stmt, text: str) -> None:
    """Put `text` where a statement was; the lines that it took stay, empty."""
    last = call.end_lineno or node.lineno
    first = rows[node.lineno - 1][: node.col_offset]
    rest = rows[last - 1][call.end_col_offset or 0 :]
    rows[node.lineno - 1 : last] = [first + text.encode() + rest, *[b""] * (last - node.lineno)]


def _as_class(name: str, call: ast.Call) -> str:
    kind = call.func.id if isinstance(call.func, ast.Name) else ""
    options = {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}
    if kind in ("record", "event"):
        options.pop("indexed", None)
        fields = "; ".join(f"{field}: {shape}" for field, shape in options.items()) or "pass"
        return f"class {name}({'Record' if kind == 'record' else 'Event'}): {fields}"
    types = [
        f"tuple[{', '.join(map(ast.unparse, argument.elts))}]"
        if isinstance(argument, ast.Tuple)
        else ast.unparse(argument)
        for argument in call.args
    ]
    made = "MapWithDefault" if kind == "Map" and "default" in options else kind
    given = ", ".join(f"{word}={value}" for word, value in options.items())
    return f"{name} = {made}[{', '.join(types)}]({given})"


class PlainContract(ModuleType):
    """A contract that runs as plain Python. Its functions are its attributes; `ctx` is what it sees, `events` and
    `scheduled` are what it did."""

    ctx: Context
    world: World

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """(name, fields) of all events, in order."""
        return self.world.events

    @property
    def scheduled(self) -> list[tuple[int, str, tuple[Any, ...]]]:
        """(due, entry, arguments) of all that was scheduled."""
        return self.world.scheduled


def load(source: str | Path, *, contracts: Mapping[str, PlainContract] | None = None) -> PlainContract:
    """Run a contract file as plain Python, under its own file name, so that debuggers stop at its lines. `contracts`:
    others that it may call, by instance name. Storage is empty at the beginning.

    Raise `SourceRejected` for what the chain would not admit, `OSError` for a file that cannot be read.
    """
    path = Path(source)
    raw = path.read_bytes()
    compile_source(raw)
    module = PlainContract(path.stem)
    module.world = World(contracts=contracts or {})
    module.ctx = module.world.ctx
    module.ctx.self_address = contract_address(path.parent.name if path.stem == "contract" else path.stem)
    module.__file__ = str(path)
    names = {name: getattr(language, name) for name in language.__all__}
    world = module.world
    names.update(ctx=world.ctx, emit=world.emit, call=world.call, view_call=world.view_call, schedule=world.schedule)
    vars(module).update(names)
    exec(compile(as_python(raw.decode()) or raw.decode(), str(path), "exec", dont_inherit=True), vars(module))
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and issubclass(value, Revert) and value is not Revert:
            setattr(module, name, Revert.codes[name])
    return module
