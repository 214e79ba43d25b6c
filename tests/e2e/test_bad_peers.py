"""Peers that a node must refuse, as real processes: each refusal has a code, both values and a fix, on both sides."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

import deploy
from deploy.cluster import Cluster, ClusterNode
from deploy.founding import make_network
from deploy.layout import NetworkLayout, NodeLayout
from deploy.network import NetworkPlan
from p2p.certificates import Authority, Issued, issue, make_ca

NAMES = ("home", "foreign", "expired", "stranger", "early", "near")
CODES = {
    "foreign": "FOREIGN_CA",
    "expired": "CERTIFICATE_EXPIRED",
    "stranger": "CHAIN_ID_MISMATCH",
    "early": "CLOCK_SKEW",
}
OFFSETS_MS = {"early": 6_500, "near": 3_500}
PATIENCE_S = 40.0
ROOT = Path(deploy.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Seen:
    """What a node says about itself, and the refusals in its log."""

    status: dict
    log: list[dict]
    alive: bool

    def told(self, code: str, address: str = "") -> list[dict]:
        """Refusals of a code in the status, of this peer's address if one is given."""
        return [one for one in self.status["refusals"] if one["code"] == code and one["address"].startswith(address)]

    def logged(self, code: str) -> list[dict]:
        return [line for line in self.log if line.get("code") == code]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def found(directory: Path, names: tuple[str, ...], engine: str = "bft") -> NetworkLayout:
    plan = NetworkPlan(
        directory=directory, chain_name="dev-peers", engine=engine, names=names, first_api_port=0, first_p2p_port=0
    )
    return make_network(plan)


def wear(node: NodeLayout, issued: Issued, authority: Authority) -> None:
    """Give a node another certificate."""
    (node.home / "keys" / "node.crt").write_bytes(issued.certificate_pem)
    (node.home / "keys" / "node.key").write_bytes(issued.key_pem)
    (node.home / "ca.crt").write_bytes(authority.certificate_pem)


def spoil(layout: NetworkLayout) -> str:
    """Make each node wrong in its own way; return the chain id that the stranger follows."""
    homes = {node.name: node for node in layout.nodes}
    own = Authority(*((layout.directory / "ca" / name).read_bytes() for name in ("ca.crt", "ca.key")))
    other = make_ca("another consortium", now_ms=now_ms())
    for name, authority, days in (("foreign", other, 30), ("expired", own, -1)):
        who = {"organisation": name, "name": name, "role": "validator"}
        wear(homes[name], issue(authority, **who, now_ms=now_ms(), days=days), authority)
    elsewhere = found(layout.directory / "elsewhere", ("stranger",), "solo")
    for file in ("genesis.json", "keys/validator.key"):
        (homes["stranger"].home / file).write_bytes((elsewhere.nodes[0].home / file).read_bytes())
    for segment in (homes["stranger"].home / "wal").iterdir():
        segment.write_bytes((elsewhere.nodes[0].home / "wal" / segment.name).read_bytes())
    for name, offset in OFFSETS_MS.items():
        with (homes[name].home / "config.toml").open("a") as config:
            config.write(f"\n[dev]\nclock_offset_ms = {offset}\n")
    return elsewhere.chain_id


async def ask(session: aiohttp.ClientSession, node: ClusterNode) -> dict | None:
    try:
        async with session.get(f"{node.url}/v1/status") as response:
            return await response.json()
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def knows(status: dict | None, code: str) -> bool:
    return status is not None and any(one["code"] == code for one in status["refusals"])


def settled(statuses: dict[str, dict | None]) -> bool:
    """Everybody has met the node at home."""
    home = statuses["home"]
    return (
        home is not None
        and all(knows(home, code) and knows(statuses[name], code) for name, code in CODES.items())
        and [peer["name"] for peer in home["peers"]] == ["near"]
    )


async def observe(layout: NetworkLayout) -> dict[str, Seen]:
    (home,) = (node for node in layout.nodes if node.name == "home")
    environment = {"GRIDCHAIN_P2P__SEEDS": f'["{home.peer_address}"]'}
    async with (
        Cluster.open(layout, environment=environment, start=False) as cluster,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
    ):
        assert cluster.nodes[0].layout.peer_address == home.peer_address
        for index in range(len(NAMES)):
            await cluster.start(index, wait=False)
        deadline = time.monotonic() + PATIENCE_S
        statuses: dict[str, dict | None] = dict.fromkeys(NAMES)
        while not settled(statuses) and time.monotonic() < deadline and not cluster.dead():
            await asyncio.sleep(0.2)
            statuses = {node.name: await ask(session, node) for node in cluster.nodes}
        async with session.get(f"{cluster.nodes[0].url}/readyz") as response:
            assert response.status == 200
        shown = await shown_to_people(cluster.nodes[0].url)
        for code in set(CODES.values()):
            assert f"{code}: refused " in shown
        assert (
            shown.count("  expected ") == shown.count("  found ") == shown.count("  fix ") >= len(set(CODES.values()))
        )
        return {
            node.name: Seen(statuses[node.name] or {"refusals": [], "peers": []}, read_log(node), node.running)
            for node in cluster.nodes
        }


async def shown_to_people(url: str) -> str:
    """What `gridchain query status` prints."""
    command = [sys.executable, "-m", "deploy.main", "query", "status", "--url", url]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def read_log(node: ClusterNode) -> list[dict]:
    lines = node.layout.log_file.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One network of which one node is sound and the others are wrong; what each says after they have met."""
    layout = found(tmp_path_factory.mktemp("peers") / "network", NAMES)
    other = spoil(layout)
    return layout, other, asyncio.run(observe(layout))


def expected_values(world, name: str) -> tuple[str, str]:
    """Words that the two values of a refusal have to hold: those of the sound node, and of the refused one."""
    layout, other, _seen = world
    match name:
        case "stranger":
            return layout.chain_id, other
        case "early":
            return "5000 ms", " ms ("
        case "expired":
            return "valid at", "until"
        case _:
            return "", ""


@pytest.mark.parametrize("name", CODES)
def test_a_bad_peer_is_refused_and_both_sides_say_why(world, name):
    seen = world[2]
    code, words = CODES[name], expected_values(world, name)
    assert seen[name].alive, "a node that is refused lives on"
    for side in ("home", name):
        for source in (seen[side].told(code), seen[side].logged(code)):
            assert source, f"{side} does not tell of {code}: {seen[side]}"
            for one in source:
                assert one["expected"]
                assert one["found"]
                assert one["expected"] != one["found"]
                assert len(one["fix"]) > 20
        assert any(all(word in one["expected"] + one["found"] for word in words) for one in seen[side].told(code)), side
    assert name not in [peer["name"] for peer in seen["home"].status["peers"]]
    assert seen[name].status["peers"] == []


def test_the_skew_is_shown_as_a_number(world):
    for one in world[2]["early"].told("CLOCK_SKEW"):
        skew_ms = int(one["found"].split("(")[1].split()[0])
        assert 5_000 < abs(skew_ms) < 8_500
        assert (skew_ms > 0) == one["by_peer"], "who refuses shows the other's clock against its own"


def test_a_clock_within_bounds_is_accepted(world):
    seen = world[2]
    assert [peer["name"] for peer in seen["home"].status["peers"]] == ["near"]
    assert [peer["name"] for peer in seen["near"].status["peers"]] == ["home"]
    assert not seen["near"].told("CLOCK_SKEW")
    assert all(node.alive for node in seen.values())
