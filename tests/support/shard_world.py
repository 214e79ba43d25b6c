"""Regions and a global chain by hand: certified records, honest or not, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from consensus.sharded.accounts import (
    Order,
    Reading,
    RegionLedger,
    RegionTransaction,
    Transfer,
    transaction_bytes,
)
from consensus.sharded.discipline import ShardRules
from consensus.sharded.global_chain import apply_global
from consensus.sharded.global_codec import decode_global, encode_global
from consensus.sharded.global_state import (
    DoubleVote,
    GlobalBlock,
    GlobalContext,
    GlobalEntry,
    GlobalOutcome,
    GlobalState,
    NewMembers,
    RegionView,
    Source,
    Submitted,
    Withdrawal,
)
from consensus.sharded.members import members_bytes
from consensus.sharded.records import (
    Asset,
    Publication,
    RegionBlock,
    RegionBody,
    RegionRecord,
    RegionSection,
    Side,
    publication_bytes,
    record_of,
)
from consensus.sharded.region import Execution, execute_record, section_of
from consensus.sharded.withdrawals import withdrawal_bytes
from consensus.simulator.body_audit import BodyAuditor
from consensus.simulator.scheme import MockScheme, mock_sign
from ledger.certificates import Certificate, Vote, VoteKind, vote_bytes
from ledger.codec import decode, encode
from ledger.crypto import ZERO_HASH, Hash, SigningKey, sha256
from ledger.merkle import EMPTY_ROOT
from ledger.objects import Header, decode_header, extra_root, header_hash
from ledger.validators import Validator, ValidatorSet

EXPIRY = 1_000
MONEY, WH = 10_000_000, 100_000


def key_of(name: str) -> bytes:
    """A real public key, so that it may sit in a committee."""
    return bytes(SigningKey(sha256(name.encode())).public)


def verify(key: bytes, data: bytes, signature: bytes) -> bool:
    """The mock scheme for anything."""
    return mock_sign(key, data) == signature


def members(name: str, count: int = 4) -> ValidatorSet:
    """A committee."""
    return ValidatorSet(tuple(Validator(f"{name}-{at}", key_of(f"{name}-{at}")) for at in range(count)))


def signed(body: RegionTransaction) -> bytes:
    """A transaction by its account."""
    return transaction_bytes(body, mock_sign(body.account, encode(body)))


def buy(account: bytes, nonce: int, wh: int, limit: int, expiry: int = EXPIRY) -> bytes:
    """A signed order to buy."""
    return signed(Order(account, nonce, Side.BUY, wh, limit, expiry))


def sell(account: bytes, nonce: int, wh: int, limit: int, expiry: int = EXPIRY) -> bytes:
    """A signed order to sell."""
    return signed(Order(account, nonce, Side.SELL, wh, limit, expiry))


def pay(account: bytes, nonce: int, to: bytes, amount: int) -> bytes:
    """A signed transfer of money."""
    return signed(Transfer(account, nonce, to, Asset.MONEY, amount))


def reading(meter: bytes, nonce: int, slot: int, wh: int) -> bytes:
    """A signed reading."""
    return signed(Reading(meter, nonce, slot, wh))


@dataclass(slots=True)
class Region:
    """One region's own side. `accounts` have money and energy each."""

    name: str
    validators: ValidatorSet
    accounts: tuple[bytes, ...]
    height: int = 0
    view: int = 0


def certificate(
    chain_id: str,
    block_hash: bytes,
    view: int,
    voters: ValidatorSet,
    first: int = 0,
    kind: VoteKind = VoteKind.FINALIZE,
) -> Certificate:
    """A certificate by exactly a quorum, from member `first` on."""
    votes = []
    for at in range(first, first + voters.quorum):
        data = vote_bytes(chain_id, voters.hash, kind, 1, view, block_hash)
        votes.append(Vote(kind, 1, view, block_hash, at, mock_sign(voters.validators[at].public_key, data)))
    return MockScheme(chain_id).assemble(votes, voters)


def publish(
    record: RegionRecord, headers: tuple[bytes, ...], section: bytes, proof: Certificate, agent: bytes
) -> Publication:
    """Signed by its agent."""
    return Publication(
        record, headers, section, proof, agent, mock_sign(agent, publication_bytes(record, headers, section, proof))
    )


@dataclass
class ShardWorld:
    """Three regions of four and four centres, unless told otherwise; every account begins with `MONEY` and `WH`."""

    rules: ShardRules = field(default_factory=ShardRules)
    regions: int = 3
    pool_blocks: int = 1_000

    def __post_init__(self) -> None:
        self.centres = members("centre")
        self.own = [
            Region(f"r{n}", members(f"r{n}"), tuple(key_of(f"user {n} {at}") for at in range(4)))
            for n in range(self.regions)
        ]
        ledgers = [_rich(r.accounts) for r in self.own]
        self.auditor = BodyAuditor(verify, ledgers)
        self.context = GlobalContext(self.rules, self.centres, MockScheme, verify, self.auditor, self.pool_blocks)
        views = tuple(
            RegionView(r.name, f"chain-{r.name}", r.validators, ledger.position(0))
            for r, ledger in zip(self.own, ledgers, strict=True)
        )
        deposits = {m.public_key: 1_000_000 for r in self.own for m in r.validators.validators}
        self.state = GlobalState(views, deposits=deposits)
        self.totals = {asset: self.state.conserved(asset) for asset in Asset}

    def view(self, region: int) -> RegionView:
        """What the global chain knows of a region."""
        return self.state.regions[region]

    def ledger(self, region: int) -> RegionLedger:
        """A region's accounts after its last confirmed record."""
        return self.auditor.ledgers[Hash(self.view(region).position.root)]

    def execution(self, region: int, blocks: Sequence[Sequence[bytes]], consume: int | None = None) -> Execution:
        """Blocks of a record on the confirmed state, the inbox consumed by the first of them."""
        view = self.view(region)
        count = len(view.inbox) if consume is None else consume
        to = view.position.inbox_count + count
        body = tuple(RegionBlock(to, tuple(raw)) for raw in blocks)
        done = execute_record(view.name, self.ledger(region), [item for _, item in view.inbox], body, verify)
        assert done is not None
        return done

    def submit(
        self,
        region: int,
        transactions: Sequence[bytes] = (),
        agent: int = 0,
        *,
        section: Callable[[RegionSection], RegionSection] = lambda one: one,
        body: Callable[[RegionBody], RegionBody] = lambda one: one,
        record: Callable[[RegionRecord], RegionRecord] = lambda one: one,
        voters: int = 0,
    ) -> Submitted:
        """A record of a region with these transactions. `section` and `body` change what the region certifies,
        `record` what its agent says it did."""
        own, view = self.own[region], self.view(region)
        done = self.execution(region, [transactions])
        claimed = body(done.body)
        made = section_of(
            view.name, self.ledger(region), view.record_id, self.state.height, replace(done, body=claimed)
        )
        made = section(made)
        own.height, own.view = own.height + 1, own.view + 1
        raw = encode(made)
        place = (own.view, own.height, 1 + own.height, ZERO_HASH, own.view - 1, False)
        sets = (own.validators.hash, own.validators.hash)
        roots = (EMPTY_ROOT, 0, made.post_root, EMPTY_ROOT)
        header = encode(Header(1, view.chain_id, 1, *place, *roots, *sets, extra_root(raw), ZERO_HASH))
        block_hash = header_hash(header)
        voting = view.validators
        proof = certificate(view.chain_id, block_hash, own.view, voting, voters)
        true = record_of(decode_header(header), block_hash, made, view.epoch)
        publisher = voting.validators[agent].public_key
        return Submitted(publish(record(true), (header,), raw, proof, publisher), encode(claimed))

    def block(self, *entries: GlobalEntry, rounds: int = 1, proposer: int = 0) -> GlobalOutcome:
        """The next global block; nothing may be made or lost by it."""
        key = self.centres.validators[proposer].public_key
        block = GlobalBlock(self.state.height + 1, self.state.round + rounds, key, entries)
        outcome = apply_global(self.context, self.state, block)
        self.state = outcome.state
        for asset in Asset:
            assert self.state.conserved(asset) == self.totals[asset], asset
        assert decode_global(encode_global(self.state)) == self.state
        return outcome


def vote(chain_id: str, voters: ValidatorSet, signer: int, kind: VoteKind, block: bytes, view: int = 7) -> Vote:
    """Signed by a member, in epoch 3 of the region's chain."""
    said = vote_bytes(chain_id, voters.hash, kind, 3, view, block)
    return Vote(kind, 3, view, block, signer, mock_sign(voters.validators[signer].public_key, said))


def votes_of(
    world: ShardWorld,
    first: tuple[VoteKind, bytes],
    second: tuple[VoteKind, bytes],
    signer: int = 2,
    region: int = 0,
) -> DoubleVote:
    """Two votes of a member of a region, in its running epoch."""
    view = world.view(region)
    one, two = (vote(view.chain_id, view.validators, signer, *parts) for parts in (first, second))
    return DoubleVote(view.name, view.epoch, one, two)


def agreed(world: ShardWorld, chosen: ValidatorSet, region: int = 0) -> NewMembers:
    """New members of a region, signed by three centres."""
    view = world.view(region)
    said = members_bytes(view.chain_id, view.name, view.epoch, chosen.validators)
    keys = [world.centres.validators[at].public_key for at in (0, 1, 3)]
    return NewMembers(view.name, view.epoch, chosen.validators, (0, 1, 3), tuple(mock_sign(key, said) for key in keys))


def order(world: ShardWorld, key: bytes, source: Source, number: int = 0, region: int = 1) -> Withdrawal:
    """To the second account of a region."""
    own = world.own[region]
    bare = Withdrawal(key, number, source, own.name, own.accounts[1], bytes(64))
    return structs.replace(bare, signature=mock_sign(key, withdrawal_bytes(world.context.chain_id, bare)))


def body_of(entry: Submitted) -> RegionBody:
    """What a region published beside a record."""
    return decode(RegionBody, entry.body)


def _rich(accounts: Sequence[bytes]) -> RegionLedger:
    lines = {(account, asset): MONEY if asset is Asset.MONEY else WH for account in accounts for asset in Asset}
    return RegionLedger(lines)


def hash_named(text: str) -> Hash:
    """A hash of nothing real."""
    return sha256(text.encode())
