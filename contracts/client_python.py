"""A typed Python client of a contract: one module over `gridchain.Client`, clean under `mypy --strict`.

Values arrive from views as they are and from receipts as JSON; readers made from the declared types accept both, and
refuse anything else, so what a method returns has the type it says.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from keyword import kwlist

from contracts.client_parts import Names, callable_entries, class_name, parameter_names, purpose, template, title
from contracts.compile import Program
from contracts.error_codes import error_codes
from contracts.resolve import MISSING, Function
from contracts.shapes import Shape

_TYPES = {
    "int": "int", "u64": "int", "u256": "int", "bool": "bool", "str": "str", "bytes": "bytes", "Address": "bytes",
}  # fmt: skip
_READERS = {tag: f"_{name}" for tag, name in _TYPES.items()} | {"none": "_none"}


def python_client(program: Program, instance: str) -> str:
    """The text of the module for an instance of that name."""
    contract = program.contract
    names = Names([*map(_class, contract.records), "CODES", *dir(builtins)])
    words = {"Done": names.fresh("Done"), "Failed": names.fresh("Failed")}
    events = {label: names.fresh(f"{label}Event") for label in (found.label for found in contract.events.values())}
    words |= {"Class": names.fresh(class_name(instance)), "event_of": names.fresh("event_of"), "name": instance}
    parts = [f'"""{title(program, instance)}"""\n\n', template("client_head.py.txt", words)]
    for name, record in contract.records.items():
        parts += [
            _struct(_class(name), record.fields, f"The record `{name}`."),
            _record_writer(_class(name), record.fields),
        ]
    shown = {events[found.label]: (found.label, found.fields) for found in contract.events.values()}
    parts += [_struct(name, fields, f"The event `{label}`.") for name, (label, fields) in shown.items()]
    parts.append(_event_reader(words["event_of"], shown))
    parts.append(_codes(program))
    parts.append("\n\n" + template("client_class.py.txt", words))
    parts += [_method(program, function, words["Done"]) for function in callable_entries(contract)]
    return "".join(parts)


def _struct(name: str, fields: Mapping[str, Shape], told: str) -> str:
    """A class and its reader."""
    body = "".join(f"    {_safe(field)}: {_type(shape)}\n" for field, shape in fields.items())
    read = ", ".join(_read(shape, f"found[{field!r}]") for field, shape in fields.items())
    keys = ", ".join(map(repr, fields))
    return (
        f'\n\n@_dataclass(frozen=True, slots=True)\nclass {name}:\n    """{told}"""\n\n{body}'
        f"\n\ndef _read_{name}(value: _Any) -> {name}:\n    found = _fields(value, {keys})\n    return {name}({read})\n"
    )


def _record_writer(name: str, fields: Mapping[str, Shape]) -> str:
    write = ", ".join(f"{field!r}: {_write(shape, f'value.{_safe(field)}')}" for field, shape in fields.items())
    return f"\n\ndef _write_{name}(value: {name}) -> dict[str, _Value]:\n    return {{{write}}}\n"


def _event_reader(name: str, events: Mapping[str, tuple[str, Mapping[str, Shape]]]) -> str:
    union = " | ".join([*events, "None"])
    tests = "".join(
        f"    if seen.name == {label!r}:\n        return _read_{found}(data)\n" for found, (label, _) in events.items()
    )
    return (
        f"\n\ndef {name}(seen: _EventSeen) -> {union}:\n"
        '    """An event of this contract as `Client.events(contract=..)` tells it; None if another version did."""\n'
        f"    data = dict(seen.data)\n{tests}    return None\n"
    )


def _codes(program: Program) -> str:
    rows = [
        f"    {function.name!r}: {error_codes(program.contract, function.name).own!r},\n"
        for function in callable_entries(program.contract)
    ]
    told = '"""By entry, the codes in its source. The runtime has its own, and called contracts have theirs."""'
    return f"\n\nCODES: _Final[dict[str, tuple[str, ...]]] = {{\n{''.join(rows)}}}\n{told}\n"


def _method(program: Program, function: Function, done: str) -> str:
    is_view = function.role == "view"
    taken = [*kwlist, "self", done, *(["at_height"] if is_view else [])]
    names = parameter_names(function, taken)
    given = ["self"]
    for name, parameter in zip(names, function.by_place, strict=True):
        default = "" if parameter.default is MISSING else f" = {parameter.default!r}"
        given.append(f"{name}: {_type(parameter.shape)}{default}")
    values = ", ".join(_write(p.shape, name) for name, p in zip(names, function.by_place, strict=True))
    told = purpose(program, function)
    text = f'        """{told}"""\n' if told else ""
    returns = _type(function.returns)
    if is_view:
        given += ["*", "at_height: int | None = None"]
        read = _read(function.returns, f"await self._ask({function.name!r}, [{values}], at_height)")
        head = f"\n    async def {_safe(function.name)}({', '.join(given)}) -> {returns}:\n{text}"
        return f"{head}        {'' if returns == 'None' else 'return '}{read}\n"
    head = f"\n    async def {_safe(function.name)}({', '.join(given)}) -> {done}[{returns}]:\n{text}"
    call = f"        _receipt = await self._call({function.name!r}, [{values}])\n"
    if returns == "None":
        return f"{head}{call}        _none(_receipt.value)\n        return {done}(None, _receipt)\n"
    return f"{head}{call}        return {done}({_read(function.returns, '_receipt.value')}, _receipt)\n"


def _class(name: str) -> str:
    """The class of a record: another name than Python's own, which the module uses."""
    return f"{name}_" if name in kwlist or hasattr(builtins, name) else name


def _safe(name: str) -> str:
    return f"{name}_" if name in kwlist else name


def _type(shape: Shape) -> str:
    return f"{_plain_type(shape)} | None" if shape.optional and shape.tag not in ("any", "none") else _plain_type(shape)


def _plain_type(shape: Shape) -> str:
    items = [_type(item) for item in shape.items]
    match shape.tag:
        case "none":
            return "None"
        case "record":
            return _class(shape.name)
        case "list" | "set":
            return f"list[{items[0] if items else '_Any'}]"
        case "tuple" if len(items) > 1:
            return f"tuple[{', '.join(items)}]"
        case "tuple":
            return f"tuple[{items[0] if items else '_Any'}, ...]"
        case "dict":
            return f"dict[{', '.join(items) if items else '_Any, _Any'}]"
        case tag:
            return _TYPES.get(tag, "_Any")


def _read(shape: Shape, value: str, depth: int = 0) -> str:
    """An expression that turns `value`, from a view or a receipt, into a value of the shape."""
    if shape.optional and shape.tag not in ("any", "none"):
        inner = _read(Shape(shape.tag, shape.items, shape.name), f"x{depth}", depth + 1)
        return f"(None if (x{depth} := {value}) is None else {inner})"
    item = f"v{depth}"
    match shape.tag, shape.items:
        case "record", _:
            return f"_read_{_class(shape.name)}({value})"
        case (("list" | "set"), (inner_shape,)):
            return f"[{_read(inner_shape, item, depth + 1)} for {item} in _list({value})]"
        case (("list" | "set"), _):
            return f"_list({value})"
        case "tuple", (inner_shape,):
            return f"tuple([{_read(inner_shape, item, depth + 1)} for {item} in _list({value})])"
        case "tuple", ():
            return f"tuple(_list({value}))"
        case "tuple", items:
            rows = ", ".join(_read(found, f"r{depth}[{index}]", depth + 1) for index, found in enumerate(items))
            return f"[({rows}) for r{depth} in [_row({value}, {len(items)})]][0]"
        case "dict", (key, found):
            read = f"{_read(key, f'k{depth}', depth + 1)}: {_read(found, item, depth + 1)}"
            return f"{{{read} for k{depth}, {item} in _pairs({value})}}"
        case "dict", _:
            return f"dict(_pairs({value}))"
        case tag, _:
            reader = _READERS.get(tag)
            return f"{reader}({value})" if reader else value


def _write(shape: Shape, value: str, depth: int = 0) -> str:
    """An expression that turns a typed value into one that travels."""
    item = f"v{depth}"
    if not _holds_records(shape):
        return value
    if shape.optional:
        return f"(None if {value} is None else {_write(Shape(shape.tag, shape.items, shape.name), value, depth)})"
    match shape.tag, shape.items:
        case "record", _:
            return f"_write_{_class(shape.name)}({value})"
        case (("list" | "set" | "tuple"), (inner,)):
            return f"[{_write(inner, item, depth + 1)} for {item} in {value}]"
        case "tuple", items:
            return f"[{', '.join(_write(found, f'{value}[{index}]', depth) for index, found in enumerate(items))}]"
        case _, (_, found):
            return f"{{k{depth}: {_write(found, item, depth + 1)} for k{depth}, {item} in {value}.items()}}"
        case _:
            return value


def _holds_records(shape: Shape) -> bool:
    return shape.tag == "record" or any(map(_holds_records, shape.items))
