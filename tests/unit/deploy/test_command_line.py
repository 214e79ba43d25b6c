"""The command line: exit codes, JSON, errors without tracebacks, documents that keep up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

import deploy
from bench import networks
from bench.load import BenchFailed
from deploy.layout import NetworkLayout
from deploy.main import COMMANDS, app
from ledger.genesis import load_genesis
from node.api.models import RefusalView
from node.cli.output import run_command
from node.cli.query import refusal_lines
from node.config import NodeConfig, load_config
from node.keys import load_key

ROOT = Path(deploy.__file__).resolve().parents[1]


@pytest.fixture
def cli(capsys, monkeypatch):
    def call(*arguments):
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = run_command(app, words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(code), captured.out, captured.err

    return call


@pytest.fixture
def network(cli, tmp_path):
    code, out, _ = cli(
        "init", tmp_path / "net", "--engine", "solo", "--chain-name", "dev-cli", "--json", "--account", "me"
    )
    assert code == 0
    return tmp_path / "net", json.loads(out)


def test_help_lists_every_command_without_importing_them(cli):
    code, out, _ = cli("--help")
    assert code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", out, re.MULTILINE)


@pytest.mark.parametrize("words", [("init",), ("demo", "--slots", "1", "--keep")])
def test_a_file_where_a_directory_belongs_is_bad_input(cli, tmp_path, words):
    (tmp_path / "file").write_text("mine")
    code, out, _ = cli(*words, tmp_path / "file", "--json")
    assert code == 2
    assert str(tmp_path / "file") in json.loads(out)["error"]["found"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--day", "2016-01-19"), "DATA"),
        (("--day", "1999-01-01"), "DATA"),
        (("--data", "no-such-folder"), "DATA"),
        (("--slots", "97"), "SLOTS"),
        (("--slots", "8", "--first-slot", "90"), "FIRST_SLOT"),
        (("--engine", "solo", "--validators", "4"), "VALIDATORS"),
        (("--speed", "10000000"), "SPEED"),
    ],
)
def test_what_the_demo_cannot_play_is_refused_before_anything_starts(cli, monkeypatch, words, code):
    def started(*command, **_):
        raise AssertionError(f"started {command}")

    monkeypatch.setattr(subprocess, "Popen", started)
    left_with, out, _ = cli("demo", "--headless", *words, "--json")
    assert left_with == 2
    error = json.loads(out)["error"]
    assert error["code"] == code
    assert error["expected"]
    assert error["found"]


def test_the_demo_has_no_fifth_market(cli):
    code, out, _ = cli("demo", "--market", "E", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == "MARKET"
    assert "A (wind" in json.loads(out)["error"]["expected"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli, name):
    code, out, _ = cli(name, "--help")
    assert code == 0
    assert "Usage" in out


def test_a_stranger_is_told_the_nearest_name(cli):
    code, _, err = cli("clutser")
    assert code == 2
    assert "cluster" in err


def test_init_writes_a_network_that_loads(network):
    directory, document = network
    layout = NetworkLayout.load(directory)
    (node,) = layout.nodes
    config = load_config(node.home, None, {})
    genesis = load_genesis(config.path(config.node.genesis))
    assert genesis.chain_id == document["chain_id"] == layout.chain_id
    assert "0x" + load_key(layout.key_file("me")).address.hex() == layout.account("me").address
    secrets = list(directory.rglob("*.key"))
    assert len(secrets) >= 9
    for path in secrets:
        assert path.stat().st_mode & 0o077 == 0, path


def test_init_of_dpos_names_seats_floor_and_accounts_that_nodes_speak_by(cli, tmp_path):
    code, out, _ = cli("init", tmp_path / "net", "--engine", "dpos", "--validators", "6", "--seats", "5", "--json")
    assert code == 0
    genesis = load_genesis(tmp_path / "net" / "bureau" / "genesis.json")
    assert (genesis.engine, len(genesis.validators), len(genesis.validator_set)) == ("dpos", 6, 5)
    assert genesis.council is not None
    assert (genesis.council.seats, genesis.council.floor) == (5, ("bureau", "grid", "notary", "trading"))
    assert "council" in {contract.name for contract in genesis.contracts}
    by_name = {account["name"]: account["address"] for account in json.loads(out)["accounts"]}
    for member in genesis.members[:6]:
        home = tmp_path / "net" / member.name
        assert load_key(home / "keys" / "account.key").public == member.account_key
        assert by_name[f"{member.name}-node"] == "0x" + load_key(home / "keys" / "account.key").address.hex()
    institutions = {load_key(tmp_path / "net" / "keys" / f"{name}.key").public for name in ("energy_bureau", "notary")}
    assert institutions < {member.account_key for member in genesis.members[6:]}


def test_init_of_sharded_chooses_audit_lottery_and_deposit(cli, tmp_path):
    """What genesis fixes, what is printed, and what rests on defaults."""
    chosen = ("--audit", "assigned", "--lottery", "hash", "--deposit", 7_000_000)
    asked = ("--engine", "sharded", "--regions", 1, "--centres", 5, *chosen)
    code, out, _ = cli("init", tmp_path / "net", *asked, "--json")
    assert code == 0
    shards = load_genesis(tmp_path / "net" / "bureau" / "genesis.json").shards
    assert shards is not None
    assert (shards.audit, shards.lottery, shards.deposit, shards.pool_blocks) == ("assigned", "hash", 7_000_000, 64)
    document = json.loads(out)
    assert len(document["nodes"]) == 9
    shown = {name: document[name] for name in ("regions", "audit", "lottery", "deposit", "warnings")}
    assert shown == {"regions": 1, "audit": "assigned", "lottery": "hash", "deposit": 7_000_000, "warnings": []}


def test_init_of_regions_that_cannot_trade_with_each_other_says_so(cli, tmp_path):
    code, out, _ = cli("init", tmp_path / "net", "--engine", "sharded", "--regions", 1, "--market", "B")
    assert code == 0
    assert "engine    sharded, regions 1, audit eager, lottery work, deposit 100000000" in out
    (warning,) = [line for line in out.splitlines() if line.startswith("warning")]
    assert "market C" in warning
    assert "NO_ACCOUNTS" in warning
    genesis = load_genesis(tmp_path / "net" / "bureau" / "genesis.json")
    assert "crossing" not in {contract.name for contract in genesis.contracts}


def test_busy_ports_are_stepped_over(cli, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, _ = cli("init", tmp_path / "net", "--api-port", port, "--json")
    assert code == 0
    urls = [node["url"] for node in json.loads(out)["nodes"]]
    assert f"http://127.0.0.1:{port}" not in urls
    assert len(set(urls)) == 4


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("NETWORK_EXISTS", ["init", "{net}"]),
        ("BAD_NAME", ["init", "{new}", "--names", "a,a"]),
        ("BAD_NAME", ["init", "{new}", "--names", "a b,c"]),
        ("BAD_NAME", ["init", "{new}", "--names", "a,b", "--validators", "3"]),
        ("GENESIS_ENGINE", ["init", "{new}", "--engine", "pow"]),
        ("GENESIS_SPEED", ["init", "{new}", "--chain-name", "real", "--speed", "2"]),
        ("NETWORK_MISSING", ["cluster", "up", "{new}"]),
        ("NETWORK_MISSING", ["cluster", "status", "{new}"]),
        ("NODE_UNKNOWN", ["cluster", "logs", "{net}", "--node", "nobody"]),
        ("KEY_MISSING", ["keys", "show", "{new}"]),
        ("KEY_EXISTS", ["keys", "new", "{key}", "--plain"]),
        ("BAD_ARGS", ["tx", "send", "token", "transfer", "--key", "{key}", "--args", "{{"]),
        ("BAD_ARGS", ["tx", "send", "token", "transfer", "--key", "{key}", "--args", "[1.5]"]),
        ("BAD_HEX", ["tx", "status", "xyz"]),
        ("BAD_HEX", ["query", "account", "0x00"]),
        ("BAD_HEX", ["query", "state", "zz"]),
        ("BAD_URL", ["query", "status", "--url", "127.0.0.1:8600"]),
        ("BAD_URL", ["tx", "status", "00" * 32, "--url", "http://"]),
        ("KEY_FORMAT", ["keys", "show", "{net}/network.json"]),
        ("CONFIG_MISSING", ["db", "verify", "{net}"]),
        ("BAD_OPTION", ["simulate", "--faults", "nothing"]),
        ("BAD_SEED_LINE", ["simulate", "--replay", "nonsense=1"]),
        ("FILE_MISSING", ["proof", "verify", "{new}", "--trust", "00" * 32]),
        ("FILE_UNREADABLE", ["proof", "verify", "{net}", "--trust", "00" * 32]),
        ("BAD_HEX", ["member", "show", "xyz"]),
        ("BAD_KIND", ["member", "attest", "00" * 32, "--key", "{key}"]),
        ("NO_STORE", ["member", "erase", "00" * 32, "--key", "{key}", "--yes"]),
        ("NOT_CONFIRMED", ["member", "erase", "00" * 32, "--key", "{key}"]),
        ("FILE_UNREADABLE", ["member", "import", "{net}", "--key", "{key}"]),
        ("NOT_AN_ENVELOPE", ["member", "import", "{key}", "--key", "{key}"]),
        ("KEY_MISSING", ["keys", "show", "{net}"]),
        ("VALIDATORS", ["init", "{new}", "--engine", "solo", "--validators", "3"]),
        ("SEATS", ["init", "{new}", "--engine", "dpos", "--seats", "6"]),
        ("SEATS", ["init", "{new}", "--engine", "bft", "--seats", "3"]),
        *(
            (code, ["init", "{new}", "--engine", "dpos", *words.split()])
            for code, words in (
                ("VALIDATORS", "--validators 1"),
                ("VALIDATORS", "--validators 3 --seats 3"),
                ("VALIDATORS", "--validators 151"),
                ("VALIDATORS", "--names a,b"),
                ("SEATS", "--validators 4 --seats 1"),
                ("SEATS", "--validators 4 --seats 0"),
                ("SEATS", "--validators 150 --seats 51"),
                ("USAGE", "--validators 1025"),
            )
        ),
        *(
            (code, ["init", "{new}", *words.split()])
            for code, words in (
                ("ENGINE_OPTION", "--engine bft --members 2"),
                ("ENGINE_OPTION", "--engine bft --centres 5"),
                ("ENGINE_OPTION", "--engine dpos --audit eager"),
                ("ENGINE_OPTION", "--engine solo --lottery hash"),
                ("ENGINE_OPTION", "--deposit 0"),
                ("ENGINE_OPTION", "--engine sharded --regions 1 --validators 6"),
                ("REGIONS", "--engine bft --regions 1"),
                ("REGIONS", "--engine sharded"),
                ("REGIONS", "--engine sharded --regions 1 --members 3"),
                ("REGIONS", "--engine sharded --regions 1 --members 151"),
                ("REGIONS", "--engine sharded --regions 1 --centres 3"),
                ("USAGE", "--engine sharded --regions 65"),
                ("BAD_OPTION", "--engine sharded --regions 1 --audit never"),
                ("BAD_OPTION", "--engine sharded --regions 1 --lottery dice"),
                ("BAD_NAME", "--engine sharded --regions 1 --centres 5 --names a,b,c,d"),
                ("USAGE", "--engine sharded --regions 1 --deposit 1000000000000001"),
            )
        ),
        ("BAD_NAME", ["init", "{new}", "--engine", "dpos", "--account", "bureau-node"]),
        ("SLOT_MINUTES", ["init", "{new}", "--slot-minutes", "7"]),
        ("BAD_CHAIN_NAME", ["init", "{new}", "--chain-name", "bad name"]),
        ("BAD_CHAIN_NAME", ["init", "{new}", "--chain-name", "Grid"]),
        ("PORT", ["init", "{new}", "--api-port", "65536"]),
        ("PORT", ["init", "{new}", "--p2p-port", "-1"]),
        ("BAD_NAME", ["init", "{new}", "--account", "me", "--account", "me"]),
        ("BAD_NAME", ["init", "{new}", "--account", "../me"]),
        ("BAD_NAME", ["init", "{new}", "--account", "notary"]),
    ],
)
def test_bad_input_ends_with_two_and_a_code(cli, network, tmp_path, code, arguments):
    directory, _ = network
    places = {"net": directory, "new": tmp_path / "new", "key": directory / "keys" / "me.key"}
    status, out, _ = cli(*[argument.format(**places) for argument in arguments], "--json")
    error = json.loads(out)["error"]
    assert (status, error["code"]) == (2, code)
    assert all(error[part] for part in ("message", "expected", "found", "fix"))
    assert not (tmp_path / "new").exists()


def test_a_node_without_a_home_says_so(cli, tmp_path):
    status, _, err = cli("node", "run", tmp_path / "nowhere")
    assert status == 2
    assert "CONFIG_MISSING" in err
    assert "gridchain init" in err


def test_refusals_of_a_status_say_when_and_how_often():
    now_ms = time.time_ns() // 1_000_000
    told = {"expected": "a", "found": "b", "fix": "c", "outbound": True, "address": "127.0.0.1:1", "name": ""}
    seen = {"node_id": "0x", "first_ms": now_ms - 60_000, "last_ms": now_ms - 30_500}
    lines = refusal_lines(
        [
            RefusalView(code="UNREACHABLE", by_peer=False, count=3, **told, **seen),
            RefusalView(code="WRONG_GENESIS", by_peer=True, count=1, **told, **seen),
            RefusalView(code="UNKNOWN_MEMBER", by_peer=False, count=1, **told, **seen),
        ]
    )
    assert [line.strip() for line in lines if line.startswith("\n")] == [
        "UNREACHABLE: 127.0.0.1:1 cannot be reached (3 times, last 30 s ago)",
        "WRONG_GENESIS: 127.0.0.1:1 refused this node (30 s ago)",
        "UNKNOWN_MEMBER: refused 127.0.0.1:1 (30 s ago)",
    ]


def test_a_networks_directory_is_no_home_but_names_them(cli, network):
    directory, _ = network
    for words in (["node", "run"], ["db", "verify"]):
        status, _, err = cli(*words, directory)
        assert status == 2
        assert f"name a node's home: {directory / 'bureau'}" in " ".join(err.split())


def test_wrong_options_end_with_two(cli):
    for arguments in (["init"], ["init", "x", "--validators", "many"], ["tx", "send"], ["cluster", "sideways"]):
        assert cli(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "found", "fix"),
    [
        (["init"], "gridchain init --json", "gridchain init --help"),
        (["init", "x", "--validators", "many"], "gridchain init x --validators many --json", "gridchain init --help"),
        (["demo", "--slotss", "3"], "--slotss", "did you mean --slots? else gridchain demo --help"),
        (["tx", "sent"], "gridchain tx sent --json", "gridchain tx --help"),
        (["query", "contract", "a", "b", "c"], "gridchain query contract a b c --json", "query contract --help"),
        (["nothing"], "gridchain nothing --json", "gridchain --help"),
        (["cluster"], "--json", "name a command before it"),
        ([], "--json", "name a command before it"),
    ],
)
def test_a_wrong_command_line_is_one_json_document_too(cli, arguments, found, fix):
    code, out, err = cli(*arguments, "--json")
    assert (code, err) == (2, "")
    error = json.loads(out)["error"]
    assert (error["code"], error["found"]) == ("USAGE", found)
    assert error["message"]
    assert error["expected"].startswith("gridchain")
    assert fix in error["fix"]


def a_session(*arguments):
    """A program without a terminal, as a service manager starts it."""
    environment = {name: value for name, value in os.environ.items() if name != "GRIDCHAIN_PASSPHRASE"}
    return subprocess.run(
        [sys.executable, "-m", "deploy.main", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )


def test_nobody_is_asked_for_a_passphrase_without_a_terminal(tmp_path):
    done = a_session("keys", "new", tmp_path / "a.key", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, "KEY_PASSPHRASE")
    assert "--passphrase-file" in error["expected"]
    assert not (tmp_path / "a.key").exists()


def test_nobody_there_ends_with_three(cli, network):
    directory, _ = network
    for arguments in (
        ["query", "status"],
        ["query", "contract", "token", "supply"],
        ["tx", "send", "token", "transfer", "--key", directory / "keys" / "me.key"],
        ["tx", "status", "0x" + "00" * 32],
        ["proof", "export", "1", "0x" + "00" * 32],
    ):
        status, out, _ = cli(*arguments, "--url", "http://127.0.0.1:9", "--json")
        assert (status, json.loads(out)["error"]["code"]) == (3, "UNREACHABLE")
    status, out, _ = cli("cluster", "status", directory, "--json")
    assert status == 3
    assert json.loads(out)[0]["status"] is None


def test_keys_are_encrypted_unless_plain(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GRIDCHAIN_PASSPHRASE", "open up")
    status, out, _ = cli("keys", "new", tmp_path / "a.key", "--json")
    assert (status, json.loads(out)["encrypted"]) == (0, True)
    status, shown, _ = cli("keys", "show", tmp_path / "a.key", "--json")
    assert json.loads(shown)["address"] == json.loads(out)["address"]
    monkeypatch.setenv("GRIDCHAIN_PASSPHRASE", "wrong")
    status, out, _ = cli("keys", "show", tmp_path / "a.key", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (2, "KEY_PASSPHRASE")


def test_doctor_finds_a_network_in_order_and_says_what_is_not(cli, network):
    directory, _ = network
    home = directory / "bureau"
    status, out, _ = cli("doctor", home, "--json")
    found = {check["name"]: check["outcome"] for check in json.loads(out)["checks"]}
    assert status == 0, found
    assert {"python", "clock", "fsync", "disk", "store", "genesis", "certificate", "keys", "api port"} <= set(found)
    (home / "keys" / "validator.key").chmod(0o644)
    (home / "genesis.json").write_text("{}")
    status, out, _ = cli("doctor", home, "--json")
    found = {check["name"]: check["outcome"] for check in json.loads(out)["checks"]}
    assert (status, found["keys"], found["genesis"]) == (1, "failed", "failed")


def test_strategies_on_a_market_are_shown_under_both_rules(cli):
    status, out, _ = cli("simulate", "market", "--market", "D", "--members", "4", "--seeds", "2", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["contract"] == "matching"
    assert set(document["rules"]) == {"published", "default"}
    for groups in document["rules"].values():
        assert set(groups) == {"strategists", "honest"}
        assert set(groups["honest"]["gain"]) == {"median", "p5", "p95"}
    for wrong in (["--market", "E"], ["--strategy", "cheat"], ["--share", "2"]):
        status, out, _ = cli("simulate", "market", *wrong, "--json")
        assert status == 2
        assert json.loads(out)["error"]["code"] == "BAD_OPTION"


def test_simulate_ends_with_zero_and_one_document(cli):
    status, out, _ = cli("simulate", "--seeds", "2", "--seconds", "3", "--json")
    document = json.loads(out)
    assert (status, document["good"], document["seeds"]) == (0, True, 2)
    again = json.loads(cli("simulate", "--seeds", "2", "--seconds", "3", "--json")[1])
    assert again["trace_hash"] == document["trace_hash"]


def test_the_manual_names_every_command_and_every_key():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"`gridchain {name}" in text, name
    for section, field in NodeConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows = [line for line in text.splitlines() if line.startswith(f"| {section} |")]
            for key in field.annotation.model_fields:
                assert any(f"`{key}`" in row for row in rows), f"[{section}] {key}"


def test_the_manual_names_every_route():
    from node.api.routes import ROUTES

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for route in ROUTES:
        stem = route.path.split("{")[0]
        assert stem in text, route.path


@pytest.mark.parametrize(
    ("code", "words"),
    [("BAD_OPTION", ("--engine", "solo", "--validators", "4")), ("GENESIS_ENGINE", ("--engine", "pow"))],
)
def test_a_bench_that_is_refused_leaves_nothing_behind(cli, tmp_path, monkeypatch, code, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, out, _ = cli("bench", "tps", *words, "--json")
    assert (status, json.loads(out)["error"]["code"]) == (2, code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("engine", "nodes"), [("solo", 1), ("bft", 4)])
def test_a_bench_has_as_many_nodes_as_its_engine_usually_has(cli, monkeypatch, engine, nodes):
    asked = []

    async def run(layout, options, say):
        asked.append((options.engine, options.validators, len(layout.nodes)))
        say("halfway")
        raise BenchFailed("that is all", expected="a run", found="none", fix="nothing")

    monkeypatch.setattr(networks, "run_tps", run)
    status, out, told = cli("bench", "tps", "--engine", engine, "--json")
    assert (status, json.loads(out)["error"]["code"]) == (1, "BENCH")
    assert "halfway" in told, "a bench takes minutes"
    assert asked == [(engine, nodes, nodes)]
