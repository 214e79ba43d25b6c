"""The bench's own arithmetic: accounting, percentiles, counters read from /metrics."""

from __future__ import annotations

import hashlib

import pytest

from bench.load import BenchFailed, Load, OrderSource, Tally
from bench.scrape import NodeCounters, parse_counters
from bench.tps import check_accounting, percentile
from ledger.crypto import SigningKey
from ledger.objects import decode_transaction, verify_transaction


def source(senders: int) -> OrderSource:
    keys = [SigningKey(hashlib.sha256(bytes([number])).digest()) for number in range(senders)]
    return OrderSource("bench-x", keys, slot=3)


def test_orders_are_signed_with_consecutive_nonces_per_sender() -> None:
    made = source(3)
    load = made.make(7)
    nonces: dict[bytes, list[int]] = {}
    for raw in load.transactions:
        transaction = decode_transaction(raw)
        assert verify_transaction(transaction) is not None
        nonces.setdefault(transaction.body.public_key, []).append(transaction.body.nonce)
    assert sorted(len(used) for used in nonces.values()) == [2, 2, 3]
    assert all(used == list(range(len(used))) for used in nonces.values())
    assert load.bad == frozenset()


def test_one_in_a_thousand_is_bad_and_takes_no_nonce() -> None:
    load = source(10).make(3_000, bad_every=1_000)
    wrong = {i for i, raw in enumerate(load.transactions) if verify_transaction(decode_transaction(raw)) is None}
    assert wrong == load.bad
    assert len(wrong) == 3
    used = [decode_transaction(raw).body for i, raw in enumerate(load.transactions) if i not in wrong]
    assert len({(body.public_key, body.nonce) for body in used}) == 2_997


def test_nonces_of_what_was_not_sent_are_used_by_the_next_load() -> None:
    orders = source(3)
    first = orders.make(20)
    orders.give_back(first, 8)
    second = orders.make(4)
    used = [decode_transaction(raw).body for raw in (*first.transactions[:8], *second.transactions)]
    nonces: dict[bytes, list[int]] = {}
    for body in used:
        nonces.setdefault(body.public_key, []).append(body.nonce)
    assert [sorted(values) for values in nonces.values()] == [[0, 1, 2, 3]] * 3


def test_a_transaction_is_done_when_every_node_has_shown_it() -> None:
    load = source(2).make(4)
    tally = Tally(load, nodes=2)
    tally.submitted = 4
    assert tally.receipt(load.ids[0], True, "", 1.0)
    assert (tally.committed, tally.pending) == (0, 4)
    tally.receipt(load.ids[0], True, "", 2.0)
    tally.receipt(load.ids[1], False, "BAD_PRICE", 2.0)
    tally.receipt(load.ids[1], False, "BAD_PRICE", 2.5)
    tally.refused("QUOTA")
    assert not tally.receipt(bytes(32), True, "", 3.0), "of nobody's load"
    assert tally.done[0] == 2.0
    assert (tally.committed, tally.failed, tally.rejected, tally.pending) == (1, 1, 1, 1)
    assert tally.submitted == tally.committed + tally.failed + tally.rejected + tally.pending
    assert tally.codes == {"BAD_PRICE": 1, "QUOTA": 1}


def test_percentiles_are_of_sorted_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 51.0
    assert percentile(values, 0.99) == 100.0
    assert percentile([5.0], 0.95) == 5.0
    assert percentile([], 0.5) == 0.0


def test_counters_are_read_and_subtracted() -> None:
    text = (
        "# TYPE gridchain_verifications counter\ngridchain_verifications_total {v}\n"
        '# TYPE gridchain_fsyncs counter\ngridchain_fsyncs_total{{log="wal"}} {w}\n'
        'gridchain_fsyncs_total{{log="store"}} 2.0\n'
        '# TYPE gridchain_stage_cpu counter\ngridchain_stage_cpu_total{{stage="verify"}} {c}\n'
    )
    before = parse_counters(text.format(v=5.0, w=1.0, c=0.5))
    after = parse_counters(text.format(v=9.0, w=4.0, c=0.75))
    changed = after - before
    assert (changed.verifications, changed.fsyncs, changed.verify_cpu) == (4.0, 3.0, 0.25)


@pytest.mark.parametrize(
    ("committed", "twice", "good"), [((3, 3), 0, True), ((3, 4), 0, False), ((3, 2), 0, False), ((3, 3), 1, False)]
)
def test_the_accounting_closes_only_over_counts_of_their_own(
    committed: tuple[int, int], twice: int, good: bool
) -> None:
    """Three of four are shown by both nodes, one is refused. A node that committed more or less, or shows one receipt
    twice, is noticed."""
    load = Load((b"a", b"b", b"c", b"d"), (b"1", b"2", b"3", b"4"), frozenset())
    tally = Tally(load, 2)
    tally.submitted = 4
    tally.refused("BAD_SIGNATURE")
    for identity in load.ids[:3]:
        for _node in range(2):
            tally.receipt(identity, True, "", 1.0)
    for _again in range(twice):
        tally.receipt(b"1", True, "", 1.0)
    changed = [NodeCounters(4.0, 1.0, float(count), 1.0, {}) for count in committed]
    if good:
        check_accounting(changed, tally)
    else:
        with pytest.raises(BenchFailed):
            check_accounting(changed, tally)
