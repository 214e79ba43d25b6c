"""`gridchain db export`, and chains of tests that begin with such a state, which certifies itself."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from solo_world import found_solo, fund, open_solo

from deploy.main import app
from gridchain.testing import Accounts, CallFailed, ContractChain, Deployer
from ledger.errors import ConfigError, GridchainError
from node.cli.output import run_command
from node.client import Client
from node.state_export import read_export

SAVER = """
@export
def look(account: Address) -> u64:
    return view_call("token", "account", account)["balance"]
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> SimpleNamespace:
    """The state of a network on which alice has money, as a file; the facts of its head."""
    folder = tmp_path_factory.mktemp("export")
    layout = found_solo(folder / "net", accounts=("alice", "bob"))

    async def lived() -> tuple[Any, Any, dict[str, Any]]:
        async with open_solo(layout) as solo, Client.open(solo.url) as client:
            await fund(client, solo)
            # what a question at the head answers, to compare with the fork
            answers = {
                "account": await client.view("token", "account", solo.key("alice").address),
                "open": await client.view("double_auction", "open_slots"),
                "voters": await client.view("governance", "voters"),
            }
            return solo.key("alice"), solo.key("bob"), answers

    alice, bob, answers = asyncio.run(lived())
    return SimpleNamespace(layout=layout, file=folder / "state.bin", alice=alice, bob=bob, answers=answers)


def command(monkeypatch: Any, *words: object) -> int:
    line = [*map(str, words)]
    monkeypatch.setattr(sys, "argv", ["gridchain", *line])
    return int(run_command(app, line))


@pytest.fixture
def file(exported, monkeypatch) -> Path:
    """The export, written by the command when it is first asked for."""
    path: Path = exported.file
    if not path.exists():
        with contextlib.redirect_stdout(io.StringIO()) as told:
            assert command(monkeypatch, "db", "export", exported.layout.nodes[0].home, path, "--json") == 0
        found, shown = read_export(path), json.loads(told.getvalue())
        assert (shown["height"], shown["block"]) == (found.header.height, "0x" + found.block.hex())
        assert shown["rows"] == len(found.rows)
    return path


@pytest.fixture
def fork(file) -> ContractChain:
    return ContractChain.from_export(file)


def test_a_fork_answers_as_the_chain_did(fork, exported) -> None:
    deploy = Deployer(fork, Path(), Accounts(fork).deployer)
    assert deploy.at("token").account(exported.alice.address) == exported.answers["account"]
    assert deploy.at("governance").voters() == exported.answers["voters"]
    assert deploy.at("double_auction").open_slots() == exported.answers["open"]
    assert {"registry", "token", "metering", "double_auction", "governance"} <= {
        name for name, _, _ in fork.instances()
    }


def test_money_moves_and_votes_are_cast_without_anybodys_key(fork, exported, deploy) -> None:
    on = Deployer(fork, Path(), Accounts(fork).deployer)
    token, before = on.at("token"), exported.answers["account"]["balance"]
    with fork.rolled_back():
        token.transfer(exported.bob.address, 300, sender=exported.alice.address)
        assert token.account(exported.alice.address)["balance"] == before - 300
        saver = on(SAVER, name="saver", calls=["token"])
        assert saver.look(exported.bob.address) == 300
        on.upgrade(saver, SAVER.replace("look", "peek"), calls=["token"])
        assert saver.peek(exported.alice.address) == before - 300
    assert token.account(exported.alice.address)["balance"] == before
    with pytest.raises(CallFailed, match=r"(?s)INSUFFICIENT_FUNDS at line \d+ of token.*read +token\.accounts\["):
        token.transfer(exported.bob.address, before + 1, sender=exported.alice.address)
    # chains of other tests do not see it
    assert "token" not in [name for name, _, _ in deploy.chain.instances()]


def test_time_goes_on_and_scheduled_calls_run(fork) -> None:
    height, now = fork.height, fork.time_ms
    assert fork.context().market_time_ms == fork.executor.clock.market_time(now) != now
    done = fork.advance(60_000)
    assert {sent.contract for sent in done} >= {"double_auction"}
    assert fork.height > height
    assert fork.time_ms == now + 60_000


def test_a_file_that_was_changed_is_refused(file, tmp_path) -> None:
    raw, copy = file.read_bytes(), tmp_path / "changed.bin"
    parts = list(msgpack.Unpacker(io.BytesIO(raw), use_list=True))
    rows = [index for index, part in enumerate(parts) if isinstance(part, list) and index > 0]
    changed, dropped, other = [*parts], [*parts], [*parts]
    changed[rows[5]] = [parts[rows[5]][0], parts[rows[5]][1] + b"\x00"]
    del dropped[rows[7]]
    other[1] = other[1].replace(b"dev-test", b"dev-tast")
    pack = msgpack.Packer().pack
    for content in (
        b"", b"\xc1", raw[:-1], raw[: len(raw) // 2], b"text\n", raw[1:], pack(["gridchain-state", 2]), pack(None),
        b"".join(map(pack, changed)), b"".join(map(pack, dropped)), b"".join(map(pack, other)),
        b"".join(map(pack, [*parts[:3], ["a", 1], None])), b"".join(map(pack, [*parts[:3], [b"a"], None])),
    ):  # fmt: skip
        copy.write_bytes(content)
        with pytest.raises(GridchainError) as refused:
            read_export(copy)
        assert refused.value.code in ("BAD_EXPORT", "MALFORMED"), content[:40]
    with pytest.raises(ConfigError) as missing:
        read_export(tmp_path / "none")
    assert missing.value.code == "NO_FILE"


def test_tests_of_contracts_run_on_a_fork(file, exported, tmp_path, monkeypatch, capfd) -> None:
    (tmp_path / "test_fork.py").write_text(
        f"ALICE = bytes.fromhex('{exported.alice.address.hex()}')\n\n"
        "def test_alice_is_there(deploy):\n"
        f"    assert deploy.at('token').account(ALICE)['balance'] == {exported.answers['account']['balance']}\n\n"
        "def test_a_newcomer_runs(deploy):\n"
        f"    assert deploy({SAVER!r}, name='saver', calls=['token']).look(ALICE) > 0\n"
    )
    assert command(monkeypatch, "contract", "test", tmp_path, "--fork", file, "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["ok"], found["passed"]) == (True, 2)
    assert command(monkeypatch, "contract", "test", tmp_path, "--fork", tmp_path / "none", "--json") == 2
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "NO_FILE"


def test_the_console_begins_on_a_fork(file, exported, monkeypatch, capsys) -> None:
    address = "0x" + exported.alice.address.hex()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"token.account('{address}')\n"))
    assert command(monkeypatch, "contract", "repl", "--fork", file, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[-1]["value"]["balance"] == exported.answers["account"]["balance"], found


def test_an_export_needs_a_chain_and_a_place(exported, tmp_path, monkeypatch, capsys) -> None:
    home = exported.layout.nodes[0].home
    for words, code in (
        ((home, tmp_path), "NO_FILE"),
        ((tmp_path / "none", tmp_path / "file"), None),
    ):
        assert command(monkeypatch, "db", "export", *words, "--json") == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert code in (None, error["code"]), error
