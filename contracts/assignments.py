"""Assignments: what is bound to names, put into containers and storage, changed in place or deleted."""

# ruff: noqa: D102  # a method is named after the syntax node that it compiles; what it returns says the class

from __future__ import annotations

import ast
from typing import cast

from contracts import emit, kinds
from contracts.api_calls import ApiCalls
from contracts.expressions import Emitted
from contracts.kinds import Kind
from contracts.narrowing import whole_kind
from contracts.shapes import parse_shape, shallow_kind
from contracts.stars import star_in


class Assignments(ApiCalls):
    """The part of the compiler for statements that bind and store."""

    def delete(self, node: ast.Delete) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for found in node.targets:
            target = cast(ast.Subscript, found)
            slot = self.slot_named(target.value)
            if slot is not None:
                self.scope.facts.writes = True
                made.append(emit.statement(emit.helper(f"drop.{slot}", self.slot_key(slot, target.slice))))
                continue
            base = self.visit(target.value)[0]
            if isinstance(target.slice, ast.Slice):
                made.append(emit.statement(emit.helper("delslice", base, *self.bounds(target.slice))))
            else:
                made.append(emit.statement(emit.helper("delitem", base, self.visit(target.slice)[0])))
        return made

    # assignment

    def assign(self, node: ast.Assign) -> list[ast.stmt]:
        value = self.visit(node.value)
        match node.targets, node.value:
            case [ast.Name(id=name)], ast.BinOp(left=ast.Name(id=same), op=ast.Add() | ast.Sub(), right=right) if (
                name == same
            ):
                self.bind_step(name, type(node.value.op), whole_kind(self.scope, right) or kinds.ANY, value[1])
                return [emit.assign(name, value[0])]
            case [target], _:
                return self.store(target, value)
            case _:
                pass
        held = self.scope.temporary()
        made: list[ast.stmt] = [emit.assign(held, value[0])]
        for target in node.targets:
            made += self.store(target, (emit.name(held), value[1]))
        return made

    def store(self, target: ast.expr, value: Emitted) -> list[ast.stmt]:
        """Emit `target = value`; the value is evaluated first, as in Python."""
        match target:
            case ast.Name():
                self.scope.bind(target.id, value[1])
                return [emit.assign(target.id, value[0])]
            case ast.Tuple() | ast.List():
                return self.unpack(target, value)
            case ast.Subscript():
                return [self.store_item(target, value)]
            case ast.Starred():
                return self.store(target.value, value)
            case _:
                raise self.scope.refuse("C030", target, "an assignment target")

    def unpack(self, target: ast.Tuple | ast.List, value: Emitted) -> list[ast.stmt]:
        count, star = len(target.elts), star_in(target)
        source, kind = value
        known = star is None and kind.tag == "tuple" and len(kind.items) == count and not kind.optional
        items = kind.items if known else tuple(self.unpacked(kind) for _ in target.elts)
        if star is not None:
            source = emit.helper("spread", source, emit.const(star), emit.const(count - star - 1))
            items = (*items[:star], kinds.list_of(items[star]), *items[star + 1 :])
        elif not known:
            source = emit.helper("unpack", source, emit.const(count))
        if all(isinstance(part, ast.Name) for part in target.elts):
            names = [cast(ast.Name, part).id for part in target.elts]
            for name, item in zip(names, items, strict=True):
                self.scope.bind(name, item)
            return [ast.Assign([ast.Tuple([emit.target(name) for name in names], emit.STORE)], source)]
        held = [self.scope.temporary() for _ in target.elts]
        made: list[ast.stmt] = [ast.Assign([ast.Tuple([emit.target(name) for name in held], emit.STORE)], source)]
        for part, name, item in zip(target.elts, held, items, strict=True):
            made += self.store(part, (emit.name(name), item))
        return made

    def store_item(self, target: ast.Subscript, value: Emitted) -> ast.stmt:
        slot = self.slot_named(target.value)
        if slot is not None:
            self.scope.facts.writes = True
            declared = self.contract.slots[slot]
            checked = self.coerce(value, declared.value, True)
            return emit.statement(emit.helper(f"store.{slot}", checked, self.slot_key(slot, target.slice)))
        base, kind = self.visit(target.value)
        if isinstance(target.slice, ast.Slice):
            self.put_slice(target.value, value[1])
            return emit.statement(emit.helper("setslice", value[0], base, *self.bounds(target.slice)))
        if kind.tag in ("str", "bytes", "tuple", "record", "int", "bool"):
            self.scope.warn("C030", target, f"assignment to an item of a {kind.name or kind.tag}")
        index, wanted = self.visit(target.slice)
        if isinstance(target.value, ast.Name):
            self.put_in(target.value.id, kind, wanted, value[1])
        if kind.tag == "list" and wanted.number:
            return ast.Assign([ast.Subscript(base, index, emit.STORE)], value[0])
        return emit.statement(emit.helper("setitem", value[0], base, index))

    def put_slice(self, owner: ast.expr, value: Kind) -> None:
        """`owner[a:b] = value`: a list gets the items."""
        if isinstance(owner, ast.Name):
            self.contribute(owner.id, "extend", [value])

    def put_in(self, owner: str, kind: Kind, key: Kind, value: Kind) -> None:
        """`owner[key] = value`, where the owner may be a list or a dict."""
        if kind.tag == "list":
            self.scope.holds(owner, kinds.list_of(value))
        elif kind.tag == "dict":
            self.scope.holds(owner, Kind("dict", items=(key, value)))
        elif kind.tag != "never":
            self.scope.holds(owner, kinds.ANY)

    def annotated(self, node: ast.AnnAssign) -> list[ast.stmt]:
        shape = parse_shape(node.annotation, self.contract.records)
        target = cast(ast.Name, node.target)
        if node.value is None:
            return []
        checked = self.coerce(self.visit(node.value), shape)
        kind = shallow_kind(shape)
        self.scope.bind(target.id, kind)
        return [emit.assign(target.id, checked)]

    def augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        operator = type(node.op)
        if isinstance(node.target, ast.Name):
            name = node.target
            old = self.visit(ast.copy_location(ast.Name(name.id, emit.LOAD), name))
            value = self.visit(node.value)
            made, kind = self.in_place(operator, old, value)
            self.bind_step(name.id, operator, value[1], kind)
            return [emit.assign(name.id, made)]
        target = cast(ast.Subscript, node.target)
        slot = self.slot_named(target.value)
        if slot is not None:
            return self.augment_slot(node, target, slot)
        held, place = self.scope.temporary(), self.scope.temporary()
        base, kind = self.visit(target.value)
        if isinstance(target.slice, ast.Slice):
            return self.augment_slice(node, target, base, target.slice)
        index, wanted = self.visit(target.slice)
        setup = [emit.assign(held, base), emit.assign(place, index)]
        plain = kind.tag == "list" and wanted.number
        read: ast.expr = emit.helper("getitem", emit.name(held), emit.name(place))
        if plain:
            read = ast.Subscript(emit.name(held), emit.name(place), emit.LOAD)
        item = kind.items[1] if kind.tag == "dict" and kind.items else kinds.item_kind(kind)
        item = kinds.NEVER if kind.tag == "never" else item
        made, result = self.in_place(operator, (read, item), self.visit(node.value))
        if isinstance(target.value, ast.Name):
            self.put_in(target.value.id, kind, wanted, result)
        if plain:
            where = ast.Subscript(emit.name(held), emit.name(place), emit.STORE)
            return [*setup, ast.Assign([where], made)]
        return [*setup, emit.statement(emit.helper("setitem", made, emit.name(held), emit.name(place)))]

    def augment_slice(
        self, node: ast.AugAssign, target: ast.Subscript, base: ast.expr, part: ast.Slice
    ) -> list[ast.stmt]:
        """`xs[a:b] op= value`: the slice is read, changed and put back; each bound is evaluated once."""
        bounds = self.bounds(part)
        held = [self.scope.temporary() for _ in range(4)]
        setup = [emit.assign(name, value) for name, value in zip(held, [base, *bounds], strict=True)]
        read = emit.helper("slice", *map(emit.name, held))
        value = self.visit(node.value)
        made, kind = self.in_place(type(node.op), (read, kinds.ANY), value)
        self.put_slice(target.value, kind)
        return [*setup, emit.statement(emit.helper("setslice", made, *map(emit.name, held)))]

    def bind_step(self, name: str, operator: type, value: Kind, result: Kind) -> None:
        """`name = name + value` or `name - value` gives a result of this kind."""
        whole = value.tag == result.tag == "int" and not value.optional and not result.optional
        if whole and operator in (ast.Add, ast.Sub):
            step = value if operator is ast.Add else Kind("int", -value.high, -value.low)
            self.scope.step(name, step, result)
        else:
            self.scope.bind(name, result)

    def augment_slot(self, node: ast.AugAssign, target: ast.Subscript, slot: str) -> list[ast.stmt]:
        self.scope.facts.writes = True
        declared = self.contract.slots[slot]
        held = self.scope.temporary()
        key = emit.assign(held, self.slot_key(slot, target.slice))
        old = emit.helper(f"load.{slot}", emit.name(held))
        value = self.in_place(type(node.op), (old, shallow_kind(declared.value)), self.visit(node.value))
        checked = self.coerce(value, declared.value, True)
        return [key, emit.statement(emit.helper(f"store.{slot}", checked, emit.name(held)))]

    def in_place(self, operator: type, old: Emitted, value: Emitted) -> Emitted:
        """`a op= b`: the plain operation for immutable values; lists and sets change in place, as in Python."""
        made, kind = self.operate(operator, old, value)
        immutable = ("int", "bool", "str", "bytes", "tuple", "none", "record", "never")
        number = value[1].number and operator is not ast.Mult
        if old[1].tag in immutable or number or isinstance(made, ast.BinOp | ast.IfExp):
            return made, kind
        which = made.func.id[1:] if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) else "add"
        if old[1].tag == "list" and old[1].items:
            more = kinds.item_kind(value[1]) if operator is ast.Add else kinds.NEVER
            kind = kinds.list_of(kinds.join(old[1].items[0], more))
        elif old[1].tag in ("list", "set", "dict"):
            kind = Kind(old[1].tag)
        return emit.helper("inplace", emit.const(which), old[0], value[0]), kind
