"""The three lanes without a socket: order, bounds, and the rule of each when full."""

import pytest

from p2p.frames import Channel
from p2p.outbox import LaneLimits, Offer, Outbox


def test_votes_overtake_blocks_overtake_transactions():
    outbox = Outbox(LaneLimits())
    for number in range(3):
        outbox.offer(Channel.TRANSACTIONS, b"t%d" % number)
        outbox.offer(Channel.SYNC, b"s%d" % number)
        outbox.offer(Channel.BLOCKS, b"b%d" % number)
        outbox.offer(Channel.VOTES, b"v%d" % number)
    assert outbox.take(1000) == [b"v0", b"v1", b"v2", b"s0", b"b0", b"s1", b"b1", b"s2", b"b2", b"t0", b"t1", b"t2"]
    assert not outbox
    assert outbox.queued_bytes == 0


def test_take_is_bounded_and_a_later_vote_comes_first():
    outbox = Outbox(LaneLimits())
    for _ in range(10):
        outbox.offer(Channel.TRANSACTIONS, bytes(100))
    assert len(outbox.take(250)) == 3
    outbox.offer(Channel.VOTES, b"vote")
    assert outbox.take(1)[0] == b"vote"
    assert outbox.queued_bytes == 700


SMALL = LaneLimits(bytes_per_lane=(100, 100, 100), frames_per_lane=(5, 5, 5))


@pytest.mark.parametrize(
    ("channel", "rule"),
    [
        (Channel.VOTES, Offer.OVERFLOW),
        (Channel.CONTROL, Offer.OVERFLOW),
        (Channel.BLOCKS, Offer.OVERFLOW),
        (Channel.SYNC, Offer.DROPPED),
        (Channel.PEERS, Offer.DROPPED),
        (Channel.TRANSACTIONS, Offer.DROPPED),
    ],
)
@pytest.mark.parametrize(("size", "fit"), [(60, 1), (10, 5)], ids=["bytes", "frames"])
def test_a_full_lane(channel, rule, size, fit):
    outbox = Outbox(SMALL)
    for _ in range(fit):
        assert outbox.offer(channel, bytes(size)) is Offer.QUEUED
    assert outbox.offer(channel, bytes(size)) is rule
    assert outbox.dropped == (1 if rule is Offer.DROPPED else 0)
    assert outbox.queued_bytes == fit * size
    outbox.take(1)
    assert outbox.offer(channel, bytes(10)) is Offer.QUEUED


def test_an_empty_lane_takes_a_frame_of_any_size():
    outbox = Outbox(SMALL)
    assert outbox.offer(Channel.BLOCKS, bytes(5000)) is Offer.QUEUED
    assert outbox.offer(Channel.VOTES, b"v") is Offer.QUEUED


def test_what_waits_moves_to_a_new_connection_in_order():
    old, new = Outbox(SMALL), Outbox(SMALL)
    for number in range(3):
        old.offer(Channel.VOTES, b"v%d" % number)
        old.offer(Channel.TRANSACTIONS, b"t%d" % number)
    old.move_to(new)
    assert not old
    assert new.take(1000) == [b"v0", b"v1", b"v2", b"t0", b"t1", b"t2"]
    assert old.queued_bytes == new.queued_bytes == 0
