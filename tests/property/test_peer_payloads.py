"""Whatever bytes a peer sends where p2p reads them itself: a value that encodes to the same bytes, or `PeerFault`."""

import tempfile
from pathlib import Path

import pytest
from certified_chain import CHAIN_ID, CertifiedChain
from hypothesis import given
from hypothesis import strategies as st
from p2p_world import CHAIN, Consortium

from ledger.errors import PeerFault
from p2p.addresses import AddressBook, encode_list, sign_address
from p2p.frames import PeerId
from p2p.gossip import TransactionGossip, batches
from p2p.sync_check import check_range
from p2p.sync_messages import BodiesRequest, RangeRequest, Tip, decode_sync, encode_sync
from p2p.sync_server import SyncServer

PEER = PeerId(bytes(32))


@pytest.fixture(scope="module")
def addresses():
    with tempfile.TemporaryDirectory() as directory:
        consortium = Consortium(Path(directory))
        own, other = consortium.identity("a"), consortium.identity("b")
    known = sign_address(other, CHAIN, ("127.0.0.1", 8700), 5, "b")
    return own, known


def mutated(draw, raw):
    """`raw` with one byte changed, added or removed."""
    place = draw(st.integers(min_value=0, max_value=len(raw) - 1))
    kind = draw(st.sampled_from(["change", "add", "remove", "cut"]))
    byte = bytes([draw(st.integers(min_value=0, max_value=255))])
    if kind == "change":
        return raw[:place] + byte + raw[place + 1 :]
    if kind == "add":
        return raw[:place] + byte + raw[place:]
    return raw[:place] + raw[place + 1 :] if kind == "remove" else raw[:place]


@given(st.data())
def test_address_lists(addresses, data):
    own, known = addresses
    good = encode_list([known])[0]
    payload = data.draw(st.binary(max_size=400)) if data.draw(st.booleans()) else mutated(data.draw, good)
    book = AddressBook(sign_address(own, CHAIN, ("h", 1), 1, "a"), CHAIN, lambda node: True)
    try:
        news = book.learn(payload)
    except PeerFault:
        news = []
    assert [entry.raw for entry in news] == ([known.raw] if payload == good else [])


@given(st.data())
def test_batches_of_transactions(data):
    raws = [(b"", bytes([number]) * 30) for number in range(5)]
    good = batches(raws)[0]
    payload = data.draw(st.binary(max_size=400)) if data.draw(st.booleans()) else mutated(data.draw, good)
    gossip = TransactionGossip(lambda peer, sent: True)
    gossip.peer_up(PEER)
    try:
        received = gossip.receive(PEER, payload)
    except PeerFault:
        received = None
    if payload == good:
        assert received is not None
        assert [raw for _, raw in received] == [raw for _, raw in raws]


CHAIN_OF_SIX = CertifiedChain(6)


def served(request):
    sent = []
    SyncServer(CHAIN_OF_SIX, lambda peer, payload: not sent.append(payload)).on_request(PEER, request)
    return sent[0]


GOOD_RANGE = served(RangeRequest(1, 1, 6))
GOOD_HEADERS = check_range(decode_sync(GOOD_RANGE), CHAIN_OF_SIX.position(0), CHAIN_ID)
GOOD_SYNC = [GOOD_RANGE, served(BodiesRequest(1, 1, 6)), encode_sync(RangeRequest(1, 2, 3)), encode_sync(Tip(9))]


@given(st.data())
def test_sync_messages(data):
    good = data.draw(st.sampled_from(GOOD_SYNC))
    payload = data.draw(st.binary(max_size=300)) if data.draw(st.booleans()) else mutated(data.draw, good)
    try:
        message = decode_sync(payload)
    except PeerFault:
        assert payload not in GOOD_SYNC
    else:
        assert encode_sync(message) == payload


@given(st.data())
def test_a_changed_range_is_refused_or_says_the_same(data):
    payload = mutated(data.draw, GOOD_RANGE)
    try:
        message = decode_sync(payload)
        seen = check_range(message, CHAIN_OF_SIX.position(0), CHAIN_ID) if payload[:1] == b"\x04" else GOOD_HEADERS
    except PeerFault:
        assert payload != GOOD_RANGE
    else:
        assert seen == GOOD_HEADERS
