"""`gridchain db verify`: a whole chain holds; one changed byte of any kind of row is found and named."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from deploy.main import app
from ledger.schema import DB_BODY, DB_BUCKET, DB_FINALITY, DB_HEADER, DB_RECEIPTS, DB_STATE
from ledger.store import Batch, open_store
from node.cli.output import run_command
from node.client import Client
from tests.support.solo_world import fund, open_solo


@pytest.fixture
def verify(capsys, monkeypatch):
    def call(home, *options):
        words = ["db", "verify", str(home), *options]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = run_command(app, words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(code), captured.out

    return call


async def some_blocks(layout):
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        for name in ("alice", "bob"):
            await fund(client, solo, name)


@pytest.fixture
def home(layout):
    asyncio.run(some_blocks(layout))
    return layout.nodes[0].home


def test_a_whole_chain_holds(home, verify):
    code, out = verify(home, "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["fault"]) == (0, "holds", None)
    assert document["transactions"] == 2
    assert document["blocks"] == document["height"] + 1
    assert document["records"] > 3 * document["height"]
    assert document["state_keys"] > 10
    assert "VERDICT      holds" in verify(home)[1]


@pytest.mark.parametrize("prefix", [DB_HEADER, DB_BODY, DB_RECEIPTS, DB_FINALITY, DB_STATE, DB_BUCKET])
def test_a_changed_byte_is_found(home, verify, prefix):
    database = open_store(home / "data")
    key, value = database.scan(prefix, None, 3)[-1]
    batch = Batch()
    batch.put(key, value[:-1] + bytes([value[-1] ^ 1]))
    database.write(batch, sync=True)
    database.close()
    code, out = verify(home, "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (1, "damaged")
    assert document["fault"]["code"]
    assert document["fault"]["message"]


def test_no_database_and_another_network(home, layout, verify, tmp_path):
    code, out = verify(tmp_path / "nothing", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"]
    (home / "data").rename(home / "moved")
    code, out = verify(home, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "CHAIN_EMPTY")
    assert not (home / "data").exists()


def test_a_running_node_keeps_its_database(layout, verify):
    async def run() -> tuple[int, str]:
        async with open_solo(layout):
            return await asyncio.to_thread(verify, layout.nodes[0].home, "--json")

    code, out = asyncio.run(run())
    assert (code, json.loads(out.splitlines()[-1])["error"]["code"]) == (1, "STORE_LOCKED")
