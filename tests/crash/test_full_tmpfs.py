"""A node on a real, small disk that fills up: it says so, loses nothing, and goes on by itself when there is room."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from four_nodes import FourNodes

from deploy.founding import make_network
from deploy.network import NetworkPlan

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_full_tmpfs(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(24 << 20))
    layout = make_network(
        NetworkPlan(
            directory=small_disk / "network",
            chain_name="dev-full",
            engine="solo",
            names=("one",),
            first_api_port=0,
            first_p2p_port=0,
        )
    )
    four = FourNodes(layout)
    try:
        await four.open(0)
        async with asyncio.timeout(60):
            while not four.node(0).status().stopped_reason:
                if four.node(0).status().mempool < 1_000:
                    await four.deposit(0, 100)
                await asyncio.sleep(0.02)
        reason = four.node(0).status().stopped_reason
        assert "STORE_FULL" in reason or "No space left" in reason
        assert four.committed(0) > 0
        before = four.node(0).status().height
        await asyncio.sleep(1.5)
        assert four.node(0).status().height == before
        ballast.unlink()
        await four.until(lambda: four.committed(0) == four.nonce)
        assert four.node(0).status().stopped_reason == ""
        await four.close(0)
        await four.open(0)
        assert four.committed(0) == four.nonce
    finally:
        await four.close(0)
