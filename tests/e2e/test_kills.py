"""SIGKILL of validators at random times: nothing lost, nothing signed twice, the rest goes on (real processes)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from kill_campaign import campaign, double_signatures

from contracts.library_sources import AuctionMode
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan

RECORDING = {"GRIDCHAIN_DEV__RECORD": "true", "GRIDCHAIN_DEV__SMALL_FILES": "true"}
LOSING = {**RECORDING, "GRIDCHAIN_DEV__LOSE_UNSYNCED": "true"}
RESUME_S = 5.0


def found(directory: Path) -> NetworkLayout:
    return make_network(
        NetworkPlan(
            directory=directory / "network",
            chain_name="bench-kills",
            first_api_port=0,
            first_p2p_port=0,
            mode=AuctionMode(sealed=False),
        )
    )


async def run_campaign(directory: Path, kills: int, seed: int, environment: dict[str, str]) -> None:
    layout = found(directory)
    print(f"campaign seed {seed}, {kills} kills")
    async with campaign(layout, seed, environment) as running:
        try:
            for _ in range(kills):
                await running.kill_once()
            await running.check_end()
        finally:
            print(running.report.text())
        assert running.report.receipts > 100, "there was no traffic to lose"
    votes, contradictions = double_signatures(layout)
    print(f"{votes} recorded votes checked, {len(contradictions)} contradictions")
    assert votes > 100
    assert contradictions == []


@pytest.mark.asyncio
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "environment",
    [pytest.param(RECORDING, id="killed", marks=pytest.mark.soak), pytest.param(LOSING, id="killed-and-unsynced-lost")],
)
async def test_a_killed_validator_comes_back_and_nothing_is_lost(tmp_path: Path, environment: dict[str, str]) -> None:
    seed = int(os.environ.get("GRIDCHAIN_TEST_SEED", "20261121"))
    await run_campaign(tmp_path, 10, seed, environment)


@pytest.mark.soak
@pytest.mark.asyncio
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("environment", [RECORDING, LOSING], ids=["killed", "killed-and-unsynced-lost"])
async def test_a_hundred_kills(tmp_path: Path, environment: dict[str, str]) -> None:
    seed = int(os.environ.get("GRIDCHAIN_TEST_SEED", "1"))
    await run_campaign(tmp_path, 100, seed, environment)


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_two_killed_stop_the_chain_and_one_back_resumes_it(tmp_path: Path) -> None:
    layout = found(tmp_path)
    async with campaign(layout, 1, RECORDING) as running:
        cluster = running.cluster

        async def wait_above(index: int, level: int, seconds: float) -> None:
            async with asyncio.timeout(seconds):
                while await running.height(index) <= level:
                    await asyncio.sleep(0.05)

        await wait_above(0, 1, 20)
        await cluster.kill(2)
        await cluster.kill(3)
        await asyncio.sleep(1.0)  # what was in flight is final or never will be
        stopped_at = await running.height(0)
        await asyncio.sleep(4.0)
        assert await running.height(0) == stopped_at
        assert await running.height(1) == stopped_at
        await cluster.start(2)  # returns at its /readyz, which waits for no quorum
        await wait_above(0, stopped_at, RESUME_S)
        await cluster.start(3)
        await wait_above(3, stopped_at, 20)
        await running.check_end()
    _votes, contradictions = double_signatures(layout)
    assert contradictions == []
