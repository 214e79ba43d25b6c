"""Token buckets, and whom to be linked with."""

from p2p.frames import Channel, PeerId
from p2p.limits import Meter, Passage, Rate, TokenBucket, TrafficLimits
from p2p.topology import LinkPolicy, admits_link, is_mesh, to_dial, to_trim


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.take(1, 0.1)
    assert not bucket.take(1, 0.1)
    assert [bucket.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]


def test_above_the_limit_gossip_is_dropped_and_the_rest_is_a_flood():
    tight = TrafficLimits({channel: Rate(1, 2, 1000, 1000) for channel in Channel})
    for channel in Channel:
        meter = Meter(tight, 0.0)
        assert [meter.judge(channel, 10, 0.0) for _ in range(2)] == [Passage.PASS] * 2
        above = Passage.DROP if channel in (Channel.TRANSACTIONS, Channel.PEERS) else Passage.FLOOD
        assert meter.judge(channel, 10, 0.0) is above
        assert Meter(tight, 0.0).judge(channel, 1001, 0.0) is above


NODES = [PeerId(bytes([number]) * 32) for number in range(60)]
POLICY = LinkPolicy()


def nobody_prefers(_node):
    return 0


def test_up_to_sixteen_nodes_everybody_dials_everybody():
    own, others = NODES[0], NODES[1:16]
    assert set(to_dial(own, others, others[:3], nobody_prefers, POLICY)) == set(others[3:])
    assert is_mesh(POLICY, 15)
    assert not is_mesh(POLICY, 16)
    assert admits_link(NODES[15], 15, others, lambda _: False, POLICY)


def test_above_that_eight_links_validators_first():
    own, others = NODES[0], NODES[1:]
    validators = set(NODES[40:46])
    chosen = to_dial(own, others, [], lambda node: 0 if node in validators else 1, POLICY)
    assert len(chosen) == 8
    assert set(chosen[:6]) == validators
    assert to_dial(own, others, chosen, nobody_prefers, POLICY) == []
    assert len(to_dial(own, others, chosen[:5], nobody_prefers, POLICY)) == 3


def test_newcomers_find_a_place_for_a_start_and_leave_again():
    linked = NODES[1:25]
    assert admits_link(NODES[40], 59, linked[:23], lambda _: False, POLICY)
    assert not admits_link(NODES[40], 59, linked, lambda _: False, POLICY)
    assert admits_link(NODES[40], 59, linked, lambda _: True, POLICY)
    assert admits_link(linked[0], 59, linked, lambda _: False, POLICY)
    validators = set(linked[8:10])
    leaving = to_trim(linked[:10], 59, 16, lambda node: node in validators, POLICY)
    assert leaving == [linked[7], linked[6], linked[5], linked[4]]
    assert to_trim(linked[6:10], 59, 15, lambda node: node in validators, POLICY) == [linked[7], linked[6], linked[9]]
    assert to_trim(linked, 59, 12, lambda _: False, POLICY) == []
    assert to_trim(linked[:15], 15, 15, lambda _: False, POLICY) == []


def test_choices_of_many_nodes_connect_them_all():
    links = {node: set() for node in NODES}
    for node in NODES:
        for other in to_dial(node, [n for n in NODES if n != node], [], nobody_prefers, POLICY):
            links[node].add(other)
            links[other].add(node)
    reached, edge = {NODES[0]}, [NODES[0]]
    while edge:
        fresh = links[edge.pop()] - reached
        reached |= fresh
        edge += fresh
    assert reached == set(NODES)
