"""A region of which a quorum lies: what the centres find, whom it costs what, where the region goes on (ADR 0290)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from colluding_region import LIARS, REGION, CollusionWorld, money_of
from msgspec.structs import replace
from sharded_chains import DEPOSIT, ROUND_MS, member_key, user

from consensus.engine import Verdict
from consensus.sharded.records import Asset, Filled, Forced, InboxItem, Paid, RegionRecord, RegionSection, Released
from contracts.values import encode_value
from ledger.chain_reader import ChainReader
from ledger.codec import encode
from ledger.crypto import address_of
from ledger.engine_settings import GLOBAL
from ledger.objects import TransactionBody, decode_transaction, sign_transaction
from node.founding import region_replay
from node.shards.agent import Agent
from node.shards.audit import Behind
from node.shards.collusion import Collusion, Lie
from node.shards.global_side import GlobalSide
from node.shards.inbox_log import inbox_items, inbox_length
from node.shards.recomputed import Mail, recompute
from node.shards.region_side import FALSE_BEFORE, RegionSide
from node.shards.region_state import RegionExtra, read_closed, read_extra, read_progress, read_section

STOLEN = 5_000_000
HONEST = address_of(user(0).public)
ACCOMPLICE = address_of(user(0, 1).public)


def ready(**settings: object) -> CollusionWorld:
    """Two regions at work, with a first record confirmed."""
    world = CollusionWorld(**settings)
    world.step()
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    world.send("rb", user(1), "crossing", "order", 2, 2_000, 300_000, 100)
    world.run(4_000)
    assert world.view.position.seq > 0
    return world


def test_money_that_was_never_sent_is_taken_back_and_who_certified_it_is_fined() -> None:
    world = ready()
    before = world.view
    world.collude(Collusion(before.position.seq + 2, Lie.MONEY, ACCOMPLICE, STOLEN))
    correction = world.until_corrected()
    assert correction.kind == "W1"
    (entry,) = correction.entries
    assert (entry.account, entry.asset) == (ACCOMPLICE, Asset.MONEY)
    assert entry.difference < 0
    assert entry.difference % STOLEN == 0
    liars = [member_key(0, n).public for n in range(LIARS)]
    assert all(world.state.deposits[key] == DEPOSIT - DEPOSIT // 10 for key in liars)
    assert world.state.deposits[member_key(0, LIARS).public] == DEPOSIT
    assert all(world.state.barred(key) for key in liars)
    assert not world.state.removed
    view = world.view
    assert (view.epoch, view.position.root) == (2, correction.corrected_root)
    assert view.chain_id != before.chain_id
    assert view.validators == before.validators, "barred from publishing, not from voting"
    news = world.head(GLOBAL).query("shards", "region", "ra")
    assert news["epoch"] == 2

    claimed = world.head(REGION).query("crossing", "balance", ACCOMPLICE)
    world.begin_anew()
    owned = world.head(REGION).query("crossing", "balance", ACCOMPLICE)
    assert claimed - owned >= -entry.difference
    assert sum(world.balances()) == view.position.money
    world.send(REGION, user(0), "crossing", "pay", ACCOMPLICE, 1)
    seq = view.position.seq
    world.run(12_000)
    assert world.view.position.seq > seq, "the honest member publishes while the others are barred"
    assert world.view.epoch == 2
    assert world.honest.chains[REGION].chain.head_hash == world.head(REGION).chain.head_hash


@pytest.mark.parametrize("stolen", ["unsigned", "of another chain"])
def test_a_transaction_that_its_sender_never_signed_for_this_chain_moves_nothing(stolen: str) -> None:
    world = ready()
    owner, chain = user(0), world.head("rb" if stolen == "of another chain" else REGION).genesis.transaction_chain_id
    arguments = encode_value([ACCOMPLICE, 777_000])
    body = TransactionBody(
        1, chain, owner.public, world.nonces[(REGION, owner.public)], "crossing", "pay", arguments, 10**7
    )
    forged = decode_transaction(sign_transaction(body, owner if stolen == "of another chain" else user(0, 1)))
    for member in range(LIARS):
        world.agents[(REGION, member)].colludes = True
    world.pools[REGION] = [forged]
    world.now += 1
    world.block(REGION)
    assert world.receipt(forged).ok, "the region has executed it"
    copy = world.centres[0].chains[REGION].chain
    assert copy.differing(1, copy.height) == copy.height
    claimed = world.balances()
    correction = world.until_corrected()
    assert (correction.kind, correction.offending) == ("W1", (bytes(forged.id),))
    assert money_of(correction.entries) == {HONEST: 777_000, ACCOMPLICE: -777_000}
    world.begin_anew()
    assert world.balances()[0] > claimed[0] + 700_000
    assert sum(world.balances()) == world.view.position.money


def test_a_root_that_nobody_can_open_is_corrected_without_entries() -> None:
    world = ready()
    world.collude(Collusion(world.view.position.seq + 2, Lie.ROOT, ACCOMPLICE))
    correction = world.until_corrected()
    assert (correction.kind, correction.offending, correction.entries) == ("W1", (), ())
    seq = world.view.position.seq
    copy = world.centres[0].chains[REGION].chain
    closed = read_closed(copy.state(), seq)
    assert closed is not None
    block = copy.block(closed.height)
    assert block is not None
    stated = read_section(block.body.extra)
    assert stated is not None
    assert stated.post_root != closed.section.post_root == correction.corrected_root
    balances = world.balances()
    world.begin_anew()
    assert sum(world.balances()) == sum(balances), "the blocks themselves were true"


def test_money_that_was_spent_in_the_same_record_was_never_there() -> None:
    world = ready()
    world.collude(Collusion(world.view.position.seq + 1, Lie.MONEY, ACCOMPLICE, STOLEN))
    while not paid(world):
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.block(REGION)
    had = world.balances()[1]
    spent = world.send("ra", user(0, 1), "crossing", "pay", HONEST, had)
    world.now += 1
    world.block(REGION)
    assert world.receipt(spent).ok
    correction = world.until_corrected()
    entries = money_of(correction.entries)
    assert entries[HONEST] == -had, "what it was paid with was not there, so it was not paid"
    assert sum(entries.values()) < 0
    assert sum(entries.values()) % STOLEN == 0, "money was made, and that much is taken back"
    claimed = world.balances()
    world.begin_anew()
    assert world.balances()[0] < claimed[0] - had + STOLEN
    assert sum(world.balances()) == world.view.position.money


def paid(world: CollusionWorld) -> bool:
    """Whether a forged item has been consumed."""
    return read_progress(world.head(REGION).chain.state()).inbox_count > inbox_length(
        world.head(GLOBAL).chain.state(), REGION
    )


def test_of_two_records_on_their_way_the_second_is_void() -> None:
    world = ready()
    first = world.view.position.seq + 1
    world.collude(Collusion(first, Lie.ROOT, ACCOMPLICE))
    world.cut = {REGION}
    while read_closed(world.head(REGION).chain.state(), first + 1) is None:
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.step()
    world.cut = set()
    world.follow(REGION)
    found = world.publications(REGION, 0)
    assert [one.record.seq for one in found][:2] == [first, first + 1]
    sent = [world.submit(one) for one in found[:2]]
    world.block(GLOBAL)
    world.check_conserved()
    assert world.receipt(sent[0]).ok
    assert sent[1].id not in world.receipts, "its turn has not come"
    assert (world.view.epoch, world.view.position.seq) == (2, first)
    world.block(GLOBAL)
    assert world.receipt(sent[1]).code == "BARRED"
    assert (world.view.epoch, world.view.position.seq) == (2, first)
    assert world.own_correction().record == found[0].record.id


@pytest.mark.parametrize("name", ["state_root", "receipts_root"])
def test_roots_that_execution_does_not_give_are_followed_and_corrected(name: str) -> None:
    world = ready()
    world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 7)
    balances = world.balances()
    world.certify_roots(**{name: bytes(range(32))})
    centre = world.centres[1].restarted().chains[REGION].chain
    height = centre.height
    assert centre.differing(0, height) == height
    assert centre.head == world.honest.chains[REGION].chain.head
    assert (centre.state().root == centre.head.state_root) == (name == "receipts_root")
    assert world.balances() == [balances[0] - 7, balances[1] + 7], "its own result"
    correction = world.until_corrected()
    assert (correction.kind, correction.offending, correction.entries) == ("W1", (), ())
    assert len(world.state.bars) == LIARS
    with world.centres[0].chains[REGION].chain.view(height) as there:
        there.state.prove(b"")  # undo rows lead back to the own root
    world.begin_anew()
    assert sum(world.balances()) == world.view.position.money
    assert world.honest.chains[REGION].chain.differing(0, 10**6) is None


def test_a_copy_that_keeps_no_old_values_finds_the_same_by_executing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ready()
    world.certify_roots(state_root=bytes(32))
    first = world.view.position.seq + 1
    world.collude(Collusion(first + 1, Lie.MONEY, ACCOMPLICE, STOLEN))
    world.cut = {REGION}
    while read_closed(world.head(REGION).chain.state(), first + 1) is None:
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.step()
    chain, replay = world.head(REGION).chain, region_replay(REGION, world.head(REGION).genesis)
    closed = read_closed(chain.state(), first)
    assert closed is not None
    items = [(one.height, one.item) for one in inbox_items(world.head(GLOBAL).chain.state(), REGION, 0, 10**6)]
    mail = Mail(items[closed.section.inbox_count :], world.state.height)
    found = []
    for kept in (256, 1):
        monkeypatch.setattr(ChainReader, "oldest", lambda chain, head, kept=kept: max(0, head - kept))
        with recompute(chain, replay, first + 1, mail) as again:
            found.append((again.position, again.residuals, again.correction(b""), again.after.root))
    assert found[0] == found[1]
    assert found[0][2] is not None
    assert money_of(found[0][2].entries)[ACCOMPLICE] < 0


@dataclass(frozen=True, slots=True)
class Censor(Collusion):
    """Counts what users have posted as consumed, and does not run it."""

    def section(self, made: bytes | None, seq: int, height: int) -> bytes | None:
        extra = None if made is None or seq < self.since else read_extra(made)
        if extra is None or not any(isinstance(item, Forced) for item in extra.items):
            return made
        items = [Paid(self.account, 0, "reward") if isinstance(item, Forced) else item for item in extra.items]
        return encode(replace(extra, items=tuple(items)))


def test_a_transaction_that_the_region_passed_over_is_run_by_the_centres() -> None:
    world = ready()
    world.collude(Censor(world.view.position.seq + 1, Lie.MONEY, ACCOMPLICE))
    forced = world.send("ra", user(0, 1), "crossing", "pay", HONEST, 123_456)
    world.pools["ra"].clear()
    world.send(GLOBAL, user(1, 5), "shards", "post", "ra", forced.raw)
    before = world.balances()
    correction = world.until_corrected()
    assert (correction.kind, correction.offending) == ("W3", (bytes(forced.id),))
    assert money_of(correction.entries) == {HONEST: 123_456, ACCOMPLICE: -123_456}
    claimed = world.balances()
    assert sum(before) == sum(claimed)
    world.begin_anew()
    assert world.balances()[1] < claimed[1] + 123_456
    receipts = world.head(REGION).query("crossing", "position")
    assert receipts[1] == world.view.position.inbox_count


def test_a_record_whose_round_before_is_not_kept_any_more_ends_no_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ready()
    monkeypatch.setattr("node.shards.region_state.ROUNDS_KEPT", 2)
    view = world.view
    world.cut = {REGION}
    while read_closed(world.head(REGION).chain.state(), view.position.seq) is not None:
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.step()
    world.cut = set()
    world.follow(REGION)
    side = world.centres[0].chains[GLOBAL].side
    assert isinstance(side, GlobalSide)
    assert isinstance(side.copies.record(view, view.next_seq), RegionRecord)
    assert isinstance(side.copies.finding(view, view.next_seq, world.state.height), Behind)


@dataclass(frozen=True, slots=True)
class Forger(Collusion):
    """Changes anything of a section, by a seed."""

    dice: random.Random = field(default_factory=random.Random)
    seen: list[InboxItem] = field(default_factory=list)

    def section(self, made: bytes | None, seq: int, height: int) -> bytes | None:
        if made is None or seq < self.since or self.dice.random() < 0.3:
            return made
        closing = read_section(made)
        return encode(self._extra(made, height) if closing is None else self._closing(closing))

    def _closing(self, closing: RegionSection) -> RegionSection:
        match self.dice.randrange(5):
            case 0:
                return replace(closing, post_root=self.dice.randbytes(32))
            case 1:
                return replace(closing, inbox_height=closing.inbox_height + self.dice.choice((1, 3, 10**6)))
            case 2:
                return replace(closing, inbox_count=closing.inbox_count + self.dice.choice((-1, 1, 50)) % 100)
            case 3:
                return replace(closing, outbox_root=self.dice.randbytes(32), n_tx=closing.n_tx + 1)
            case _:
                return closing

    def _extra(self, made: bytes, height: int) -> RegionExtra:
        extra = read_extra(made) or RegionExtra(height, (), ())
        items = list(extra.items)
        self.seen.extend(items)
        for _ in range(self.dice.randrange(1, 4)):
            at = self.dice.randrange(len(items) + 1)
            match self.dice.randrange(4):
                case 0 if items:
                    del items[self.dice.randrange(len(items))]
                case 1 if self.seen:
                    items.insert(at, self.dice.choice(self.seen))
                case 2 if self.seen:
                    items.insert(at, self._changed(self.dice.choice(self.seen)))
                case _:
                    items.insert(at, Paid(ACCOMPLICE, self.dice.randrange(10**7), "reward"))
        self.dice.shuffle(items)
        told = extra.inbox_height + self.dice.choice((0, 0, 1, 5))
        return replace(extra, items=tuple(items), inbox_height=told)

    def _changed(self, item: InboxItem) -> InboxItem:
        match item:
            case Filled() | Released():
                return replace(item, money=self.dice.randrange(10**7), wh=self.dice.randrange(4_000))
            case Forced():
                return Forced(self.dice.randbytes(40))
            case _:
                return item


class Giant(Collusion):
    """Says the largest amount and the highest block that an object holds."""

    def section(self, made: bytes | None, seq: int, height: int) -> bytes | None:
        closing = None if made is None else read_section(made)
        if closing is None or seq < self.since:
            return Collusion.section(self, made, seq, height)
        return encode(replace(closing, inbox_height=2**64 - 1))


def test_numbers_that_no_object_holds_end_no_copy_and_are_corrected() -> None:
    """Sums of them do not fit the wire: who follows the region would end on a block that its quorum has certified, all
    centres alike."""
    world = ready()
    world.collude(Giant(world.view.position.seq + 2, Lie.MONEY, ACCOMPLICE, 2**64 - 1))
    world.send("ra", user(0), "crossing", "order", 1, 2_000, 500_000, 100)
    correction = world.until_corrected()
    assert (correction.kind, correction.entries) == ("W1", ())
    copy = world.centres[0].chains[REGION].chain
    claimed = read_closed(copy.state(), world.view.position.seq)
    assert claimed is not None
    assert (claimed.money, claimed.section.inbox_height) == (2**63 - 1, 2**64 - 1)
    world.begin_anew()
    assert sum(world.balances()) == world.view.position.money


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_made_or_lost_whatever_a_region_forges(seed: int) -> None:
    print("seed", seed)  # of every random test
    corrected(seed)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_nothing_is_made_or_lost_in_many_regions_that_forge() -> None:
    for seed in range(2, 64):
        print("seed", seed)  # of every random test
        corrected(seed)


def corrected(seed: int) -> None:
    """A region forges what it likes; conserved after every global block, corrected, and whole again afterwards."""
    dice = random.Random(seed)
    world = ready(audit=dice.choice(("eager", "eager", "next_round")))
    world.collude(Forger(world.view.position.seq + 1, Lie.MONEY, ACCOMPLICE, dice=dice))
    until = world.now + 40_000
    while world.view.epoch == 1 and world.now < until:
        if dice.random() < 0.3:
            world.send("ra", user(0), "crossing", "order", 1, dice.randrange(1, 3_000), 500_000, 100)
            world.send("rb", user(1), "crossing", "order", 2, dice.randrange(1, 3_000), 300_000, 100)
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, dice.randrange(1_000))
        world.step()
    assert world.view.epoch == 2, "a lie was certified, and nobody has corrected it"
    world.begin_anew()
    seq, position = world.view.position.seq, world.view.position
    assert world.head(REGION).query("crossing", "totals") == [position.money, position.wh]
    world.send("ra", user(0), "crossing", "order", 1, 1_000, 500_000, 100)
    world.run(14 * ROUND_MS)
    assert world.view.position.seq > seq
    assert world.view.epoch == 2


@pytest.mark.parametrize("lie", [Lie.MONEY, Lie.ROOT])
def test_an_honest_member_signs_nothing_that_stands_on_a_lie(lie: Lie) -> None:
    world = ready()
    world.cut = {REGION}
    world.collude(Collusion(world.view.position.seq + 1, lie, ACCOMPLICE))
    seq = read_progress(world.head(REGION).chain.state()).seq
    while read_progress(world.head(REGION).chain.state()).seq < seq + 2:
        world.send("ra", user(0), "crossing", "pay", ACCOMPLICE, 1)
        world.step()
    world.cut = set()
    for chain in (GLOBAL, REGION):
        world.follow(chain)
    world.block(GLOBAL)
    assert world.view.epoch == 1, "nothing was published meanwhile"
    honest = world.honest.restarted().chains[REGION]
    assert isinstance(honest.side, RegionSide)
    assert honest.chain.height == world.head(REGION).chain.height, "it follows what it did not sign"
    world.collude(Collusion(10**6, lie, ACCOMPLICE))
    world.now += 100
    candidate = world.build(REGION)
    assert candidate is not None
    judged = honest.check(candidate)
    assert (judged.verdict, judged.reason) == (Verdict.INVALID, FALSE_BEFORE)
    assert honest.side.section(honest.chain.state(), candidate.block.header) is None
    agent, centres = Agent(honest.side.rules, member_key(0, LIARS).public), world.head(GLOBAL).chain.state()
    with honest.chain.view() as own:
        drafts = [agent.due(own, centres, now_ms) for now_ms in (0, 10**9)][-1]
    assert (drafts == []) == (lie is Lie.ROOT), "it publishes nothing that its own execution contradicts"
