"""Compiled library contracts beside their sources: what is read back is what was compiled, and nothing else is read."""

from __future__ import annotations

import ast
import os
import sys
import time

import pytest

from contracts import compile as compiling
from contracts.compile import Program, compile_source, forget_programs, keep_programs
from contracts.library_sources import library_source
from contracts.resolve import MISSING
from ledger.crypto import sha256
from node import program_shelf
from node.program_shelf import ProgramShelf, newest, shelve_library

NAMES = ("token", "tariffs", "registry")
DIGESTS = {sha256(library_source(name).encode()): name for name in NAMES}


@pytest.fixture(autouse=True)
def forgetful():
    forget_programs()
    yield
    keep_programs(None)
    forget_programs()


@pytest.fixture
def compiled(monkeypatch):
    """The sources that went through the pipeline, in order."""
    seen: list[bytes] = []
    pipeline = compiling._through_the_pipeline

    def watched(raw: bytes, digest: bytes, pure: bool) -> Program:
        seen.append(raw)
        return pipeline(raw, digest, pure)

    monkeypatch.setattr(compiling, "_through_the_pipeline", watched)
    return seen


def start(folder, fingerprint="one code", *, writes=True):
    """What another process finds."""
    forget_programs()
    keep_programs(ProgramShelf(folder, fingerprint, DIGESTS, writes=writes))


def declared(program: Program) -> list[object]:
    """All that a program says, in a form that can be compared."""
    contract = program.contract
    functions = [
        (f.name, ast.dump(f.node, include_attributes=True), f.parameters, f.returns, f.role, f.auth, f.hidden)
        for f in contract.functions.values()
    ]
    tables = [contract.constants, contract.records, contract.events, contract.slots, contract.indexes]
    types = [{name: made.__struct_fields__ for name, made in t.items()} for t in (program.structs, program.events)]
    rest = [getattr(program, n) for n in ("source_hash", "checks", "starred", "routes", "writers", "chain", "counted")]
    return [functions, tables, types, rest, program.warnings]


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_program_is_the_compiled_one(tmp_path, compiled, name):
    source = library_source(name)
    first = compile_source(source)
    start(tmp_path)
    assert compile_source(source) is not first
    start(tmp_path)
    del compiled[:]
    kept = compile_source(source)
    assert compiled == []
    assert kept.code == first.code
    assert kept.filename == first.filename
    assert declared(kept) == declared(first)
    required = [p for f in kept.contract.functions.values() for p in f.parameters if p.default is MISSING]
    assert required, "the mark of a parameter without default is one object"


def test_what_is_damaged_or_of_other_code_is_compiled_again(tmp_path, compiled):
    source = library_source("tariffs")
    start(tmp_path)
    compile_source(source)
    (place,) = tmp_path.rglob("*.program")
    whole = place.read_bytes()
    for spoilt in (b"", whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], whole[:32]):
        place.write_bytes(spoilt)
        start(tmp_path)
        del compiled[:]
        compile_source(source)
        assert compiled == [source.encode()]
        assert len(place.read_bytes()) > 32
    start(tmp_path, "changed code")
    del compiled[:]
    compile_source(source)
    assert compiled == [source.encode()]
    assert [found.name for found in tmp_path.rglob("*.program*")] == [place.name]


def test_a_program_under_another_contracts_name_is_not_taken(tmp_path, compiled):
    start(tmp_path)
    for name in ("token", "tariffs"):
        compile_source(library_source(name))
    places = {place.name.split(".")[0]: place for place in tmp_path.rglob("*.program")}
    places["token"].replace(places["tariffs"])
    start(tmp_path)
    del compiled[:]
    assert "mint" not in str(compile_source(library_source("tariffs")).contract.functions.keys())
    assert compiled == [library_source("tariffs").encode()]


def test_only_the_library_is_kept(tmp_path):
    start(tmp_path)
    compile_source("@export\ndef f() -> int:\n    return 1\n")
    compile_source("def main():\n    return 1\n", pure=True)
    assert list(tmp_path.rglob("*")) == []


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path):
    taken = tmp_path / "file"
    taken.write_bytes(b"")
    start(taken / "folder")
    assert compile_source(library_source("tariffs")).chain > 0
    assert taken.read_bytes() == b""


@pytest.mark.parametrize(
    ("dont_write", "age_s", "writes"), [(False, 3600, True), (True, 3600, False), (False, 5, False)]
)
def test_nothing_is_left_where_python_leaves_none_or_the_package_changes(
    tmp_path, monkeypatch, dont_write, age_s, writes
):
    monkeypatch.setattr(sys, "dont_write_bytecode", dont_write)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(program_shelf, "newest", lambda folders: time.time() - age_s)
    shelve_library()
    compile_source(library_source("tariffs"))
    assert bool(list(tmp_path.rglob("tariffs.*.program"))) is writes


def test_the_youngest_file_is_found(tmp_path):
    for name, at in (("a.py", 1_000), ("b.py", 3_000), ("c.txt", 9_000)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (at, at))
    assert newest((tmp_path,)) == 3_000
