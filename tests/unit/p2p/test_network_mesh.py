"""Networks on loopback find each other from one seed and talk."""

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack

import p2p_child
import pytest
from p2p_world import running, until

from p2p.frames import Channel
from p2p.topology import LinkPolicy

pytestmark = pytest.mark.asyncio


async def test_two_networks_link_and_talk(consortium):
    async with running(consortium, "a") as (a, at_a), running(consortium, "b", seeds=(a.address,)) as (b, at_b):
        await until(lambda: at_a.linked and at_b.linked)
        assert a.send(b.node_id, Channel.VOTES, b"vote")
        assert b.send(a.node_id, Channel.BLOCKS, b"x" * 1_000_000)
        await until(lambda: at_a.frames and at_b.frames)
        assert at_b.frames == [(a.node_id, Channel.VOTES, b"vote")]
        assert at_a.frames == [(b.node_id, Channel.BLOCKS, b"x" * 1_000_000)]
        info = a.peers()[0]
        assert (info.name, info.node_name, info.role) == ("b ltd", "b", "validator")
        await until(lambda: a.peers()[0].latency_ms is not None)


@pytest.mark.parametrize("size", [4, 5])
async def test_one_seed_address_makes_a_full_mesh(consortium, size):
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(consortium, "n0"))
        seed = first[0].address
        rest = [await stack.enter_async_context(running(consortium, f"n{i}", seeds=(seed,))) for i in range(1, size)]
        nodes = [first, *rest]
        await until(lambda: all(len(recorder.linked) == size - 1 for _, recorder in nodes))
        assert all(network.full_mesh for network, _ in nodes)
        nodes[0][0].broadcast(Channel.VOTES, b"to all")
        await until(lambda: all(recorder.frames for _, recorder in nodes[1:]))


async def test_a_mesh_without_a_node_that_cannot_be_reached_counts_as_full(consortium):
    async with running(consortium, "a") as (a, at_a), running(consortium, "b", seeds=(a.address,)) as (b, at_b):
        async with running(consortium, "c", seeds=(a.address,)):
            await until(lambda: len(at_a.linked) == len(at_b.linked) == 2)
        await until(lambda: len(at_a.linked) == len(at_b.linked) == 1)
        await until(lambda: a.full_mesh and b.full_mesh)
        assert len(a.known_nodes()) == 2


async def test_above_the_mesh_limit_everybody_keeps_a_few_links_and_validators_come_first(consortium):
    policy = LinkPolicy(mesh_limit=4, min_links=3, max_links=5)
    identities = [consortium.identity(f"n{i}") for i in range(10)]
    validators = {identity.node_id for identity in identities[:3]}
    changes = {"links": policy, "is_validator": lambda node: node in validators}
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running(consortium, "n0", identity=identities[0], **changes))]
        seeds = (nodes[0][0].address,)
        for number, identity in enumerate(identities[1:], 1):
            nodes.append(
                await stack.enter_async_context(
                    running(consortium, f"n{number}", identity=identity, seeds=seeds, **changes)
                )
            )
        await until(lambda: all(len(network.known_nodes()) == 9 for network, _ in nodes), 15)
        await until(lambda: all(len(recorder.linked) >= 3 for _, recorder in nodes), 15)
        await until(lambda: all(len(recorder.linked) <= 8 for _, recorder in nodes), 15)
        for (_, recorder), identity in zip(nodes[3:], identities[3:], strict=True):
            plain = [info for info in recorder.ups if info.id in recorder.linked and info.id not in validators]
            assert len(plain) <= 5, identity
        assert not any(network.full_mesh for network, _ in nodes)


@pytest.mark.parametrize("size", [20, pytest.param(50, marks=pytest.mark.soak)])
async def test_one_seed_address_is_enough_above_the_mesh_limit_too(consortium, size):
    """All validators, all at once: the seed has room for some; in the end everybody knows everybody, keeps 8 to 12
    links, and what one says can reach all over them."""
    identities = [consortium.identity(f"n{i}") for i in range(size)]
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(running(consortium, "n0", identity=identities[0]))]
        seeds = (nodes[0][0].address,)
        for number, identity in enumerate(identities[1:], 1):
            one = running(consortium, f"n{number}", identity=identity, seeds=seeds)
            nodes.append(await stack.enter_async_context(one))

        def settled():
            known = all(len(network.known_nodes()) == size - 1 for network, _ in nodes)
            return known and all(8 <= len(recorder.linked) <= 12 for _, recorder in nodes)

        await until(settled, 60)
        links = {network.node_id: recorder.linked for network, recorder in nodes}
        reached, edge = {nodes[0][0].node_id}, [nodes[0][0].node_id]
        while edge:
            fresh = links[edge.pop()] - reached
            reached |= fresh
            edge += fresh
        assert len(reached) == size
        assert not any(network.full_mesh for network, _ in nodes)


async def test_a_node_that_is_killed_and_started_again_is_linked_within_two_seconds(consortium, tmp_path):
    identity = consortium.identity("b")
    async with running(consortium, "a") as (a, at_a):
        for life in range(2):
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, p2p_child.__file__, str(tmp_path), "b", a.address),
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            try:
                started = await child.stdout.readline()
                assert started == b"open\n"
                await until(lambda: identity.node_id in at_a.linked, 2.0)
            finally:
                child.send_signal(signal.SIGKILL)
                await child.communicate()
            await until(lambda: not at_a.linked, 2.0)
            assert len(at_a.ups) == len(at_a.downs) == life + 1


async def test_a_stall_of_the_own_loop_is_not_held_against_peers(consortium):
    quick = {"silence_timeout_s": 0.3, "ping_interval_s": 0.1}
    async with (
        running(consortium, "a", **quick) as (a, at_a),
        running(consortium, "b", seeds=(a.address,), **quick) as (b, at_b),
    ):
        await until(lambda: at_a.linked and at_b.linked)
        time.sleep(0.8)
        await asyncio.sleep(0.5)
        assert not at_a.downs
        assert not at_b.downs
        assert not a.refusals()
        assert not b.refusals()
