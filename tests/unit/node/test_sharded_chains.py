"""A day of a sharded network's chains in memory: trades across regions, lies, cuts, restarts."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace
from sharded_chains import DEPOSIT, MONEY, ROUND_MS, ShardedWorld, centre_key, lie, network_genesis, user

from consensus.engine import Verdict
from consensus.sharded.admission import ENTRIES_A_REGION
from consensus.sharded.global_chain import attestation_bytes
from consensus.sharded.global_codec import encode_global
from consensus.sharded.global_state import Attestation, Conflict, NewMembers
from consensus.sharded.lottery import LotteryRules, next_lottery, next_order
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, RegionSection
from consensus.sharded.turns import search_ticket
from consensus.simplex.effects import leader_key
from contracts.values import encode_value
from ledger.codec import decode, encode
from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from ledger.objects import TransactionBody, sign_transaction
from node.engine_side import BEHIND
from node.log import Logger
from node.shards.accuser import Accuser, Court
from node.shards.agent import AGENT_MS
from node.shards.audit import GlobalSection
from node.shards.global_side import GlobalSide
from node.shards.inbox_log import inbox_length
from node.shards.openings_log import openings
from node.shards.region_side import FORCED_GAS, RegionSide
from node.shards.region_state import RegionExtra, read_progress


def trade(world: ShardedWorld) -> None:
    """A household of the first region wants 2,000 Wh that one of the second has."""
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 2_000, 300_000, 100)


def test_a_trade_across_regions_settles_on_both_sides() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    world.run(6_000)
    buyer, seller = address_of(user(0).public), address_of(user(1).public)
    paid = 2_000 * 400_000 // 1_000
    fee = paid // 1_000
    assert world.head("ra").query("crossing", "stored", buyer) == 2_000
    assert world.head("ra").query("crossing", "balance", buyer) == MONEY - paid
    assert world.head("rb").query("crossing", "balance", seller) == MONEY + paid - fee
    state = world.state
    assert not state.locks
    assert state.pool == fee
    assert [(view.position.wh, len(view.inbox)) for view in state.regions] == [(2_000, 0), (-2_000, 0), (0, 0)]
    assert world.head(GLOBAL).query("shards", "pool") == fee


def test_a_lying_agent_is_fined_and_the_next_publishes() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    first = world.first_published("ra")
    liar = first[0].agent
    world.submit(lie(world, first[0]))
    world.step()
    assert world.state.deposits[liar] == DEPOSIT - DEPOSIT // 10
    assert world.state.pool == DEPOSIT // 10
    assert world.state.barred(liar)
    world.run(4_000)
    view = world.state.region("ra")
    assert view is not None
    assert view.position.seq >= 1
    (record,) = world.head(GLOBAL).query("shards", "regions")[:1]
    assert record["region"] == "ra"
    assert record["seq"] == view.position.seq
    assert world.head(GLOBAL).query("shards", "member", liar)["barred"] >= 0


def test_who_signs_two_records_loses_its_deposit_and_its_seat_and_the_region_begins_anew() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    first = world.first_published("ra")
    evidence = encode(Conflict(first[0], lie(world, first[0])))
    sent = [world.send(GLOBAL, user(n), "shards", "conflict", evidence) for n in (1, 2)]
    none = world.send(GLOBAL, user(3), "shards", "conflict", encode(Conflict(first[0], first[0])))
    members = world.send(GLOBAL, user(4), "shards", "members", encode(NewMembers("ra", 1, (), (), ())))
    world.block(GLOBAL)
    codes = [world.receipt(one).code for one in (*sent, none, members)]
    assert codes == ["", "", "NO_CONFLICT", "NOT_SUSPENDED"], "the same evidence twice is punished once"
    state = world.state
    assert state.deposits[first[0].agent] == 0
    assert state.pool == DEPOSIT
    assert state.removed == {first[0].agent}
    view = world.state.regions[0]
    assert (view.epoch, view.position.seq) == (2, 0)
    assert len(view.validators) == 3
    assert view.validators.index_of(first[0].agent) is None
    (opening,) = openings(world.head(GLOBAL).chain.state(), "ra")
    assert (opening.opened.reason, opening.chain_id) == ("two records", view.chain_id)


def test_two_records_of_one_place_that_come_by_are_brought_before_the_global_chain() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    first = world.first_published("ra")
    centre = world.head(GLOBAL)
    assert isinstance(centre.side, GlobalSide)
    forged = replace(lie(world, first[0]), signature=bytes(64))
    for one in (forged, first[0], first[0]):
        world.submit(one)
    world.step()
    world.step()
    assert not centre.side.doubles.take(), "what its agent has not signed is nobody's second record"
    late = world.submit(lie(world, first[0]))
    world.step()
    assert world.receipt(late).code == "ENTERED_BEFORE", "it does nothing by itself"
    told: list[str] = []
    log = SimpleNamespace(warning=lambda event, evidence, **_: told.append(evidence))
    seats = world.network.validator_set
    court = Court(GLOBAL, 1, seats, centre.chain.state(), None, (), cast(Logger, log), centre.side.doubles)
    accuser = Accuser(court)
    for _ in range(2):
        accuser.wake()
    (evidence,) = map(bytes.fromhex, told)
    world.send(GLOBAL, user(3), "shards", "conflict", evidence)
    world.block(GLOBAL)
    assert world.state.removed == {first[0].agent}
    assert world.state.regions[0].epoch == 2


def test_members_publish_in_turn_and_one_record_enters_once() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    first = world.first_published("ra")
    assert world.publications("ra", 1) == []
    world.now += AGENT_MS
    (second,) = world.publications("ra", 1)
    assert second.record == first[0].record
    sent = [world.submit(first[0]), world.submit(second)]
    world.block(GLOBAL)
    assert [world.receipt(one).code for one in sent] == ["", "ENTERED_BEFORE"]
    assert world.publications("ra", 2) == []


def test_inbox_items_come_once_in_order_and_never_before_they_are_known() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    world.send("ra", user(0), "crossing", "order", 1, 1_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 1_000, 300_000, 100)
    hosted = world.head("ra")
    while inbox_length(hosted.siblings.chains[GLOBAL].state(), "ra") < 2:
        world.now += 250
        for region in world.regions:
            world.block_if_due(region) if region != "ra" or not hosted.wanted else None
            world.publish(region)
        world.block_if_due(GLOBAL)
    candidate = world.build("ra")
    assert candidate is not None
    header, state = candidate.block.header, hosted.chain.state()
    extra = decode(RegionExtra, candidate.block.body.extra)
    first, second = extra.items[:2]

    def verdict(**changed: object) -> tuple[Verdict, str]:
        found = hosted.side.judge(state, header, encode(replace(extra, **changed)))
        return found.verdict, found.reason

    assert verdict() == (Verdict.VALID, "")
    assert verdict(items=(second, first)) == (Verdict.INVALID, "INBOX")
    assert verdict(items=(first, first)) == (Verdict.INVALID, "INBOX")
    assert verdict(items=(second,)) == (Verdict.INVALID, "INBOX")
    assert verdict(items=(first,)) == (Verdict.INVALID, "INBOX"), "the height says that nothing is left"
    assert verdict(inbox_height=extra.inbox_height + 5) == (Verdict.MISSING, BEHIND)
    assert verdict(items=(*extra.items, first), inbox_height=extra.inbox_height + 1) == (Verdict.MISSING, BEHIND)
    assert verdict(items=()) == (Verdict.INVALID, "SECTION")


def test_a_closing_block_states_what_the_voter_finds() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    world.step()
    world.now += ROUND_MS
    candidate = world.build("ra")
    assert candidate is not None
    hosted = world.members["ra"][1].chains["ra"]
    header, section = candidate.block.header, decode(RegionSection, candidate.block.body.extra)
    assert hosted.side.judge(hosted.chain.state(), header, encode(section)).verdict is Verdict.VALID
    for changed in ({"post_root": bytes(32)}, {"n_tx": 7}, {"seq": 2}, {"outbox_root": bytes(32)}, {"inbox_count": 1}):
        found = hosted.side.judge(hosted.chain.state(), header, encode(replace(section, **changed)))
        assert (found.verdict, found.reason) == (Verdict.INVALID, "RECORD"), changed
    assert hosted.side.judge(hosted.chain.state(), header, b"").reason == "SECTION"


def test_a_centre_waits_for_its_copy_and_votes_for_its_own_finding_only() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    late = world.centres[1]
    world.deaf = {id(late)}
    found = world.first_published("ra")
    world.deaf = set()
    world.submit(found[0])
    candidate = world.build(GLOBAL)
    assert candidate is not None
    judged = late.chains[GLOBAL].check(candidate)
    assert (judged.verdict, judged.reason) == (Verdict.MISSING, BEHIND)
    world.follow("ra")
    assert late.chains[GLOBAL].check(candidate).verdict is Verdict.VALID
    section = decode(GlobalSection, candidate.block.body.extra)
    wrong = replace(section.findings[0], position=replace(section.findings[0].position, money=1))
    side, state = late.chains[GLOBAL].side, late.chains[GLOBAL].chain.state()
    verdict = side.judge(state, candidate.block.header, encode(GlobalSection((wrong,))))
    assert (verdict.verdict, verdict.reason) == (Verdict.INVALID, "FINDING")


def test_a_restarted_process_goes_on_from_its_stores() -> None:
    world = ShardedWorld()
    world.step()
    trade(world)
    world.run(2_500)
    before = encode_global(world.state)
    world.centres[1] = world.centres[1].restarted()
    world.members["ra"][1] = world.members["ra"][1].restarted()
    fresh = world.centres[1].chains[GLOBAL]
    assert isinstance(fresh.side, GlobalSide)
    assert encode_global(fresh.side.state(fresh.chain.state())) == before
    trade(world)
    world.run(3_500)
    assert fresh.chain.head_hash == world.head(GLOBAL).chain.head_hash
    assert fresh.side.state(fresh.chain.state()).height == world.state.height > 4


def test_a_region_that_is_cut_off_is_cleared_without_and_catches_up() -> None:
    world = ShardedWorld()
    world.step()
    world.send("rb", user(1), "crossing", "order", 2, 4_000, 300_000, 1_000)
    while not world.state.locks:
        world.step()
    world.cut = {"rb"}
    world.send("ra", user(0), "crossing", "order", 1, 1_000, 500_000, 1_000)
    world.run(2_000)
    assert inbox_length(world.head(GLOBAL).chain.state(), "rb") == 1, "its lock is cleared while it is not silent"
    world.send("rb", user(1, 1), "crossing", "pay", address_of(user(1).public), 5)
    world.run(5 * ROUND_MS)
    standing = {row["region"]: row["standing"] for row in world.head(GLOBAL).query("shards", "regions")}
    assert standing == {"ra": "current", "rb": "stale", "rc": "current"}
    world.send("ra", user(0), "crossing", "order", 1, 1_000, 500_000, 1_000)
    world.run(3_000)
    assert inbox_length(world.head(GLOBAL).chain.state(), "rb") == 1, "nobody trades with a silent region"
    assert world.head("rb").chain.height > 3, "it goes on by itself meanwhile"
    world.cut = set()
    for chain in (GLOBAL, "rb"):
        world.follow(chain)
    world.run(8_000)
    assert inbox_length(world.head(GLOBAL).chain.state(), "rb") == 2
    assert world.head("rb").query("crossing", "position")[1] == 2
    view = world.state.region("rb")
    assert view is not None
    assert not view.inbox
    assert [row["standing"] for row in world.head(GLOBAL).query("shards", "regions")] == ["current"] * 3


def test_a_posted_transaction_runs_in_the_region_that_ignores_it() -> None:
    world = ShardedWorld()
    world.step()
    forced = world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 123)
    world.pools["ra"].clear()
    world.send(GLOBAL, user(2), "shards", "post", "ra", forced.raw)
    twice = world.send(GLOBAL, user(2, 1), "shards", "post", "nowhere", forced.raw)
    world.run(3_000)
    assert world.head("ra").query("crossing", "balance", address_of(user(0, 1).public)) == MONEY + 123
    assert world.receipt(forced).ok
    assert world.receipt(twice).code == "NO_REGION"


def test_next_round_settles_in_a_later_block_and_assigned_waits_for_its_centres() -> None:
    world = ShardedWorld(network_genesis(audit="next_round"))
    world.step()
    trade(world)
    while not any(view.pending for view in world.state.regions):
        world.step()
    assert not world.state.locks
    world.run(6_000)
    assert world.head("ra").query("crossing", "stored", address_of(user(0).public)) == 2_000

    world = ShardedWorld(network_genesis(2, audit="assigned", round_ms=4_000))
    world.step()
    trade(world)
    while not (waiting := [view.pending for view in world.state.regions if view.pending]):
        world.step()
    record = waiting[0].publication.record
    hosted = world.head(GLOBAL)
    assert isinstance(hosted.side, GlobalSide)
    asked = 0
    for key in map(centre_key, range(4)):
        for name, root in hosted.side.to_attest(hosted.chain.state(), key.public):
            signature = key.sign(DOMAIN_RECORD_SIGNATURE, attestation_bytes(name, root))
            word = encode(Attestation(name, root, key.public, signature))
            world.send(GLOBAL, key, "shards", "attest", word)
            asked += name == record.id
    assert asked == 2, "F + 1 of four centres"
    world.step()
    world.run(4_000)
    view = world.state.region(record.region)
    assert view is not None
    assert view.position.seq == record.seq


def test_tickets_order_the_next_epochs_leaders() -> None:
    world = ShardedWorld(network_genesis(1, lottery="work", region_views=6))
    hosted = [process.chains["ra"] for process in world.members["ra"]]
    world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    world.step()
    sides = [one.side for one in hosted if isinstance(one.side, RegionSide)]
    state = read_progress(hosted[0].chain.state()).lottery
    members = tuple(member.public_key for member in hosted[0].commits.epoch.validators.validators)
    rules = LotteryRules(hosted[0].genesis.chain_id, "ra", members)
    tickets = [search_ticket(next_lottery(rules, state), member, 0, 200) for member in members[1:]]
    sides[0].tickets = tuple(ticket for ticket in tickets if ticket is not None)
    assert len(sides[0].tickets) == 3
    while hosted[0].commits.epoch.epoch == 1:
        world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
        world.step()
    taken = read_progress(hosted[0].chain.state()).lottery
    assert {ticket.member for ticket in taken.tickets} == set(members[1:])
    epoch = hosted[1].commits.epoch
    order = tuple(leader_key(epoch, view) for view in range(1, 5))
    assert order == next_order(rules, taken)
    assert order[3] == members[0], "who has no ticket leads last"
    assert order != members, "the committee stays as it is, only the turns change"
    assert epoch.validators.hash == hosted[1].genesis.validator_set.hash
    again = world.members["ra"][1].restarted().chains["ra"]
    assert again.commits.epoch.leaders == epoch.leaders
    seq = world.state.regions[0].position.seq
    world.run(3_000)
    assert world.state.regions[0].position.seq > seq, "certificates of later epochs are those of the region's members"
    assert not world.state.convicted


def test_the_pool_is_split_among_the_centres() -> None:
    world = ShardedWorld(network_genesis(2, fee=100_000, pool_blocks=4))
    world.step()
    trade(world)
    world.run(5_000)
    while world.state.height % 4 or world.state.pool:
        world.send(GLOBAL, user(9), "shards", "post", "ra", world.now.to_bytes(8, "big"))
        world.step()
    fee = 2_000 * 400_000 // 1_000 // 10
    assert sum(world.state.rewards.values()) == fee
    assert all(world.state.rewards[centre_key(n).public] > 0 for n in range(4))


def test_a_transaction_whose_turn_never_comes_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.block_execution.MOST_DEFERRALS", 5)
    world = ShardedWorld(network_genesis(1))
    world.step()
    trade_home = world.send("ra", user(0), "crossing", "pay", address_of(user(0, 1).public), 1)
    late = world.centres[0]
    world.deaf = {id(late)}
    found = world.first_published("ra")
    assert world.receipt(trade_home).ok
    sent = world.submit(found[0])
    application = late.chains[GLOBAL].application
    for _ in range(5):
        candidate = world.build(GLOBAL)
        assert candidate is not None
        assert candidate.transactions == (), "no centre's copy has the record: it stays in the mempool"
        application.prune([candidate.block.hash])
        world.now += 1
    last = world.build(GLOBAL)
    assert last is not None
    assert [one.id for one in last.transactions] == [sent.id]
    assert last.receipts[-1].code == "LATER"


def test_a_long_section_leaves_room_in_the_block() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    hosted = world.head("ra")
    note = "x" * 60_000
    for _ in range(20):
        world.send("ra", user(0), "crossing", "note", note)
    world.now += ROUND_MS
    candidate = world.build("ra")
    assert candidate is not None
    assert len(candidate.block.body.extra) > 100, "it closes a round"
    assert 900_000 < candidate.block.header.body_size <= hosted.genesis.limits.max_block_bytes
    assert world.members["ra"][1].chains["ra"].check(candidate).verdict is Verdict.VALID


def test_many_large_items_come_home_block_by_block() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    for number in range(30):
        world.send(GLOBAL, user(9), "shards", "post", "ra", bytes([number]) * 8_000)
    refused = world.send(GLOBAL, user(9), "shards", "post", "ra", bytes(9_000))
    world.step()
    world.step()
    assert world.receipt(refused).code == "BAD_SIZE"
    hosted = world.head("ra")
    assert inbox_length(hosted.siblings.chains[GLOBAL].state(), "ra") == 30, (
        f"in two blocks, {ENTRIES_A_REGION} a block"
    )
    sizes = []
    while read_progress(hosted.chain.state()).inbox_count < 30:
        world.step()
        sizes.append(hosted.chain.head.body_size)
    assert 90_000 < max(sizes) < 110_000
    assert hosted.query("crossing", "position")[1] == 30


def test_posted_transactions_of_one_block_share_its_gas() -> None:
    world = ShardedWorld(network_genesis(1))
    world.step()
    hosted = world.head("ra")
    to = encode_value([address_of(user(0, 1).public), 1])
    for nonce in range(5):
        body = TransactionBody(
            1, hosted.genesis.transaction_chain_id, user(0).public, nonce, "crossing", "pay", to, 40_000_000
        )
        world.send(GLOBAL, user(9), "shards", "post", "ra", sign_transaction(body, user(0)))
    world.step()
    taken = [0]
    while read_progress(hosted.chain.state()).inbox_count < 5:
        world.step()
        taken.append(read_progress(hosted.chain.state()).inbox_count)
    assert max(after - before for before, after in pairwise(taken)) == FORCED_GAS // 40_000_000 == 2
    assert hosted.query("crossing", "balance", address_of(user(0, 1).public)) == MONEY + 5
