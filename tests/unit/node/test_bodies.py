"""From ids to bodies: what is here, what is waited for, what is missing, what is broken."""

from __future__ import annotations

import asyncio

import pytest
from ingress_world import IngressWorld, ingress_world, signed

from consensus import compact as compact_module
from consensus.engine import BODY_MISMATCH, Check, StoredBlock
from consensus.messages import Part, Proposal
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash, SigningKey
from ledger.objects import Body, Header, transaction_id
from node import bodies as bodies_module
from node.bodies import Assembly, Bodies, Broken, Complete, Lacking

KEY = SigningKey(b"\x01" * 32)
ZERO = bytes(32)
HEADER = Header(1, "c", 1, 1, 1, 1, ZERO, 0, False, ZERO, 0, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)

pytestmark = pytest.mark.asyncio


def compact(raws: list[bytes], prefill: tuple[Part, ...] = (), parts: tuple[Part, ...] = ()) -> Check:
    proposal = Proposal(b"", bytes(64), tuple(transaction_id(raw) for raw in raws), prefill, b"", ())
    return Check(1, 1, HEADER, ZERO_HASH, proposal, None, parts)


async def assembled(world: IngressWorld, check: Check) -> Assembly:
    return await Bodies(world.pool, world.ingress).assemble(check)


def raws_of(assembly: Assembly) -> list[bytes]:
    assert isinstance(assembly, Complete)
    return [transaction.raw for transaction in assembly.transactions]


async def test_a_body_of_waiting_prefilled_and_fetched_transactions() -> None:
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(6)]
        await world.ingress.submit(raws[:3])
        check = compact(raws, (Part(4, raws[4]),), (Part(3, raws[3]), Part(5, raws[5])))
        assert raws_of(await assembled(world, check)) == raws
        assert world.verifications == 6


async def test_what_nobody_has_is_missing_after_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "PATIENCE_MS", 20)
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(4)]
        await world.ingress.submit([raws[0], raws[2]])
        assert await assembled(world, compact(raws)) == Lacking((1, 3))


async def test_gossip_that_comes_in_time_completes_a_body() -> None:
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(30)]
        waiting = asyncio.gather(assembled(world, compact(raws)))
        await asyncio.sleep(0.03)
        world.offer(raws)
        assert raws_of((await waiting)[0]) == raws


async def test_parts_that_are_not_what_the_ids_say_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "PATIENCE_MS", 10)
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(2)]
        lies = (Part(0, raws[1]), Part(9, raws[1]))
        assert await assembled(world, compact(raws, (), lies)) == Lacking((0, 1))


async def test_ids_are_not_signed_so_a_bad_compact_body_says_nothing_of_the_block() -> None:
    async with ingress_world() as world:
        raw = signed(KEY)
        assert await assembled(world, compact([raw, raw])) == Broken(BODY_MISMATCH)
        wrong = signed(KEY, chain_id="another")
        assert await assembled(world, compact([wrong], (Part(0, wrong),))) == Broken(BODY_MISMATCH)


def shortened(raws: list[bytes], prefill: tuple[Part, ...] = (), parts: tuple[Part, ...] = ()) -> Check:
    """As `compact`, the transactions named by 8 bytes each."""
    short = compact_module.shortener(ZERO_HASH)
    joined = b"".join(short(transaction_id(raw)) for raw in raws)
    return Check(1, 1, HEADER, ZERO_HASH, Proposal(b"", bytes(64), (), prefill, b"", (), joined), None, parts)


async def test_short_names_find_what_waits_is_prefilled_fetched_or_comes_in_time() -> None:
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(9)]
        await world.ingress.submit(raws[:3])
        check = shortened(raws, (Part(4, raws[4]),), (Part(3, raws[3]), Part(5, raws[5])))
        waiting = asyncio.gather(assembled(world, check))
        await asyncio.sleep(0.03)
        world.offer(raws[6:])
        assert raws_of((await waiting)[0]) == raws


async def test_a_part_under_a_wrong_short_name_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies_module, "PATIENCE_MS", 10)
    async with ingress_world() as world:
        raws = [signed(KEY, nonce) for nonce in range(3)]
        lies = (Part(0, raws[1]), Part(9, raws[1]))
        assert await assembled(world, shortened(raws, lies[:1], lies)) == Lacking((0, 1, 2))


async def test_two_that_wait_under_one_short_name_are_both_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right one is asked for, whichever came first; what comes is taken, for it stands at its position."""
    monkeypatch.setattr(bodies_module, "PATIENCE_MS", 10)
    raws = [signed(KEY, nonce) for nonce in range(4)]
    twins = {transaction_id(raws[1]), transaction_id(raws[3])}
    monkeypatch.setattr(compact_module, "shortener", lambda key: lambda id: b"the same" if id in twins else id[:8])
    async with ingress_world() as world:
        await world.ingress.submit(raws)
        assert await assembled(world, shortened(raws[:3])) == Lacking((1,))
        assert raws_of(await assembled(world, shortened(raws[:3], (), (Part(1, raws[1]),)))) == raws[:3]
        assert await assembled(world, shortened(raws)) == Broken(BODY_MISMATCH), (
            "two positions of one name: ask for all"
        )


async def test_whole_bodies() -> None:
    async with ingress_world() as world:
        raws = tuple(signed(KEY, nonce) for nonce in range(3))

        def whole(raw: bytes) -> Check:
            return Check(1, 1, HEADER, ZERO_HASH, None, StoredBlock(Hash(ZERO), b"", raw))

        assert raws_of(await assembled(world, whole(encode(Body(1, raws))))) == list(raws)
        assert await assembled(world, whole(b"junk")) == Broken("BODY_MALFORMED")
        assert await assembled(world, whole(encode(Body(2, raws)))) == Broken("BODY_VERSION")
        assert await assembled(world, whole(encode(Body(1, (b"junk",))))) == Broken("BAD_TRANSACTION")
