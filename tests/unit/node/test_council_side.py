"""Engine `dpos` inside blocks: elections from trades, ballots, readiness, reports, evidence, bars, route hashes."""

from __future__ import annotations

import pytest
from council_world import CouncilWorld, account, council_genesis, speaker
from msgspec.structs import replace as replaced

from consensus.composite_score import composite_scores
from consensus.engine import Verdict
from consensus.path_queue import route_hash
from ledger.certificates import VoteKind
from ledger.errors import GenesisError
from ledger.objects import extra_root
from ledger.store import MemoryStore
from node.evidence_side import evidence_argument
from node.founding import make_executor, open_chain


@pytest.fixture
def world() -> CouncilWorld:
    return CouncilWorld()


def all_ready(world: CouncilWorld) -> None:
    """An epoch in which everybody shows the state."""
    world.end_epoch(*world.ready(*range(len(world.genesis.validators))))


def counted(world: CouncilWorld, slot: int) -> None:
    """Epochs until an election has counted a slot, after the time for late readings."""
    world.go_slot(slot, 7)
    for _ in range(4):
        all_ready(world)
    assert world.query("council", "period")["next_slot"] > slot


# --- elections --------------------------------------------------------------------------------------------------------


def test_the_first_queue_is_that_of_genesis_and_the_next_is_elected_from_who_is_ready(world: CouncilWorld) -> None:
    assert world.queue == ["v0", "v1", "v2", "v3"]
    boundary = world.end_epoch(*world.ready(5))
    assert boundary.block.header.view == 4
    assert boundary.block.header.next_validators == world.commits.epoch.validators.hash
    assert set(world.queue) < {"v0", "v1", "v2", "v3", "v5"}, "v4 has not shown the state"
    assert world.query("council", "queue") == {"epoch": 2, "seats": 4, "queue": world.queue}
    assert [row["name"] for row in world.query("council", "validators") if row["elected"]] == sorted(world.queue)


def test_who_shows_the_state_no_more_has_no_seat_two_elections_later(world: CouncilWorld) -> None:
    world.end_epoch(*world.ready(0, 1, 2, 3, 4))
    for _ in range(2):
        world.end_epoch(*world.ready(0, 1, 2, 4))
    assert "v3" not in world.queue
    assert "v4" in world.queue
    world.end_epoch()
    world.end_epoch()
    assert set(world.queue) == {"v0", "v1", "v2", "v3"}, "fewer than four are ready: the floor comes in, ready or not"


def test_scores_come_from_settled_trades_and_order_the_queue(world: CouncilWorld) -> None:
    for name in ("anna", "bert", "carl"):
        world.join(name)
    for name, validator in (("anna", "v4"), ("bert", "v5")):
        world.done(name, "council", "appoint", validator)
    world.trade(8, {"anna": 1_000, "bert": 3_000}, {"carl": 4_000}, {"anna": 900, "bert": 3_000})
    counted(world, 8)
    all_ready(world)
    expected = composite_scores({"v4": ((1_000, 900),), "v5": ((3_000, 3_000),)}, {})
    assert expected == {"v4": 630_000, "v5": 1_000_000}, "the example of the market rules"
    assert {name: score for name, score in world.scores.items() if score} == expected
    assert world.queue[:2] == ["v5", "v4"]
    shown = {row["name"]: row for row in world.query("council", "validators")}
    assert (shown["v5"]["score"], shown["v4"]["score"]) == (1_000_000, 630_000)
    assert shown["v5"]["votes"] == 1_630_000, "all are silent: the whole score of both"
    all_ready(world)
    assert world.scores["v4"] == 630_000, "no trade in the period: the score is kept"


def test_trades_of_one_owner_do_not_count_and_promises_only_up_to_the_rated_power(world: CouncilWorld) -> None:
    world.join("anna", watts=4_000)
    world.join("bert", owner="anna")
    world.join("carl")
    for name, validator in (("anna", "v4"), ("bert", "v5"), ("carl", "v3")):
        world.done(name, "council", "appoint", validator)
    world.trade(8, {"anna": 1_200}, {"carl": 1_200}, {"anna": 1_100})
    counted(world, 8)
    rows = world.query("bills", "period_trades", 8)
    assert [(row["wh"], row["delivered_wh"], row["settled"]) for row in rows] == [(1_200, 1_100, True)]
    most = 4_000 // 4
    assert world.scores["v4"] == composite_scores({"v4": ((most, 1_100 * most // 1_200),)}, {})["v4"]
    assert (world.scores["v3"], world.scores["v5"]) == (0, 0), "who buys has promised nothing"


def test_a_validators_own_account_counts_for_it_and_self_trade_for_nobody() -> None:
    world = CouncilWorld(council_genesis(self_trade=True))
    world.join(speaker(5), owner="house")
    world.join("bert", owner="house")
    world.join("carl")
    assert world.query("council", "validator_of", account(speaker(5))) == "v5"
    world.trade(8, {speaker(5): 900}, {"bert": 900}, {speaker(5): 900})
    world.trade(20, {speaker(5): 1_000}, {"carl": 1_000}, {speaker(5): 500})
    counted(world, 20)
    assert world.scores["v5"] == composite_scores({"v5": ((1_000, 500),)}, {})["v5"]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_ballots_decide_and_bad_ones_have_a_code(world: CouncilWorld) -> None:
    assert world.council("ballot", ["v5", "v5"]) == "DUPLICATE_NAME"
    assert world.council("ballot", ["nobody"]) == "UNKNOWN_VALIDATOR"
    assert world.council("ballot", [f"v{n}" for n in range(5)]) == "TOO_MANY_NAMES"
    assert world.refused("center", "council", "ballot", ["v5"]) == "NOT_VALIDATOR"
    assert world.refused("center", "council", "appoint", "v9") == "UNKNOWN_VALIDATOR"
    assert world.refused(speaker(1), "council", "appoint", "v2") == "IS_VALIDATOR"
    for entry, arguments in (
        ("collect", []),
        ("close_period", []),
        ("pass_over", []),
        ("publish", [9, [], [], [], []]),
    ):
        assert world.refused(speaker(1), "council", entry, *arguments) == "NOT_ALLOWED"
    assert world.query("council", "queue")["queue"] == world.queue


def test_a_ballot_moves_the_voters_score_and_an_empty_one_takes_it_back(world: CouncilWorld) -> None:
    world.join("anna")
    world.join("carl")
    world.done("anna", "council", "appoint", "v4")
    world.trade(8, {"anna": 1_000}, {"carl": 1_000}, {"anna": 1_000})
    counted(world, 8)
    assert world.council("ballot", ["v5"], by=4) == ""
    all_ready(world)
    all_ready(world)
    assert world.queue[0] == "v5", "the only score votes for it"
    assert world.council("ballot", [], by=4) == ""
    all_ready(world)
    assert world.queue[0] == "v4", "silent: it counts as naming the highest scores, its own first"


def test_readiness_names_the_block_of_this_epoch_or_the_one_before_once(world: CouncilWorld) -> None:
    first = world.anchor()
    assert world.council("ready", *first) == ""
    assert world.council("ready", *first) == "READY_AGAIN"
    assert world.council("ready", first[0], bytes(32)) == "READY_STATE"
    assert world.council("ready", first[0] + 1, first[1], by=1) == "READY_STATE"
    assert world.commits.epoch.epoch == 2
    assert world.council("ready", first[0], by=1) == "READY_STATE"
    assert world.refused("center", "council", "ready", *first) == "NOT_VALIDATOR"
    assert world.council("ready", *first, by=1) == "", "it came late, and says the epoch before"
    assert world.state.ready[world.genesis.validators[1].public_key] == 1
    world.end_epoch()
    assert world.council("ready", *first, by=2) == "READY_STATE"


def test_a_report_bars_from_three_elections_and_a_false_one_from_none(world: CouncilWorld) -> None:
    all_ready(world)
    leader = world.queue[1]
    accusers = [name for name in world.queue if name != leader][:2]
    good = world.complaints(accusers, 2)
    bad = {
        b"junk": "REPORT_MALFORMED",
        world.complaints(accusers[:1], 2): "REPORT_TOO_FEW",
        world.complaints([accusers[0]] * 2, 2): "REPORT_SIGNATURE",
        good.replace(b"x" * 32, b"y" * 32): "REPORT_SIGNATURE",
        world.complaints((), 2): "REPORT_EMPTY",
    }
    assert world.say([("report_invalid", raw) for raw in bad], by=0) == list(bad.values())
    assert not world.state.bars, "nobody is barred by what proves nothing"
    assert world.refused("center", "council", "report_invalid", good) == "NOT_VALIDATOR"
    calls = [*world.ready(*range(6))]
    assert world.say([("report_invalid", good), ("report_invalid", good)], *calls, by=2) == ["", "REPORT_AGAIN"]
    for left in (3, 2, 1):
        all_ready(world)
        assert leader not in world.queue
        (shown,) = world.query("council", "bars")
        assert (shown["validator"], shown["cause"], shown["left"]) == (leader, "invalid", left)
    assert world.council("report_invalid", good) == "REPORT_EPOCH"
    all_ready(world)
    assert world.query("council", "bars") == [], "it may be elected again"


def test_evidence_of_two_votes_bars_for_good(world: CouncilWorld) -> None:
    all_ready(world)
    culprit, other = world.queue[2], world.queue[3]
    vote = world.vote(culprit, VoteKind.NOTARIZE, 1, b"a" * 32)
    signed = world.vote(other, VoteKind.NOTARIZE, 1, b"b" * 32).signature
    bad = {
        b"junk": "REPORT_MALFORMED",
        evidence_argument(vote, vote): "EVIDENCE_EMPTY",
        evidence_argument(vote, replaced(vote, block_hash=b"b" * 32, signature=signed)): "EVIDENCE_SIGNATURE",
        evidence_argument(vote, replaced(vote, epoch=9)): "EVIDENCE_EMPTY",
    }
    assert world.say([("evidence", raw) for raw in bad], by=0) == list(bad.values())
    good = world.evidence(culprit)
    assert world.say([("evidence", good)] * 2, *world.ready(*range(6)), by=1) == ["", "EVIDENCE_AGAIN"]
    for _ in range(4):
        all_ready(world)
        assert culprit not in world.queue
    (shown,) = world.query("council", "bars")
    assert (shown["validator"], shown["cause"], shown["left"]) == (culprit, "equivocation", 0)
    assert world.council("evidence", good) == "EVIDENCE_EPOCH"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((VoteKind.FINALIZE, b"a" * 32), (VoteKind.FINALIZE, b"b" * 32)),
        ((VoteKind.NULLIFY, bytes(32)), (VoteKind.FINALIZE, b"a" * 32)),
    ],
)
def test_evidence_of_the_other_kinds_bars_for_good(
    world: CouncilWorld, first: tuple[VoteKind, bytes], second: tuple[VoteKind, bytes]
) -> None:
    all_ready(world)
    culprit = world.queue[2]
    votes = [world.vote(culprit, kind, 1, block_hash) for kind, block_hash in (first, second)]
    assert world.council("evidence", evidence_argument(*votes)) == ""
    all_ready(world)
    assert culprit not in world.queue
    (shown,) = world.query("council", "bars")
    assert (shown["validator"], shown["cause"], shown["left"]) == (culprit, "equivocation", 0)


# --- turns, floor, routes ---------------------------------------------------------------------------------------------


def test_who_lost_a_turn_sits_out_one_election(world: CouncilWorld) -> None:
    all_ready(world)
    lost = world.queue[0]
    world.block(*world.ready(*range(6)), view=2)
    world.end_epoch()
    assert lost not in world.queue
    assert [(row["validator"], row["cause"]) for row in world.query("council", "bars")] == [(lost, "turn")]
    everybody = set(world.queue)
    all_ready(world)
    assert everybody | set(world.queue) >= {lost}, "and may be elected at the next"


def test_where_all_are_barred_the_oldest_bars_are_lifted(world: CouncilWorld) -> None:
    all_ready(world)
    queue = world.queue
    world.block(*world.ready(*range(6)), view=4 * 6 + 1)
    barred = [row["validator"] for row in world.query("council", "bars")]
    assert barred == queue, "all who sit lost a turn; the block ends the epoch"
    assert {*world.queue} == {"v0", "v1", "v2", "v3", "v4", "v5"} - {*queue[2:]}, "the two oldest bars are lifted"


def test_another_route_hash_is_invalid_and_only_that(world: CouncilWorld) -> None:
    assert world.application.build(world.template(), []).block.body.extra == bytes(route_hash(()))
    world.join("anna")
    world.join("carl")
    world.trade(8, {"anna": 1_000}, {"carl": 1_000}, {"anna": 1_000})
    counted(world, 8)
    other = CouncilWorld(world.genesis)
    other.follow(world)
    built = other.application.build(world.template(), [])
    assert built is not None
    header = built.block.header
    assert built.block.body.extra != bytes(route_hash(())), "it is the queue of the slot that was counted"
    wrong = bytes(32)
    lied = replaced(header, extra_root=extra_root(wrong))
    judged = world.application.check(lied, built.block.hash, [], wrong)
    assert (judged.verdict, judged.reason) == (Verdict.INVALID, "ROUTE_HASH")
    assert world.application.check(header, built.block.hash, [], built.block.body.extra).verdict is Verdict.VALID


def test_a_node_that_catches_up_or_starts_again_has_the_same_councils(world: CouncilWorld) -> None:
    """I17: elections follow from headers and transactions alone."""
    late = CouncilWorld(world.genesis)
    all_ready(world)
    world.block(view=3)
    world.council("evidence", world.evidence(world.queue[3]))
    world.end_epoch(*world.ready(*range(6)))
    late.follow(world)
    assert late.queue == world.queue
    assert late.dump() == world.dump()
    late.open()
    assert late.queue == world.queue
    all_ready(world)
    late.follow(world)
    assert late.dump() == world.dump()


def test_a_genesis_that_names_dpos_needs_the_contract() -> None:
    genesis = council_genesis(with_contract=False)
    with pytest.raises(GenesisError) as refused:
        open_chain(MemoryStore(), genesis, make_executor(genesis))
    assert refused.value.code == "GENESIS_COUNCIL"


ANOTHER = """
@init
def setup(
    engine: Address, seats: u64, names: list[str], keys: list[bytes], accounts: list[Address], floor: list[u64],
    calendar: list[u64],
) -> None:
    pass

@export
def close_period() -> list:
    return [[["x"], [9, 1, 1], [0, -1, 2], [1, 2], [2, 5, 5]], [[0, [99]], "y", [1, [4]]]]
"""


def test_another_contract_in_the_place_of_the_council_stops_no_election() -> None:
    """Governance may upgrade it to anything: what it then answers counts for as much as it makes sense."""
    genesis = council_genesis()
    contracts = tuple(replaced(one, source=ANOTHER) if one.name == "council" else one for one in genesis.contracts)
    world = CouncilWorld(replaced(genesis, contracts=contracts))
    receipts = [receipt for _ in range(3) for receipt in world.end_epoch().receipts]
    assert [(receipt.entry, receipt.ok) for receipt in receipts] == [("close_period", True), ("publish", False)] * 3
    assert set(world.queue) == {"v0", "v1", "v2", "v3"}, "nobody can show the state: the floor"
    assert world.scores["v2"] == 700_000
