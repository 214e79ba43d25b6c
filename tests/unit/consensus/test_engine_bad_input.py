"""What members, agents and strangers may send to the rules of `dpos` and `sharded`: each is refused with a code, and
whoever is honest goes on (issue 6, what must be shown 7)."""

from __future__ import annotations

import msgspec
import pytest
from shard_world import ShardWorld, buy, certificate, hash_named, key_of, members, pay, publish, sell

from consensus.council import Bar, Cause, Council, CouncilRules, decode_council, encode_council, hold_election
from consensus.council_reports import ReportRefused, convict, report_invalid
from consensus.election import elect
from consensus.messages import Complaint, ComplaintReason
from consensus.sharded.accounts import RegionLedger
from consensus.sharded.admission import ENTRIES_A_REGION, choose, fault
from consensus.sharded.auction import Quote, clear
from consensus.sharded.following import Centres, Followed, Segment, follow
from consensus.sharded.global_state import Conflict, GlobalEntry, NewMembers, Posted, Submitted
from consensus.sharded.lottery import (
    LotteryRules,
    LotteryState,
    epoch_begins,
    new_tickets,
    next_lottery,
    next_order,
    take_tickets,
)
from consensus.sharded.records import RegionBlock, RegionSection
from consensus.sharded.region import execute_record
from consensus.sharded.turns import HIGHEST_TARGET, Ticket, search_ticket, valid_ticket
from consensus.simulator.scheme import MockScheme
from ledger.certificates import Vote, VoteKind
from ledger.codec import encode
from ledger.crypto import ZERO_HASH, Hash
from ledger.engine_settings import (
    CouncilSettings,
    GenesisValidator,
    RegionSettings,
    ShardSettings,
    check_council,
    check_shards,
    floor_size,
)
from ledger.errors import ConfigError, DecodeError, GenesisError
from ledger.merkle import EMPTY_ROOT
from ledger.objects import Header, header_hash
from ledger.validators import Validator

KEYS = tuple(bytes([65 + at]) * 32 for at in range(8))
PEOPLE = tuple(Validator(f"v{at}", key) for at, key in enumerate(KEYS))
RULES = CouncilRules(4, KEYS[:4])
READY = dict.fromkeys(KEYS, 5)
COUNCIL = Council(5, PEOPLE[:4], ready=READY)
change = msgspec.structs.replace


# --- dpos -------------------------------------------------------------------------------------------------------------


def test_dpos_a_ballot_with_duplicates_and_strangers_counts_what_is_left_of_it() -> None:
    """A candidate gets a voter's score once, however often it is named; who is not known gets nothing."""
    stranger = bytes(32)
    ballots = {KEYS[0]: (KEYS[1], KEYS[1], KEYS[1], stranger), stranger: (KEYS[7],) * 4}
    result = elect(dict.fromkeys(KEYS, 10), ballots, 4)
    assert stranger not in result.votes
    plain = elect(dict.fromkeys(KEYS, 10), {KEYS[0]: (KEYS[1],)}, 4)
    assert result == plain


def test_dpos_a_member_that_is_named_twice_makes_no_committee() -> None:
    with pytest.raises(GenesisError):
        Council(5, (PEOPLE[0], PEOPLE[0])).committee(5)
    raw = encode_council(COUNCIL)
    with pytest.raises(DecodeError):
        decode_council(raw[:-1])


def test_dpos_all_candidates_are_barred_and_the_next_council_sits() -> None:
    bars = tuple(Bar(key, Cause.INVALID, 4, 1 + at, 3) for at, key in enumerate(KEYS))
    council = Council(5, PEOPLE[:4], bars=bars, ready=READY)
    elected, _ = hold_election(council, RULES, PEOPLE, dict.fromkeys(KEYS, 1), {})
    assert len(elected.queue) == 4
    nobody_ready = Council(5, PEOPLE[:4], bars=bars)
    assert {one.public_key for one in hold_election(nobody_ready, RULES, PEOPLE, {}, {})[0].queue} == set(KEYS[:4])


@pytest.mark.parametrize("score", [0, 7])
def test_dpos_ties_and_zero_scores_go_by_key(score: int) -> None:
    elected, result = hold_election(COUNCIL, RULES, PEOPLE[::-1], dict.fromkeys(KEYS, score), {})
    assert [one.public_key for one in elected.queue] == sorted(KEYS)[:4]
    assert (max(result.votes.values()) == 0) == (score == 0)


def test_dpos_forged_evidence_bars_nobody() -> None:
    scheme = MockScheme("chain")
    first = Vote(VoteKind.NOTARIZE, 5, 1, hash_named("a"), 1, bytes(64))
    second = Vote(VoteKind.NOTARIZE, 5, 1, hash_named("b"), 1, bytes(64))
    for one, two in ((first, second), (first, first), (change(first, signer=99), change(second, signer=99))):
        with pytest.raises(ReportRefused):
            convict(COUNCIL, scheme, one, two)


def test_dpos_a_report_of_strangers_bars_nobody() -> None:
    scheme = MockScheme("chain")
    for signer in (0, 1_000, 2**63):
        complaint = Complaint(5, 1, hash_named("x"), ComplaintReason.INVALID, signer, bytes(64))
        with pytest.raises(ReportRefused):
            report_invalid(COUNCIL, RULES, scheme, [complaint])
    with pytest.raises(ReportRefused):
        report_invalid(COUNCIL, RULES, scheme, [])


@pytest.mark.parametrize(("voters", "seats"), [(4, 4), (6, 5), (50, 50), (150, 4), (150, 50)])
def test_dpos_councils_of_four_to_fifty_among_four_to_a_hundred_and_fifty(voters: int, seats: int) -> None:
    check_council("dpos", *council_of(voters, seats))


@pytest.mark.parametrize(
    ("voters", "seats", "expected", "found"),
    [(3, 3, "4 to 150", 3), (151, 50, "4 to 150", 151)]
    + [(6, seats, "4 to 6", seats) for seats in (1, 2, 3, 7, 51, 150)]
    + [(150, 51, "4 to 50", 51)],
)
def test_dpos_a_council_of_another_size_is_refused(voters: int, seats: int, expected: str, found: int) -> None:
    with pytest.raises(GenesisError) as refused:
        check_council("dpos", *council_of(voters, seats))
    error = refused.value
    assert (error.code, error.expected, error.found) == ("GENESIS_ENGINE", expected, found)
    assert error.fix


@pytest.mark.parametrize("floor", [(), ("v-0",) * 4, ("v-0", "v-1", "v-2", "nobody"), ("v-0", "v-1", "v-2")])
def test_dpos_a_floor_names_enough_validators_each_once(floor: tuple[str, ...]) -> None:
    settings, voters = council_of(6, 4)
    with pytest.raises(GenesisError, match="floor"):
        check_council("dpos", change(settings, floor=floor), voters)


def council_of(voters: int, seats: int) -> tuple[CouncilSettings, tuple[GenesisValidator, ...]]:
    """With a floor as large as it has to be."""
    known = founders("v", voters)
    return CouncilSettings(seats, tuple(one.name for one in known[: floor_size(seats)])), known


@pytest.mark.parametrize("seats", [0, -1])
def test_dpos_an_election_without_seats_is_refused(seats: int) -> None:
    for capped in (False, True):
        with pytest.raises(ConfigError) as refused:
            elect({b"a": 1}, {}, seats, capped=capped)
        assert (refused.value.code, refused.value.found) == ("SEATS", seats)


# --- sharded: members -------------------------------------------------------------------------------------------------


def founders(name: str, count: int) -> tuple[GenesisValidator, ...]:
    names = [f"{name}-{number}" for number in range(count)]
    return tuple(GenesisValidator(one, key_of(one), 1, bytes(64)) for one in names)


def test_sharded_a_region_of_one_is_no_region() -> None:
    centres = founders("centre", 4)
    for regions in ([("r0", founders("r0", 1))], [("r0", founders("r0", 4)), ("r1", founders("r0", 4))]):
        shards = ShardSettings(tuple(RegionSettings(*region) for region in regions))
        with pytest.raises(GenesisError) as refused:
            check_shards("sharded", "dev-grid", shards, centres)
        assert refused.value.code == "GENESIS_ENGINE"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((Validator("a", key_of("a")),), "BAD_MEMBERS"),
        ((Validator("a", key_of("a")),) * 4, "BAD_MEMBERS"),
        (tuple(Validator(f"v{at}", bytes([at]) * 32) for at in range(4)), "BAD_MEMBERS"),
        (tuple(Validator(f"v{at}", key_of(f"v{at}"), 0) for at in range(4)), "BAD_MEMBERS"),
        (members("new").validators, "BAD_SIGNERS"),
    ],
)
def test_sharded_members_that_can_be_no_committee_never_reach_one(found: tuple[Validator, ...], code: str) -> None:
    world = ShardWorld()
    assert world.block(NewMembers("r0", 1, found, (), ())).refused == (code,)
    assert world.block(world.submit(0)).confirmed


# --- sharded: records -------------------------------------------------------------------------------------------------


def refused_and_goes_on(world: ShardWorld, *entries: GlobalEntry) -> tuple[str, ...]:
    """Codes of entries, none of which does anything; the other regions' records are confirmed in the same block."""
    outcome = world.block(*entries, world.submit(1), world.submit(2))
    assert len(outcome.confirmed) == 2
    return outcome.refused


def test_sharded_records_out_of_sequence_are_refused_and_others_go_on() -> None:
    world = ShardWorld()
    ahead = world.submit(0, section=lambda section: change(section, seq=7))
    assert refused_and_goes_on(world, ahead) == ("SEQUENCE",)
    first = world.submit(0, agent=1)
    assert len(world.block(first).confirmed) == 1
    assert refused_and_goes_on(world, first) == ("ENTERED_BEFORE",)


def test_sharded_a_forged_certificate_is_refused_and_its_agent_fined() -> None:
    world = ShardWorld()
    true = world.submit(0).publication
    forged = change(true.certificate, signatures=(bytes(64),) * 3)
    short = change(true.certificate, signers=(0, 1), signatures=true.certificate.signatures[:2])
    beyond = change(true.certificate, signers=(0, 1, 9))
    for agent, proof in enumerate((forged, short, beyond)):
        key = world.own[0].validators.validators[agent].public_key
        lie = Submitted(publish(true.record, true.headers, true.section, proof, key), b"")
        outcome = world.block(lie, world.submit(1), world.submit(2))
        assert len(outcome.confirmed) == 2
        assert [one.member for one in outcome.fined] == [key]
    assert len(world.block(world.submit(0, agent=3)).confirmed) == 1


def test_sharded_a_record_of_nobody_or_nowhere_is_refused() -> None:
    world = ShardWorld()
    true = world.submit(0)
    publication = true.publication
    nowhere = change(publication, record=change(publication.record, region="nowhere"))
    stranger = change(publication, agent=key_of("stranger"))
    unsigned = change(publication, signature=bytes(64))
    entries = [change(true, publication=one) for one in (nowhere, stranger, unsigned)]
    assert sorted(refused_and_goes_on(world, *entries)) == ["BAD_SIGNATURE", "NO_MEMBER", "NO_REGION"]


def test_sharded_a_body_that_is_no_body_is_refused() -> None:
    world = ShardWorld()
    true = world.submit(0)
    assert refused_and_goes_on(world, change(true, body=b""), change(true, body=b"\xff" * 40)) == ("OTHER_BODY",) * 2
    assert len(world.block(true).confirmed) == 1


def test_sharded_replayed_inbox_items_are_corrected_and_never_paid_twice() -> None:
    """A certified record that consumes an item again, or one that nobody posted, does nothing but cost its signers."""
    world = ShardWorld()
    buyer, seller = world.own[0].accounts[0], world.own[1].accounts[0]
    world.block(world.submit(0, [buy(buyer, 0, 1_000, 300)]), world.submit(1, [sell(seller, 0, 1_000, 100)]))
    world.block(world.submit(0), world.submit(1))
    paid = world.ledger(0).lines

    def again(section: RegionSection) -> RegionSection:
        return change(section, inbox_count=section.inbox_count + 1)

    outcome = world.block(world.submit(0, section=again), world.submit(2))
    assert [one.kind for one in outcome.corrections] == ["W1"]
    assert world.ledger(0).lines == paid
    assert world.view(1).epoch == world.view(2).epoch == 1


@pytest.mark.parametrize("to", [(0, 1), (2, 1), (9, 9)])
def test_sharded_blocks_that_consume_out_of_order_do_not_execute(to: tuple[int, int]) -> None:
    ledger = RegionLedger(inbox_count=1)
    blocks = [RegionBlock(at, ()) for at in to]
    assert execute_record("r0", ledger, [], blocks, lambda key, data, signature: True) is None


def test_sharded_disputes_about_nothing_are_refused() -> None:
    world = ShardWorld()
    first = world.submit(0).publication
    again = Conflict(first, first)
    other = Conflict(first, world.submit(1).publication)
    nowhere = change(first, record=change(first.record, region="nowhere"))
    found = refused_and_goes_on(world, again, other, Conflict(nowhere, nowhere), Posted("nowhere", b"x"))
    assert sorted(found) == ["NO_CONFLICT", "NO_CONFLICT", "NO_REGION", "NO_REGION"]


def test_sharded_all_of_a_region_barred_may_speak_again() -> None:
    """Else nobody could correct what it did."""
    world = ShardWorld()
    for at in range(4):
        lie = world.submit(0, agent=at, record=lambda record: change(record, n_tx=9))
        assert len(world.block(lie, rounds=0).fined) == 1
    assert all(world.state.barred(one.public_key) for one in world.own[0].validators.validators)
    assert len(world.block(world.submit(0), rounds=0).confirmed) == 1


# --- sharded: what a leader lets in -----------------------------------------------------------------------------------


def test_sharded_a_burst_about_one_region_leaves_the_others_their_turns() -> None:
    world = ShardWorld()
    burst: list[GlobalEntry] = [Posted("r0", b"rubbish %d" % at) for at in range(500)]
    burst += [change(world.submit(0), body=b"%d" % at) for at in range(3)]
    records = [world.submit(1), world.submit(2)]
    chosen = choose(world.context, world.state, list(enumerate([*burst, *records])))
    assert {len(burst), len(burst) + 1} <= set(chosen[: 2 * len(world.own)])
    assert len(chosen) <= ENTRIES_A_REGION + 2


def test_sharded_what_would_do_nothing_is_not_let_in() -> None:
    world = ShardWorld()
    true = world.submit(0)
    unsigned = change(true, publication=change(true.publication, signature=bytes(64)))
    conflict = Conflict(true.publication, true.publication)
    found: dict[str, GlobalEntry] = {
        "BAD_SIGNATURE": unsigned,
        "NO_CONFLICT": conflict,
        "NO_REGION": Posted("nowhere", b"x"),
        "NOT_SUSPENDED": NewMembers("r0", 1, (), (), ()),
        "OTHER_EPOCH": NewMembers("r0", 2, (), (), ()),
        "": true,
    }
    for code, entry in found.items():
        assert fault(world.context, world.state, entry) == code
    assert choose(world.context, world.state, list(found.items())) == [""]
    world.block(true)
    assert fault(world.context, world.state, true) == "ENTERED_BEFORE"


# --- sharded: tickets -------------------------------------------------------------------------------------------------


def lottery() -> tuple[LotteryRules, LotteryState, list[Ticket]]:
    """An epoch with tickets of three of four members."""
    rules = LotteryRules("chain", "r0", tuple(sorted(KEYS[:4])))
    state = epoch_begins(rules, LotteryState(), 1, hash_named("genesis"))
    tickets = [search_ticket(next_lottery(rules, state), member, 0, 500) for member in rules.members[:3]]
    return rules, state, [ticket for ticket in tickets if ticket is not None]


def test_sharded_tickets_without_work_twice_or_of_strangers_are_refused() -> None:
    rules, state, tickets = lottery()
    after = take_tickets(rules, state, tickets)
    assert isinstance(after, LotteryState)
    drawn = next_lottery(rules, state)
    member = rules.members[3]
    nonces = (Ticket("r0", 2, member, nonce) for nonce in range(1_000))
    false = next(one for one in nonces if not valid_ticket(drawn, one, rules.members))
    assert take_tickets(rules, after, [false]) == "TICKET_INVALID"
    assert take_tickets(rules, after, tickets[:1]) == "TICKET_TWICE"
    assert take_tickets(rules, state, [tickets[0], tickets[0]]) == "TICKET_ORDER"
    assert take_tickets(rules, state, tickets[::-1]) == "TICKET_ORDER"
    assert take_tickets(rules, state, [change(tickets[0], member=KEYS[7])]) == "TICKET_INVALID"
    assert take_tickets(rules, state, [change(tickets[0], epoch=3)]) == "TICKET_INVALID"
    assert take_tickets(rules, state, [change(tickets[0], region="r1")]) == "TICKET_INVALID"
    off = LotteryRules("chain", "r0", rules.members, work=False)
    assert take_tickets(off, state, tickets[:1]) == "TICKET_INVALID"


def test_sharded_a_leader_carries_what_is_valid_and_new_and_the_order_follows() -> None:
    rules, state, tickets = lottery()
    heard = [*tickets, change(tickets[0], nonce=tickets[0].nonce + 1_000_000), change(tickets[1], epoch=9)]
    carried = new_tickets(rules, state, heard)
    assert set(carried) == set(tickets)
    after = take_tickets(rules, state, carried)
    assert isinstance(after, LotteryState)
    assert new_tickets(rules, after, heard) == ()
    order = next_order(rules, after)
    assert (sorted(order), order[3]) == (sorted(rules.members), rules.members[3])
    easier = epoch_begins(rules, LotteryState(epoch=1, opened_by=ZERO_HASH), 2, hash_named("b"))
    assert easier.target == min(HIGHEST_TARGET, 4 * LotteryState().target)
    assert epoch_begins(rules, after, 2, hash_named("b")).target == after.target


# --- sharded: who follows the global chain ----------------------------------------------------------------------------


def global_header(parent: Hash, height: int, **fields: object) -> bytes:
    """A header of the centres' chain."""
    own = members("centre").hash
    place = (height, height, height, parent, height - 1, False)
    header = Header(
        1, "global", 1, *place, EMPTY_ROOT, 0, hash_named(f"{height}"), EMPTY_ROOT, own, own, ZERO_HASH, ZERO_HASH
    )
    return encode(change(header, **fields))


def test_sharded_only_certified_steps_of_the_centres_are_followed() -> None:
    centres = Centres("global", members("centre"), MockScheme("global"))
    start = Followed(0, hash_named("genesis"), ZERO_HASH)
    one = global_header(start.hash, 1)
    two = global_header(header_hash(one), 2)
    proof = certificate("global", header_hash(two), 2, centres.validators)
    true = Segment((one, two), proof)
    found = follow(centres, start, true)
    assert found == Followed(2, header_hash(two), hash_named("2"))
    forged = change(proof, signatures=(bytes(64),) * 3)
    foreign = global_header(header_hash(one), 2, chain_id="other")
    usurped = global_header(header_hash(one), 2, validators=members("new").hash)
    orphan = global_header(hash_named("elsewhere"), 2)
    for segment, code in (
        (Segment((), proof), "NO_HEADERS"),
        (Segment((b"x",), proof), "MALFORMED"),
        (Segment((one,) * 300, proof), "TOO_MANY_HEADERS"),
        (Segment((two,), proof), "NOT_NEXT"),
        (Segment((one, foreign), proof), "OTHER_CHAIN"),
        (Segment((one, usurped), proof), "OTHER_VALIDATORS"),
        (Segment((one, orphan), proof), "BROKEN_CHAIN"),
        (Segment((one,), proof), "OTHER_BLOCK"),
        (Segment((one, two), change(proof, kind=VoteKind.NOTARIZE)), "OTHER_BLOCK"),
        (Segment((one, two), forged), "FORGED_CERTIFICATE"),
        (Segment((one, two), certificate("chain-r0", header_hash(two), 2, members("r0"))), "FORGED_CERTIFICATE"),
    ):
        assert follow(centres, start, segment) == code


# --- sharded: the auction ---------------------------------------------------------------------------------------------


def test_sharded_ties_and_zero_limits_clear_by_id_and_nobody_trades_with_itself() -> None:
    quotes = [Quote(bytes([at]), b"owner %d" % at, 10, 0) for at in range(4)]
    assert clear(quotes[:2], quotes[2:]) == clear(quotes[1::-1], quotes[:1:-1])
    own = Quote(b"a", b"me", 10, 5)
    assert clear([own], [change_quote(own)]) == ()


def change_quote(quote: Quote) -> Quote:
    """The same owner on the other side."""
    return Quote(b"b", quote.owner, quote.wh, quote.limit)


def test_sharded_payments_without_cover_change_nothing() -> None:
    world = ShardWorld()
    one, two = world.own[0].accounts[:2]
    before = world.ledger(0).lines
    assert world.block(world.submit(0, [pay(one, 0, two, 10**15)])).corrections == ()
    assert world.ledger(0).lines == before
