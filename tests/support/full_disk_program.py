"""Run by `tests/crash/test_full_tmpfs.py` in a mount namespace of its own: fills the disk given as its argument."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from four_nodes import FourNodes

from deploy.founding import make_network
from deploy.network import NetworkPlan


async def fill(disk: Path) -> None:
    """A solo node says that its disk is full, keeps what it has, goes on when there is room, and comes back."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(24 << 20))
    layout = make_network(
        NetworkPlan(
            directory=disk / "network",
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
        assert "STORE_FULL" in reason or "No space left" in reason, reason
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
    print("nothing lost", four.nonce)


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1])))
