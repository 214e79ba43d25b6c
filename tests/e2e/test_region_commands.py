"""`gridchain region` against three real centres: what it shows, evidence, members by files, withdrawals, refusals."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shard_hosts import CENTRES, ShardHosts, region_network

from consensus.sharded.global_state import DoubleVote, GlobalState
from deploy.layout import NetworkLayout
from deploy.main import app
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, address_of
from ledger.engine_settings import ShardSettings
from ledger.possession import prove_possession
from node.cli.node_run import serve
from node.cli.output import ExitCode, run_command
from node.config import load_config
from node.keys import load_key, new_key, save_key
from node.shards import wiring
from node.shards.accuser import Accuser
from node.shards.global_side import GlobalRules
from node.tasks import task_scope

DEPOSIT = 100_000_000
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]


@pytest.fixture
def layout(tmp_path: Path) -> NetworkLayout:
    return region_network(tmp_path / "network", ShardSettings(regions=(), round_ms=1_000, pool_blocks=2))


def voting_key(layout: NetworkLayout, name: str) -> Path:
    return layout.nodes[layout.node(name)].home / "keys" / "validator.key"


def two_votes(world: ShardHosts, layout: NetworkLayout, name: str) -> bytes:
    """Of a member of the region: one finalizes what the other nullifies."""
    chain = world.hosts["grid"].chains["north"].genesis
    key = load_key(voting_key(layout, name))
    voters = chain.validator_set
    signer = voters.index_of(key.public)
    assert signer is not None
    votes = []
    for kind, block in ((VoteKind.FINALIZE, b"x" * 32), (VoteKind.NULLIFY, bytes(32))):
        said = vote_bytes(chain.chain_id, voters.hash, kind, 1, 9, block)
        votes.append(Vote(kind, 1, 9, block, signer, key.sign(DOMAIN_VOTE, said)))
    return encode(DoubleVote("north", 1, *votes))


async def test_the_commands(
    layout: NetworkLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = tmp_path / "fresh.key"
    save_key(fresh, new_key(), None)
    monkeypatch.setattr(wiring, "GlobalRules", functools.partial(rules_of, load_key(fresh).public))
    world = ShardHosts(layout)
    account, proposal = str(layout.key_file("trading_center")), str(tmp_path / "proposal")

    async def said(*words: str, code: int = ExitCode.OK) -> dict[str, Any]:
        """A command's document, or its error."""
        line = ["region", *words, "--json"]
        monkeypatch.setattr(sys, "argv", ["gridchain", *line])
        found = ExitCode.UNREACHABLE
        while found == ExitCode.UNREACHABLE:  # a host opens again where a region begins anew
            capsys.readouterr()
            found = ExitCode(await asyncio.to_thread(run_command, app, line))
        text = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]  # beside the hosts' logs
        assert found == code, text
        document: dict[str, Any] = json.loads(text[-1])
        return document if code == ExitCode.OK else document["error"]

    config = load_config(layout.nodes[layout.node("bureau")].home, {"log": {"level": "error"}}, {})
    url = ("--url", f"http://127.0.0.1:{config.api.port}")
    by = (*url, "--key", account)
    scope = AsyncExitStack()
    try:
        tasks = await scope.enter_async_context(task_scope())
        tasks.spawn(serve(config, lambda _: None), name="bureau")
        await world.open(*CENTRES[1:3])
        refused = await said("show", "nowhere", *url, code=ExitCode.USAGE)
        assert refused["code"] == "NO_REGION", refused
        refused = await said("takeover", "north", *by, code=ExitCode.USAGE)
        assert (refused["code"], refused["expected"]) == ("NO_REGION", "a first block of the global chain")

        assert isinstance(world.hosts["grid"].chains["north"].stand.parts.passed.to, Accuser)
        file = tmp_path / "evidence"
        file.write_text(two_votes(world, layout, "north3").hex())
        assert (await said("evidence", str(file), *by))["region"] == "north"
        refused = await said("evidence", str(file), *by, code=ExitCode.REFUSED)
        assert refused["code"] in ("PUNISHED_BEFORE", "EVIDENCE_EPOCH")
        assert refused["fix"]
        file.write_text("rubbish")
        assert (await said("evidence", str(file), *by, code=ExitCode.USAGE))["code"] == "EVIDENCE_FILE"

        listed = await said("list", *url)
        (row,) = listed["regions"]
        assert (row["region"], row["standing"], row["fined"]) == ("north", "current", 100_000_000)
        shown = await said("show", "north", *url)
        guilty = "0x" + load_key(voting_key(layout, "north3")).public.hex()
        assert row["members"] == len(shown["people"])
        assert all(one["deposit"] == 100_000_000 for one in shown["people"] if one["key"] != guilty)
        assert (await said("takeover", "north", *by, code=ExitCode.REFUSED))["code"] in ("NOT_SUSPENDED",)

        await members(said, url, by, (layout, tmp_path, proposal))
        await rewards(said, url, by, layout)
    finally:
        await scope.aclose()
        await world.close()


def rules_of(fresh: bytes, first: GlobalState, **fields: Any) -> GlobalRules:
    """Of genesis, but a deposit was put down for a key that has no seat."""
    whole = replace(first, deposits={**first.deposits, fresh: DEPOSIT})
    return GlobalRules(first=whole, **fields)


async def members(ask: Any, url: tuple[str, ...], by: tuple[str, ...], at: tuple[NetworkLayout, Path, str]) -> None:
    """Files from the proposal to the global chain, and what is wrong with them on the way."""
    layout, directory, proposal = at
    fresh = directory / "fresh.key"
    stay = [one["name"] for one in (await ask("show", "north", *url))["people"] if one["name"] != "north3"]
    keys = load_key(fresh)
    proof = prove_possession(keys, "dev-shards", "validator")
    member = f"north5:0x{keys.public.hex()}:0x{proof.hex()}"
    keep = [word for name in stay[:3] for word in ("--keep", name)]
    refused = await ask("members", "propose", "north", *keep, "-o", proposal, *url, code=ExitCode.USAGE)
    assert refused["code"] == "BAD_MEMBERS"
    for weight in ("0", "18446744073709551616", "\u00b2"):
        words = (*keep, "--member", f"{member}:{weight}", "-o", proposal, *url)
        assert (await ask("members", "propose", "north", *words, code=ExitCode.USAGE))["code"] == "BAD_MEMBER"
    forged = member.replace(proof.hex(), bytes(64).hex())
    refused = await ask(
        "members", "propose", "north", *keep, "--member", forged, "-o", proposal, *url, code=ExitCode.FAILED
    )
    assert refused["code"] == "BAD_POSSESSION"
    found = await ask("members", "propose", "north", *keep, "--member", member, "-o", proposal, *url)
    assert [one["name"] for one in found["members"]] == [*stay[:3], "north5"]
    shares = []
    for name in CENTRES[:3]:
        shares.append(str(directory / f"share-{name}"))
        await ask("members", "sign", proposal, "-o", shares[-1], "--voting-key", str(voting_key(layout, name)))
    stranger = str(directory / "share-stranger")
    await ask("members", "sign", proposal, "-o", stranger, "--voting-key", str(fresh))
    too_few = await ask("members", "submit", *shares[:2], *by, code=ExitCode.FAILED)
    assert (too_few["code"], too_few["expected"], too_few["found"]) == ("MEMBERS_QUORUM", "3", "2")
    assert (await ask("members", "submit", stranger, *by, code=ExitCode.FAILED))["code"] == "MEMBERS_SIGNATURE"
    assert (await ask("members", "submit", proposal, *by, code=ExitCode.USAGE))["code"] == "MEMBERS_FILE"
    await without_deposit(ask, url, by, at, keep)
    assert (await ask("members", "submit", *shares, *by))["signed_by"] == 3
    shown = await ask("show", "north", *url)
    assert [one["name"] for one in shown["people"]] == [*stay[:3], "north5"]
    assert [(one["epoch"], one["reason"]) for one in shown["epochs"]] == [(2, "two votes"), (3, "members")]
    assert (await ask("members", "submit", *shares, *by, code=ExitCode.USAGE))["code"] == "OTHER_EPOCH"


async def without_deposit(
    ask: Any, url: tuple[str, ...], by: tuple[str, ...], at: tuple[NetworkLayout, Path, str], keep: list[str]
) -> None:
    """A machine that genesis does not know, for a key that nothing was put down for."""
    layout, directory, _ = at
    voter, node = new_key(), new_key()
    proved = [
        f"north6:0x{voter.public.hex()}:0x{prove_possession(voter, 'dev-shards', 'validator').hex()}",
        f"north6:0x{node.public.hex()}:0x{prove_possession(node, 'dev-shards', 'node').hex()}",
    ]
    file = str(directory / "unpaid")
    line = ("members", "propose", "north", *keep, "--member", proved[0], "-o", file, *url, "--machine")
    refused = await ask(*line, "north6", code=ExitCode.USAGE)
    assert refused["code"] == "BAD_MACHINE"
    refused = await ask(*line, proved[1].replace("north6", "north9"), code=ExitCode.USAGE)
    assert refused["code"] == "UNKNOWN_MEMBER"
    found = await ask(*line, proved[1])
    assert found["members"][-1]["node_key"] == "0x" + node.public.hex()
    shares = []
    for name in CENTRES[:3]:
        shares.append(str(directory / f"unpaid-{name}"))
        await ask("members", "sign", file, "-o", shares[-1], "--voting-key", str(voting_key(layout, name)))
    refused = await ask("members", "submit", *shares, *by, code=ExitCode.REFUSED)
    assert refused["code"] == "NO_DEPOSIT"
    assert "gridchain region deposit" in refused["fix"]
    put = ("deposit", "north", "--amount", "5", *by, "--member")
    assert (await ask(*put, "0x" + bytes(32).hex(), code=ExitCode.USAGE))["code"] == "BAD_KEY"


async def rewards(ask: Any, url: tuple[str, ...], by: tuple[str, ...], layout: NetworkLayout) -> None:
    """The lost deposit is split among the centres, and one takes its part home."""
    to = "0x" + address_of(load_key(layout.key_file("notary")).public).hex()
    words = ("withdraw", "--region", "north", "--account", to, *by, "--voting-key")
    refused = await ask(*words, str(voting_key(layout, "north1")), "--deposit", code=ExitCode.REFUSED)
    assert refused["code"] == "STILL_MEMBER"
    earned = {one["name"]: one["reward"] for one in (await ask("show", "north", *url))["centres"]}
    while not any(earned.values()):
        await asyncio.sleep(0.5)
        await ask(*words, str(voting_key(layout, "north1")), code=ExitCode.REFUSED)
        earned = {one["name"]: one["reward"] for one in (await ask("show", "north", *url))["centres"]}
    name = max(earned, key=lambda one: earned[one])
    done = await ask(*words, str(voting_key(layout, name)))
    assert done["source"] == "reward"
    assert done["money"] >= earned[name]
    after = {one["name"]: one for one in (await ask("show", "north", *url))["centres"]}
    assert after[name]["withdrawals"] == 1
    (row,) = (await ask("list", *url))["regions"]
    assert row["waiting"] == 1
