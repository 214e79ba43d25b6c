"""Catching up with honest, lying, shrinking and stalling peers. No sockets but in the last test."""

import asyncio
from collections import Counter

import msgspec
import pytest
from certified_chain import CHAIN_ID, CertifiedChain, Committee
from p2p_world import Recorder, running, until

from ledger.certificates import VoteKind
from ledger.errors import PeerFault
from ledger.merkle import merkle_root
from p2p.dialer import Goal
from p2p.frames import LIMITS, Channel, PeerId
from p2p.sync import Sync, SyncClient, SyncSettings
from p2p.sync_check import check_body, check_range
from p2p.sync_messages import BodiesRequest, BodiesResponse, RangeRequest, RangeResponse, Tip, decode_sync, encode_sync
from p2p.sync_server import SyncServer

pytestmark = pytest.mark.asyncio

PATIENT = SyncSettings(range_headers=16, body_batch=4, deadline_s=10, rest_s=0.05)
QUICK = SyncSettings(range_headers=16, body_batch=4, deadline_s=0.4, rest_s=0.05)


async def turns(count=6):
    """Let questions and answers that are on their way arrive."""
    for _ in range(count):
        await asyncio.sleep(0)


class World:
    """A client that is behind, and peers that answer through the loop, each with its own way of spoiling answers."""

    def __init__(self, chain: CertifiedChain, settings: SyncSettings = PATIENT) -> None:
        self.chain = chain
        self.height = 0
        self.got: list[tuple[bytes, bytes]] = []
        self.faults: dict[PeerId, PeerFault] = {}
        self.asked: Counter = Counter()
        self.servers: dict[PeerId, SyncServer] = {}
        self.spoils: dict[PeerId, object] = {}
        self.client = SyncClient(CHAIN_ID, self.ask, self.fault, settings)

    def add(self, number, source=None, spoil=lambda message: message) -> PeerId:
        peer = PeerId(bytes([number]) * 32)
        self.spoils[peer] = spoil
        self.servers[peer] = SyncServer(source or self.chain, self.answer)
        self.client.peer_up(peer)
        return peer

    def ask(self, peer, payload):
        if peer not in self.servers:
            return False
        request = decode_sync(payload)
        self.asked[peer, type(request).__name__] += 1
        asyncio.get_running_loop().call_soon(self.servers[peer].on_request, peer, request)
        return True

    def answer(self, peer, payload):
        message = self.spoils[peer](decode_sync(payload))
        if message is not None:
            raw = encode_sync(message)
            assert len(raw) <= LIMITS[Channel.SYNC]
            asyncio.get_running_loop().call_soon(self.client.on_response, peer, decode_sync(raw))
        return True

    def fault(self, peer, fault):
        self.faults[peer] = fault
        self.client.peer_down(peer)

    async def follow(self):
        await turns()
        async with asyncio.timeout(20):
            async for segment in self.client.segments(lambda: self.chain.position(self.height)):
                assert segment.blocks[0].header.height == self.height + 1
                for block in segment.blocks:
                    self.got.append((block.header_bytes, block.body_bytes))
                self.height = segment.blocks[-1].header.height
        return self.height

    def whole(self, height):
        chain = self.chain
        assert self.got == [(chain.headers[h], chain.bodies[h]) for h in range(1, height + 1)]


async def test_an_honest_peer_brings_everything_in_few_requests():
    world = World(CertifiedChain(100))
    peer = world.add(1)
    assert await world.follow() == 100
    world.whole(100)
    assert world.faults == {}
    assert world.asked[peer, "RangeRequest"] <= 8


@pytest.mark.parametrize("epoch_length", [1, 2, 7, 10])
async def test_epochs_change_committees_and_boundaries_may_be_proved_by_closing_blocks(epoch_length):
    world = World(CertifiedChain(45, epoch_length=epoch_length))
    world.add(1)
    assert await world.follow() == 45
    world.whole(45)
    assert world.faults == {}


async def test_bodies_come_from_several_peers():
    world = World(CertifiedChain(60))
    peers = [world.add(number) for number in (1, 2, 3)]
    assert await world.follow() == 60
    world.whole(60)
    assert all(world.asked[peer, "BodiesRequest"] for peer in peers)


async def test_large_bodies_make_short_segments():
    chain = CertifiedChain(24, size=30_000)
    world = World(chain, SyncSettings(range_headers=24, segment_bytes=200_000, deadline_s=2))
    sizes = []
    world.add(1)
    await turns()
    async for segment in world.client.segments(lambda: chain.position(world.height)):
        sizes.append(sum(len(block.body_bytes) for block in segment.blocks))
        world.height = segment.blocks[-1].header.height
    assert world.height == 24
    assert max(sizes) <= 500_000
    assert len(sizes) > 4


async def test_a_body_above_one_answer_comes_in_several():
    world = World(CertifiedChain(6, size=700_000), SyncSettings(deadline_s=5))
    peer = world.add(1)
    assert await world.follow() == 6
    world.whole(6)
    assert world.asked[peer, "BodiesRequest"] >= 3


def replace(message, **change):
    return msgspec.structs.replace(message, **change)


def in_range(change):
    """Spoil only answers to range requests that hold headers."""

    def spoil(message):
        return change(message) if isinstance(message, RangeResponse) and message.headers else message

    return spoil


def in_bodies(change):
    def spoil(message):
        return change(message) if isinstance(message, BodiesResponse) and message.bodies else message

    return spoil


OTHER = CertifiedChain(40, seed=9)
STRANGERS = Committee(4, seed=77)


def flip(raw, place=-1):
    return raw[:place] + bytes([raw[place] ^ 1]) + (raw[place:][1:] if place != -1 else b"")


def forged(message):
    """A finalization of the right block by keys that are not the committee's."""
    certificate = message.finalization
    return replace(message, finalization=STRANGERS.certify(0, certificate.view, certificate.block_hash))


LIES = {
    "no finalization": in_range(lambda m: replace(m, finalization=None)),
    "a forged finalization": in_range(forged),
    "a notarization instead": in_range(
        lambda m: replace(m, finalization=msgspec.structs.replace(m.finalization, kind=VoteKind.NOTARIZE))
    ),
    "a finalization of another block": in_range(lambda m: replace(m, finalization=OTHER.proofs[3][0])),
    "one header less": in_range(lambda m: replace(m, headers=m.headers[:-1]) if len(m.headers) > 1 else m),
    "a missing header": in_range(lambda m: replace(m, headers=m.headers[1:]) if len(m.headers) > 1 else m),
    "a changed header": in_range(lambda m: replace(m, headers=(flip(m.headers[0], 60), *m.headers[1:]))),
    "noise as header": in_range(lambda m: replace(m, headers=(b"noise", *m.headers[1:]))),
    "another chain": in_range(lambda m: replace(m, headers=tuple(OTHER.headers[h] for h in range(1, 4)))),
    "a surplus closing block": in_range(lambda m: replace(m, closing=(m.headers[-1],))),
    "a changed body": in_bodies(lambda m: replace(m, bodies=(*m.bodies[:-1], flip(m.bodies[-1])))),
    "bodies of other heights": in_bodies(lambda m: replace(m, bodies=tuple(reversed(m.bodies)))),
    "a shorter body": in_bodies(lambda m: replace(m, bodies=(m.bodies[0][:-1], *m.bodies[1:]))),
    "an answer of another kind": in_range(lambda m: BodiesResponse(m.number, ())),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_lying_peer_is_found_out_and_an_honest_one_serves(lie):
    world = World(CertifiedChain(40))
    liar = world.add(1, spoil=lie)
    honest = world.add(2)
    assert await world.follow() == 40
    world.whole(40)
    assert honest not in world.faults
    assert world.faults[liar].code == "BAD_SYNC"


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_with_liars_only_nothing_is_believed(lie):
    world = World(CertifiedChain(40))
    for number in (1, 2):
        world.add(number, spoil=lie)
    await world.follow()
    world.whole(world.height)
    assert len(world.faults) == 2


async def test_when_all_lie_but_one_its_chain_is_taken():
    world = World(CertifiedChain(40))
    liars = [world.add(number, spoil=lie) for number, lie in enumerate(LIES.values(), 1)]
    honest = world.add(99)
    assert await world.follow() == 40
    world.whole(40)
    assert honest not in world.faults
    assert set(world.faults) <= set(liars)


async def test_surplus_bodies_are_ignored():
    world = World(CertifiedChain(12))
    world.add(1, spoil=in_bodies(lambda m: replace(m, bodies=(*m.bodies, b"surplus"))))
    assert await world.follow() == 12
    world.whole(12)


async def test_a_peer_that_claims_more_than_it_has_lowers_the_target():
    world = World(CertifiedChain(30))
    boaster = world.add(1, spoil=lambda m: replace(m, height=10**9) if isinstance(m, Tip) else m)
    await turns()
    assert world.client.target() == 10**9
    assert await world.follow() == 30
    world.whole(30)
    assert world.client.target() == 30
    assert world.faults == {}
    assert world.asked[boaster, "RangeRequest"] <= 5


async def test_a_peer_that_shrinks_lowers_the_target():
    short = CertifiedChain(60)
    short.shown = 12
    world = World(CertifiedChain(60))
    peer = world.add(1, source=short)
    world.client.hint(peer, 60)
    assert world.client.target() == 60
    assert await world.follow() == 12
    assert world.client.target() == 12


async def test_a_peer_without_old_blocks_is_left_for_one_that_has_them():
    pruned = CertifiedChain(30)
    for height in range(1, 20):
        del pruned.headers[height], pruned.bodies[height]
    world = World(CertifiedChain(30))
    world.add(1, source=pruned)
    world.add(2)
    assert await world.follow() == 30
    world.whole(30)
    assert world.faults == {}


async def test_a_stalling_peer_is_left_alone_and_the_rest_goes_on():
    world = World(CertifiedChain(50), QUICK)
    staller = world.add(1, spoil=lambda m: m if isinstance(m, Tip) else None)
    world.add(2)
    assert await world.follow() == 50
    world.whole(50)
    assert 1 <= world.asked[staller, "RangeRequest"] + world.asked[staller, "BodiesRequest"] <= 6
    assert world.faults == {}


async def test_with_stallers_only_following_ends():
    world = World(CertifiedChain(50), QUICK)
    world.add(1, spoil=lambda m: m if isinstance(m, Tip) else None)
    assert await world.follow() == 0
    assert world.client.target() == 0


async def test_a_resting_peer_that_claims_its_height_again_is_asked_again():
    silent = True
    world = World(CertifiedChain(20), QUICK)
    peer = world.add(1, spoil=lambda m: None if silent and not isinstance(m, Tip) else m)
    assert await world.follow() == 0
    silent = False
    world.client.hint(peer, 20)
    assert await world.follow() == 20


async def test_a_peer_that_leaves_while_asked_ends_the_wait_at_once():
    world = World(CertifiedChain(20), SyncSettings(deadline_s=30))
    peer = world.add(1, spoil=lambda m: m if isinstance(m, Tip) else None)
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, world.client.peer_down, peer)
    started = loop.time()
    assert await world.follow() == 0
    assert loop.time() - started < 5


async def test_answers_that_nobody_waits_for_are_ignored():
    world = World(CertifiedChain(5))
    world.client.on_response(PeerId(bytes(32)), BodiesResponse(99, (b"x",)))
    world.client.on_response(PeerId(bytes(32)), Tip(7))
    assert world.client.target() == 0


def answer_of(chain, request):
    sent = []
    SyncServer(chain, lambda peer, payload: bool(sent.append(decode_sync(payload))) or True).on_request(
        PeerId(bytes(32)), request
    )
    return sent[0]


async def test_the_server_serves_what_can_be_proved_and_nothing_else():
    chain = CertifiedChain(100, epoch_length=40)
    for first, limit in ((0, 5), (101, 5), (2**63, 1)):
        assert answer_of(chain, RangeRequest(1, first, limit)) == RangeResponse(1, 100, (), (), None)
    for first, limit, last in ((1, 1, 3), (1, 0, 3), (4, 2, 6), (1, 10**9, 40), (41, 400, 80), (95, 400, 100)):
        answer = answer_of(chain, RangeRequest(1, first, limit))
        assert len(answer.headers) == last - first + 1
        assert check_range(answer, chain.position(first - 1), CHAIN_ID).headers[-1].height == last
    assert answer_of(chain, BodiesRequest(1, 101, 5)).bodies == ()
    assert len(answer_of(chain, BodiesRequest(1, 98, 2**60)).bodies) == 3


async def test_every_changed_byte_of_a_range_or_a_body_is_refused():
    """Each byte of a small answer, changed: decoding or checking refuses it, or it says the same blocks."""
    chain = CertifiedChain(3)
    raw = encode_sync(answer_of(chain, RangeRequest(1, 1, 3)))
    good = check_range(decode_sync(raw), chain.position(0), CHAIN_ID)
    refused = 0
    for place in range(1, len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :]
        try:
            seen = check_range(decode_sync(changed), chain.position(0), CHAIN_ID)
        except PeerFault:
            refused += 1
        else:
            assert seen == good
    assert refused >= len(raw) - 12
    body = chain.bodies[3]
    for place in range(len(body)):
        changed = body[:place] + bytes([body[place] ^ 0x01]) + body[place + 1 :]
        with pytest.raises(PeerFault):
            check_body(good, 2, changed, merkle_root)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x09\x90", b"\x02\x91", b"\x02\x91\xcd\x00\x01", b"\x04\x90"])
async def test_malformed_sync_messages_are_faults(payload):
    with pytest.raises(PeerFault) as refused:
        decode_sync(payload)
    assert refused.value.code == "MALFORMED_SYNC"


class SyncingHandler(Recorder):
    """What a node does with SYNC frames and news of peers."""

    def __init__(self):
        super().__init__()
        self.sync = None

    def on_frame(self, peer, channel, payload):
        assert channel is Channel.SYNC
        self.sync.on_frame(peer, payload)

    def on_peer_up(self, peer, info):
        super().on_peer_up(peer, info)
        self.sync.client.peer_up(peer)

    def on_peer_down(self, peer, reason):
        super().on_peer_down(peer, reason)
        self.sync.client.peer_down(peer)


async def test_over_real_connections_a_liar_is_banned_and_the_honest_serve(consortium):
    chain, empty = CertifiedChain(80, epoch_length=25), CertifiedChain(0)

    class Damaged(CertifiedChain):
        def body_bytes(self, height):
            return super().body_bytes(height) + b"!"

    def syncing(network, recorder, source):
        def send(peer, payload):
            return network.send(peer, Channel.SYNC, payload)

        recorder.sync = Sync(SyncServer(source, send), SyncClient(CHAIN_ID, send, network.disconnect))

    handlers = [SyncingHandler() for _ in range(3)]
    async with (
        running(consortium, "honest", handler=handlers[0]) as (honest, _),
        running(consortium, "liar", handler=handlers[1]) as (liar, _),
        running(consortium, "late", handler=handlers[2]) as (late, at_late),
    ):
        syncing(honest, handlers[0], chain)
        syncing(liar, handlers[1], Damaged(80, epoch_length=25))
        syncing(late, handlers[2], empty)
        for other in (honest, liar):
            host, port = other.address.split(":")
            late._dialer._seeds.append(goal(host, int(port)))
        late._dialer.poke()
        await until(lambda: handlers[2].sync.client.target() == 80 and len(at_late.linked) == 2)
        heights = [0]
        async for segment in handlers[2].sync.client.segments(lambda: chain.position(heights[-1])):
            assert [b.hash for b in segment.blocks] == [chain.hashes[b.header.height] for b in segment.blocks]
            heights.append(segment.blocks[-1].header.height)
        assert heights[-1] == 80
        await until(lambda: liar.refusal_counts().get("BAD_SYNC"))
        assert late.refusal_counts()["BAD_SYNC"] == 1
        assert honest.refusal_counts().get("BAD_SYNC") is None


def goal(host, port):
    return Goal(host, port, None, 0.0, 0.05)
