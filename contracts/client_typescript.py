"""A typed TypeScript client of a contract: one module over `fetch`, for browsers and Node, without dependencies.

Integers are `bigint`, so none is ever rounded; they travel as the ABI says, as numbers or decimal text. Signing is the
caller's: a `Signer` turns a call into the bytes of a signed transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.client_parts import Names, callable_entries, class_name, parameter_names, purpose, template, title
from contracts.compile import Program
from contracts.error_codes import error_codes
from contracts.resolve import MISSING, Function
from contracts.shapes import Shape

_TYPES = {
    "int": "bigint", "u64": "bigint", "u256": "bigint", "bool": "boolean", "str": "string", "bytes": "Uint8Array",
    "Address": "Uint8Array", "none": "null",
}  # fmt: skip
_READERS = {
    "int": "readInteger", "u64": "readInteger", "u256": "readInteger", "bool": "readBoolean", "str": "readText",
    "bytes": "readBytes", "Address": "readBytes", "none": "readNull",
}  # fmt: skip
_KEYWORDS = (
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
    "with",
    "yield",
)
_OWN = (
    "Value",
    "Json",
    *("object", "string", "number", "boolean", "bigint", "symbol", "any", "unknown", "never", "void", "undefined"),
    "Record",
    "RequestInit",
    "BodyInit",
    "Call",
    "Signer",
    "Receipt",
    "Done",
    "CallFailed",
    "Refused",
    "CODES",
    "fromJson",
    "toJson",
    "readInteger",
    "readBoolean",
    "readText",
    "readBytes",
    "readNull",
    "readList",
    "readRow",
    "readPairs",
    "readFields",
    "other",
    "Uint8Array",
    "Promise",
    "Error",
    "Map",
    "Array",
    "Object",
    "String",
    "Number",
    "BigInt",
)


def typescript_client(program: Program, instance: str) -> str:
    """The text of the module for an instance of that name."""
    contract = program.contract
    names = Names(_OWN)
    records = {name: names.fresh(name) for name in contract.records}
    words = {"Class": names.fresh(class_name(instance)), "name": instance}
    writer = _Writer(records)
    parts = [f"// {title(program, instance)}\n\n", template("client_head.ts.txt", words)]
    parts += [writer.record(records[name], record.fields) for name, record in contract.records.items()]
    parts += [
        writer.interface(names.fresh(f"{event.label}Event"), event.fields, f"The event {event.label}: its data.")
        for event in contract.events.values()
    ]
    rows = "".join(
        f"  {function.name}: [{', '.join(map(_quoted, error_codes(contract, function.name).own))}],\n"
        for function in callable_entries(contract)
    )
    parts.append(
        "\n/** By entry, the codes in its source. The runtime has its own, and called contracts have theirs. */\n"
        f"export const CODES: Record<string, readonly string[]> = {{\n{rows}}};\n"
    )
    parts.append("\n" + template("client_class.ts.txt", words))
    parts += [writer.method(program, function) for function in callable_entries(contract)]
    return "".join(parts) + "}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Writer:
    """Types, readers and writers; `records`: the names that records have here."""

    def __init__(self, records: Mapping[str, str]) -> None:
        self.records = records

    def interface(self, name: str, fields: Mapping[str, Shape], told: str) -> str:
        """An interface with its reader."""
        body = "".join(f"  {field}: {self.type(shape)};\n" for field, shape in fields.items())
        keys = ", ".join(map(_quoted, fields))
        read = "".join(
            f"    {field}: {self.read(shape, f'at({_quoted(field)})')},\n" for field, shape in fields.items()
        )
        return (
            f"\n/** {told} */\nexport interface {name} {{\n{body}}}\n"
            f"\nexport function decode{name}(value: Json): {name} {{\n  const at = readFields(value, [{keys}]);\n"
            f"  return {{\n{read}  }};\n}}\n"
        )

    def record(self, name: str, fields: Mapping[str, Shape]) -> str:
        """The same with a writer."""
        write = "".join(f"    {field}: {self.write(shape, f'value.{field}')},\n" for field, shape in fields.items())
        return (
            f"{self.interface(name, fields, f'The record {name}.')}"
            f"\nexport function encode{name}(value: {name}): Value {{\n  return {{\n{write}  }};\n}}\n"
        )

    def method(self, program: Program, function: Function) -> str:
        """A method of the class."""
        helpers = [name for name in _OWN if name.startswith(("read", "to"))]
        names = parameter_names(function, [*_KEYWORDS, *helpers, "atHeight", "receipt"])
        given = [
            f"{name}: {self.type(parameter.shape)}{_default(parameter.default)}"
            for name, parameter in zip(names, function.by_place, strict=True)
        ]
        values = ", ".join(self.write(p.shape, name) for name, p in zip(names, function.by_place, strict=True))
        told = purpose(program, function)
        text = f"\n  /** {told} */" if told else ""
        name = "constructor_" if function.name == "constructor" else function.name
        returns, quoted = self.type(function.returns), _quoted(function.name)
        if function.role == "view":
            read = self.read(function.returns, f"await this.#ask({quoted}, [{values}], atHeight)")
            given.append("atHeight?: number")
            head = f"{text}\n  async {name}({', '.join(given)}): Promise<{returns}> {{\n"
            return f"{head}    return {read};\n  }}\n"
        read = self.read(function.returns, "receipt.value")
        return (
            f"{text}\n  async {name}({', '.join(given)}): Promise<Done<{returns}>> {{\n"
            f"    const receipt = await this.#call({quoted}, [{values}]);\n"
            f"    return {{ value: {read}, receipt }};\n  }}\n"
        )

    def type(self, shape: Shape) -> str:
        """The type of values of a shape."""
        plain = self.plain_type(shape)
        return f"{plain} | null" if shape.optional and shape.tag not in ("any", "none") else plain

    def plain_type(self, shape: Shape) -> str:
        """The same without null."""
        items = [self.type(item) for item in shape.items]
        match shape.tag:
            case "record":
                return self.records[shape.name]
            case "tuple" if len(items) > 1:
                return f"[{', '.join(items)}]"
            case "list" | "set" | "tuple":
                return f"({items[0]})[]" if items else "Json[]"
            case "dict":
                return f"Map<{', '.join(items)}>" if items else "Map<Json, Json>"
            case tag:
                return _TYPES.get(tag, "Json")

    def read(self, shape: Shape, value: str, depth: int = 0) -> str:
        """An expression that reads JSON as a value of the shape."""
        item = f"v{depth}"
        if shape.optional and shape.tag not in ("any", "none"):
            plain = self.read(Shape(shape.tag, shape.items, shape.name), item, depth + 1)
            return f"(({item}: Json) => ({item} === null ? null : {plain}))({value})"
        match shape.tag, shape.items:
            case "record", _:
                return f"decode{self.records[shape.name]}({value})"
            case (("list" | "set" | "tuple"), (inner,)):
                return f"readList({value}).map(({item}) => {self.read(inner, item, depth + 1)})"
            case (("list" | "set" | "tuple"), ()):
                return f"readList({value})"
            case "tuple", items:
                rows = [self.read(found, f"{item}[{at}] as Json", depth + 1) for at, found in enumerate(items)]
                return f"(({item}): {self.plain_type(shape)} => [{', '.join(rows)}])(readRow({value}, {len(items)}))"
            case "dict", (key, found):
                pair = f"[{self.read(key, f'k{depth}', depth + 1)}, {self.read(found, item, depth + 1)}]"
                return f"new Map(readPairs({value}).map(([k{depth}, {item}]) => {pair} as const))"
            case "dict", _:
                return f"new Map(readPairs({value}))"
            case tag, _:
                reader = _READERS.get(tag)
                return f"{reader}({value})" if reader else value

    def write(self, shape: Shape, value: str, depth: int = 0) -> str:
        """An expression that turns a value of the shape into a `Value`."""
        item = f"v{depth}"
        if shape.optional and shape.tag not in ("any", "none"):
            plain = self.write(Shape(shape.tag, shape.items, shape.name), value, depth)
            return plain if plain == value else f"({value} === null ? null : {plain})"
        match shape.tag, shape.items:
            case "record", _:
                return f"encode{self.records[shape.name]}({value})"
            case (("list" | "set" | "tuple"), (inner,)):
                plain = self.write(inner, item, depth + 1)
                return value if plain == item else f"{value}.map(({item}) => {plain})"
            case "tuple", items if items:
                return f"[{', '.join(self.write(found, f'{value}[{at}]', depth) for at, found in enumerate(items))}]"
            case "dict", (key, found):
                pair = f"[{self.write(key, f'k{depth}', depth + 1)}, {self.write(found, item, depth + 1)}]"
                return f"new Map(Array.from({value}, ([k{depth}, {item}]): [Value, Value] => {pair}))"
            case (("any" | "list" | "set" | "tuple" | "dict"), _):
                return f"({value} as Value)"
            case _:
                return value


def _default(value: object) -> str:
    """A default as TypeScript writes it. Tuples and others that have no short form are asked for."""
    match value:
        case _ if value is MISSING:
            return ""
        case None:
            return " = null"
        case bool():
            return f" = {str(value).lower()}"
        case int():
            return f" = {value}n"
        case str():
            return f" = {_quoted(value)}" if value.isprintable() else ""
        case bytes():
            return f" = Uint8Array.of({', '.join(map(str, value))})"
        case _:
            return ""
