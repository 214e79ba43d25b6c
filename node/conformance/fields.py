"""The form of a conformance case: what a field may hold, how it is read, how two values are compared.

A form reads JSON into one normal shape whatever way it was written: an object with named fields may also be an array in
the order of the fields, a map may also be an array of pairs. Ids are text; a whole number stands for its digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from ledger.errors import DecodeError
from node.conformance.ids import printable, to_bytes

MAX_INTEGER: Final = 10**24
"""Far above every quantity of the rules, far below 256 bits, so that products and sums of a case stay exact."""
_NAMES: Final = {dict: "an object", list: "an array", str: "text", bool: "true or false", int: "an integer"}


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between two bounds."""

    low: int = 0
    high: int = MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Id:
    """The name of a member, an order, a digest: text, or a whole number that stands for its digits."""


@dataclass(frozen=True, slots=True)
class OrNull:
    """A form or null."""

    form: Form


@dataclass(frozen=True, slots=True)
class Many:
    """An array."""

    form: Form


@dataclass(frozen=True, slots=True)
class ByName:
    """An object from id to a form, or an array of [id, value]. `sparse`: an id that is not named has 0 or false."""

    form: Form
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An object with these fields, or an array in this order. Those in `optional` may be missing; `closed` allows no
    others."""

    fields: Mapping[str, Form]
    optional: frozenset[str] = frozenset()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several forms; the first that reads the value."""

    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Via:
    """A value that may be written in another way: read as `form`, turned into what `target` describes."""

    form: Form
    convert: Callable[[Any], Any]
    target: Form


@dataclass(frozen=True, slots=True)
class Either:
    """A result that may be expected in several forms: what was found is a tuple with a value for each. The first form
    that reads the expected value says which of them is meant."""

    forms: tuple[Form, ...]


Form: TypeAlias = Integer | Flag | Id | OrNull | Many | ByName | Row | Choice | Via | Either


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two values part: the path of the first place, what was expected and what was found there."""

    path: str
    expected: Any
    found: Any


def bad_case(what: str, path: str, expected: object, found: object, fix: str = "") -> DecodeError:
    """A case that is not written as its mechanism asks."""
    return DecodeError(
        f"{printable(path) or 'the case'} {what}",
        code="BAD_CASE",
        expected=printable(str(expected)),
        found=printable(str(found)),
        fix=fix or "write the field as docs/cli.md names it",
    )


def read(form: Form, value: Any, path: str) -> Any:
    """`value` in the normal shape. Raise `DecodeError` that names the path, what was expected and what was found."""
    match form:
        case Integer(low, high):
            return _integer(value, low, high, path)
        case Flag():
            return value if type(value) is bool else bool(_integer(value, 0, 1, path))
        case Id():
            return _id(value, path)
        case OrNull(inner):
            return None if value is None else read(inner, value, path)
        case Many(inner):
            rows = _typed(value, list, path)
            return [read(inner, item, f"{path}[{index}]") for index, item in enumerate(rows)]
        case ByName(inner, _):
            return {key: read(inner, item, f"{path}.{key}") for key, item in _pairs(value, path).items()}
        case Row():
            return _row(form, value, path)
        case Choice(forms):
            return _choice(forms, value, path)
        case Via(inner, convert, _):
            return convert(read(inner, value, path))
        case Either(forms):
            return _choice(tuple(Via(form, partial(_meant, at), form) for at, form in enumerate(forms)), value, path)


def _meant(at: int, value: Any) -> tuple[int, Any]:
    return (at, value)


def _integer(value: Any, low: int, high: int, path: str) -> int:
    if type(value) is not int:
        raise bad_case("is not an integer", path, f"an integer from {low} to {high}", shown(value))
    if not low <= value <= high:
        raise bad_case("is out of range", path, f"an integer from {low} to {high}", value)
    return value


def _id(value: Any, path: str) -> str:
    if type(value) is int:
        return str(value)
    text: str = _typed(value, str, path)
    return text


def _typed(value: Any, kind: type, path: str) -> Any:
    if type(value) is not kind:
        raise bad_case("has another type", path, _NAMES[kind], shown(value))
    return value


def _pairs(value: Any, path: str) -> dict[str, Any]:
    if type(value) is list:
        found: dict[str, Any] = {}
        for index, pair in enumerate(value):
            if type(pair) is not list or len(pair) != 2:
                raise bad_case("is not a pair", f"{path}[{index}]", "[id, value]", shown(pair))
            name = _id(pair[0], f"{path}[{index}][0]")
            if name in found:
                raise bad_case("is there twice", f"{path}.{name}", "each id once", shown(pair))
            found[name] = pair[1]
        return found
    return dict(_typed(value, dict, path))


def _row(form: Row, value: Any, path: str) -> dict[str, Any]:
    names = list(form.fields)
    if type(value) is list:
        if len(value) != len(names):
            raise bad_case("has another length", path, f"[{', '.join(names)}]", shown(value))
        value = dict(zip(names, value, strict=True))
    _typed(value, dict, path)
    if form.closed and (strange := [name for name in value if name not in form.fields]):
        raise bad_case("has an unknown field", path, ", ".join(names), strange[0])
    found = {}
    for name, inner in form.fields.items():
        if name in value:
            found[name] = read(inner, value[name], f"{path}.{name}")
        elif name not in form.optional:
            raise bad_case(
                "is missing", f"{path}.{name}", name, f"fields {', '.join(map(str, value)) or 'none'}",
                f"add the field {name}",
            )  # fmt: skip
    return found


def _choice(forms: tuple[Form, ...], value: Any, path: str) -> Any:
    first: DecodeError | None = None
    for form in forms:
        try:
            return read(form, value, path)
        except DecodeError as error:
            first = first or error
    assert first is not None, "a choice has forms"
    raise first


def shown(value: Any) -> str:
    """What was found, in few words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"text {value[:40]!r}"
        case list():
            return f"an array of {len(value)}"
        case dict():
            return f"an object with {', '.join(map(str, value))[:60] or 'nothing'}"
        case _:
            return repr(value)[:40]


def difference(form: Form, expected: Any, found: Any, path: str) -> Difference | None:
    """The first place in which two values of a form differ; both in the normal shape."""
    match form:
        case Many(inner):
            return _first_row(inner, expected, found, path)
        case ByName(inner, sparse):
            return _first_name(inner, sparse, expected, found, path)
        case Row(fields):
            return _first_field(fields, expected, found, path)
        case Via(_, _, target):
            return difference(target, expected, found, path)
        case Either(forms):
            at, meant = expected
            return difference(forms[at], meant, found[at], path)
        case OrNull(inner) if expected is not None and found is not None:
            return difference(inner, expected, found, path)
        case Integer() | Flag() | Id() | OrNull() | Choice():
            return None if expected == found else Difference(path, expected, found)


def _first_row(inner: Form, expected: list[Any], found: list[Any], path: str) -> Difference | None:
    for index, (one, other) in enumerate(zip(expected, found, strict=False)):
        if there := difference(inner, one, other, f"{path}[{index}]"):
            return there
    if len(expected) == len(found):
        return None
    index = min(len(expected), len(found))
    return Difference(f"{path}[{index}]", *(rows[index] if index < len(rows) else None for rows in (expected, found)))


def _first_name(inner: Form, sparse: bool, expected: Any, found: Any, path: str) -> Difference | None:
    for name in sorted({*expected, *found}, key=to_bytes):
        where = f"{path}.{name}"
        if name in expected and name in found:
            if there := difference(inner, expected[name], found[name], where):
                return there
        elif not sparse or expected.get(name) or found.get(name):
            return Difference(where, expected.get(name), found.get(name))
    return None


def _first_field(fields: Mapping[str, Form], expected: Any, found: Any, path: str) -> Difference | None:
    for name, inner in fields.items():
        if name in expected and (there := difference(inner, expected[name], found.get(name), f"{path}.{name}")):
            return there
    return None
