"""Typed clients of contracts: clean for the type checkers of their languages, and right on a running node."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from solo_world import found_solo, open_solo

from contracts.artifacts import make_artifact
from contracts.client_parts import class_name
from contracts.client_python import python_client
from contracts.client_typescript import typescript_client
from contracts.compile import compile_source
from contracts.library_sources import library_source
from deploy.main import app
from ledger.errors import GridchainError
from node.cli.output import run_command
from node.client import Client, EventSeen
from node.contract_life import ContractLife

SOURCE = r'''"""Offers, with every type that a border can have, and names that clash with those of clients."""

Offer = record("Offer", price=u64, note=str, tags=list[bytes], best=u64 | None)
Box = record("Box", offers=list[Offer], one=Offer, wide=u256)
Done = record("Done", a=u64)
Sold = event("Sold", indexed=("a",), a=u64, who=Address, box=list[Offer])
offers = Map(u64, Offer)


@export
def put(number: u64, offer: Offer, self: str = "x", at_height: bytes = b"\x01", new: bool = True) -> Box:
    """Put an offer. Its */ and \ and """  # the docstring ends here
    require(number > 0, "ZERO", number)
    offers[number] = offer
    emit(Sold, a=number, who=ctx.sender, box=[offer])
    return Box(offers=[offer], one=offer, wide=2**200)


@export
def nothing() -> None:
    pass


@export(scheduled=True)
def later(due: u64) -> None:
    pass


@view
def get(number: u64, at_height: u64 = 7) -> Offer | None:
    return offers.get(number)


@view
def echo(
    pairs: dict[u64, Offer], point: tuple[u64, str], names: dict[str, u64], many: list[Offer], some: list[u64] | None
) -> tuple[dict[u64, Offer], tuple[u64, str], dict[str, u64], list[Offer], list[u64] | None]:
    return (pairs, point, names, many, some)


@view
def mixed(x: list, wide: int, text: str) -> list:
    return [x, wide + 1, text, b"a"]


@view
def value(v: Done, f: int = -5) -> Done:
    return v
'''
PROGRAM = compile_source(SOURCE)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"made_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(monkeypatch):
    """Run `gridchain contract client` with these words; its exit code."""

    def run(*words: object) -> int:
        line = ["contract", "client", *map(str, words)]
        monkeypatch.setattr(sys, "argv", ["gridchain", *line])
        return int(run_command(app, line))

    return run


def test_the_python_client_is_clean_for_mypy_and_types_its_user(tmp_path: Path) -> None:
    (tmp_path / "offers.py").write_text(python_client(PROGRAM, "offers"))
    (tmp_path / "user.py").write_text(
        "from offers import Offer, Offers\n\n"
        "async def price(market: Offers) -> int:\n"
        "    found = await market.get(5)\n"
        "    made = await market.put(5, Offer(1, 'a', [b'x'], None))\n"
        "    wrong: str = made.value.wide\n"
        "    await market.put('5', 1)\n"
        "    return found.price\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "offers.py", "user.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = [line.split(":")[:2] for line in found.stdout.splitlines() if ": error:" in line]
    assert wrong == [["user.py", "6"], ["user.py", "7"], ["user.py", "7"], ["user.py", "8"]], found.stdout


@pytest.mark.asyncio
async def test_the_python_client_talks_to_a_running_node(tmp_path: Path, command: Any, capsys: Any) -> None:
    layout = found_solo(tmp_path / "net", accounts=("alice",))
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        await deployed(solo, client)
        path = tmp_path / "offers.py"
        assert await asyncio.to_thread(command, "offers", "-o", path, "--url", solo.url, "--json") == 0
        told = json.loads(next(row for row in capsys.readouterr().out.splitlines() if row.startswith("{")))
        assert (told["class"], told["source_hash"]) == ("Offers", "0x" + PROGRAM.source_hash.hex())
        assert path.read_text() == python_client(PROGRAM, "offers")
        artifact = "0x" + make_artifact(SOURCE.encode(), ()).hash.hex()
        assert await asyncio.to_thread(command, artifact, "--url", solo.url, "--name", "offers") == 0
        assert capsys.readouterr().out == path.read_text()
        assert await asyncio.to_thread(command, "nobody", "--url", solo.url, "--json") == 2
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "NO_SOURCE"
        await used(loaded(path), client, solo)


async def deployed(solo: Any, client: Client) -> None:
    life = ContractLife(client)
    [voter] = await client.view("governance", "voters")
    key, artifact = solo.key(voter["name"]), make_artifact(SOURCE.encode(), ())
    made = await life.deploy(key, SOURCE.encode(), artifact)
    number = await life.propose(key, "approve", made.artifact)
    assert await life.vote(key, number, True) == "passed"
    await life.instantiate(key, made.artifact, "offers", [])


async def used(made: Any, client: Client, solo: Any) -> None:
    alice = client.account(solo.key("alice"))
    market = made.Offers(client, alice)
    offer = made.Offer(price=2**63, note="0xab", tags=[b"", b"\xff"], best=None)
    put = await market.put(5, offer, self_="0x12")
    assert put.value == made.Box(offers=[offer], one=offer, wide=2**200)
    assert (put.receipt.ok, put.receipt.language, put.receipt.gas_version) == (True, "pyc/1", 1)
    assert (await market.nothing()).value is None
    assert await market.get(5) == offer
    assert await market.get(6) is None
    assert await market.get(5, at_height=put.receipt.height - 1) is None
    assert await market.echo({7: offer}, (2**64 - 1, "0x00"), {"a": 2**60}, [offer, offer], [1]) == (
        {7: offer}, (2**64 - 1, "0x00"), {"a": 2**60}, [offer, offer], [1]
    )  # fmt: skip
    assert (await market.echo({}, (0, ""), {}, [], None))[4] is None
    assert await market.mixed([1, b"\x01"], -(2**200), "0x1") == [[1, b"\x01"], 1 - 2**200, "0x1", b"a"]
    assert await market.value(made.Done(3)) == made.Done(3)
    with pytest.raises(made.Failed) as failed:
        await market.put(0, offer)
    assert (failed.value.code, failed.value.receipt.line, made.CODES["put"]) == ("ZERO", 13, ("ZERO",))
    with pytest.raises(GridchainError) as nobody:
        await made.Offers(client).nothing()
    assert nobody.value.code == "NO_ACCOUNT"
    with pytest.raises(GridchainError) as other:
        await made.Offers(client, name="token").value(made.Done(1))
    assert other.value.code == "UNKNOWN_ENTRY"
    async for seen in client.events("0", contract="offers"):
        assert isinstance(seen, EventSeen)
        assert made.event_of(seen) == made.SoldEvent(a=5, who=alice.address, box=[offer])
        break


@pytest.mark.parametrize("name", ["governance", "registry", "double_auction"])
def test_clients_of_the_library_are_programs(name: str) -> None:
    program = compile_source(library_source(name))
    text = python_client(program, name)
    tree = ast.parse(text)
    made = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name(name))
    methods = {node.name for node in made.body if isinstance(node, ast.AsyncFunctionDef)}
    wanted = {f.name for f in program.contract.functions.values() if f.role in ("export", "view") and not f.scheduled}
    assert wanted <= methods
    compile(text, name, "exec")
    assert {f"  async {entry}(" in typescript_client(program, name) for entry in wanted} == {True}


CLASHING = """
object = record("object", a=u64)
isinstance = record("isinstance", b=object)
Text = record("Text", c=isinstance)
Record = record("Record", d=Text)
Failed = event("Failed", a=u64, e=list[Record])


@export
def constructor(x: Record, receipt: u64 = 1) -> Record:
    emit(Failed, a=receipt, e=[x])
    return x


@view
def super(x: object, CODES: u64) -> isinstance:
    return isinstance(b=x)
"""


def test_names_that_clash_with_those_of_the_languages(tmp_path: Path) -> None:
    program = compile_source(CLASHING)
    (tmp_path / "clashing.py").write_text(python_client(program, "failed"))
    made = loaded(tmp_path / "clashing.py")
    value = made.Record(made.Text(made.isinstance_(made.object_(5))))
    assert made._read_Record({"d": {"c": {"b": {"a": "5"}}}}) == value
    assert made._write_Record(value) == {"d": {"c": {"b": {"a": 5}}}}
    assert issubclass(made.Failed, GridchainError)
    assert callable(made.Failed_.constructor)
    assert made.FailedEvent(1, [value]).e == [value]
    text = typescript_client(program, "failed")
    functions = re.findall(r"function (\w+)\(", text)
    assert len(functions) == len(set(functions)), functions
    interfaces = re.findall(r"(?:interface|class|type) (\w+)", text)
    assert len(interfaces) == len(set(interfaces)), interfaces
    assert {"Record_", "constructor_"} <= {*interfaces, *re.findall(r"  async (\w+)\(", text)}
    assert set(made.CODES) == {"constructor", "super"}


def test_answers_of_another_contract_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "offers.py"
    path.write_text(python_client(PROGRAM, "offers"))
    made = loaded(path)
    good = {"price": "12", "note": "n", "tags": ["0x00"], "best": 4}
    assert made._read_Offer(good) == made.Offer(12, "n", [b"\x00"], 4)
    for change in ({"price": None}, {"price": True}, {"note": 5}, {"tags": "0x00"}, {"tags": ["a"]}, {"more": 1}):
        with pytest.raises(GridchainError) as refused:
            made._read_Offer({**good, **change})
        assert refused.value.code == "OTHER_CONTRACT"


def test_the_typescript_client_has_a_method_for_each_entry() -> None:
    text = typescript_client(PROGRAM, "offers")
    methods = re.findall(r"^  async (\w+)\((.*)\): Promise<(.*)> \{$", text, re.MULTILINE)
    assert {name: returns for name, _, returns in methods} == {
        "put": "Done<Box>", "nothing": "Done<null>", "get": "Offer | null", "value": "Done_", "mixed": "Json[]",
        "echo": "[Map<bigint, Offer>, [bigint, string], Map<string, bigint>, (Offer)[], (bigint)[] | null]",
    }  # fmt: skip
    parameters = {name: given for name, given, _ in methods}
    assert parameters["put"] == (
        'number: bigint, offer: Offer, self: string = "x", at_height: Uint8Array = Uint8Array.of(1),'
        " new_: boolean = true"
    )
    assert parameters["value"] == "v: Done_, f: bigint = -5n, atHeight?: number"
    assert "number;" not in re.search(r"export interface Offer \{.*?\}", text, re.DOTALL)[0]
    assert "  price: bigint;\n  note: string;\n  tags: (Uint8Array)[];\n  best: bigint | null;\n" in text
    assert text.count("{") == text.count("}")


def test_the_typescript_client_is_clean_for_tsc(tmp_path: Path) -> None:
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("no tsc here")
    (tmp_path / "offers.ts").write_text(typescript_client(PROGRAM, "offers"))
    options = ["--strict", "--noUncheckedIndexedAccess", "--noEmit", "--target", "es2022", "--lib", "es2022,dom"]
    found = subprocess.run([tsc, *options, "offers.ts"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_command_names_the_instance_after_the_file(tmp_path: Path, command: Any, capsys: Any) -> None:
    place = tmp_path / "village_jar"
    place.mkdir()
    (place / "contract.py").write_text(SOURCE)
    for what, words, name in (
        (place, (), "VillageJar"),
        (place / "contract.py", ("--lang", "typescript"), "VillageJar"),
        (place, ("--name", "other"), "Other"),
    ):
        assert command(what, *words, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["class"] == name
        assert f"class {name}" in found["text"]
    for words, code in (
        ((place / "none.py",), "NO_SOURCE"),
        ((place, "--name", "Bad"), "BAD_NAME"),
        ((place, "-o", tmp_path), "NO_FILE"),
    ):
        assert command(*words, "--json") == 2
        assert json.loads(capsys.readouterr().out)["error"]["code"] == code
