"""The checker against a small chain made here, whole and with one thing changed at a time."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from contracts.values import encode_value
from deploy.books import Tariffs
from deploy.market.roster import market_of
from deploy.settlement_checker import Calendar, Network, ServedBlock, check
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.codec import decode, encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, SigningKey, sha256
from ledger.merkle import merkle_root
from ledger.objects import (
    Body,
    Event,
    Header,
    Receipt,
    TransactionBody,
    header_hash,
    sign_transaction,
    transaction_id,
)
from ledger.validators import Validator, ValidatorSet

CHAIN = "demo-test-00"
FEED, RETAIL = 450_000, 670_000
NAMES = ("bureau", "grid", "notary", "trading")
KEYS = [SigningKey(sha256(name.encode())) for name in NAMES]
COMMITTEE = ValidatorSet(tuple(Validator(name, key.public) for name, key in zip(NAMES, KEYS, strict=True)))
GRID = b"G" * 32


def named(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def header(height: int, parent: bytes, body: Body, receipts: list[bytes]) -> bytes:
    return encode(
        Header(
            version=1, chain_id=CHAIN, epoch=0, view=height, height=height, time_ms=height, parent=parent,
            parent_view=max(0, height - 1), closing=False, transactions_root=merkle_root(list(body.transactions)),
            body_size=len(encode(body)), state_root=ZERO_HASH, receipts_root=merkle_root(receipts),
            validators=COMMITTEE.hash, next_validators=COMMITTEE.hash, extra_root=ZERO_HASH,
            proposer=KEYS[height % 4].public,
        )
    )  # fmt: skip


GENESIS = header(0, named("genesis"), Body(1, ()), [])
NETWORK = Network(
    CHAIN,
    named("genesis"),
    GENESIS,
    COMMITTEE,
    Tariffs(FEED, RETAIL),
    Calendar(0, 0, 1, 1000, 100),
    GRID,
    dict(zip([k.public for k in KEYS], NAMES, strict=True)),
    market_of("C"),
)


def final(raw: bytes, view: int) -> Certificate:
    name = header_hash(raw)
    message = vote_bytes(CHAIN, COMMITTEE.hash, VoteKind.FINALIZE, 0, view, name)
    votes = [
        Vote(VoteKind.FINALIZE, 0, view, name, index, key.sign(DOMAIN_VOTE, message)) for index, key in enumerate(KEYS)
    ]
    return assemble(votes, COMMITTEE)


def receipt(
    subject: bytes, contract: str, entry: str, *events: tuple[str, str, dict], ok=True, code="", scheduled=True
):
    told = tuple(Event(owner, name, encode_value(fields)) for owner, name, fields in events)
    return encode(Receipt(subject, scheduled, contract, entry, ok, code, 0, 100, 1, "pyc/1", b"", told))


def market() -> list[list[tuple]]:
    """Events of five blocks: two members join, trade 500 Wh, read 600 made and 450 used, settle."""
    seller, buyer = named("seller"), named("buyer")
    of_seller, of_buyer = named("of seller"), named("of buyer")
    joined = []
    for meter, account, role in ((seller, of_seller, "producer"), (buyer, of_buyer, "consumer")):
        joined.append(("registry", "Applied", {"meter": meter, "account": account, "roles": [role]}))
        joined.append(("registry", "Approved", {"meter": meter, "account": account}))
        joined.append(("token", "Deposited", {"account": account, "amount": 10**6, "reference": role}))
    orders = [
        (
            "double_auction",
            "OrderAccepted",
            {"slot": 3, "seq": seq, "meter": meter, "side": side, "wh": 500, "price": 500_000},
        )
        for seq, (meter, side) in enumerate(((seller, "sell"), (buyer, "buy")))
    ]
    trade = (
        "double_auction",
        "Trade",
        {
            "slot": 3,
            "seller": seller,
            "buyer": buyer,
            "wh": 500,
            "price": 500_000,
            "money": 250_000,
            "surplus": 0,
            "sell_seq": 0,
            "buy_seq": 1,
        },
    )
    reads = [
        ("metering", "ReadingAccepted", {"slot": 3, "meter": seller, "generation_wh": 600, "use_wh": 0}),
        ("metering", "ReadingAccepted", {"slot": 3, "meter": buyer, "generation_wh": 0, "use_wh": 450}),
    ]
    base = {"slot": 3, "grid_buy_wh": 0, "grid_cost": 0, "estimated": False}
    settled = [
        (
            "double_auction",
            "Settled",
            {
                **base,
                "meter": seller,
                "account": of_seller,
                "sold_wh": 500,
                "bought_wh": 0,
                "generation_wh": 600,
                "use_wh": 0,
                "grid_sell_wh": 100,
                "trade_receipts": 250_000,
                "trade_payments": 0,
                "grid_income": 45_000,
                "net": 295_000,
            },
        ),
        (
            "double_auction",
            "Settled",
            {
                **base,
                "meter": buyer,
                "account": of_buyer,
                "sold_wh": 0,
                "bought_wh": 500,
                "generation_wh": 0,
                "use_wh": 450,
                "grid_sell_wh": 50,
                "trade_receipts": 0,
                "trade_payments": 250_000,
                "grid_income": 22_500,
                "net": -227_500,
            },
        ),
        (
            "double_auction",
            "SlotSettled",
            {
                "slot": 3,
                "meters": 2,
                "generation_wh": 600,
                "use_wh": 450,
                "traded_wh": 500,
                "grid_sales_wh": 0,
                "grid_purchases_wh": 150,
                "surplus": 0,
                "members_net": 67_500,
                "grid_net": -67_500,
            },
        ),
    ]
    return [joined, orders, [trade], reads, settled]


def chain() -> list[ServedBlock]:
    """Six blocks; the first five carry the market's events, block 2 a late order. Finality lags one block."""
    made: list[tuple[bytes, bytes, tuple[bytes, ...]]] = []
    parent, views = header_hash(GENESIS), []
    for number, events in enumerate([*market(), []], start=1):
        body = Body(1, ())
        receipts = [receipt(named(f"call {number}"), "double_auction", "advance", *events)] if events else []
        if number == 2:
            raws = tuple(order(nonce) for nonce in range(2))
            body = Body(1, raws)
            receipts += [
                receipt(transaction_id(raws[0]), "double_auction", "submit_order", scheduled=False),
                receipt(
                    transaction_id(raws[1]),
                    "double_auction",
                    "submit_order",
                    ok=False,
                    code="ORDER_LATE",
                    scheduled=False,
                ),
            ]
        raw = header(number, parent, body, receipts)
        parent = header_hash(raw)
        views.append(raw)
        made.append((raw, encode(body), tuple(receipts)))
    blocks = []
    for number, (raw, body, receipts) in enumerate(made, start=1):
        top = min(number + 1, len(made))
        blocks.append(
            ServedBlock(number, raw, body, receipts, top, final(views[top - 1], top), (), NAMES[(number + 1) % 4])
        )
    return blocks


def order(nonce: int) -> bytes:
    body = TransactionBody(1, CHAIN, KEYS[0].public, nonce, "double_auction", "submit_order", encode_value([]), 1)
    return sign_transaction(body, KEYS[0])


def test_a_whole_chain_is_conserved():
    verdict = check(NETWORK, chain(), [3])
    assert verdict.problems == []
    assert (verdict.blocks, verdict.transactions, verdict.books.trades) == (6, 2, 1)
    assert (verdict.orders.accepted, verdict.orders.rejected, verdict.orders.late) == (1, 0, 1)
    assert verdict.books.held() == verdict.books.minted == 2 * 10**6


def test_any_altered_receipt_is_noticed():
    blocks = chain()
    count = 0
    for at, block in enumerate(blocks):
        for which, raw in enumerate(block.receipts):
            known = decode(Receipt, raw)
            changed = encode(
                Receipt(
                    *[
                        *[getattr(known, name) for name in known.__struct_fields__][:7],
                        known.gas + 1,
                        1,
                        "pyc/1",
                        b"",
                        known.events,
                    ]
                )
            )
            receipts = (*block.receipts[:which], changed, *block.receipts[which + 1 :])
            altered = [*blocks[:at], replace(block, receipts=receipts), *blocks[at + 1 :]]
            assert any("receipts root" in problem for problem in check(NETWORK, altered, [3]).problems)
            count += 1
    assert count == 7


def test_a_receipt_altered_with_its_root_breaks_the_certificate_or_the_link():
    blocks = chain()
    block = blocks[4]
    forged = encode(
        Receipt(
            *[getattr(decode(Receipt, block.receipts[0]), n) for n in Receipt.__struct_fields__][:7],
            999,
            1,
            "",
            b"",
            (),
        )
    )
    fields = decode(Header, block.header)
    values = {name: getattr(fields, name) for name in fields.__struct_fields__} | {
        "receipts_root": merkle_root([forged])
    }
    altered = replace(block, header=encode(Header(**values)), receipts=(forged,))
    assert check(NETWORK, [*blocks[:4], altered, blocks[5]], [3]).problems


@pytest.mark.parametrize(
    "change",
    [
        lambda b: replace(b, receipts=()),
        lambda b: replace(b, receipts=(b"\x00",)),
        lambda b: replace(b, body=encode(Body(1, (order(9),)))),
        lambda b: replace(b, body=b"\xff"),
        lambda b: replace(b, header=b.header[:-1]),
        lambda b: replace(b, certificate=None),
        lambda b: replace(b, closing=(b.header,)),
        lambda b: replace(b, certificate=final(b.header, 77)),
        lambda b: replace(b, final_by=b.height - 1),
        lambda b: replace(b, final_by=b.height + 9),
        lambda b: replace(b, source=NAMES[b.height % 4]),
    ],
)
def test_one_wrong_thing_in_one_block_is_noticed(change):
    blocks = chain()
    blocks[2] = change(blocks[2])
    assert check(NETWORK, blocks, [3]).problems


def test_a_missing_block_and_a_missing_settlement_are_noticed():
    blocks = chain()
    assert check(NETWORK, [*blocks[:2], *blocks[3:]], [3]).problems
    assert check(NETWORK, blocks[:4], [3]).problems
    assert check(NETWORK, blocks, [3, 4]).problems


def test_too_few_signatures_are_no_certificate():
    blocks = chain()
    weak = NETWORK.validators.validators[:1]
    certificate = final(blocks[5].header, 6)
    assert check(replace(NETWORK, validators=ValidatorSet(weak)), blocks, [3]).problems
    assert certificate == blocks[5].certificate


def test_another_genesis_is_noticed():
    assert any("block 0" in p for p in check(replace(NETWORK, genesis_hash=named("other")), chain(), [3]).problems)


@pytest.mark.parametrize(("time_ms", "slot"), [(0, 0), (999, 0), (1000, 1), (1099, 1), (1100, 2), (1350, 4)])
def test_a_member_is_settled_from_the_slot_that_begins_after_its_approval(time_ms, slot):
    assert NETWORK.calendar.next_slot(time_ms) == slot
    assert Calendar(500, 1000, 10, 0, 100).next_slot(510) == 12


def test_a_member_who_joins_later_is_not_missed_before():
    late = replace(NETWORK, calendar=Calendar(0, 0, 1, -398, 100))
    assert late.calendar.next_slot(1) == 4
    assert any("meters settled: expected 0, found 2" in p for p in check(late, chain(), [3]).problems)
