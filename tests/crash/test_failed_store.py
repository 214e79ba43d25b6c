"""A real node whose database fails in the middle of a write: it says what to do, stays up, ends with 1, loses nothing.

The failure is the kernel's: files of the node's process may not grow beyond a limit, which LevelDB's own log meets
first, for the node's write-ahead log is kept in small files.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import deploy
from deploy.founding import make_network
from deploy.layout import NodeLayout
from deploy.network import NetworkPlan
from ledger.errors import GridchainError
from node.client import Client
from node.keys import load_key

ROOT = Path(deploy.__file__).resolve().parents[1]
LARGEST_FILE = 1024 * 1024
PATIENCE_S = 40.0


@contextmanager
def running(node: NodeLayout, largest_file: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """The node's process; killed if it does not end before."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    with node.log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.main", "node", "run", str(node.home)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GRIDCHAIN_DEV__SMALL_FILES": "true"},
            stdout=log,
            stderr=log,
            preexec_fn=limit,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def answering(client: Client) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if await client.ready():
                return
        except GridchainError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_a_database_that_cannot_write_is_told_and_the_node_ends_with_one(tmp_path: Path) -> None:
    layout = make_network(
        NetworkPlan(
            directory=tmp_path / "network",
            chain_name="dev-failing",
            engine="solo",
            names=("one",),
            first_api_port=0,
            first_p2p_port=0,
        )
    )
    (node,) = layout.nodes
    receiver = bytes.fromhex(layout.account("notary").address[2:])
    key = load_key(layout.key_file("trading_center"))
    with running(node, LARGEST_FILE) as process:
        async with Client.open(node.url) as client:
            await answering(client)
            treasury, sent = client.account(key), 0
            deadline = time.monotonic() + PATIENCE_S
            while not (reason := (await client.status()).stopped_reason):
                assert time.monotonic() < deadline
                for _ in range(50):
                    await treasury.send("token", "deposit", [receiver, 1, f"bank {sent}"])
                    sent += 1
            assert reason.startswith("store: STORE_IO"), reason
            height = (await client.status()).height
            assert height > 0
            balance = (await client.view("token", "account", receiver))["balance"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 1
    lines = [json.loads(line) for line in node.log_file.read_text().splitlines() if line.startswith("{")]
    told, stopped = (line for line in lines if line["level"] == "error")
    assert stopped["event"] == "this node has stopped voting"
    assert told["code"] == "STORE_IO"
    assert told["found"].startswith("IO error: ")
    assert str(node.home / "data") in told["message"]
    assert "bytes free" in told["found"]
    assert "start again" in told["fix"]
    with running(node, None) as process:
        async with Client.open(node.url) as client:
            await answering(client)
            status = await client.status()
            assert status.stopped_reason == ""
            assert status.height >= height
            assert (await client.view("token", "account", receiver))["balance"] >= balance
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
