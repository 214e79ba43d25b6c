"""Who may connect, and for whom a node votes: by genesis, and by what the centres have said since."""

from __future__ import annotations

from pathlib import Path

import pytest
from shard_hosts import region_network

from deploy.machine import MachinePlan, make_machine
from ledger.crypto import sha256
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.genesis import load_genesis
from node.chains import hosted_chains
from node.config import load_config
from node.own_keys import load_identity, load_validator_key
from node.peers import Members
from node.shards.global_store import GlobalStore, read_machines
from node.shards.wiring import global_rules
from p2p.frames import PeerId


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("members") / "network"
    region_network(directory, ShardSettings((), lottery="hash"))
    return directory


def test_a_node_that_the_centres_name_may_connect_and_stands_for_the_key_that_they_say(directory: Path) -> None:
    genesis = load_genesis(directory / "bureau" / "genesis.json")
    members = Members(genesis)
    known, stranger = genesis.members[0], bytes(range(32))
    node, other = PeerId(known.node_id), PeerId(sha256(stranger))
    assert members.refusal(node) is None
    assert "no member's entry" in (members.refusal(other) or "")
    count = members.count

    members.named({stranger: b"v" * 32})
    assert (members.refusal(other), members.validator(other), members.is_validator(other)) == (None, b"v" * 32, True)
    assert (members.validator(node), members.count) == (known.validator_key, count + 1)
    members.named({stranger: b"w" * 32, known.node_key: b"x" * 32})
    assert (members.validator(other), members.validator(node)) == (b"w" * 32, b"x" * 32)
    assert members.refusal(PeerId(bytes(32))) is not None


def test_before_the_first_global_block_genesis_says_it_all(directory: Path) -> None:
    genesis = load_genesis(directory / "bureau" / "genesis.json")
    first = global_rules(genesis).first
    assert first.machines == {one.node_key: one.validator_key for one in genesis.members if one.validator_key}

    class Nothing:
        def get(self, key: bytes) -> bytes | None:
            return None

        def scan(self, prefix: bytes, after: bytes | None = None, limit: int = 0) -> list[tuple[bytes, bytes]]:
            return []

    assert read_machines(Nothing()) == {}
    assert GlobalStore(first).load(Nothing())[0] is first


def test_a_prepared_machine_follows_the_centres_and_its_region_by_a_key_that_genesis_does_not_know(
    directory: Path, tmp_path: Path
) -> None:
    ca, home = directory / "ca", tmp_path / "north5"
    document = directory / "bureau" / "genesis.json"
    genesis = load_genesis(document)
    plan = MachinePlan(home, "north5", "north", document, (ca / "ca.crt", ca / "ca.key"), (), "127.0.0.1", (0, 0))
    made = make_machine(plan, genesis.time_ms)
    config = load_config(home, {}, {})
    key = load_validator_key(config, genesis)
    assert key is not None
    assert key.public == made.voting_key
    hosted = hosted_chains(config, genesis, key)
    assert [(one.name, one.key) for one in hosted] == [(GLOBAL, None), ("north", None)]
    assert load_identity(config).certificate.node_id == made.node_id == sha256(made.node_key)
    assert (home / "wal" / "FOUNDED").read_bytes() == b"", "it has never signed anything"
    assert made.member.startswith(f"north5:0x{made.voting_key.hex()}:0x")
    assert made.machine.startswith(f"north5:0x{made.node_key.hex()}:0x")
