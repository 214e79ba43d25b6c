"""A chain without consensus or contracts: signed transactions, receipts, state writes, real certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.chain import ChainStore, CommittedBlock
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, SigningKey
from ledger.engine_settings import EngineSettings, GenesisValidator
from ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    MarketClockSettings,
    genesis_block,
    make_genesis,
)
from ledger.merkle import receipts_root, transactions_root
from ledger.objects import (
    BODY_VERSION,
    HEADER_VERSION,
    Body,
    Event,
    Header,
    Receipt,
    Transaction,
    TransactionBody,
    decode_transaction,
    header_hash,
    make_block,
    sign_transaction,
)
from ledger.possession import prove_possession
from ledger.state import Overlay, StateBase
from ledger.store import MemoryStore, Store
from ledger.succession import SuccessorGenesis, successor_block
from ledger.validators import Validator, ValidatorSet

START_MS = 1_700_000_000_000
NETWORK = "dev-test"
GOLDEN_LIMITS = GenesisLimits(scheduled_gas=100_000_000, scheduled_block_gas=400_000_000)
"""Fixed numbers, whatever the defaults: the golden vectors hold this document's hash."""


def seeded_key(number: int) -> SigningKey:
    return SigningKey(number.to_bytes(32, "big"))


def make_document(voters: int = 4, engine: str = "bft") -> Genesis:
    keys = [seeded_key(number) for number in range(1, voters + 1)]
    head = GenesisHead(
        version=1,
        name=NETWORK,
        time_ms=START_MS,
        engine=engine,
        profile="safe",
        engine_parameters=EngineSettings(),
        validators=tuple(
            GenesisValidator(f"v{n}", key.public, 1, prove_possession(key, NETWORK, "validator"))
            for n, key in enumerate(keys, 1)
        ),
        members=(),
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GOLDEN_LIMITS,
        council=None,
        shards=None,
    )
    return make_genesis(head, [GenesisContract("token", "# nothing", b"\x90")])


def committee(numbers: Sequence[int]) -> ValidatorSet:
    return ValidatorSet(tuple(Validator(f"v{n}", seeded_key(n).public) for n in numbers))


def certify(
    chain_id: str, voters: ValidatorSet, numbers: Sequence[int], header: Header, kind: VoteKind = VoteKind.FINALIZE
) -> Certificate:
    """A quorum's votes of the committee of keys `numbers` for `header`."""
    block_hash = ZERO_HASH if kind is VoteKind.NULLIFY else header_hash(encode(header))
    message = vote_bytes(chain_id, voters.hash, kind, header.epoch, header.view, block_hash)
    votes = [
        Vote(kind, header.epoch, header.view, block_hash, index, seeded_key(number).sign(DOMAIN_VOTE, message))
        for index, number in enumerate(numbers)
    ]
    return assemble(votes, voters)


@dataclass
class ChainWorld:
    """Builds and commits blocks. `writes(height)` says what a block does to state; `founded`: another genesis, of a
    chain that continues another from height 5 too; its voters are keys 1 to 4."""

    store: Store = field(default_factory=MemoryStore)
    voters: int = 4
    transactions: int = 3
    scheduled: int = 1
    writes: Callable[[int], dict[bytes, bytes | None]] = lambda height: {
        b"c\x05token%d" % (height * 7 % 40): b"v%d" % height,
        b"bill%d" % height: b"settled %d" % height,
    }
    founded: Genesis | None = None

    def __post_init__(self) -> None:
        self.document = self.founded or make_document(self.voters)
        self.numbers = list(range(1, self.voters + 1))
        self.next_numbers = list(self.numbers)
        self.epoch = 1
        self.view = 0
        self.nonce = 0
        self.senders = [seeded_key(100 + n) for n in range(3)]
        if ChainStore.is_empty(self.store):
            overlay = Overlay(StateBase(self.store))
            overlay.put(b"m\x05token", b"installed")
            overlay.seal()
            receipts = [self.receipt(b"\x01" * 32, True)]
            block = genesis_block(self.document, overlay.root, tuple(receipts))
            if isinstance(self.document, SuccessorGenesis):
                receipts, block = [], successor_block(self.document, 5, START_MS + 5_000, overlay.root)
            self.chain = ChainStore.create(self.store, self.document, block, receipts, overlay.delta())
        else:
            self.chain = ChainStore.open(self.store, self.document)
        self.top = (self.chain.head, self.chain.head_hash, Overlay(self.chain.state()))

    def receipt(self, subject: bytes, scheduled: bool) -> bytes:
        event = Event("token", "moved", subject[:4])
        return encode(Receipt(subject, scheduled, "token", "move", True, "", 0, 100, 1, "pyc/1", b"\xc0", (event,)))

    def transaction(self) -> Transaction:
        key = self.senders[self.nonce % len(self.senders)]
        body = TransactionBody(
            1, self.document.chain_id, key.public, self.nonce, "token", "move", b"\x91\x01", 1_000_000
        )
        self.nonce += 1
        return decode_transaction(sign_transaction(body, key))

    def build(
        self,
        parent: Header,
        parent_hash: bytes,
        over: Overlay | StateBase,
        next_validators: ValidatorSet | None = None,
        transactions: int | None = None,
    ) -> tuple[CommittedBlock, Overlay]:
        """One block on a parent, with its sealed overlay."""
        height = parent.height + 1
        sent = [self.transaction() for _ in range(self.transactions if transactions is None else transactions)]
        overlay = Overlay(over)
        for key, value in self.writes(height).items():
            if value is None:
                overlay.delete(key)
            else:
                overlay.put(key, value)
        overlay.seal()
        receipts = [self.receipt(height.to_bytes(32, "big"), True) for _ in range(self.scheduled)]
        receipts += [self.receipt(transaction.id, False) for transaction in sent]
        body = Body(BODY_VERSION, tuple(transaction.raw for transaction in sent))
        voters = committee(self.numbers)
        self.view += 1
        header = Header(
            HEADER_VERSION,
            self.document.chain_id,
            self.epoch,
            self.view,
            height,
            START_MS + 1000 * height,
            parent_hash,
            parent.view if parent.epoch == self.epoch else 0,
            False,
            transactions_root(body.transactions),
            len(encode(body)),
            overlay.root,
            receipts_root(receipts),
            voters.hash,
            (next_validators or voters).hash,
            ZERO_HASH,
            seeded_key(self.numbers[0]).public,
        )
        return CommittedBlock(make_block(header, body), sent, receipts, overlay.delta()), overlay

    def prepare(self, count: int) -> tuple[list[CommittedBlock], Certificate]:
        """`count` blocks on the head and the finalization of the last, not committed."""
        header, digest = self.chain.head, self.chain.head_hash
        over: Overlay | StateBase = self.chain.state()
        blocks: list[CommittedBlock] = []
        for _ in range(count):
            committed, over = self.build(header, digest, over)
            header, digest = committed.block.header, committed.block.hash
            blocks.append(committed)
        return blocks, certify(self.document.chain_id, committee(self.numbers), self.numbers, header)

    def commit(self, count: int = 1) -> None:
        """Build and commit `count` blocks under one finalization."""
        blocks, certificate = self.prepare(count)
        self.chain.append(blocks, certificate)

    def end_epoch(self, next_numbers: Sequence[int], closing: int = 0) -> None:
        """Commit a boundary block that names the next committee, certified through `closing` closing blocks."""
        following = committee(next_numbers)
        committed, _ = self.build(self.chain.head, self.chain.head_hash, self.chain.state(), next_validators=following)
        last = committed.block.header
        headers: list[bytes] = []
        for _ in range(closing):
            self.view += 1
            last = self.closing_header(last)
            headers.append(encode(last))
        certificate = certify(self.document.chain_id, committee(self.numbers), self.numbers, last)
        self.chain.append([committed], certificate, headers, [following])
        self.epoch, self.view, self.numbers = self.epoch + 1, 0, list(next_numbers)

    def closing_header(self, parent: Header) -> Header:
        return Header(
            HEADER_VERSION,
            parent.chain_id,
            parent.epoch,
            self.view,
            parent.height,
            parent.time_ms + 1,
            header_hash(encode(parent)),
            parent.view,
            True,
            transactions_root(()),
            len(encode(Body(BODY_VERSION, ()))),
            parent.state_root,
            receipts_root(()),
            parent.validators,
            parent.next_validators,
            ZERO_HASH,
            parent.proposer,
        )
