"""W1 to W6: each wrong record is told from a right one, blamed on who did it, and from nobody else."""

from __future__ import annotations

import msgspec
import pytest
from shard_world import ShardWorld, body_of, buy, certificate, hash_named, key_of, members, pay, publish, reading, sell

from consensus.sharded.accounts import with_lines
from consensus.sharded.discipline import ONE
from consensus.sharded.global_state import Conflict, GlobalOutcome, Posted, Submitted
from consensus.sharded.records import Line, LocalFill, RegionBody, RegionRecord, RegionSection, TransactionReceipt
from consensus.sharded.verdicts import apply_entries
from ledger.certificates import VoteKind
from ledger.codec import encode
from ledger.crypto import ZERO_HASH
from ledger.objects import decode_header, header_hash, transaction_id

change = msgspec.structs.replace
EMPTY = encode(RegionBody((), (), (), ()))


def start() -> tuple[ShardWorld, bytes, bytes]:
    """A world, and two users of its first region."""
    world = ShardWorld()
    return world, world.own[0].accounts[0], world.own[0].accounts[1]


def untouched(world: ShardWorld) -> bool:
    """Whether nobody was punished."""
    deposits = set(world.state.deposits.values())
    return deposits == {1_000_000} and not world.state.bars and set(world.state.accuracy.values()) <= {ONE}


def test_a_right_record_is_confirmed_and_nobody_punished() -> None:
    world, one, two = start()
    entry = world.submit(0, [pay(one, 0, two, 5)])
    outcome = world.block(entry)
    assert outcome.confirmed == (entry.publication.record.id,)
    assert (outcome.refused, outcome.corrections, outcome.fined) == ((), (), ())
    assert world.view(0).position.root == entry.publication.record.post_root
    assert untouched(world)


def certified_lie(world: ShardWorld, outcome: GlobalOutcome, kind: str, entry: Submitted) -> None:
    """What every certified wrong leads to: a correction, fines for its signers, a new epoch from the true root."""
    (correction,) = outcome.corrections
    record = entry.publication.record
    assert (correction.kind, correction.record) == (kind, record.id)
    signers = {world.own[0].validators.validators[at].public_key for at in range(3)}
    assert {fined.member for fined in outcome.fined} == signers
    assert all(world.state.deposits[member] == 900_000 and world.state.barred(member) for member in signers)
    (opened,) = outcome.epochs
    assert opened.base_root == correction.corrected_root == world.view(0).position.root
    assert (opened.base_seq, opened.base_record) == (record.seq, record.id)
    assert (opened.epoch, world.view(0).epoch) == (2, 2)
    before = ShardWorld().ledger(0).lines
    claimed = with_lines(before, body_of(entry).changed)
    assert apply_entries(claimed, correction.entries) == dict(world.ledger(0).lines)


def test_w1_money_from_nowhere() -> None:
    world, one, two = start()
    more = Line(two, world.execution(0, [[pay(one, 0, two, 5)]]).body.changed[0].asset, 99_000_000)

    def claim(body: RegionBody) -> RegionBody:
        return change(body, changed=tuple(sorted({x.account: x for x in (*body.changed, more)}.values(), key=str)))

    entry = world.submit(0, [pay(one, 0, two, 5)], body=claim)
    certified_lie(world, world.block(entry), "W1", entry)


def test_w1_another_root() -> None:
    world, one, two = start()
    entry = world.submit(0, [pay(one, 0, two, 5)], section=lambda s: change(s, post_root=hash_named("other")))
    certified_lie(world, world.block(entry), "W1", entry)


@pytest.mark.parametrize("field", ["prev_record", "pre_root", "outbox_root"])
def test_w1_another_chain(field: str) -> None:
    world, one, two = start()
    entry = world.submit(0, [pay(one, 0, two, 5)], section=lambda s: change(s, **{field: hash_named("other")}))
    certified_lie(world, world.block(entry), "W1", entry)


def test_w1_a_stolen_signature_names_the_transaction() -> None:
    world, one, two = start()
    stolen = pay(one, 0, two, 5)[:-64] + bytes(64)
    entry = world.submit(0, [stolen])
    outcome = world.block(entry)
    certified_lie(world, outcome, "W1", entry)
    assert outcome.corrections[0].offending == (transaction_id(stolen),)


def test_w1_a_double_spend_names_the_transaction() -> None:
    """The region lets a payment through that has no cover."""
    world, one, two = start()
    spend = pay(one, 0, two, 10_000_001)

    def claim(body: RegionBody) -> RegionBody:
        return change(body, receipts=(TransactionReceipt(transaction_id(spend), ""),))

    entry = world.submit(0, [spend], body=claim)
    outcome = world.block(entry)
    certified_lie(world, outcome, "W1", entry)
    assert outcome.corrections[0].offending == (transaction_id(spend),)


@pytest.mark.parametrize(("count", "kinds"), [(0, ["W1"]), (1, []), (2, ["W1"])])
def test_w1_inbox_items_are_neither_invented_nor_left_out(count: int, kinds: list[str]) -> None:
    world, one, two = start()
    world.block(Posted("r0", pay(one, 0, two, 5)))
    entry = world.submit(0, section=lambda s: change(s, inbox_count=count))
    assert [correction.kind for correction in world.block(entry).corrections] == kinds


def test_w1_a_global_height_that_nobody_can_have_seen() -> None:
    world, one, two = start()
    entry = world.submit(0, [pay(one, 0, two, 5)], section=lambda s: change(s, inbox_height=1))
    certified_lie(world, world.block(entry), "W1", entry)


def test_w1_consuming_what_is_not_there() -> None:
    world, one, two = start()

    def claim(body: RegionBody) -> RegionBody:
        return change(body, blocks=(change(body.blocks[0], inbox_to=7),))

    entry = world.submit(0, [pay(one, 0, two, 5)], body=claim)
    (correction,) = world.block(entry).corrections
    assert correction.kind == "W1"
    assert world.view(0).position.inbox_count == 0
    assert world.ledger(0).lines == ShardWorld().ledger(0).lines


def test_w2_another_clearing() -> None:
    world, one, two = start()
    orders = [buy(one, 0, 1_000, 300), sell(two, 0, 1_000, 100)]

    def claim(body: RegionBody) -> RegionBody:
        assert body.fills == (LocalFill(one, two, 1_000, 200),)
        return change(body, fills=(LocalFill(one, two, 1_000, 300),))

    entry = world.submit(0, orders, body=claim)
    certified_lie(world, world.block(entry), "W2", entry)


def test_w3_a_forced_transaction_is_left_out() -> None:
    world, one, two = start()
    forced = pay(one, 0, two, 5)
    world.block(Posted("r0", forced))
    entry = world.submit(0, body=lambda body: change(body, receipts=()))
    outcome = world.block(entry)
    certified_lie(world, outcome, "W3", entry)
    assert outcome.corrections[0].offending == (transaction_id(forced),)
    assert world.ledger(0).nonces[one] == 1


def test_a_forced_transaction_may_be_rejected_with_a_receipt() -> None:
    world, one, two = start()
    world.block(Posted("r0", b"rubbish"), Posted("r0", pay(one, 5, two, 5)), Posted("r0", b"rubbish"))
    entry = world.submit(0)
    assert sorted(receipt.code for receipt in body_of(entry).receipts) == ["MALFORMED", "NONCE"]
    assert world.block(entry).corrections == ()
    assert untouched(world)


def test_w4_two_records_cost_everything() -> None:
    world, one, two = start()
    twin = ShardWorld()
    first = world.submit(0, [pay(one, 0, two, 5)])
    second = twin.submit(0, [pay(one, 0, two, 6)], voters=1)
    outcome = world.block(first, Conflict(first.publication, second.publication))
    both = [validator.public_key for validator in world.own[0].validators.validators[1:3]]
    agent = world.own[0].validators.validators[0].public_key
    assert {fined.member for fined in outcome.fined} == {agent, *both}
    assert world.state.removed == {agent, *both}
    assert [world.state.deposits[member] for member in both] == [0, 0]
    assert [epoch.reason for epoch in outcome.epochs] == ["two records"]
    again = world.block(Conflict(first.publication, second.publication))
    assert again.refused == ("PUNISHED_BEFORE",)
    assert again.fined == ()


def test_two_publishers_of_one_record_are_no_w4() -> None:
    world, one, two = start()
    twin = ShardWorld()
    first = world.submit(0, [pay(one, 0, two, 5)], agent=0)
    second = twin.submit(0, [pay(one, 0, two, 5)], agent=1, voters=1)
    assert first.publication != second.publication
    outcome = world.block(first, second, Conflict(first.publication, second.publication))
    assert len(outcome.entered) == 1
    assert sorted(outcome.refused) == ["ENTERED_BEFORE", "NO_CONFLICT"]
    assert untouched(world)


def test_votes_of_different_views_convict_nobody_but_the_agent() -> None:
    world, one, two = start()
    twin = ShardWorld()
    twin.own[0].view = 5
    first, second = world.submit(0, [pay(one, 0, two, 5)], agent=0), twin.submit(0, [pay(one, 0, two, 6)], agent=1)
    assert world.block(Conflict(first.publication, second.publication)).refused == ("NO_CONFLICT",)
    third = twin.submit(0, [pay(one, 0, two, 6)], agent=0)
    outcome = world.block(Conflict(first.publication, third.publication))
    assert [fined.member for fined in outcome.fined] == [world.own[0].validators.validators[0].public_key]


def test_w5_silence_costs_nothing() -> None:
    world, one, two = start()
    world.block(rounds=20)
    assert untouched(world)
    assert world.block(world.submit(0, [pay(one, 0, two, 5)])).corrections == ()


def test_w6_a_reading_that_the_meter_did_not_sign() -> None:
    world, one, _ = start()
    false = reading(one, 0, 7, 1_000)[:-64] + bytes(64)
    entry = world.submit(0, [false])
    outcome = world.block(entry)
    certified_lie(world, outcome, "W6", entry)
    assert outcome.corrections[0].offending == (transaction_id(false),)
    world, one, _ = start()
    assert world.block(world.submit(0, [reading(one, 0, 7, 1_000)])).corrections == ()
    assert world.ledger(0).readings == {(one, 7): 1_000}
    again = world.submit(0, [reading(one, 1, 7, 2_000)])
    assert [receipt.code for receipt in body_of(again).receipts] == ["READING_EXISTS"]
    assert world.block(again).corrections == ()
    assert world.ledger(0).readings == {(one, 7): 1_000}


# --- agents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["post_root", "body_root", "prev_record", "r_hash", "outbox_root"])
def test_a_lying_agent_is_fined_alone_and_the_next_publishes(field: str) -> None:
    world, one, two = start()

    def lie(record: RegionRecord) -> RegionRecord:
        return change(record, **{field: hash_named("lie")})

    outcome = world.block(world.submit(0, [pay(one, 0, two, 5)], record=lie))
    agent = world.own[0].validators.validators[0].public_key
    assert [(fined.member, fined.fine) for fined in outcome.fined] == [(agent, 100_000)]
    assert (outcome.entered, outcome.epochs) == ((), ())
    assert world.state.barred(agent)
    assert world.block(world.submit(0, [pay(one, 0, two, 5)], agent=0)).refused == ("BARRED",)
    assert len(world.block(world.submit(0, [pay(one, 0, two, 5)], agent=1)).confirmed) == 1
    world.block(rounds=8)
    assert not world.state.barred(agent)


def test_the_same_lie_is_punished_once() -> None:
    world, one, two = start()
    lie = world.submit(0, [pay(one, 0, two, 5)], record=lambda record: change(record, seq=9))
    assert len(world.block(lie, lie).fined) == 1
    world.block(rounds=20)
    assert world.block(lie).refused == ("PUNISHED_BEFORE",)


def test_a_forged_certificate_is_its_agents_lie() -> None:
    world, one, two = start()
    true = world.submit(0, [pay(one, 0, two, 5)]).publication
    forged = change(true.certificate, signatures=(bytes(64),) * 3)
    agent = world.own[0].validators.validators[2].public_key
    entry = Submitted(publish(true.record, true.headers, true.section, forged, agent), EMPTY)
    outcome = world.block(entry)
    assert [fined.member for fined in outcome.fined] == [agent]
    assert outcome.entered == ()


def test_a_notarization_proves_no_record() -> None:
    """Only a final block makes one: a notarised one may still be nullified."""
    world, one, two = start()
    true = world.submit(0, [pay(one, 0, two, 5)]).publication
    voters = world.own[0].validators
    notarized = certificate("chain-r0", true.certificate.block_hash, 1, voters, kind=VoteKind.NOTARIZE)
    agent = voters.validators[2].public_key
    entry = Submitted(publish(true.record, true.headers, true.section, notarized, agent), EMPTY)
    outcome = world.block(entry)
    assert ([fined.member for fined in outcome.fined], outcome.entered) == ([agent], ())


def test_nobody_can_put_a_lie_under_an_honest_agents_name() -> None:
    world, one, two = start()
    true = world.submit(0, [pay(one, 0, two, 5)])
    publication = true.publication
    other = certificate("chain-r1", publication.certificate.block_hash, 1, members("r1"))
    for framed in (
        change(publication, certificate=change(publication.certificate, signatures=(bytes(64),) * 3)),
        change(publication, certificate=other),
        change(publication, record=change(publication.record, seq=2)),
        change(publication, section=b"x"),
        change(publication, headers=(b"x",)),
        change(publication, headers=publication.headers * 2),
        change(publication, agent=key_of("r0-1")),
    ):
        assert world.block(change(true, publication=framed)).refused == ("BAD_SIGNATURE",)
    assert world.block(change(true, publication=change(publication, agent=key_of("who")))).refused == ("NO_MEMBER",)
    assert world.block(change(true, body=EMPTY)).refused == ("OTHER_BODY",)
    assert untouched(world)
    assert len(world.block(true).confirmed) == 1


def test_records_out_of_sequence_wait_or_are_old() -> None:
    world, one, two = start()
    first = world.submit(0, [pay(one, 0, two, 5)])

    def later(section: RegionSection) -> RegionSection:
        return change(section, seq=3)

    assert world.block(world.submit(0, section=later)).refused == ("SEQUENCE",)
    assert len(world.block(first).confirmed) == 1
    assert world.block(first).refused == ("ENTERED_BEFORE",)
    assert untouched(world)


def test_a_record_of_an_epoch_that_is_over_is_void() -> None:
    world, one, two = start()
    stale = world.submit(0, [pay(one, 0, two, 5)])
    wrong = world.submit(0, section=lambda s: change(s, post_root=ZERO_HASH))
    world.block(wrong)
    assert world.block(stale).refused in {("OTHER_EPOCH",), ("BARRED",)}
    assert world.block(world.submit(0, [pay(one, 0, two, 5)], agent=3)).corrections == ()


def test_a_record_final_by_a_later_block() -> None:
    """The certificate may be that of a descendant, if the headers lead there."""
    world, one, two = start()
    entry = world.submit(0, [pay(one, 0, two, 5)])
    publication = entry.publication
    first = decode_header(publication.headers[0])
    parent = header_hash(publication.headers[0])
    for claimed, entered in ((parent, True), (hash_named("elsewhere"), False)):
        child = encode(change(first, parent=claimed, view=first.view + 1, height=first.height + 1))
        proof = certificate("chain-r0", header_hash(child), first.view + 1, world.own[0].validators)
        headers = (publication.headers[0], child)
        agent = world.own[0].validators.validators[1].public_key
        moved = publish(publication.record, headers, publication.section, proof, agent)
        twin = ShardWorld()
        assert bool(twin.block(change(entry, publication=moved)).confirmed) is entered
