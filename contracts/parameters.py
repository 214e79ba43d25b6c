"""Parameters of functions: `def f(a, b=1, /, c=2, *rest, d, e=3)`. What else Python knows (`**`) does not exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from contracts.constants import constant_value, weight
from contracts.limits import Limits
from contracts.rules import SourceRejected, reject
from contracts.shapes import ANY_SHAPE, Shape, parse_shape


class _Default(Enum):
    """One object in a process, whatever was copied or read back."""

    MISSING = "no default"


MISSING: Final[Any] = _Default.MISSING


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function; `shape` is ANY without an annotation; `default` is MISSING without one.

    `form`: "" by place or name, "/" by place only, "k" by name only, "*" for the tuple of all further arguments, each
    of the shape `each`.
    """

    name: str
    shape: Shape
    default: Any
    form: str = ""
    each: Shape = ANY_SHAPE


def read_parameters(
    node: ast.FunctionDef,
    hidden: tuple[str, ...],
    records: Mapping[str, Any],
    constants: Mapping[str, Any],
    limits: Limits,
) -> tuple[Parameter, ...]:
    """The parameters of a function in their order; `hidden` are its captured values, which are none; `constants` are
    those of the module above it. Raise `SourceRejected` C041, C042, C059."""
    # the defaults of a nested function could mean its surroundings
    known = {} if "." in node.name else constants
    found: list[Parameter] = []
    for form, argument, value in _written(node.args):
        if form == "k" and argument.arg in hidden:
            continue
        shape = parse_shape(argument.annotation, records) if argument.annotation else ANY_SHAPE
        if form == "*":
            found.append(Parameter(argument.arg, Shape("tuple"), (), form, shape))
            continue
        default = MISSING
        if value is not None:
            default = default_value(value, known, limits)
            if default is None and shape.tag not in ("any", "none"):
                shape = replace(shape, optional=True)  # `a: int = None` says `int | None`
            if not (shape.tag == "any" or default_fits(default, shape)):
                raise reject("C042", node.lineno, node.col_offset, f"{argument.arg} is no {shape}")
        found.append(Parameter(argument.arg, shape, default, form))
    if len({parameter.name for parameter in found}) != len(found):
        raise reject("C041", node.lineno, node.col_offset, "a parameter twice")
    return tuple(found)


def default_value(node: ast.expr, known: Mapping[str, Any], limits: Limits) -> Any:
    """The value of a default; lists and dicts would be shared by all calls."""
    try:
        value = constant_value(node, known, limits)
    except SourceRejected as error:
        raise reject("C042", error.line, error.finding.column) from None
    if weight(value, limits) > limits.tree_nodes or _mutable(value):
        raise reject("C042", node.lineno, node.col_offset, "a value that calls could change, or a large one")
    return value


def _mutable(value: Any) -> bool:
    return any(map(_mutable, value)) if type(value) is tuple else type(value) in (list, dict, set)


def _written(given: ast.arguments) -> Iterator[tuple[str, ast.arg, ast.expr | None]]:
    """Form, name and default of each parameter."""
    by_place = [("/", argument) for argument in given.posonlyargs] + [("", argument) for argument in given.args]
    first = len(by_place) - len(given.defaults)
    for index, (form, argument) in enumerate(by_place):
        yield form, argument, given.defaults[index - first] if index >= first else None
    if given.vararg is not None:
        yield "*", given.vararg, None
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield "k", argument, default


def all_arguments(given: ast.arguments) -> Iterator[ast.arg]:
    """Everything that a function or lambda binds by its parameters."""
    for _, argument, _ in _written(given):
        yield argument


def default_fits(value: Any, shape: Shape) -> bool:
    """Whether a constant may be the default of something of a shape."""
    if value is None and shape.optional:
        return True
    match shape.tag:
        case "u64":
            return type(value) is int and 0 <= value < 2**64
        case "u256":
            return type(value) is int and value >= 0
        case "int":
            return type(value) is int
        case "bool" | "str" | "bytes":
            return type(value).__name__ == shape.tag
        case "Address":
            return type(value) is bytes and len(value) == 32
        case "list":
            return type(value) is list and all(default_fits(item, shape.items[0]) for item in value)
        case "tuple":
            return type(value) is tuple
        case "none":
            return value is None
        case _:
            return False
