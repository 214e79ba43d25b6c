"""Each way a transaction is refused, and that no signature is checked in vain or twice."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from ingress_world import CHAIN, ingress_world, signed

from ledger.accounts import NonceWindow
from ledger.codec import encode
from ledger.crypto import SigningKey
from ledger.objects import MAX_TRANSACTION_BYTES, TransactionEnvelope, decode_transaction
from node.mempool import MempoolLimits

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 6)]

pytestmark = pytest.mark.asyncio


def with_bad_signature(raw: bytes) -> bytes:
    envelope = msgspec.msgpack.decode(raw, type=TransactionEnvelope)
    return encode(TransactionEnvelope(envelope.body, bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]))


def padded(raw: bytes) -> bytes:
    """The same transaction with its body's length written in four bytes instead of one or two."""
    body = msgspec.msgpack.decode(raw, type=TransactionEnvelope).body
    signature = msgspec.msgpack.decode(raw, type=TransactionEnvelope).signature
    return b"\x92\xc6" + len(body).to_bytes(4, "big") + body + b"\xc4\x40" + signature


REFUSALS = {
    "MALFORMED": lambda: b"\x93junk",
    "TOO_LARGE": lambda: bytes(MAX_TRANSACTION_BYTES + 1),
    "NOT_CANONICAL": lambda: padded(signed(KEYS[0])),
    "WRONG_CHAIN": lambda: signed(KEYS[0], chain_id="another"),
    "BAD_SIGNATURE": lambda: with_bad_signature(signed(KEYS[0])),
    "NONCE_TOO_HIGH": lambda: signed(KEYS[0], nonce=4_096),
    "UNKNOWN_CONTRACT": lambda: signed(KEYS[0], contract="bank"),
    "UNKNOWN_ENTRY": lambda: signed(KEYS[0], entry="rob"),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_each_refusal_has_code_both_values_and_a_fix(code: str) -> None:
    async with ingress_world() as world:
        good = signed(KEYS[1])
        refused, taken = await world.ingress.submit([REFUSALS[code](), good])
        assert (refused.accepted, refused.code) == (False, code)
        assert refused.expected
        assert refused.found
        assert taken.accepted, "a bad neighbour in the batch changes nothing"
        assert world.verifications == (2 if code == "BAD_SIGNATURE" else 1)


async def test_a_replayed_nonce_is_refused_before_its_signature() -> None:
    async with ingress_world() as world:
        world.rules.windows[KEYS[0].address] = NonceWindow(lowest=3)
        (refused,) = await world.ingress.submit([signed(KEYS[0], nonce=2)])
        assert (refused.code, refused.found) == ("NONCE_USED", "2")
        assert "3" in refused.expected
        assert world.verifications == 0


async def test_the_same_bytes_again_are_accepted_and_checked_once() -> None:
    async with ingress_world() as world:
        raw = signed(KEYS[0])
        both = await world.ingress.submit([raw, raw])
        again = await world.ingress.submit([raw])
        assert [answer.accepted for answer in (*both, *again)] == [True, True, True]
        assert again[0].code == "DUPLICATE"
        world.offer([raw])
        await asyncio.sleep(0.02)
        assert world.verifications == 1
        assert len(world.pool) == 1


async def test_another_transaction_with_a_waiting_nonce_is_refused() -> None:
    async with ingress_world() as world:
        first, second = signed(KEYS[0], nonce=1), signed(KEYS[0], nonce=1, gas_limit=5)
        assert (await world.ingress.submit([first]))[0].accepted
        (refused,) = await world.ingress.submit([second])
        assert refused.code == "NONCE_PENDING"
        assert decode_transaction(first).id.hex() in refused.found
        assert world.verifications == 1


async def test_quotas_of_senders_peers_and_the_whole() -> None:
    async with ingress_world(MempoolLimits(transactions=6, per_sender=2, per_peer=3)) as world:
        answers = await world.ingress.submit([signed(KEYS[0], nonce) for nonce in range(3)])
        assert [answer.code for answer in answers] == ["", "", "QUOTA_SENDER"]
        world.offer([signed(key, nonce) for key in KEYS[1:3] for nonce in range(2)], b"greedy")
        await asyncio.sleep(0.05)
        assert len(world.pool) == 5, "three of the greedy peer's four"
        answers = await world.ingress.submit([signed(KEYS[4], nonce) for nonce in range(2)])
        assert [answer.code for answer in answers] == ["", "MEMPOOL_FULL"]


async def test_one_group_of_many_ways_and_its_gossip() -> None:
    async with ingress_world() as world:
        own = [signed(KEYS[0], nonce) for nonce in range(50)]
        world.offer([signed(KEYS[1], nonce) for nonce in range(40)], b"a")
        world.offer([signed(KEYS[2], nonce) for nonce in range(30)], b"b")
        answers = await world.ingress.submit(own)
        assert all(answer.accepted for answer in answers)
        await asyncio.sleep(0.05)
        counted: dict[bytes | None, int] = {}
        for transactions, source in world.spread:
            counted[source] = counted.get(source, 0) + len(transactions)
        assert counted == {None: 50, b"a": 40, b"b": 30}
        assert world.verifications == world.admitted == 120
        assert world.ready == [True]


async def test_a_peer_that_sends_what_no_honest_one_does_is_named() -> None:
    async with ingress_world() as world:
        bad = with_bad_signature(signed(KEYS[0]))
        world.offer([bad], b"liar")
        world.offer([signed(KEYS[1], chain_id="another")], b"lost")
        world.offer([signed(KEYS[2], nonce=9_999)], b"early")
        await asyncio.sleep(0.05)
        assert sorted(world.bad) == [(b"liar", "BAD_SIGNATURE"), (b"lost", "WRONG_CHAIN")]
        world.offer([bad], b"liar")
        await asyncio.sleep(0.02)
        assert world.verifications == 1, "a bad signature is bad for ever"


async def test_bodies_go_through_the_same_door() -> None:
    async with ingress_world() as world:
        waiting = [signed(KEYS[0], nonce) for nonce in range(5)]
        await world.ingress.submit(waiting)
        fresh = [signed(KEYS[1], nonce) for nonce in range(40)]
        body = [*waiting, *fresh]
        both = await asyncio.gather(world.ingress.verify(body), world.ingress.verify(body))
        assert [[t.raw for t in answer or []] for answer in both] == [body, body]
        assert world.verifications == 45
        assert len(world.pool) == 45, "what a block brought waits here too"
        for bad in (b"junk", with_bad_signature(signed(KEYS[2])), signed(KEYS[2], chain_id="another")):
            assert await world.ingress.verify([signed(KEYS[3]), bad]) is None
        assert await world.ingress.verify([]) == []


async def test_a_body_waits_for_what_is_in_verification() -> None:
    async with ingress_world() as world:
        raws = [signed(KEYS[0], nonce) for nonce in range(64)]
        submitting = asyncio.gather(world.ingress.submit(raws))
        while not world.ingress.pending(decode_transaction(raws[0]).id):
            await asyncio.sleep(0)
        found = await world.ingress.verify(raws)
        assert found is not None
        assert len(found) == 64
        await submitting
        assert world.verifications == 64


async def test_chain_of_the_world_is_the_one_that_is_signed() -> None:
    assert decode_transaction(signed(KEYS[0])).body.chain_id == CHAIN
