"""Statements: basic blocks with their price in front, and the emitted form of each statement."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import cast

from contracts import emit, kinds
from contracts import vocabulary as words
from contracts.assignments import Assignments
from contracts.cost import expression_gas, statement_bytes, statement_gas, target_gas
from contracts.expressions import Emitted
from contracts.kinds import Kind
from contracts.limits import HANDLER_GAS, LOOP_GAS
from contracts.narrowing import narrow
from contracts.scope import Now, Scope


class Statements(Assignments):
    """The statement part of the compiler."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.loops = 0
        self.statements: dict[type, Callable[..., list[ast.stmt]]] = {
            ast.Return: self.return_,
            ast.Assign: self.assign,
            ast.AnnAssign: self.annotated,
            ast.AugAssign: self.augmented,
            ast.For: self.for_,
            ast.While: self.while_,
            ast.If: self.if_,
            ast.Break: self.jump,
            ast.Continue: self.jump,
            ast.Pass: lambda _: [],
            ast.Assert: self.assert_,
            ast.Expr: self.expression,
            ast.Raise: self.raise_,
            ast.Delete: self.delete,
            ast.Try: self.try_,
            ast.Match: self.match,
        }

    def block(self, body: list[ast.stmt], gas: int = 0) -> list[ast.stmt]:
        """Emit statements. A run up to and including the next compound statement is one basic block with one charge."""
        emitted: list[ast.stmt] = []
        run: list[ast.stmt] = []
        memory = 0
        line = body[0].lineno
        for node in body:
            method = self.statements.get(type(node))
            if method is None:
                raise self.scope.refuse(
                    "C063" if isinstance(node, ast.FunctionDef) else "C030", node, type(node).__name__
                )
            price = self.scope.prices.get(node)
            if price is None:
                price = self.scope.prices[node] = statement_gas(node), statement_bytes(node)
            gas += price[0]
            memory += price[1]
            self.visited.clear()
            self.unchecked.clear()
            made = method(node)
            if self.scope.rounds:
                emit.locate(made, node.lineno)
            run.extend(made)
            if isinstance(node, ast.For | ast.While | ast.If | ast.Try | ast.Match):
                emitted += self.charged(gas, memory, line) + run
                gas, memory, run = 0, 0, []
                line = node.lineno
            elif not run and gas == 0:
                line = node.lineno
        emitted += self.charged(gas, memory, line) + run
        if not emitted:
            emitted = [ast.Pass()]
            emit.locate(emitted, line)
        return emitted

    def charged(self, gas: int, memory: int, line: int) -> list[ast.stmt]:
        if not self.scope.rounds:
            return []
        charge = emit.charge(gas, memory)
        emit.locate(charge, line)
        return charge

    # simple statements

    def expression(self, node: ast.Expr) -> list[ast.stmt]:
        if isinstance(node.value, ast.Constant):
            return []
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "require"
            and len(call.args) >= 2
        ):
            if not isinstance(self.visit(call)[0], ast.Call):
                return []
            details = [self.visit(part)[0] for part in call.args[2:]]
            failed = emit.helper("revert", self.code(call.args[1], call), *details)
            tested = ast.If(negated(self.visit(call.args[0])[0]), [emit.statement(failed)], [])
            narrow(self.scope, call.args[0], True)
            return [tested]
        made = [emit.statement(self.visit(node.value)[0])]
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "revert":
            self.scope.now = None
        return made

    def return_(self, node: ast.Return) -> list[ast.stmt]:
        value: Emitted = (emit.const(None), kinds.NONE) if node.value is None else self.visit(node.value)
        self.scope.summaries.returns(self.scope.function, value[1])
        made = self.coerce(value, self.scope.function.returns)
        self.scope.now = None
        return [ast.Return(made)]

    def assert_(self, node: ast.Assert) -> list[ast.stmt]:
        if node.msg is not None:
            self.visit(node.msg)
        tested = ast.If(negated(self.visit(node.test)[0]), [emit.statement(emit.helper("assertion"))], [])
        narrow(self.scope, node.test, True)
        return [tested]

    def raise_(self, node: ast.Raise) -> list[ast.stmt]:
        call = cast(ast.Call, node.exc)
        made = [emit.statement(self.revert(call)[0])]
        self.scope.now = None
        return made

    def jump(self, node: ast.Break | ast.Continue) -> list[ast.stmt]:
        if not self.loops:
            raise self.scope.refuse("C020", node, "outside a loop")
        self.scope.now = None
        return [type(node)()]

    # compound statements

    def if_(self, node: ast.If) -> list[ast.stmt]:
        test = self.visit(node.test)[0]
        before = self.scope.fork()
        narrow(self.scope, node.test, True)
        body = self.block(node.body)
        after, self.scope.now = self.scope.now, before
        narrow(self.scope, node.test, False)
        orelse = self.block(node.orelse) if node.orelse else []
        self.scope.merge(after)
        return [ast.If(test, body, orelse)]

    def while_(self, node: ast.While) -> list[ast.stmt]:
        self.scope.forget_bound(node)
        before = self.scope.fork()
        test = self.visit(node.test)[0]
        narrow(self.scope, node.test, True)
        self.loops += 1
        body = self.block(node.body, LOOP_GAS + expression_gas(node.test))
        self.loops -= 1
        return [ast.While(test, body, self.after_loop(node, before, node.test))]

    def after_loop(self, node: ast.For | ast.While, before: Now | None, test: ast.expr | None) -> list[ast.stmt]:
        """The `else` of a loop, and what is known behind it: `before` is what holds at every turn."""
        self.scope.now = before
        if test is not None and (node.orelse or not _leaves(node)):
            narrow(self.scope, test, False)
        orelse = self.block(node.orelse) if node.orelse else []
        if node.orelse:
            self.scope.now = {} if before is not None else None
        return orelse

    def for_(self, node: ast.For) -> list[ast.stmt]:
        source, kind = self.source(node.iter)
        item = kinds.item_kind(kind)
        self.scope.forget_bound(node)
        before = self.scope.fork()
        head: list[ast.stmt] = []
        if isinstance(node.target, ast.Name):
            self.scope.bind(node.target.id, item)
            target: ast.expr = emit.target(node.target.id)
        elif (
            isinstance(node.target, ast.Tuple | ast.List)
            and all(isinstance(part, ast.Name) for part in node.target.elts)
            and (item.tag == "tuple" and len(item.items) == len(node.target.elts) and not item.optional)
        ):
            target, _ = self.targets_bound(node.target, item)
        else:
            held = self.scope.temporary()
            target = emit.target(held)
            head = self.store(node.target, (emit.name(held), item))
            emit.locate(head, node.lineno)
        lazy = (
            isinstance(source, ast.Call)
            and isinstance(source.func, ast.Name)
            and source.func.id in ("$pyrange", "$range")
        )
        if not lazy and (kind.tag not in ("list", "tuple", "str", "bytes") or kind.optional):
            source = emit.helper("iter", source)
        self.loops += 1
        body = self.block(node.body, LOOP_GAS + target_gas(node.target))
        self.loops -= 1
        return [ast.For(target, source, head + body, self.after_loop(node, before, None))]

    def targets_bound(self, target: ast.Tuple | ast.List, item: Kind) -> tuple[ast.expr, None]:
        names = [cast(ast.Name, part).id for part in target.elts]
        for name, kind in zip(names, item.items, strict=True):
            self.scope.bind(name, kind)
        return ast.Tuple([emit.target(name) for name in names], emit.STORE), None

    def try_(self, node: ast.Try) -> list[ast.stmt]:
        before = self.scope.fork()
        body = self.block(node.body)
        done = self.scope.fork()
        handlers: list[ast.ExceptHandler] = []
        if node.handlers:
            groups = [self.codes(handler) for handler in node.handlers]
            error, chosen = self.scope.temporary(), self.scope.temporary()
            choice: list[ast.stmt] = [ast.Raise(None, None)]
            for index in reversed(range(len(groups))):
                test = emit.compare(emit.name(chosen), ast.Eq(), emit.const(index))
                self.scope.now = None if before is None else dict(before)
                self.scope.forget_bound(node)
                choice = [ast.If(test, self.block(node.handlers[index].body, HANDLER_GAS), choice)]
            which = emit.assign(chosen, emit.helper("which", emit.name(error), emit.const(tuple(groups))))
            handlers = [ast.ExceptHandler(emit.name("$faults"), error, [which, *choice])]
        self.scope.now = done
        orelse = self.block(node.orelse) if node.orelse else []
        self.scope.now = before
        self.scope.forget_bound(node)
        if not node.finalbody:
            return [ast.Try(body, handlers, orelse, [])]
        final = self.block(node.finalbody)
        self.scope.now = before
        self.scope.forget_bound(node)
        return self.ending([ast.Try(body, handlers, orelse, [])] if handlers else body, final)

    def ending(self, body: list[ast.stmt], final: list[ast.stmt]) -> list[ast.stmt]:
        """`try: body, finally: final`, but what ends the transaction passes: `final` could put a fault in its place,
        which a handler would catch."""
        halted = self.scope.temporary()
        passing = ast.ExceptHandler(emit.name("$halt"), None, [emit.assign(halted, emit.const(True)), ast.Raise()])
        guarded = ast.If(negated(emit.name(halted)), final, [])
        return [emit.assign(halted, emit.const(False)), ast.Try(body, [passing], [], [guarded])]

    def codes(self, handler: ast.ExceptHandler) -> tuple[str, ...]:
        parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = tuple(part.id for part in parts if isinstance(part, ast.Name))
        for name in names:
            uncatchable = name not in words.CATCHABLE_NAMES and name in (
                "OutOfGas",
                "OutOfMemory",
                "AuthDenied",
                "Reentrancy",
                "DepthExceeded",
                "Internal",
            )
            if uncatchable:
                raise self.scope.refuse("C038", handler, f"{name} ends the call")
        return tuple(code for name in names for code in words.PYTHON_ERRORS.get(name, (name,)))

    def match(self, node: ast.Match) -> list[ast.stmt]:
        subject, kind = self.visit(node.subject)
        held = self.scope.temporary()
        chain: list[ast.stmt] = []
        before = self.scope.fork()
        for case in reversed(node.cases):
            self.scope.now = None if before is None else dict(before)
            test = self.pattern(case.pattern, (emit.name(held), kind))
            if case.guard is not None:
                guard = self.visit(case.guard)[0]
                test = guard if test is None else ast.BoolOp(ast.And(), [test, guard])
            body = self.block(case.body)
            chain = body if test is None else [ast.If(test, body, chain)]
        self.scope.now = before
        self.scope.forget_bound(node)
        return [emit.assign(held, subject), *chain]

    def pattern(self, node: ast.pattern, subject: Emitted) -> ast.expr | None:
        """The test of a pattern; None if it always matches."""
        match node:
            case ast.MatchValue():
                return self.compared(subject, ast.Eq(), self.visit(node.value))
            case ast.MatchSingleton():
                return emit.compare(subject[0], ast.Is(), emit.const(node.value))
            case ast.MatchOr():
                tests = [self.pattern(part, subject) for part in node.patterns]
                if any(test is None for test in tests):
                    return None
                return ast.BoolOp(ast.Or(), [test for test in tests if test is not None])
            case ast.MatchAs(pattern=None, name=None):
                return None
            case _:
                raise self.scope.refuse("C051", node)


def _leaves(loop: ast.While | ast.For) -> bool:
    """Whether a `break` may end a loop: one in a nested loop counts too, which is always right."""
    pending: list[ast.stmt] = list(loop.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Break):
            return True
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            pending.extend(getattr(node, block, ()))
    return False


def negated(test: ast.expr) -> ast.expr:
    """`not test`."""
    return ast.UnaryOp(ast.Not(), test)
