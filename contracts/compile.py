"""The whole pipeline from source text to a program, with a cache that no gas depends on.

    bytes -> admit -> token pre-scan -> ast.parse -> allow-list -> lift -> resolve -> rewrite -> compile -> Program

A program is code without state. `contracts.program` links it to an instance and a meter. A `Shelf` keeps programs for
other processes of the same code; what is on it was made by this pipeline.
"""

from __future__ import annotations

import ast
import marshal
import pickle
import warnings
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Protocol

from contracts.admit import admit
from contracts.lift import lift
from contracts.limits import GAS_VERSION, LANGUAGE, PYC1
from contracts.resolve import Contract, resolve
from contracts.rewrite import rewrite
from contracts.rules import Finding, reject
from contracts.shapes import Shape
from contracts.stars import spread_stars
from contracts.storage import event_types, struct_types
from contracts.tokens import prescan
from contracts.validate import parse, validate
from ledger.crypto import Hash, sha256


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled source: declarations, code object, types of records and events, checks to link.

    `chain`: how many of its functions can be active at once; `counted`: whether they count themselves.
    """

    source_hash: Hash
    contract: Contract
    code: CodeType
    structs: dict[str, type]
    events: dict[str, type]
    checks: dict[str, tuple[Shape, bool]]
    starred: frozenset[str]
    routes: frozenset[tuple[str, ...]]
    writers: frozenset[str]
    chain: int
    counted: bool
    warnings: tuple[Finding, ...]

    @property
    def filename(self) -> str:
        """What tracebacks call this source."""
        return self.code.co_filename


class Shelf(Protocol):
    """Where compiled programs lie as bytes, which are code: nothing from outside may get there."""

    def keeps(self, digest: Hash) -> bool:
        """Whether programs of this source have a place."""
        ...

    def find(self, digest: Hash) -> bytes | None:
        """What `put` was given for this source by a process of this code and interpreter; None if nothing is there."""
        ...

    def put(self, digest: Hash, raw: bytes) -> None:
        """Keep the bytes of a program; it is no matter if that fails."""
        ...


_shelf: Shelf | None = None


def keep_programs(shelf: Shelf | None) -> None:
    """From now on take programs of this process from a shelf, and put there what it keeps; None: compile everything."""
    global _shelf
    _shelf = shelf


def compile_source(source: str | bytes, *, pure: bool = False) -> Program:
    """Compile a source. Raise `SourceRejected` with a rule code and line. `pure`: see `resolve`."""
    raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    return _compiled(raw, LANGUAGE, GAS_VERSION, pure)


def forget_programs() -> None:
    """Drop what was compiled: memory only, since no gas depends on the cache."""
    _compiled.cache_clear()


@lru_cache(maxsize=256)
def _compiled(raw: bytes, language: str, gas_version: int, pure: bool) -> Program:
    digest = sha256(raw)
    shelf = None if pure or _shelf is None or not _shelf.keeps(digest) else _shelf
    if shelf is not None and (kept := shelf.find(digest)) is not None:
        return program_of(kept)
    program = _through_the_pipeline(raw, digest, pure)
    if shelf is not None:
        shelf.put(digest, program_bytes(program))
    return program


def _through_the_pipeline(raw: bytes, digest: Hash, pure: bool) -> Program:
    limits = PYC1
    text = admit(raw, limits)
    prescan(text, limits)
    tree = parse(text, limits)
    validate(tree, limits)
    spread_stars(tree)
    contract = resolve(tree, limits, pure, lift(tree, limits))
    rewritten = rewrite(contract, pure)
    return Program(
        digest,
        contract,
        _code(rewritten.tree, f"<contract:{digest.hex()[:16]}>"),
        struct_types(contract),
        event_types(contract),
        rewritten.checks,
        rewritten.starred,
        rewritten.routes,
        rewritten.writers,
        rewritten.chain,
        rewritten.counted,
        rewritten.warnings,
    )


def _code(tree: ast.Module, filename: str) -> CodeType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(tree, filename, "exec", dont_inherit=True, optimize=0)
    except SyntaxError as error:
        raise reject("C020", error.lineno or 1, 0) from None
    except (RecursionError, MemoryError):
        raise reject("C021", 1, 0) from None


def program_bytes(program: Program) -> bytes:
    """A program as bytes that this code and interpreter can read: types are made anew from the declarations."""
    rest = {name: getattr(program, name) for name in Program.__slots__ if name not in ("code", "structs", "events")}
    return pickle.dumps((marshal.dumps(program.code), rest), 5)


def program_of(raw: bytes) -> Program:
    """The program of bytes that `program_bytes` made. They are run: read none that another could have written."""
    code, rest = pickle.loads(raw)
    contract: Contract = rest["contract"]
    return Program(code=marshal.loads(code), structs=struct_types(contract), events=event_types(contract), **rest)
