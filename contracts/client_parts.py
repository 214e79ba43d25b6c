"""What typed clients of a contract have in common, whatever language they are written in: entries, names, texts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

from contracts.compile import Program
from contracts.error_codes import error_codes
from contracts.resolve import Contract, Function


def callable_entries(contract: Contract) -> Iterator[Function]:
    """Exports that a transaction may call, and views, in source order."""
    for function in contract.functions.values():
        if function.role == "view" or (function.role == "export" and not function.scheduled):
            yield function


def class_name(instance: str) -> str:
    """`village_jar` as `VillageJar`."""
    return "".join(part[:1].upper() + part[1:] for part in instance.split("_"))


class Names:
    """Names of a module: those that the contract has given, and fresh ones beside them."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str) -> str:
        """`wanted`, or with `_` behind it until nothing else has that name."""
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def parameter_names(function: Function, taken: Iterable[str]) -> list[str]:
    """Names for the parameters of an entry in a language that uses `taken` for itself."""
    names = Names(taken)
    return [names.fresh(parameter.name) for parameter in function.by_place]


def purpose(program: Program, function: Function) -> str:
    """What an entry does, in one line, and the codes it may fail with."""
    text = " ".join((ast.get_docstring(function.node) or "").split())
    codes = error_codes(program.contract, function.name)
    listed = ", ".join(codes.own)
    if codes.more:
        listed += " and codes of contracts that it calls" if listed else "those of contracts that it calls"
    told = f"Codes: {listed}." if listed else ""
    return " ".join(filter(None, (text, told))).replace("\\", "/").replace('"""', "'''").replace("*/", "* /")


def title(program: Program, instance: str) -> str:
    """The first line of a client."""
    return (
        f"Typed client of the contract {instance}, written by `gridchain contract client` from the source"
        f" 0x{program.source_hash.hex()}. Write it anew for another version."
    )


def template(file: str, words: Mapping[str, str]) -> str:
    """The part of a client that is the same for all contracts, with `$name` replaced."""
    text = files("contracts").joinpath("templates", file).read_text(encoding="utf-8")
    for name, word in words.items():
        text = text.replace(f"${name}", word)
    return text
