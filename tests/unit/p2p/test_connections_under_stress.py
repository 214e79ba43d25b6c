"""What connections do when peers are slow, dead, rude, or many."""

import asyncio
import os
import random
from contextlib import suppress

import pytest
from p2p_world import running, until

from ledger.errors import DecodeError, PeerFault
from p2p.addresses import parse_address
from p2p.dialer import DialPolicy, Goal
from p2p.frames import Channel
from p2p.limits import Rate, TrafficLimits
from p2p.outbox import LaneLimits

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


def link_of(network, peer):
    return network._connections.peers[peer].link


async def linked_pair(a, at_a, b, at_b):
    await until(lambda: at_a.linked and at_b.linked)


async def test_votes_overtake_queued_transactions(consortium):
    wide = LaneLimits(bytes_per_lane=(8 * MIB, 32 * MIB, 256 * MIB))
    quick = TrafficLimits({channel: Rate(1e9, 1e9, 1e12, 1e12) for channel in Channel})
    async with (
        running(consortium, "a", lanes=wide) as (a, at_a),
        running(consortium, "b", seeds=(a.address,), traffic=quick) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        link_of(b, a.node_id).pause_reading()
        for number in range(240):
            assert a.send(b.node_id, Channel.TRANSACTIONS, number.to_bytes(4, "big") * 65_536)
        await asyncio.sleep(0.2)
        assert a.send(b.node_id, Channel.BLOCKS, b"block")
        assert a.send(b.node_id, Channel.VOTES, b"vote")
        link_of(b, a.node_id).resume_reading()
        await until(lambda: len(at_b.frames) == 242, 20)
        channels = [channel for _, channel, _ in at_b.frames]
        vote, block = channels.index(Channel.VOTES), channels.index(Channel.BLOCKS)
        assert vote < block < 150
        numbers = [payload[:4] for _, channel, payload in at_b.frames if channel is Channel.TRANSACTIONS]
        assert numbers == sorted(numbers)


async def test_a_peer_too_slow_for_votes_is_disconnected_and_told(consortium):
    narrow = LaneLimits(bytes_per_lane=(2 * MIB, 2 * MIB, 2 * MIB))
    async with (
        running(consortium, "a", lanes=narrow) as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        link_of(b, a.node_id).pause_reading()
        sent = [a.send(b.node_id, Channel.VOTES, bytes(MIB))]
        while sent[-1] and len(sent) < 64:
            await asyncio.sleep(0.005)
            sent.append(a.send(b.node_id, Channel.VOTES, bytes(MIB)))
        assert sent[-1] is False
        await until(lambda: at_a.downs)
        assert a.refusal_counts()["SLOW_PEER"] == 1
        assert "SLOW_PEER" in at_a.downs[0][1]
        assert a.refusals()[-1].expected
        assert a.refusals()[-1].found


@pytest.mark.parametrize("channel", [Channel.TRANSACTIONS, Channel.SYNC])
async def test_a_full_lane_drops_the_newest_and_keeps_the_peer(consortium, channel):
    narrow = LaneLimits(bytes_per_lane=(2 * MIB, 2 * MIB, 2 * MIB))
    async with (
        running(consortium, "a", lanes=narrow) as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        link_of(b, a.node_id).pause_reading()
        sent = [a.send(b.node_id, channel, bytes(MIB))]
        while sent[-1] and len(sent) < 64:
            await asyncio.sleep(0.005)
            sent.append(a.send(b.node_id, channel, bytes(MIB)))
        assert sent[-1] is False
        assert a.statistics().dropped == 1
        assert a.peers()[0].dropped == 1
        link_of(b, a.node_id).resume_reading()
        await until(lambda: len(at_b.frames) == len(sent) - 1)
        assert at_a.linked


async def test_frames_of_one_turn_are_one_write(consortium):
    async with (
        running(consortium, "a", ping_interval_s=60) as (a, at_a),
        running(consortium, "b", seeds=(a.address,), ping_interval_s=60) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        await asyncio.sleep(0.1)
        before = link_of(a, b.node_id).writes
        for number in range(200):
            a.send(b.node_id, Channel.VOTES, number.to_bytes(4, "big") * 40)
        await until(lambda: len(at_b.frames) == 200)
        assert link_of(a, b.node_id).writes == before + 1
        assert [payload[:4] for _, _, payload in at_b.frames] == [n.to_bytes(4, "big") for n in range(200)]


async def test_a_flood_costs_the_connection_and_gossip_above_the_limit_is_dropped(consortium):
    tight = TrafficLimits({channel: Rate(10, 50, 1e12, 1e12) for channel in Channel})
    async with (
        running(consortium, "a", traffic=tight) as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        for _ in range(100):
            b.send(a.node_id, Channel.TRANSACTIONS, b"t")
        await until(lambda: a.statistics().throttled >= 45)
        assert 50 <= len(at_a.frames) <= 55
        assert at_a.linked
        for _ in range(100):
            b.send(a.node_id, Channel.VOTES, b"v")
        await until(lambda: a.refusal_counts().get("FLOOD") and b.refusal_counts().get("FLOOD"))
        await until(lambda: at_b.downs)
        refusals = {refusal.code: refusal for refusal in b.refusals()}
        assert refusals["FLOOD"].by_peer
        assert "VOTES" in refusals["FLOOD"].expected


async def test_what_the_handler_refuses_bans_the_peer_for_a_while_on_both_sides(consortium):
    async with (
        running(consortium, "a", ban_s=0.6) as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        at_a.refuse = DecodeError("no vote", expected="a vote", found="noise")
        b.send(a.node_id, Channel.VOTES, b"noise")
        await until(lambda: at_b.downs and at_a.downs)
        await until(lambda: b.refusal_counts().get("BANNED"))
        at_a.refuse = None
        await until(lambda: at_a.linked and at_b.linked, what="back after the ban")
        by_code = {refusal.code: refusal for refusal in b.refusals()}
        assert by_code["MALFORMED"].by_peer
        assert (by_code["MALFORMED"].expected, by_code["MALFORMED"].found) == ("a vote", "noise")
        assert a.refusal_counts()["MALFORMED"] == 1


async def test_disconnect_by_the_node_is_reported_to_the_peer(consortium):
    async with (
        running(consortium, "a") as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        a.disconnect(b.node_id, PeerFault("a bad block", code="BAD_BLOCK", expected="x", found="y"))
        assert a.peer_ids() == []
        assert not a.send(b.node_id, Channel.VOTES, b"v")
        await until(lambda: b.refusal_counts().get("BAD_BLOCK"))
        await until(lambda: "BAD_BLOCK" in at_b.downs[0][1])


async def test_own_faults_in_the_handler_end_the_scope(consortium):
    class OwnFaultError(Exception):
        pass

    async def run():
        async with (
            running(consortium, "b") as (b, _),
            running(consortium, "a", seeds=(b.address,)) as (a, at_a),
        ):
            await until(lambda: at_a.linked)
            at_a.refuse = OwnFaultError("a bug")
            b.send(a.node_id, Channel.VOTES, b"v")
            await asyncio.sleep(5)

    with pytest.raises(BaseExceptionGroup) as raised:
        await run()
    assert raised.group_contains(OwnFaultError, depth=None)


async def test_the_callers_own_error_leaves_the_scope_as_it_is(consortium):
    with pytest.raises(KeyError):
        async with running(consortium, "a"):
            raise KeyError("the caller's")


async def test_a_restarted_node_is_linked_again_within_two_seconds(consortium):
    identity = consortium.identity("b")
    async with running(consortium, "a") as (a, at_a):
        async with running(consortium, "b", identity=identity, seeds=(a.address,)) as (b, _):
            await until(lambda: at_a.linked)
            port = int(b.address.split(":")[1])
        await until(lambda: not at_a.linked)
        async with running(consortium, "b", identity=identity, listen_port=port) as (b, at_b):
            await until(lambda: at_a.linked and at_b.linked, 2.0, "a dials b again from its address book")
        assert len(at_a.ups) == 2


async def test_a_node_that_moves_is_found_at_its_new_address(consortium):
    identity = consortium.identity("b")
    async with running(consortium, "a") as (a, _), running(consortium, "c", seeds=(a.address,)) as (c, at_c):
        async with running(consortium, "b", identity=identity, seeds=(a.address,)):
            await until(lambda: len(at_c.linked) == 2)
        await until(lambda: len(at_c.linked) == 1)
        async with running(consortium, "b", identity=identity, seeds=(a.address,)) as (b, at_b):
            await until(lambda: len(at_b.linked) == 2)
            await until(lambda: b.address in [place for _, _, place in c.known_nodes()])


async def test_the_address_book_alone_finds_the_network_again(consortium):
    async with running(consortium, "a") as (a, _):
        async with running(consortium, "b", seeds=(a.address,)) as (b, _):
            await until(b.known_addresses)
            stored = b.known_addresses()
        async with running(consortium, "b", known_addresses=tuple(stored)) as (_, at_b):
            await until(lambda: at_b.linked)


async def test_a_silent_peer_is_given_up(consortium):
    async with (
        running(consortium, "a", silence_timeout_s=0.5, ping_interval_s=0.1) as (a, at_a),
        running(consortium, "b", seeds=(a.address,), ping_interval_s=60) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        link_of(b, a.node_id).pause_reading()
        await until(lambda: a.refusal_counts().get("SILENT_PEER"))
        await until(lambda: at_a.downs)
        assert "SILENT_PEER" in at_a.downs[0][1]


async def test_latency_and_byte_counts_are_shown(consortium):
    async with (
        running(consortium, "a") as (a, at_a),
        running(consortium, "b", seeds=(a.address,)) as (b, at_b),
    ):
        await linked_pair(a, at_a, b, at_b)
        a.send(b.node_id, Channel.BLOCKS, bytes(100_000))
        await until(lambda: at_b.frames and a.peers()[0].latency_ms is not None)
        assert 0 < a.peers()[0].latency_ms < 1000
        assert a.peers()[0].bytes_out > 100_000
        assert b.peers()[0].bytes_in > 100_000
        statistics = b.statistics()
        assert statistics.connects == 1
        assert statistics.frames_in >= 2
        assert statistics.bytes_in > 100_000


async def dial(network, other):
    host, port = parse_address(other.address)
    return await network._dial(Goal(host, port, None, 0.0, 0.05))


@pytest.mark.parametrize("lead", [-0.05, -0.002, 0.0, 0.002, 0.05])
async def test_crossed_dialing_ends_in_one_connection_each(consortium, lead):
    """Both dial each other at once, one a little before the other: both keep the connection of the smaller id."""
    no_learning = DialPolicy(courtesy_s=60)
    async with (
        running(consortium, "a", dial=no_learning) as (a, at_a),
        running(consortium, "b", dial=no_learning) as (b, at_b),
    ):

        async def later(first, second, delay):
            await asyncio.sleep(max(0.0, delay))
            await dial(first, second)

        await asyncio.gather(later(a, b, lead), later(b, a, -lead))
        await until(lambda: len(a._connections.links) == len(b._connections.links) == 1)
        await until(lambda: at_a.linked and at_b.linked)
        a.send(b.node_id, Channel.VOTES, b"v")
        b.send(a.node_id, Channel.VOTES, b"v")
        await until(lambda: at_a.frames and at_b.frames)
        assert not a.refusals()
        assert not b.refusals()
        smaller = a if a.node_id < b.node_id else b
        assert smaller.peers()[0].outbound
        assert len(a._connections.links) == len(b._connections.links) == 1


async def test_a_thousand_rude_callers_leave_no_task_and_no_descriptor(consortium):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)

    async def rude(host, port):
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return
        try:
            kind = rng.randrange(4)
            if kind:
                writer.write(rng.randbytes(rng.choice([1, 5, 50, 5000, 60_000])))
            if kind == 1:
                await asyncio.wait_for(reader.read(100), 1)
            if kind == 2:
                writer.transport.abort()
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async with running(consortium, "a", handshake_timeout_s=0.5) as (a, at_a):
        host, port = a.address.split(":")
        await asyncio.sleep(0.05)
        tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            async with asyncio.TaskGroup() as group:
                for _ in range(50):
                    group.create_task(rude(host, port))
        await until(lambda: len(asyncio.all_tasks()) <= tasks, 10, "tasks end")
        await until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors, 10, "descriptors are closed")
        assert sum(a.refusal_counts().values()) >= 900
        assert not a._connections.links
        assert not a._shaking
        assert not at_a.ups
        async with running(consortium, "b", seeds=(a.address,)) as (_, at_b):
            await until(lambda: at_b.linked)
