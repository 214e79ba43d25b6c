"""A trade on a real node, its settlement, the proof file over the API, and the check without any node."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from deploy.commands_dev import RESIDENTS, settle_in
from deploy.main import app
from ledger.errors import GridchainError
from ledger.genesis import load_genesis
from ledger.proofs import TrustRoot, verify_settlement
from node.api.settlements import settlement_key
from node.cli.output import run_command
from node.client import Client, Refusal
from tests.support.solo_world import found_solo, open_solo

SPEED = 1_800
"""Half a second a slot."""


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Directory, slot and meter of a settlement, the proof files of a seller and a buyer, the genesis document."""
    directory = tmp_path_factory.mktemp("proofs")
    return asyncio.run(asyncio.wait_for(trade(directory), 60))


async def trade(directory: Path):
    accounts = tuple(name for r in RESIDENTS for name in (r.name, f"{r.name}_meter"))
    layout = found_solo(directory / "network", speed=SPEED, accounts=accounts)
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        meters = {name: solo.key(f"{name}_meter").address for name in ("prosumer1", "consumer1")}
        with pytest.raises(Refusal) as caught:
            await client.settlement_proof(1, meters["prosumer1"])
        assert caught.value.code == "NOT_FOUND"
        await settle_in(client, layout)
        slot = await next_window(client)
        owners = {name: client.account(solo.key(name)) for name in meters}
        readers = {name: client.account(solo.key(f"{name}_meter")) for name in meters}
        for name, side, price in (("prosumer1", "sell", 500_000), ("consumer1", "buy", 600_000)):
            outcome = await owners[name].call("double_auction", "submit_order", [slot, side, 1_000, price, "reference"])
            assert outcome.ok, outcome
        await event(client, slot, "SlotDelivered")
        for name, made, used in (("prosumer1", 1_200, 0), ("consumer1", 0, 900)):
            assert (await readers[name].call("metering", "submit_reading", [slot, made, used])).ok
        await event(client, slot, "SlotSettled")
        files = {name: await client.settlement_proof(slot, meter) for name, meter in meters.items()}
        shown = await client.view("double_auction", "settlement", slot, meters["prosumer1"])
    genesis = layout.nodes[0].home / "genesis.json"
    return {"slot": slot, "meters": meters, "files": files, "genesis": genesis, "shown": shown}


async def next_window(client):
    async for seen in client.events(contract="double_auction", names=["SlotOpened"]):
        return seen.data["slot"]
    raise AssertionError("the stream of events never ends")


async def event(client, slot, name):
    async for seen in client.events("1", contract="double_auction", names=[name]):
        if seen.data["slot"] == slot:
            return


def cli(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gridchain", *map(str, arguments)])
    code = run_command(app, list(map(str, arguments)))
    return code, capsys.readouterr().out


def test_the_file_proves_what_the_contract_shows(settled):
    root = TrustRoot(load_genesis(settled["genesis"]).hash)
    for name, meter in settled["meters"].items():
        found = verify_settlement(settled["files"][name], root)
        assert found.key == settlement_key("double_auction", settled["slot"], meter)
        assert found.value is not None
        names = {event.name for event in found.receipt.events}
        assert "Settled" in names
    assert settled["shown"]["sold_wh"] == 1_000
    assert settled["shown"]["generation_wh"] == 1_200


def test_a_file_with_any_byte_changed_proves_nothing(settled):
    root = TrustRoot(load_genesis(settled["genesis"]).hash)
    raw = settled["files"]["prosumer1"]
    for position in range(0, len(raw), max(1, len(raw) // 400)):
        changed = raw[:position] + bytes([raw[position] ^ 0x01]) + raw[position + 1 :]
        with pytest.raises(GridchainError):
            verify_settlement(changed, root)


def test_the_command_line_says_so(settled, tmp_path, capsys, monkeypatch):
    file = tmp_path / "settlement.proof"
    file.write_bytes(settled["files"]["consumer1"])
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--genesis", settled["genesis"], "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (0, "holds")
    entry = document["settlement"]
    assert entry["slot"] == settled["slot"]
    assert entry["meter"] == "0x" + settled["meters"]["consumer1"].hex()
    assert (entry["bought_wh"], entry["use_wh"], entry["grid_sell_wh"]) == (1_000, 900, 100)
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--genesis", settled["genesis"])
    assert code == 0
    assert "VERDICT  holds" in out


def test_exit_codes_tell_false_from_malformed(settled, tmp_path, capsys, monkeypatch):
    file = tmp_path / "settlement.proof"
    file.write_bytes(settled["files"]["consumer1"])
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--trust", "00" * 32, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "PROOF_INVALID")
    file.write_bytes(b"\xff" + settled["files"]["consumer1"])
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--genesis", settled["genesis"], "--json")
    assert code == 2
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--trust", "zz", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "BAD_TRUST_ROOT")
    code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "NO_TRUST_ROOT")


def test_a_file_that_was_tampered_with_is_refused_whole_at_every_place(settled, tmp_path, capsys, monkeypatch):
    """Code, both values and what to do, whichever part it is that does not hold."""
    file, raw = tmp_path / "settlement.proof", settled["files"]["consumer1"]
    for position in [*range(0, len(raw), len(raw) // 60), len(raw)]:
        changed = raw[:position] + bytes([raw[position] ^ 0x01]) + raw[position + 1 :] if position < len(raw) else b""
        file.write_bytes(changed)
        code, out = cli(capsys, monkeypatch, "proof", "verify", file, "--genesis", settled["genesis"], "--json")
        error = json.loads(out)["error"]
        assert code in (1, 2), position
        assert all(error.get(part) for part in ("code", "message", "expected", "found", "fix")), (position, error)
