"""Real node processes: ready, killed, started again, stopped; and nothing left behind, whoever dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import deploy
from deploy.cluster import Cluster, ClusterError
from deploy.founding import make_network
from deploy.network import NetworkPlan
from node.client import Client
from node.keys import load_key

ROOT = Path(deploy.__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "deploy.main"]


def found(directory, **plan):
    settings = {
        "chain_name": "dev-cluster",
        "engine": "solo",
        "names": ("one",),
        "first_api_port": 0,
        "first_p2p_port": 0,
    }
    return make_network(NetworkPlan(directory=directory, **(settings | plan)))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if sys.platform == "linux" else True


def gone(pids, seconds=15.0):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def deposit(client, layout, reference):
    treasury = client.account(load_key(layout.key_file("trading_center")))
    receiver = bytes.fromhex(layout.account("notary").address[2:])
    outcome = await treasury.call("token", "deposit", [receiver, 1_000, reference])
    assert outcome.ok
    return outcome


@pytest.mark.asyncio
async def test_a_killed_node_comes_back_with_its_chain(tmp_path):
    async with Cluster.open(found(tmp_path / "net")) as cluster:
        (node,) = cluster.nodes
        async with Client.open(node.url) as client:
            outcome = await deposit(client, cluster.layout, "first")
            before = await client.status()
        first_pid = node.pid
        await cluster.kill(0)
        assert not node.running
        assert cluster.dead() == [node]
        await cluster.start(0)
        assert node.pid not in (None, first_pid)
        async with Client.open(node.url) as client:
            after = await client.status()
            assert after.height >= before.height
            assert (await client.receipt(outcome.id)).height == outcome.height
            await deposit(client, cluster.layout, "second")
        pids = [first_pid, node.pid]
    assert gone(pids, 1)
    assert not node.layout.pid_file.exists()


@pytest.mark.asyncio
async def test_four_nodes_agree_and_go_on_without_one(tmp_path):
    layout = found(tmp_path / "net", engine="bft", names=("a", "b", "c", "d"))
    async with Cluster.open(layout) as cluster:
        async with Client.open(cluster.nodes[0].url) as client:
            await deposit(client, cluster.layout, "all four")
            await cluster.kill(3)
            outcome = await deposit(client, cluster.layout, "three")
        await cluster.start(3)
        roots = []
        for node in cluster.nodes:
            async with Client.open(node.url) as client, asyncio.timeout(20):
                while (await client.status()).height < outcome.height:
                    await asyncio.sleep(0.05)
                roots.append((await client.block(outcome.height)).header["state_root"])
        assert len(set(roots)) == 1
        pids = [node.pid for node in cluster.nodes]
    assert gone(pids, 1)


@pytest.mark.asyncio
async def test_ports_that_became_busy_are_stepped_over(tmp_path):
    layout = found(tmp_path / "net")
    with socket.create_server(("127.0.0.1", layout.nodes[0].api_port)):
        async with Cluster.open(layout) as cluster, Client.open(cluster.nodes[0].url) as client:
            assert cluster.nodes[0].layout.api_port != layout.nodes[0].api_port
            assert (await client.status()).chain_id == layout.chain_id


@pytest.mark.asyncio
async def test_a_node_that_cannot_start_says_why(tmp_path):
    layout = found(tmp_path / "net")
    (layout.nodes[0].home / "genesis.json").write_text("{}")
    with pytest.raises(ClusterError) as caught:
        async with Cluster.open(layout):
            pass
    assert caught.value.code == "NODE_DIED"
    assert "GENESIS_FORMAT" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_network_that_runs_is_not_started_twice(tmp_path):
    layout = found(tmp_path / "net")
    async with Cluster.open(layout):
        with pytest.raises(ClusterError) as caught:
            async with Cluster.open(layout):
                pass
        assert caught.value.code == "CLUSTER_RUNNING"


OWNER = """
import asyncio, sys
from pathlib import Path
from deploy.cluster import Cluster
from deploy.layout import NetworkLayout

async def main():
    async with Cluster.open(NetworkLayout.load(Path(sys.argv[1]))) as cluster:
        print(*[node.pid for node in cluster.nodes], flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_the_owner_killed_leaves_no_node(tmp_path):
    layout = found(tmp_path / "net")
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(layout.directory)], stdout=subprocess.PIPE, env=environment()
    ) as owner:
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 1
        assert alive(pids[0])
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
        assert gone(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_cluster_up_leaves_no_node(tmp_path, number):
    layout = found(tmp_path / "net")
    with subprocess.Popen(
        [*COMMAND, "cluster", "up", str(layout.directory), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as up:
        document = json.loads(up.stdout.readline())
        pids = [node["pid"] for node in document["nodes"]]
        assert all(alive(pid) for pid in pids)
        up.send_signal(number)
        assert up.wait(20) == 0
        assert gone(pids, 1)


def test_a_cluster_interrupted_while_it_starts_leaves_no_node(tmp_path):
    layout = found(tmp_path / "net")
    pid_file = layout.nodes[0].pid_file
    with subprocess.Popen(
        [*COMMAND, "cluster", "up", str(layout.directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as up:
        deadline = time.monotonic() + 30
        while not (pid_file.exists() and pid_file.read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pid = int(pid_file.read_text())
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 130, "it was not ready yet"
        assert gone([pid], 1)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_dev_that_is_ready_ends_in_good_order_with_zero(tmp_path, sent):
    with subprocess.Popen(
        [*COMMAND, "dev", "--json", "--port", "0"], stdout=subprocess.PIPE, env=environment(TMPDIR=str(tmp_path))
    ) as dev:
        assert dev.stdout is not None
        document = json.loads(dev.stdout.readline())
        pid = int((Path(document["nodes"][0]["home"]) / "node.pid").read_text())
        assert alive(pid)
        dev.send_signal(sent)
        assert dev.wait(20) == 0
        assert gone([pid], 1)
        assert dev.stdout.read() == b"", "one document"
    assert list(tmp_path.glob("gridchain-dev-*")) == []


def test_detached_nodes_outlive_the_command_and_go_down(tmp_path):
    layout = found(tmp_path / "net")
    directory = str(layout.directory)

    def run(*arguments):
        done = subprocess.run(
            [*COMMAND, "cluster", *arguments, "--json"], capture_output=True, env=environment(), timeout=60, check=False
        )
        return done.returncode, json.loads(done.stdout)

    pids = []
    try:
        code, document = run("up", directory, "--detach")
        assert code == 0, document
        pids = [node["pid"] for node in document["nodes"]]
        assert all(alive(pid) for pid in pids)
        code, rows = run("status", directory)
        assert (code, rows[0]["status"]["ready"]) == (0, True)
        for more in ("--detach", "--node=one"):
            code, document = run("up", directory, more)
            assert (code, document["error"]["code"]) == (1, "CLUSTER_RUNNING")
            assert document["error"]["found"] == f"process {pids[0]}"
        assert run("down", directory) == (0, {"ended": {"one": "ended"}})
        assert gone(pids, 1)
        assert run("down", directory) == (0, {"ended": {"one": "not running"}})
        assert run("status", directory)[0] == 3
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_dev_prints_funded_accounts_and_ends(tmp_path):
    done = subprocess.run(
        [*COMMAND, "dev", str(tmp_path / "dev"), "--once", "--json", "--port", "0"],
        capture_output=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    names = {entry["name"] for entry in document["accounts"]}
    assert {"grid_company", "trading_center", "prosumer1", "consumer1"} <= names
    again = subprocess.run(
        [*COMMAND, "dev", str(tmp_path / "dev"), "--once", "--json"],
        capture_output=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["chain_id"] == document["chain_id"]
