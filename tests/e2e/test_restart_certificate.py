"""Two of four validators lose their logs: the chain stands still until three keys have signed where it goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from four_nodes import FourNodes

import deploy
from deploy.founding import make_network
from deploy.network import NetworkPlan

pytestmark = [pytest.mark.soak, pytest.mark.asyncio, pytest.mark.timeout(600)]
ROOT = Path(deploy.__file__).resolve().parents[1]


async def certificate(*words: object) -> tuple[int, Any]:
    """Exit code and document of `gridchain node restart-certificate ... --json`."""
    command = [sys.executable, "-m", "deploy.main", "node", "restart-certificate", *map(str, words), "--json"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


async def test_a_chain_with_two_lost_logs_goes_on_by_certificate_only(tmp_path: Path) -> None:
    layout = make_network(
        NetworkPlan(directory=tmp_path / "net", chain_name="dev-four", first_api_port=0, first_p2p_port=0)
    )
    homes = [node.home for node in layout.nodes]
    four = FourNodes(layout)
    try:
        await four.open(0, 1, 2, 3)
        await four.deposit(0, 20)
        await four.until(lambda: all(four.committed(position) == 20 for position in range(4)), 60)
        await four.until(lambda: len({four.node(position).chain.height for position in range(4)}) == 1)
        await asyncio.sleep(1)
        assert len({four.node(position).chain.head_hash for position in range(4)}) == 1
        await four.close(0, 1, 2, 3)
        for home in homes[2:]:
            shutil.rmtree(home / "wal")
        await four.open(0, 1, 2, 3)
        await four.deposit(0, 3)
        await asyncio.sleep(3)
        assert all(four.committed(position) == 20 for position in range(4)), "two that observe are two too many"
        assert [four.node(position).status().held for position in range(4)] == [False, False, True, True]
        await four.close(0, 1, 2, 3)

        shares = [tmp_path / f"share{position}" for position in range(3)]
        suggested = []
        for home, share in zip(homes[:3], shares, strict=True):
            code, said = await certificate("sign", home, "-o", share)
            assert code == 0, said
            suggested.append(said["suggested_view"])
        view = max(suggested)
        for home, share in zip(homes[:3], shares, strict=True):
            code, said = await certificate("sign", home, "-o", share, "--view", view)
            assert (code, said.get("view")) == (0, view)
        code, said = await certificate("sign", homes[0], "-o", tmp_path / "low", "--view", 1)
        assert (code, said["error"]["code"]) == (2, "RESTART_VIEW")
        whole = tmp_path / "restart"
        code, said = await certificate("combine", homes[0], *shares[:2], "-o", whole)
        assert (code, said["error"]["code"]) != (0, "")
        assert said["error"]["code"] == "RESTART_QUORUM"
        code, said = await certificate("combine", homes[0], *shares, "-o", whole)
        assert code == 0, said
        for home in homes:
            code, said = await certificate("apply", home, whole)
            assert code == 0, said

        await four.open(0, 1, 2, 3)
        four.nonce = 20  # what waited in memory went with the processes
        await four.deposit(1, 4)
        await four.until(lambda: all(four.committed(position) == 24 for position in range(4)), 60)
        assert not any(four.node(position).status().held for position in range(4))
        roots = {four.node(position).chain.header(four.node(0).chain.height - 1).state_root for position in range(4)}
        assert len(roots) == 1
        await four.close(0, 1, 2, 3)
        code, said = await certificate("apply", homes[3], whole)
        assert code != 0
        assert said["error"]["code"] == "RESTART_ELSEWHERE"
    finally:
        await four.close(0, 1, 2, 3)
