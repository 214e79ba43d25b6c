"""Any bytes to every decoder and to an engine: a value with exactly those bytes, or a refusal; never anything else.

Inputs are damaged samples of each type, and noise, from a seed that a failure tells. 10,000 a type in CI, 1,000,000 in
the soak runs.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial

import pytest
from certified_chain import CHAIN_ID, CertifiedChain
from wire_samples import Sampler, wire_types

from consensus.engine import Millis, PeerId, Received
from consensus.messages import Message, decode_message, encode_message
from consensus.simulator.probe import Probe, block_of
from contracts.values import decode_value, encode_value
from ledger.certificates import VoteKind
from ledger.codec import Wire, decode, encode
from ledger.crypto import ZERO_HASH
from ledger.errors import DecodeError, GridchainError
from ledger.genesis import parse_genesis
from ledger.objects import Header, TransactionEnvelope, decode_header, decode_transaction
from ledger.proofs import decode_proof
from node.api.parameters import parse_hex, parse_where
from node.api.stored import decode_stored_block
from node.api.transactions import _from_json
from node.api.wire import (
    Answer,
    decode_answers,
    decode_batch,
    decode_block_receipts,
    encode_answers,
    encode_batch,
    parse_cursor,
)
from node.client_errors import Refusal
from node.client_streams import _line
from node.wal_format import (
    Entry,
    RecordKind,
    WalIdentity,
    decode_block,
    frames,
    read_frame,
    read_segment_header,
    segment_header,
)
from p2p.frames import Channel, FrameDecoder, encode_frame
from p2p.gossip import TransactionGossip, batches
from p2p.hello import Ping, decode_control, encode_control
from p2p.snapshot_messages import SectorRequest, SnapshotRequest, StatesRequest, TopRequest
from p2p.snapshot_server import SnapshotServer
from p2p.sync_check import check_range
from p2p.sync_messages import BodiesRequest, RangeRequest, SyncRequest, Tip, decode_sync, encode_sync
from p2p.sync_server import SyncServer

SIZES = [10_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(7_200)])]
SEED = int(time.time())
HOSTILE = (
    b"\xdd\xff\xff\xff\xff",  # an array of 2**32 - 1
    b"\xc6\xff\xff\xff\xff",  # so many bytes
    b"\xdb\x7f\xff\xff\xff",  # a text of 2**31 - 1
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # 2**64 - 1
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",  # -2**63
    b"\xcc\x01",  # 1, one byte too long
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # not a number
    b"\xc7\x08\xff\x00\x00\x00\x00\x00\x00\x00\x00",  # an extension
    b"\xc0",
    b"\xc1",
    b"\x80",
    b"\x91" * 200,
    b"[" * 200,
    b'{"":' * 50,
    b"\xa1\xff",  # text that is no UTF-8
)


def damaged(chance: random.Random, good: bytes) -> bytes:
    """A sample with one thing wrong, or noise."""
    raw = bytearray(good)
    kind, draw = chance.random(), chance.random
    at = int(draw() * len(raw)) if raw else 0
    if kind < 0.05 or not raw:
        return chance.randbytes(int(draw() * 80))
    if kind < 0.35:
        raw[at] = int(draw() * 256)
    elif kind < 0.5:
        raw[at] ^= 1 << int(draw() * 8)
    elif kind < 0.6:
        del raw[at]
    elif kind < 0.7:
        raw.insert(at, int(draw() * 256))
    elif kind < 0.78:
        del raw[at:]
    elif kind < 0.86:
        raw[at:at] = raw[at : at + int(draw() * 12)]
    else:
        raw[at : at + 1] = HOSTILE[int(draw() * len(HOSTILE))]
    return bytes(raw)


class Inputs:
    """Damaged samples; an exception that leaves the block says seed and bytes."""

    def __init__(self, name: str, samples: list[bytes], count: int) -> None:
        self.name, self.samples, self.count = name, samples, count
        self.now = b""

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"fuzzed: {self.name}, seed {SEED}, bytes {self.now.hex()}")

    def __iter__(self):
        chance = random.Random(f"{SEED} {self.name}")
        for number in range(self.count):
            self.now = damaged(chance, self.samples[number % len(self.samples)])
            yield self.now


KINDS = wire_types()


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("name", KINDS)
def test_every_wire_type(name: str, count: int) -> None:
    kind: type[Wire] = KINDS[name]
    refused = 0
    with Inputs(name, [encode(Sampler().of(kind))], count) as inputs:
        for raw in inputs:
            try:
                value = decode(kind, raw)
            except DecodeError:
                refused += 1
            else:
                assert encode(value) == raw
    assert refused > 0


CHAIN = CertifiedChain(4)
PEER = PeerId(bytes(32))
SALT = b"s" * 16


def served(request) -> bytes:
    sent: list[bytes] = []
    SyncServer(CHAIN, lambda peer, payload: not sent.append(payload)).on_request(PEER, request)
    return sent[0]


class States:
    """One state of one sector, at height 7."""

    def boundary(self, epoch: int) -> None:
        return None

    def states(self) -> tuple[int, ...]:
        return (7,)

    def top(self, height: int) -> bytes | None:
        return bytes(512) if height == 7 else None

    def sector(
        self, height: int, sector: int, skip: int, most_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], bool] | None:
        return ([(b"key", b"value")][skip:], False) if (height, sector) == (7, 0) else None


def sync(payload: bytes) -> None:
    """What a peer asks and answers: served, or checked against the chain."""
    message = decode_sync(payload)
    if type(message).__name__ == "RangeResponse":
        check_range(message, CHAIN.position(0), CHAIN_ID)
    elif isinstance(message, SyncRequest):
        SyncServer(CHAIN, lambda peer, sent: True).on_request(PEER, message)
    elif isinstance(message, SnapshotRequest):
        encode_sync(SnapshotServer(States()).answer(message))


def gossip(payload: bytes) -> None:
    book = TransactionGossip(lambda peer, sent: True)
    book.peer_up(PEER)
    book.receive(PEER, payload)


def text_of(work, raw: bytes) -> object:
    """For decoders of text; what is no UTF-8 never gets there."""
    return work(raw.decode("utf-8", "replace"))


def sample(kind: type[Wire]) -> bytes:
    return encode(Sampler().of(kind))


DECODERS = {
    "transaction": (decode_transaction, [sample(TransactionEnvelope)]),
    "header": (decode_header, [sample(Header)]),
    "proof": (decode_proof, [sample(KINDS["ledger.proofs.SettlementProof"])]),
    "value": (decode_value, [encode_value({"a": [1, -5, b"x", "y", True, None], "b": {1: (2, 3)}})]),
    "sync": (
        sync,
        [
            served(RangeRequest(1, 1, 3)),
            served(BodiesRequest(1, 1, 3)),
            encode_sync(RangeRequest(1, 2, 3)),
            encode_sync(Tip(9)),
            encode_sync(StatesRequest(1)),
            encode_sync(TopRequest(1, 7)),
            encode_sync(SectorRequest(1, 7, 0, 0)),
        ],
    ),
    "gossip": (gossip, batches([(b"", bytes([number]) * 30) for number in range(3)])),
    "control": (decode_control, [encode_control(Sampler().of(KINDS["p2p.hello.Hello"])), encode_control(Ping(1))]),
    "frames": (
        lambda raw: FrameDecoder().feed(raw),
        [b"".join(encode_frame(channel, b"payload") for channel in Channel)],
    ),
    "log frame": (
        lambda raw: read_frame(raw, 0, SALT),
        [frames([Entry(RecordKind.FLOOR, 1, 2, b"")], 1, SALT)],
    ),
    "log header": (read_segment_header, [segment_header(1, SALT, WalIdentity("dev", b"k" * 32))]),
    "log block": (decode_block, [encode([b"h" * 32, b"header", b"body"])]),
    "batch": (decode_batch, [encode_batch([b"one", b"two"])]),
    "answer to a batch": (
        decode_answers,
        [encode_answers([Answer("aa", True), Answer(None, False, "X", "y", "z", "f")])],
    ),
    "batch as JSON": (_from_json, [b'{"transactions":["0x0102","0x03"]}']),
    "line of a stream": (partial(text_of, _line), [b'{"cursor":"1:2","data":{"x":[1,"2"]}}']),
    "problem": (lambda raw: Refusal.from_problem(400, raw), [b'{"code":"X","message":"m","expected":"e"}']),
    "block receipts": (decode_block_receipts, [encode([1, 2, bytes(64), [[1, "X"]]])]),
    "stored block": (decode_stored_block, [encode([b"h", b"b", [b"r"], 1, None, []])]),
    "genesis": (
        partial(text_of, parse_genesis),
        [b'{"version":1,"chain_name":"dev-x","engine":{"name":"bft"},"members":[]}'],
    ),
    "cursor": (partial(text_of, parse_cursor), [b"12:3"]),
    "hex": (partial(text_of, lambda text: parse_hex(text, "key", 4)), [b"0a0b0c0d"]),
    "filter": (partial(text_of, parse_where), [b'{"meter":"m1","wh":5}']),
}


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("name", DECODERS)
def test_every_other_decoder(name: str, count: int) -> None:
    work, samples = DECODERS[name]
    for good in samples:
        assert isinstance(good, bytes)
    with Inputs(name, samples, count) as inputs:
        for raw in inputs:
            with suppress(GridchainError):
                work(raw)


def messages(probe: Probe) -> list[Message]:
    """One true message of each kind, and those that a proposal needs."""
    first = probe.proposal(1, transactions=(b"a", b"b"))
    proof = (probe.certificate(VoteKind.NOTARIZE, 1, block_of(first)),)
    kinds = [KINDS[name] for name in KINDS if name.startswith("consensus.messages.") and not name.endswith("Part")]
    samples = [Sampler().of(kind) for kind in kinds]
    return [
        first,
        probe.proposal(2, first, proof, time_ms=probe.now + 10),
        probe.vote(VoteKind.NULLIFY, 1, ZERO_HASH, 1),
        probe.vote(VoteKind.NOTARIZE, 1, block_of(first), 2),
        probe.certificate(VoteKind.NULLIFY, 1),
        *proof,
        *samples,
    ]


@pytest.mark.parametrize("count", SIZES)
def test_every_peer_message_to_an_engine(count: int) -> None:
    """As many for each of the ten kinds. The engine takes what decodes, raises nothing, and votes on."""
    probe = Probe(4, me=3)
    probe.start()
    probe.answer = False
    taken = 0
    samples = [encode_message(message) for message in messages(probe)]
    with Inputs("messages", samples, 10 * count) as inputs:
        for number, raw in enumerate(inputs):
            try:
                message = decode_message(raw)
            except DecodeError:
                continue
            taken += 1
            probe.engine.handle(Received(PeerId(bytes([number % 5]) * 32), message), Millis(probe.now))
            if not taken % 512:
                probe.start()
    assert taken > count


def test_what_is_damaged_is_the_sample_no_longer() -> None:
    chance = random.Random(1)
    good = bytes(range(60))
    found = [damaged(chance, good) for _ in range(1_000)]
    assert sum(raw != good for raw in found) > 950
    assert any(len(raw) > len(good) for raw in found)
