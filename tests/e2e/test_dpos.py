"""Engine `dpos` with real processes: elections, a node away over one of them, its own readiness, one state on all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from demo_runs import demo

from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from node.client import Client
from node.client_errors import Refusal, Unreachable
from node.keys import load_key

PATIENCE_S = 60.0


async def until(holds: Callable[[], Any], what: str) -> Any:
    """The first answer that is true."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await holds()):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S:.0f} s: {what}") from None
    return found


@pytest.mark.asyncio
async def test_four_of_five_are_elected_over_and_over_and_one_that_was_away_comes_back(tmp_path):
    names = ("bureau", "grid", "notary", "trading", "village")
    plan = NetworkPlan(
        tmp_path / "net", "dev-council", "dpos", names, first_api_port=0, first_p2p_port=0, min_block_interval_ms=100
    )
    layout = make_network(plan)
    async with Cluster.open(layout) as cluster, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client.open(node.url)) for node in cluster.nodes]
        treasury = clients[0].account(load_key(layout.key_file("trading_center")))

        async def work() -> None:
            for number in range(10_000):
                await treasury.send("token", "deposit", [treasury.address, 5, f"bank {number}"])
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            busy = group.create_task(work())

            async def council(node: int = 0) -> dict[str, Any]:
                return await clients[node].view("council", "queue")

            async def third_epoch() -> bool:
                return (await council())["epoch"] >= 3

            await until(third_epoch, "two elections")
            found = await council()
            assert len(found["queue"]) == found["seats"] == 4
            assert {row["name"] for row in await clients[0].view("council", "validators") if row["ready"]} == {*names}

            away = next(at for at, name in enumerate(names) if name in found["queue"] and at > 0)
            await cluster.kill(away)

            async def passed_over() -> bool:
                return names[away] not in (await council())["queue"]

            await until(passed_over, "an election without who lost its turn")
            left = (await council())["epoch"]
            await cluster.start(away)
            clients[away] = await stack.enter_async_context(Client.open(cluster.nodes[away].url))

            async def shown() -> bool:
                rows = {row["name"]: row for row in await clients[0].view("council", "validators")}
                return rows[names[away]]["ready"] > left

            await until(shown, "the readiness of the node that came back")
            assert await ballot(clients[1], layout, "nobody") == "UNKNOWN_VALIDATOR"
            assert await ballot(clients[1], layout, names[away]) == ""
            busy.cancel()
        heights = [(await client.status()).height for client in clients]

        async def level() -> bool:
            return min([(await client.status()).height for client in clients]) >= max(heights)

        await until(level, "one height")
        roots = {(await client.block(max(heights))).header["state_root"] for client in clients}
        assert len(roots) == 1
        assert {(await client.status()).engine for client in clients} == {"dpos"}


async def ballot(client: Client, layout: NetworkLayout, name: str) -> str:
    """What the receipt says of the last node's ballot for one candidate; its node may sign at the same time, and only
    one transaction of a nonce gets into a block."""
    sender = client.account(load_key(layout.nodes[-1].home / "keys" / "account.key"))
    for _ in range(5):
        with suppress(Refusal, Unreachable):  # the node has taken this nonce
            return (await sender.call("council", "ballot", [[name]], timeout_s=10.0)).code
    raise AssertionError("no ballot was taken")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_the_demo_shows_a_producer_that_withholds_its_blocks_and_ends_like_the_first(tmp_path):
    code, document, told = demo("--engine", "dpos", "--slots", "16", timeout=280)
    assert code == 0, told
    assert document["conserved"] is True, document["problems"]
    assert (document["engine"], document["validators"], document["proofs"]) == ("dpos", 5, 5)
    assert len({node["state_root"] for node in document["nodes"]}) == 1
    assert document["trades"] > 0
    silence, bar, back = document["incidents"]
    assert "withholds" in silence
    assert "barred" in bar
    assert "sits again" in back
    elections, scores = document["council"]
    assert int(elections.split()[0]) >= 2
    assert any(float(word.rstrip(",")) > 0 for word in scores.split() if word[0].isdigit())
