"""Statements and functions: basic blocks are paid for when they begin, lines are those of statements."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from oracle import operators as ops
from oracle.calls import Calls
from oracle.contract import MISSING, Contract, Function
from oracle.expressions import Frame
from oracle.failures import HOST_ERRORS, Failure, Stop, mismatch, of_host
from oracle.gas import FUNCTION, HANDLER, LOOP, G, L, Meter, inner_targets, star_of
from oracle.shapes import Types, read
from oracle.storage import Storage

ON, BREAK, CONTINUE, RETURN = range(4)


class Statements(Calls):
    """The interpreter of one contract."""

    def __init__(self, contract: Contract, meter: Meter, types: Types, storage: Storage) -> None:
        super().__init__(contract, meter, types, storage)
        self.depth = 0
        self.statements: dict[type, Callable[[Any, Frame], int | None]] = {
            ast.Expr: self.expression, ast.Return: self.return_, ast.Assign: self.assign, ast.AnnAssign: self.annotated,
            ast.AugAssign: self.augmented, ast.For: self.for_, ast.While: self.while_, ast.If: self.if_,
            ast.Break: lambda *_: BREAK, ast.Continue: lambda *_: CONTINUE, ast.Pass: lambda *_: ON,
            ast.Assert: self.assert_, ast.Raise: self.raise_, ast.Delete: self.delete, ast.Try: self.try_,
            ast.Match: self.match, ast.FunctionDef: self.define,
        }  # fmt: skip

    # functions and blocks

    def invoke(self, function: Function, given: dict[str, Any]) -> Any:
        line = function.node.lineno
        self.depth += 1
        try:
            if self.depth > L.function_depth:
                raise Stop("DepthExceeded", line)
            frame = Frame(function)
            for name, _, default in (*function.parameters, *function.by_name):
                frame.locals[name] = given.get(name, default)
                if frame.locals[name] is MISSING:
                    raise mismatch()
            if function.rest is not None:
                frame.locals[function.rest[0]] = given.get(function.rest[0], ())
            frame.locals.update({name: given[name] for name in function.hidden})
            if self.block(function.node.body, frame, FUNCTION) == RETURN:
                return frame.result
            if function.returns.tag not in ("any", "none") and not function.returns.optional:
                raise Failure("TypeMismatch", line=line)
            return None
        finally:
            self.depth -= 1

    def block(self, body: list[ast.stmt], frame: Frame, first: int = 0) -> int:
        for run in self.prices.runs(body, first):
            line = run.line
            try:
                if run.gas:
                    self.meter.spend(run.gas)
                if run.memory:
                    self.meter.allocate(run.memory)
                for node in run.statements:
                    line = node.lineno
                    signal = self.statements[type(node)](node, frame)
                    if signal:
                        return signal
            except (Failure, Stop) as error:
                error.line = error.line or line
                raise
            except HOST_ERRORS as error:
                raise of_host(error, line) from None
        return ON

    # simple statements

    def expression(self, node: ast.Expr, frame: Frame) -> None:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require":
            self.required(call, frame)
        elif not isinstance(call, ast.Constant):
            self.visit(call, frame)

    def return_(self, node: ast.Return, frame: Frame) -> int:
        value = None if node.value is None else self.visit(node.value, frame)
        frame.result = self.types.check(frame.function.returns, value)
        return RETURN

    def assert_(self, node: ast.Assert, frame: Frame) -> None:
        if not self.visit(node.test, frame):
            raise Failure("Assertion")

    def raise_(self, node: ast.Raise, frame: Frame) -> None:
        assert isinstance(node.exc, ast.Call)
        self.api_revert(node.exc, frame)

    def delete(self, node: ast.Delete, frame: Frame) -> None:
        for target in node.targets:
            assert isinstance(target, ast.Subscript)
            slot = self.slot(target.value, frame)
            if slot is not None:
                self.storage.drop(slot, self.slot_key(slot, target.slice, frame))
            else:
                base = self.visit(target.value, frame)
                if isinstance(target.slice, ast.Slice):
                    ops.del_slice(self.meter, base, self.bounds(target.slice, frame))
                    continue
                ops.del_item(self.meter, base, self.visit(target.slice, frame))

    # assignment

    def assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.visit(node.value, frame)
        for target in node.targets:
            self.put(target, value, frame)

    def put(self, target: ast.expr, value: Any, frame: Frame) -> None:
        match target:
            case ast.Name():
                frame.locals[target.id] = value
            case ast.Starred():
                self.put(target.value, value, frame)
            case ast.Tuple() | ast.List():
                star = star_of(target)
                if star is not None:
                    value = ops.spread(self.meter, value, star, len(target.elts) - star - 1)
                ops.unpacked(value, len(target.elts))
                for part, item in zip(target.elts, list(value), strict=True):
                    self.put(part, item, frame)
            case ast.Subscript():
                slot = self.slot(target.value, frame)
                if slot is not None:
                    checked = self.types.check(slot.value, value, True)
                    self.storage.store(slot, self.slot_key(slot, target.slice, frame), checked)
                else:
                    base = self.visit(target.value, frame)
                    if isinstance(target.slice, ast.Slice):
                        ops.set_slice(self.meter, base, self.bounds(target.slice, frame), value)
                        return
                    ops.set_item(self.meter, base, self.visit(target.slice, frame), value)

    def annotated(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            assert isinstance(node.target, ast.Name)
            frame.locals[node.target.id] = self.types.check(read(node.annotation), self.visit(node.value, frame))

    def augmented(self, node: ast.AugAssign, frame: Frame) -> None:
        which = type(node.op)
        if isinstance(node.target, ast.Name):
            old = self.lookup(node.target.id, frame)
            frame.locals[node.target.id] = self.in_place(which, old, self.visit(node.value, frame))
            return
        assert isinstance(node.target, ast.Subscript)
        slot = self.slot(node.target.value, frame)
        if slot is not None:
            place = self.slot_key(slot, node.target.slice, frame)
            old = self.storage.load(slot, place[0])
            value = self.in_place(which, old, self.visit(node.value, frame))
            self.storage.store(slot, place, self.types.check(slot.value, value, True))
            return
        base = self.visit(node.target.value, frame)
        if isinstance(node.target.slice, ast.Slice):
            bounds = self.bounds(node.target.slice, frame)
            old = ops.get_slice(self.meter, base, *bounds)
            value = self.in_place(which, old, self.visit(node.value, frame))
            ops.set_slice(self.meter, base, bounds, value)
            return
        index = self.visit(node.target.slice, frame)
        old = ops.get_item(self.meter, base, index)
        value = self.in_place(which, old, self.visit(node.value, frame))
        ops.set_item(self.meter, base, index, value)

    def bounds(self, node: ast.Slice, frame: Frame) -> list[Any]:
        return [None if part is None else self.visit(part, frame) for part in (node.lower, node.upper, node.step)]

    def in_place(self, which: type, old: Any, value: Any) -> Any:
        if type(old) is dict and which is ast.BitOr:
            self.meter.spend(G.helper)
            self.methods.dict_update(old, value)
            return old
        return ops.in_place(self.meter, which, old, value)

    # compound statements

    def if_(self, node: ast.If, frame: Frame) -> int:
        if self.visit(node.test, frame):
            return self.block(node.body, frame)
        return self.block(node.orelse, frame) if node.orelse else ON

    def while_(self, node: ast.While, frame: Frame) -> int:
        turn = LOOP + self.prices.gas(node.test)
        while self.visit(node.test, frame):
            signal = self.block(node.body, frame, turn)
            if signal == BREAK:
                return ON
            if signal == RETURN:
                return RETURN
        return self.block(node.orelse, frame) if node.orelse else ON

    def for_(self, node: ast.For, frame: Frame) -> int:
        for item in ops.iterate(self.meter, self.source(node.iter, frame)):
            self.put(node.target, item, frame)
            signal = self.block(node.body, frame, LOOP + inner_targets(node.target))
            if signal == BREAK:
                return ON
            if signal == RETURN:
                return RETURN
        return self.block(node.orelse, frame) if node.orelse else ON

    def try_(self, node: ast.Try, frame: Frame) -> int:
        if not node.finalbody:
            return self.handled(node, frame)
        try:
            signal = self.handled(node, frame)
        except Failure:
            self.block(node.finalbody, frame)
            raise
        self.block(node.finalbody, frame)
        return signal

    def handled(self, node: ast.Try, frame: Frame) -> int:
        try:
            signal = self.block(node.body, frame)
        except Failure as error:
            for handler in node.handlers:
                if caught(handler, error):
                    return self.block(handler.body, frame, HANDLER)
            raise
        return signal or (self.block(node.orelse, frame) if node.orelse else ON)

    def match(self, node: ast.Match, frame: Frame) -> int:
        subject = self.visit(node.subject, frame)
        for case in node.cases:
            if self.fits_pattern(case.pattern, subject, frame) and (
                case.guard is None or self.visit(case.guard, frame)
            ):
                return self.block(case.body, frame)
        return ON

    def fits_pattern(self, pattern: ast.pattern, subject: Any, frame: Frame) -> bool:
        match pattern:
            case ast.MatchValue(value=value):
                return ops.compare(self.meter, ast.Eq, subject, self.visit(value, frame))
            case ast.MatchSingleton(value=value):
                return subject is value
            case ast.MatchOr(patterns=patterns):
                return any(self.fits_pattern(part, subject, frame) for part in patterns)
        return True


PYTHON = {
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


def caught(handler: ast.ExceptHandler, error: Failure) -> bool:
    """Whether a handler names the code; `Revert` names every own code."""
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {code for part in parts if isinstance(part, ast.Name) for code in PYTHON.get(part.id, (part.id,))}
    return error.code in names or (error.own and "Revert" in names)
