"""Random programs with lists, dicts, aliases and functions against CPython with checked integers.

What this hunts is false knowledge: a list believed to hold integers while another name, a callee or a nested function
puts something else into it.
"""

from __future__ import annotations

import ast
from typing import Any

import pytest
from contract_bench import run
from test_contract_integers import Checked, Failed, Wrap, checked_scope

from oracle.aliases import Program, arguments_for

ENDLESS = "a list that grows while it is walked"


def reference(source: str, arguments: list[Any]) -> tuple[str, Any]:
    tree = Wrap().visit(ast.parse(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.For):
            node.body.insert(0, ast.Expr(ast.Call(ast.Name("turn", ast.Load()), [], [])))
    ast.fix_missing_locations(tree)
    turns = iter(range(20_000))

    def turn() -> None:
        if next(turns, None) is None:
            raise Failed(ENDLESS)

    scope = checked_scope()
    scope["turn"] = turn
    exec(compile(tree, "<reference>", "exec"), scope)

    def inside(value: Any) -> Any:
        return [inside(item) for item in value] if isinstance(value, list) else Checked(value)

    try:
        return "", scope["main"](*map(inside, arguments))
    except Failed as error:
        return str(error), None
    except ZeroDivisionError:
        return "DivByZero", None
    except IndexError:
        return "IndexRange", None
    except KeyError:
        return "KeyMissing", None
    except (TypeError, AttributeError):
        return "TypeMismatch", None
    except (ValueError, UnboundLocalError):
        return "BadValue", None


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {int(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool) else int(value)


@pytest.mark.parametrize("seed", range(250))
def test_container_programs_agree_with_checked_python(seed: int) -> None:
    source = Program(seed).text()
    for arguments in arguments_for(seed):
        expected, value = reference(source, arguments)
        if expected == ENDLESS:
            continue
        found = run(source, "main", arguments, gas=10_000_000)
        assert found.status != "rejected", (source, found)
        assert found.code == expected, (source, arguments, found)
        if not expected:
            assert plain(found.value) == plain(value), (source, arguments)
