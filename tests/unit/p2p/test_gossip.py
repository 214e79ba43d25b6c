"""Transactions go to whom lacks them, in batches, once."""

import pytest

from ledger.codec import decode, encode
from ledger.errors import PeerFault
from ledger.objects import transaction_id
from p2p.frames import PeerId
from p2p.gossip import SeenCache, TransactionBatch, TransactionGossip, batches

A, B, C = (PeerId(bytes([number]) * 32) for number in (1, 2, 3))


class Wire:
    def __init__(self):
        self.sent = []
        self.full = set()

    def send(self, peer, payload):
        if peer in self.full:
            return False
        self.sent.append((peer, payload))
        return True

    def to(self, peer):
        return [
            raw for to, payload in self.sent if to == peer for raw in decode(TransactionBatch, payload).transactions
        ]


def transactions(count, size=100, start=0):
    raws = [number.to_bytes(4, "big") * (size // 4) for number in range(start, start + count)]
    return [(transaction_id(raw), raw) for raw in raws]


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def gossip(wire):
    gossip = TransactionGossip(wire.send)
    for peer in (A, B, C):
        gossip.peer_up(peer)
    return gossip


def test_own_transactions_go_to_everybody_once(gossip, wire):
    group = transactions(10)
    assert gossip.offer(group) == 30
    assert gossip.offer(group) == 0
    assert wire.to(A) == wire.to(B) == wire.to(C) == [raw for _, raw in group]
    assert len(wire.sent) == 3


def test_what_a_peer_has_is_not_sent_to_it(gossip, wire):
    group = transactions(4)
    received = gossip.receive(A, batches(group[:2])[0])
    assert received == group[:2]
    assert gossip.offer(group, source=B) == 2 + 4
    assert wire.to(A) == [raw for _, raw in group[2:]]
    assert wire.to(B) == []
    assert wire.to(C) == [raw for _, raw in group]


def test_in_a_full_mesh_only_the_first_node_spreads(wire):
    gossip = TransactionGossip(wire.send, lambda: True)
    gossip.peer_up(A)
    gossip.peer_up(B)
    assert gossip.offer(transactions(3), source=A) == 0
    assert gossip.offer(transactions(3)) == 6


def test_what_is_not_final_is_sent_again(gossip, wire):
    group = transactions(3)
    gossip.offer(group)
    wire.sent.clear()
    assert gossip.again(group) == 9
    assert wire.to(B) == [raw for _, raw in group]
    assert gossip.again(group, [C]) == 3


def test_what_a_full_queue_dropped_is_offered_again_later(gossip, wire):
    group = transactions(3)
    wire.full = {B}
    assert gossip.offer(group) == 6
    wire.full = set()
    assert gossip.offer(group) == 3
    assert wire.to(B) == [raw for _, raw in group]


def test_a_peer_that_returns_has_nothing(gossip, wire):
    group = transactions(2)
    gossip.offer(group)
    gossip.peer_down(A)
    gossip.offer(transactions(2, start=9))
    gossip.peer_up(A)
    wire.sent.clear()
    assert gossip.offer(group) == 2
    assert wire.to(A) == [raw for _, raw in group]


def test_batches_are_bounded_in_count_and_bytes():
    small, large = transactions(1300, 8), transactions(9, 100_000)
    assert [len(decode(TransactionBatch, payload).transactions) for payload in batches(small)] == [512, 512, 276]
    payloads = batches(large)
    assert [len(decode(TransactionBatch, payload).transactions) for payload in payloads] == [2, 2, 2, 2, 1]
    assert all(len(payload) <= 256 * 1024 + 100 for payload in payloads)
    assert batches([]) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x91\x90",
        b"\x90",
        b"\xc1" * 40,
        encode(TransactionBatch((b"",))),
        encode(TransactionBatch((bytes(128 * 1024 + 1),))),
        encode(TransactionBatch(tuple(bytes([1]) for _ in range(1025)))),
        encode(TransactionBatch((b"a",))) + b"\x00",
        b"\x91\x91\xc5\x00\x01a",
    ],
)
def test_malformed_batches_are_faults(gossip, payload):
    with pytest.raises(PeerFault) as refused:
        gossip.receive(A, payload)
    assert refused.value.code == "MALFORMED_BATCH"


def test_twice_in_a_batch_counts_once(gossip):
    ((id, raw),) = transactions(1)
    assert gossip.receive(A, encode(TransactionBatch((raw, raw)))) == [(id, raw)]


def test_memory_of_ids_is_bounded_and_the_last_ones_are_kept():
    cache = SeenCache(100)
    ids = [id for id, _ in transactions(1000, 8)]
    for id in ids:
        cache.add(id)
        assert id in cache
        assert len(cache) <= 200
    assert all(id in cache for id in ids[-100:])
    assert ids[0] not in cache
