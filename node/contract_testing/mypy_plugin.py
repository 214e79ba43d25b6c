"""mypy for contract files: `plugins = ["node.contract_testing.mypy_plugin"]` in a project's mypy configuration.

Every module that is contract source (`node.contract_testing.plain.is_contract`) is checked with its declarations as
classes and typed storage, and with the names of the language in scope. Other modules are not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mypy.nodes import AssignmentStmt, ImportAll, MypyFile, NameExpr
from mypy.options import Options
from mypy.plugin import Plugin

from node.contract_testing.plain import MARK, as_python

LANGUAGE: Final = "node.contract_testing.language"
_MEDIUM: Final = 10
"""mypy's priority of an import at module level."""


class ContractPlugin(Plugin):
    """Rewrites contract sources before they are parsed and imports the language into them."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        options.transform_source = _rewriting(options.transform_source)
        # Only the parser in Python rewrites sources, and only in one process. Older releases have no other.
        for option, value in (("native_parser", False), ("num_workers", 0)):
            if hasattr(options, option):
                setattr(options, option, value)

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """The import that every contract has."""
        if not any(_is_mark(statement) for statement in file.defs[-1:]):
            return []
        names = ImportAll(LANGUAGE, 0)
        names.set_line(1)
        file.defs.insert(0, names)
        file.imports.append(names)
        return [(_MEDIUM, LANGUAGE, -1)]


def _is_mark(statement: Any) -> bool:
    match statement:
        case AssignmentStmt(lvalues=[NameExpr(name=name)]):
            return name == MARK
        case _:
            return False


def _rewriting(before: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def rewritten(source: Any) -> Any:
        text = before(source) if before is not None else source
        raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return as_python(raw) or text

    return rewritten


def plugin(version: str) -> type[Plugin]:
    """What mypy asks for."""
    return ContractPlugin
