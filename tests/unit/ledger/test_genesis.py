"""The genesis document: strict JSON, one hash, and everything it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_GENESIS, SigningKey, hash_of, sha256
from ledger.engine_settings import EngineSettings, GenesisValidator
from ledger.errors import GenesisError
from ledger.genesis import (
    MIN_BLOCK_BYTES,
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    GenesisSummary,
    MarketClockSettings,
    Member,
    check_genesis,
    genesis_block,
    load_genesis,
    make_genesis,
    parse_genesis,
)
from ledger.objects import BODY_VERSION, MAX_TRANSACTION_BYTES, Body, decode_header
from ledger.possession import prove_possession, verify_possession

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def key(number: int) -> SigningKey:
    return SigningKey(bytes((number,)) * 32)


def validator(number: int, network: str = "dev-grid") -> GenesisValidator:
    signer = key(number)
    return GenesisValidator(f"v{number}", signer.public, 1, prove_possession(signer, network, "validator"))


def member(number: int, network: str = "dev-grid") -> Member:
    node, votes, account = key(number + 50), key(number), key(number + 100)
    return Member(
        f"v{number}",
        "Grid company",
        ("validator", "peer", "submit"),
        node.public,
        prove_possession(node, network, "node"),
        votes.public,
        prove_possession(votes, network, "validator"),
        account.public,
        prove_possession(account, network, "account"),
    )


def document(network: str = "dev-grid", engine: str = "bft") -> Genesis:
    numbers = (1,) if engine == "solo" else (1, 2, 3, 4)
    head = GenesisHead(
        version=1,
        name=network,
        time_ms=1_700_000_000_000,
        engine=engine,
        profile="safe",
        engine_parameters=EngineSettings(delta_ms=150, lan=True),
        validators=tuple(validator(n, network) for n in numbers),
        members=tuple(member(n, network) for n in numbers),
        ca_certificates=(PEM,),
        market_clock=MarketClockSettings(0, 1),
        limits=GenesisLimits(),
        council=None,
        shards=None,
    )
    return make_genesis(head, [GenesisContract("token", "x = Var(int)\n# größe\n", b"\x90", ("registry",))])


def test_json_round_trip_and_hash(tmp_path: Path) -> None:
    genesis = document()
    path = tmp_path / "genesis.json"
    path.write_text(genesis.to_json(), encoding="utf-8")
    again = load_genesis(path)
    assert again == genesis
    assert again.hash == genesis.hash == hash_of(DOMAIN_GENESIS, encode(genesis.summary))
    assert genesis.chain_id == f"dev-grid-{genesis.hash.hex()[:32]}"
    assert decode(GenesisSummary, encode(genesis.summary)).hash == genesis.hash
    assert genesis.summary.contracts[0].source_hash == sha256(genesis.contracts[0].source.encode())


@pytest.mark.parametrize("network", ["Dev grid", "-dev", "dev_grid", "d" * 65, ""])
def test_no_document_is_made_that_cannot_be_read_back(network: str) -> None:
    with pytest.raises(GenesisError) as refused:
        document(network)
    assert refused.value.code == "GENESIS_FORMAT"


def test_layout_of_the_text_does_not_matter_but_content_does() -> None:
    genesis = document()
    compact = json.dumps(json.loads(genesis.to_json()), separators=(",", ":"))
    assert parse_genesis(compact).hash == genesis.hash
    changed = json.loads(genesis.to_json())
    changed["contracts"][0]["source"] += " "
    assert parse_genesis(json.dumps(changed)).hash != genesis.hash


def test_defaults_may_be_left_out() -> None:
    plain = json.loads(document().to_json())
    plain["limits"] = {}
    assert parse_genesis(json.dumps(plain)).limits == GenesisLimits(4000, 1024 * 1024)


def test_the_first_block_is_bound_to_the_document() -> None:
    genesis = document()
    block = genesis_block(genesis, b"\x07" * 32)
    header = decode_header(block.header_bytes)
    assert (header.height, header.epoch, header.view, header.parent) == (0, 0, 0, genesis.hash)
    assert header.chain_id == genesis.chain_id
    assert header.time_ms == genesis.time_ms
    assert header.state_root == b"\x07" * 32
    assert header.validators == header.next_validators == genesis.validator_set.hash
    assert genesis_block(genesis, b"\x07" * 32, (b"receipt",)).hash != block.hash


def test_a_proof_of_possession_is_bound_to_network_role_and_key() -> None:
    proof = prove_possession(key(1), "dev-grid", "node")
    assert verify_possession(key(1).public, "dev-grid", "node", proof)
    assert not verify_possession(key(1).public, "dev-grid", "account", proof)
    assert not verify_possession(key(1).public, "dev-grid2", "node", proof)
    assert not verify_possession(key(2).public, "dev-grid", "node", proof)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plain: dict[str, Any]) -> None:
        *way, last = path.split("/")
        target: Any = plain
        for step in way:
            target = target[int(step)] if step.isdigit() else target[step]
        target[int(last) if last.isdigit() else last] = value

    return change


def test_the_largest_transaction_fits_into_the_smallest_block() -> None:
    body = Body(BODY_VERSION, (bytes(MAX_TRANSACTION_BYTES),))
    assert len(encode(body)) <= MIN_BLOCK_BYTES
    assert GenesisLimits().max_block_bytes >= MIN_BLOCK_BYTES


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put("surplus", 1), "GENESIS_FORMAT"),
        (put("limits/surplus", 1), "GENESIS_FORMAT"),
        (put("validators/0/surplus", 1), "GENESIS_FORMAT"),
        (put("time_ms", 1.5), "GENESIS_FORMAT"),
        (put("time_ms", "1"), "GENESIS_FORMAT"),
        (put("time_ms", True), "GENESIS_FORMAT"),
        (put("time_ms", -1), "GENESIS_FORMAT"),
        (put("time_ms", 1 << 64), "GENESIS_FORMAT"),
        (put("name", "Grid"), "GENESIS_FORMAT"),
        (put("members/0/organisation", "\ud800"), "GENESIS_FORMAT"),
        (put("validators", {}), "GENESIS_FORMAT"),
        (put("validators/0", []), "GENESIS_FORMAT"),
        (put("validators/0/public_key", "AB" * 32), "GENESIS_FORMAT"),
        (put("validators/0/public_key", "ab" * 31), "GENESIS_FORMAT"),
        (put("validators/0/weight", 0), "GENESIS_FORMAT"),
        (put("contracts/0/name", "1x"), "GENESIS_FORMAT"),
        (put("limits/max_block_bytes", MIN_BLOCK_BYTES - 1), "GENESIS_LIMITS"),
        (put("limits/block_gas", 99_999_999), "GENESIS_LIMITS"),
        (put("limits/deploy_gas", 49_999_999), "GENESIS_LIMITS"),
        (put("limits/block_gas", 0), "GENESIS_FORMAT"),
        (put("version", 2), "GENESIS"),
        (put("engine", "pow"), "GENESIS_ENGINE"),
        (put("engine", "dpos-paper"), "GENESIS_SIMULATED_ENGINE"),
        (put("engine", "sharded-paper"), "GENESIS_SIMULATED_ENGINE"),
        (put("profile", "paper"), "GENESIS_PROFILE"),
        (put("validators", []), "GENESIS"),
        (put("engine", "solo"), "GENESIS"),
        (put("validators/0/name", "v2"), "GENESIS"),
        (put("validators/0/weight", (1 << 63) - 1), "GENESIS"),
        (put("validators/0/public_key", "01" + "00" * 31), "GENESIS"),
        (put("validators/0/possession", "00" * 64), "GENESIS_POSSESSION"),
        (put("name", "dev-other"), "GENESIS_POSSESSION"),
        (put("members/0/node_possession", "00" * 64), "GENESIS_POSSESSION"),
        (put("members/0/name", "v2"), "GENESIS"),
        (put("members/0/roles", []), "GENESIS"),
        (put("members/0/roles", ["king"]), "GENESIS"),
        (put("members/0/roles", ["peer", "peer"]), "GENESIS"),
        (put("members/0/roles", ["peer"]), "GENESIS"),
        (put("ca_certificates", ["not pem"]), "GENESIS"),
        (put("ca_certificates", [PEM, PEM]), "GENESIS"),
    ],
)
def test_refused(change: Callable[[dict[str, Any]], None], code: str) -> None:
    plain = json.loads(document().to_json())
    change(plain)
    with pytest.raises(GenesisError) as refused:
        parse_genesis(json.dumps(plain))
    assert refused.value.code == code
    assert refused.value.fix


def test_a_missing_field_and_broken_text() -> None:
    plain = json.loads(document().to_json())
    del plain["engine"]
    for text in (json.dumps(plain), "{", '{"a": 1, "a": 2}', "[]", "NaN"):
        with pytest.raises(GenesisError) as refused:
            parse_genesis(text)
        assert refused.value.code == "GENESIS_FORMAT"


def test_duplicate_keys_and_members_without_keys() -> None:
    genesis = document()
    one, two, *_ = genesis.validators
    twin = replace(two, public_key=one.public_key, possession=one.possession)
    bare = Member("x", "y", ("peer",))
    sender = Member("x", "y", ("submit",))
    stranger = replace(member(9), name="s")
    for bad in (
        replace(genesis, validators=(one, twin)),
        replace(genesis, members=(bare,)),
        replace(genesis, members=(sender,)),
        replace(genesis, members=(stranger,)),
        replace(genesis, members=(member(1), replace(member(1), name="other"))),
        replace(genesis, contracts=genesis.contracts * 2),
    ):
        with pytest.raises(GenesisError):
            check_genesis(bad)


@pytest.mark.parametrize(("name", "allowed"), [("dev-a", True), ("bench-a", True), ("demo-a", True), ("grid", False)])
def test_fast_markets_need_a_name_that_says_so(name: str, allowed: bool) -> None:
    genesis = replace(document(name), market_clock=MarketClockSettings(0, 60))
    if allowed:
        check_genesis(genesis)
    else:
        with pytest.raises(GenesisError) as refused:
            check_genesis(genesis)
        assert refused.value.code == "GENESIS_SPEED"


def test_solo_has_one_validator() -> None:
    assert len(document(engine="solo").validator_set) == 1


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(GenesisError) as refused:
        load_genesis(tmp_path / "none.json")
    assert refused.value.code == "GENESIS_FILE"
