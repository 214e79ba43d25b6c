"""Calls of the module API: require, revert, emit, call, view_call, schedule, hashes."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable

from contracts import emit, kinds
from contracts.calls import Calls
from contracts.expressions import Emitted
from contracts.faults import RESERVED_CODES
from contracts.operators import valid_code
from contracts.resolve import MISSING
from contracts.scope import Scope
from contracts.shapes import Shape
from contracts.storage import event_order


class ApiCalls(Calls):
    """The part of the compiler for what a contract can ask of its chain."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.api: dict[str, Callable[[ast.Call], Emitted]] = {
            "require": self.require,
            "revert": self.revert,
            "emit": self.emit_event,
            "call": self.call_contract,
            "view_call": self.call_contract,
            "schedule": self.schedule,
            "sha256": lambda node: self.fixed(node, "sha256", 1, kinds.ADDRESS),
            "mul_div": lambda node: self.fixed(node, "mul_div", 3, kinds.INT),
            "verify_ed25519": lambda node: self.fixed(node, "verify_ed25519", 3, kinds.BOOL),
            "contract_address": lambda node: self.fixed(node, "contract_address", 1, kinds.ADDRESS),
        }

    def code(self, node: ast.expr, place: ast.Call) -> ast.expr:
        match node:
            case ast.Constant(value=str(text)):
                if not valid_code(text):
                    raise self.scope.refuse("C079", place, "built in" if text in RESERVED_CODES else text[:40])
            case _:
                pass
        return self.visit(node)[0]

    def require(self, node: ast.Call) -> Emitted:
        if not 2 <= len(node.args) <= 3 or node.keywords:
            raise self.scope.refuse("C077", node, 'require(condition, "CODE", details)')
        details = [self.visit(part)[0] for part in node.args[2:]]
        return emit.helper("require", self.visit(node.args[0])[0], self.code(node.args[1], node), *details), kinds.NONE

    def revert(self, node: ast.Call) -> Emitted:
        if not 1 <= len(node.args) <= 2 or node.keywords:
            raise self.scope.refuse("C077", node, 'revert("CODE", details)')
        details = [self.visit(part)[0] for part in node.args[1:]]
        return emit.helper("revert", self.code(node.args[0], node), *details), kinds.NEVER

    def emit_event(self, node: ast.Call) -> Emitted:
        first = node.args[0] if len(node.args) == 1 else None
        event = self.contract.events.get(first.id) if isinstance(first, ast.Name) else None
        if event is None or not isinstance(first, ast.Name) or self.scope.is_local(first.id):
            raise self.scope.refuse("C075", node, "emit(EventName, field=value, ...)")
        given = [keyword.arg or "" for keyword in node.keywords]
        if sorted(given) != sorted(event.fields):
            raise self.scope.refuse("C075", node, f"{first.id} takes exactly {', '.join(event.fields)}")
        self.scope.facts.writes = True
        values = {k.arg or "": self.coerce(self.visit(k.value), event.fields[k.arg or ""], True) for k in node.keywords}
        if any(_holds_record(shape) for shape in event.fields.values()):
            table = ast.Dict([emit.const(arg) for arg in values], list(values.values()))
            return emit.helper("emit_records", emit.const(event.label), table), kinds.NONE
        if all(isinstance(value, ast.Name | ast.Constant) for value in values.values()):
            # what nobody can tell the order of goes by place, which is faster
            made = ast.Call(emit.name(f"$e.{first.id}"), [values[name] for name in event_order(event.fields)], [])
        else:
            fields = [ast.keyword(arg, value) for arg, value in values.items()]
            made = ast.Call(emit.name(f"$e.{first.id}"), [], fields)
        which = "emit_lists" if any(shape.tag == "list" for shape in event.fields.values()) else "emit"
        return emit.helper(which, emit.const(event.label), made), kinds.NONE

    def call_contract(self, node: ast.Call) -> Emitted:
        which = node.func.id if isinstance(node.func, ast.Name) else ""
        if len(node.args) < 2 or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C077", node, f'{which}("instance", "entry", *arguments)')
        if any(keyword.arg not in ("on_fail", "gas") for keyword in node.keywords):
            raise self.scope.refuse("C077", node, "only on_fail= and gas= besides")
        if which == "call":
            self.scope.facts.writes = True
        quiet = False
        limit: ast.expr = emit.const(None)
        for keyword in node.keywords:
            if keyword.arg == "gas":
                limit = self.visit(keyword.value)[0]
                continue
            if not isinstance(keyword.value, ast.Constant) or keyword.value.value != "return":
                raise self.scope.refuse("C077", node, 'on_fail="return"')
            quiet = True
        visited = [self.visit(part) for part in node.args]
        name, entry, *arguments = [value for value, _ in visited]
        if which == "call" and not node.keywords and (named := _route(node)):
            route = (*named, *[kinds.certain(kind) for _, kind in visited[2:]])
            self.scope.facts.routes.add(route)
            return emit.helper(f"to.{'.'.join(route)}", emit.pack(arguments)), kinds.ANY
        flag = emit.const(which == "view_call")
        return emit.helper("call", name, entry, emit.pack(arguments), flag, emit.const(quiet), limit), kinds.ANY

    def schedule(self, node: ast.Call) -> Emitted:
        entry = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else None
        function = self.contract.functions.get(entry) if isinstance(entry, str) else None
        if function is None or not function.scheduled:
            raise self.scope.refuse(
                "C073", node, 'schedule(due, "entry", ...) needs an @export(scheduled=True) of this contract'
            )
        gas = [keyword.value for keyword in node.keywords if keyword.arg == "gas"]
        if len(gas) != len(node.keywords) or any(isinstance(part, ast.Starred) for part in node.args):
            raise self.scope.refuse("C077", node, "only gas= besides")
        least = sum(1 for parameter in function.parameters if parameter.default is MISSING)
        if not least <= len(node.args) - 1 <= len(function.parameters):
            raise self.scope.refuse("C077", node, f"{function.name} takes {len(function.parameters)} arguments")
        self.scope.facts.writes = True
        due = self.coerce(self.visit(node.args[0]), Shape("u64"))
        rest = [self.visit(part)[0] for part in node.args[2:]]
        limit = self.visit(gas[0])[0] if gas else emit.const(None)
        return emit.helper("schedule", due, emit.const(function.name), emit.pack(rest), limit), kinds.NONE


def _route(node: ast.Call) -> tuple[str, str] | None:
    """Contract and entry of a call, if both stand in the source and could be the names of such."""
    match node.args:
        case [ast.Constant(value=str(name)), ast.Constant(value=str(entry)), *_]:
            plain = all(text.isascii() and text.isidentifier() for text in (name, entry))
            return (name, entry) if plain else None
        case _:
            return None


def _holds_record(shape: Shape) -> bool:
    return shape.tag == "record" or any(map(_holds_record, shape.items))
