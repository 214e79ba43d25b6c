"""Regions that begin anew, users that are ignored, bursts about one region, lying guides: what the network does, and
what is left of everybody's money and energy at the end (consensus B.2, C.3 L8; E 21)."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from consensus.sharded.discipline import Offence, Standing
from consensus.sharded.global_state import Source
from consensus.sharded.records import Forced, Released
from consensus.simulator import SeedOptions
from consensus.simulator.centre_node import CentreNode
from consensus.simulator.region_node import RegionNode
from consensus.simulator.shard_worlds import DEPOSIT
from consensus.simulator.sharded import ShardedWorld
from ledger.codec import decode
from ledger.objects import Body, transaction_id


def played(adversary: str, seconds: int, seed: int = 1, audit: str = "eager", nodes: int = 12) -> ShardedWorld:
    """A network after some seconds of one kind of liar or loss, and the quiet phase: nothing broken, balances right."""
    print("seed", seed, adversary, audit)
    world = ShardedWorld(
        SeedOptions(seed, engine="sharded", nodes=nodes, seconds_ms=seconds * 1_000, adversary=adversary, audit=audit)
    )
    world.begin()
    while world.step(seconds * 1_000):
        pass
    stalled, _ = world.quiet_phase()
    assert (world.violations(), stalled) == ((), "")
    return world


def epochs(world: ShardedWorld) -> list[tuple[str, int, str]]:
    """Regional epochs that the global chain opened."""
    return [(one.region, one.epoch, one.reason) for outcome in world.finals for one in outcome.epochs]


def kinds(world: ShardedWorld) -> list[str]:
    """Of the corrections, in order."""
    return [correction.kind for outcome in world.finals for correction in outcome.corrections]


@pytest.mark.parametrize("audit", ["eager", pytest.param("next_round", marks=pytest.mark.soak)])
def test_a_quorum_that_certifies_lies_is_corrected_and_its_region_begins_anew(audit: str) -> None:
    """W1 and W2. Entries lead from the claims to the truth, every signer pays, what became void is carried again."""
    world = played("colluding-region", 14, seed=4, audit=audit)
    assert set(kinds(world)) == {"W1", "W2"}
    assert epochs(world) == [("region-0", at + 2, f"corrected {kind}") for at, kind in enumerate(kinds(world))]
    fined = [one for outcome in world.finals for one in outcome.fined]
    assert {one.offence for one in fined} == {Offence.CERTIFIED_INVALID.value}
    liars = {node.key for node in world.regions[0].nodes if not node.honest}
    assert {one.member for one in fined} == liars
    assert len(fined) == len(liars) * len(kinds(world))
    assert world.resubmitted > 0
    assert world.regions[0].start.epoch == 1 + len(kinds(world))
    assert not world.regions[0].waiting


def test_a_transaction_that_became_void_is_in_the_next_chain() -> None:
    """It was final for its user, on a chain that is over; it is answered by a confirmed record all the same."""
    world = played("colluding-region", 10, nodes=16)
    old, name = world.past[0], world.regions[0].name
    bodies = [decode(Body, block.block.body_bytes) for node in old.nodes for block in node.chain]
    told = {transaction_id(raw) for body in bodies for raw in body.transactions}
    later = [world.regions[0], *(one for one in world.past[1:] if one.name == name)]
    again = {transaction for one in later for transaction in one.auditor.applied}
    assert told & again
    assert told <= world.checks.answered[name] | again


def test_w3_a_quorum_that_ignores_what_was_posted_is_corrected() -> None:
    world = played("censoring-region", 14)
    assert set(kinds(world)) == {"W3"}
    ignored = [raw for raw in world.regions[0].submitted.values() if world.regions[0].is_ignored(raw)]
    assert ignored
    assert not world.regions[0].waiting


def test_a_region_that_ignores_a_user_must_answer_what_is_posted() -> None:
    """Forced inclusion: record s + 2 has consumed what was posted by the block that confirmed record s."""
    world = played("ignoring-region", 14)
    forced = [
        (at, height) for at, (height, item) in enumerate(world.checks.inboxes["region-0"]) if isinstance(item, Forced)
    ]
    marks = world.checks.marks["region-0"]
    due = 0
    for place, height in forced:
        first = next((at for at, (confirmed, _) in enumerate(marks) if confirmed >= height), len(marks))
        if first + 2 < len(marks):
            due += 1
            assert marks[first + 2][1] > place, f"item {place} of height {height}"
    assert due >= 3
    assert kinds(world) == []


def test_an_agent_of_two_records_loses_its_seat() -> None:
    """W4: everywhere at once; the others go on without it."""
    world = played("two-records", 8)
    liars = {node.key for region in world.past for node in region.nodes if not node.honest}
    state = world.finals[-1].state
    assert state.removed == liars
    assert len(liars) == len(world.regions)
    assert {state.deposits[liar] for liar in liars} == {0}
    assert {reason for _, _, reason in epochs(world)} == {"two records"}
    assert all(len(region.nodes) == 3 for region in world.regions)


def test_a_region_that_is_gone_is_taken_over_and_given_new_members() -> None:
    world = played("region-loss", 16)
    assert epochs(world) == [("region-0", 2, "takeover"), ("region-0", 3, "members")]
    centres = {node.key for node in world.centres.nodes}
    assert {node.key for node in world.past[1].nodes} == centres
    assert not {node.key for node in world.regions[0].nodes} & (centres | {node.key for node in world.past[0].nodes})
    state = world.finals[-1].state
    assert state.regions[0].position.seq > 3
    assert world.resubmitted > 0
    assert sum(one.fine for outcome in world.finals for one in outcome.fined) == 0
    taken = [one for outcome in world.finals for one in outcome.withdrawn if one.source is Source.DEPOSIT]
    left = {node.key for node in world.past[0].nodes}
    assert {one.member for one in taken} == left, "no evidence of them can come any more"
    assert [one.money for one in taken] == [DEPOSIT] * len(left)


def test_a_region_cut_off_gets_its_residuals_back_until_it_has_caught_up() -> None:
    world = played("region-partition", 16)
    reasons = Counter(item.reason for _, item in world.checks.inboxes["region-0"] if isinstance(item, Released))
    assert reasons["lagging"] > 0
    views = [outcome.state.regions[0] for outcome in world.finals]
    assert any(view.lagging for view in views)
    assert not views[-1].lagging
    last = world.finals[-1].state
    assert views[-1].standing(world.centres.rules, last.round) is Standing.CURRENT


def test_a_full_inbox_takes_no_more_and_starves_nobody_else() -> None:
    world = played("inbox-flooder", 8)
    limit = world.centres.rules.inbox_limit
    waiting = [len(view.inbox) for outcome in world.finals for view in outcome.state.regions]
    refused = Counter(code for outcome in world.finals for code in outcome.refused)
    turned_away = sum(node.turned_away for node in world.centres.nodes if isinstance(node, CentreNode))
    assert refused["INBOX_FULL"] + turned_away > 0
    assert max(waiting) >= limit
    first, *others = world.finals[-1].state.regions
    assert first.position.inbox_count > 2 * limit
    assert max(len(view.inbox) for view in others) < limit


@cache
def undisturbed() -> tuple[int, int, int]:
    """What a network does that nothing happens to."""
    return throughput(chaos("", 12))


def throughput(world: ShardedWorld) -> tuple[int, int, int]:
    """Rounds in which the global chain made a block (it makes them for work), confirmed records of all regions but the
    first, and of 1,000 transactions that came those that are on their chains."""
    rounds = {outcome.state.round for outcome in world.finals}
    confirmed = sum(view.position.seq for view in world.finals[-1].state.regions[1:])
    applied = sum(len(region.auditor.applied) for region in world.regions[1:])
    return len(rounds), confirmed, 1_000 * applied // sum(len(region.submitted) for region in world.regions[1:])


def chaos(adversary: str, seconds: int) -> ShardedWorld:
    """A network after some seconds of one kind of liar or loss, without the quiet phase."""
    world = ShardedWorld(SeedOptions(1, engine="sharded", nodes=12, seconds_ms=seconds * 1_000, adversary=adversary))
    world.begin()
    while world.step(seconds * 1_000):
        pass
    assert world.violations() == ()
    return world


@pytest.mark.parametrize("adversary", ["region-flooder", "inbox-flooder", "region-loss", "colluding-region"])
def test_one_regions_loss_or_burst_stops_nobody_else(adversary: str) -> None:
    """E 21: a region is silent, floods, or is disputed over and over: the global chain and the other regions keep at
    least nine tenths of their throughput (nearcore#10954, polkadot#6862, #6412)."""
    alone, disturbed = undisturbed(), throughput(chaos(adversary, 12))
    assert all(10 * found >= 9 * whole for found, whole in zip(disturbed, alone, strict=True)), (disturbed, alone)


def test_a_guide_that_lies_leads_nobody_anywhere() -> None:
    """Members go along certificates only: what a lying centre tells is refused, and others tell the truth."""
    world = played("lying-guide", 6)
    members = [node for region in world.regions for node in region.nodes if isinstance(node, RegionNode)]
    refused = Counter(code for member in members for code in member.refused)
    assert {"OTHER_BLOCK", "FORGED_CERTIFICATE", "MALFORMED"} <= refused.keys()
    assert min(member.known for member in members) >= len(world.finals) - 12


def test_tickets_order_the_leaders_of_the_next_epoch() -> None:
    """Found by work, carried in blocks, sorted at the boundary; forged ones make their block no block."""
    for adversary, lottery in (("", "work"), ("ticket-forger", "work"), ("", "hash")):
        options = SeedOptions(1, engine="sharded", nodes=8, seconds_ms=9_000, adversary=adversary, lottery=lottery)
        world = ShardedWorld(options)
        world.begin()
        while world.step(9_000):
            pass
        assert world.violations() == ()
        (region,) = world.regions
        tickets = {at: tuple(ticket.member for ticket in found) for at, found in region.drawn.items()}
        carried = sum(map(len, tickets.values()))
        assert len(region.orders) >= 3
        assert (carried == 0) == (lottery == "hash")
        assert all(sorted(order) == sorted(region.order) for order in region.orders.values())
        for epoch, members in tickets.items():
            assert set(region.orders[epoch][: len(members)]) == set(members)
        if adversary:
            assert len(region.auditor.complained) > 0


def test_the_same_seed_begins_anew_at_the_same_moment() -> None:
    first, second = played("colluding-region", 5, nodes=8), played("colluding-region", 5, nodes=8)
    assert first.trace_hash() == second.trace_hash()
    assert len(first.past) == len(second.past) > 0
