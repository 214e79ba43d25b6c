"""A node's application under engine `dpos`, with the contract library, a market and real votes: no network, no loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chain_world import NETWORK, START_MS
from market_world import SLOT_MS, parameters

from consensus.council_reports import InvalidReport
from consensus.engine import Commit, HeaderTemplate
from consensus.messages import Complaint, ComplaintReason
from consensus.scheme import DOMAIN_COMPLAINT, complaint_bytes
from contracts.executor import BlockContext
from contracts.library_council import Candidate, council_contract
from contracts.library_sources import Institutions, LibraryParameters, library_contracts
from contracts.values import decode_value, encode_value
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, Hash, SigningKey, address_of, sha256
from ledger.engine_settings import CouncilSettings, EngineSettings, GenesisValidator
from ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    MarketClockSettings,
    Member,
    make_genesis,
)
from ledger.objects import (
    Header,
    Receipt,
    Transaction,
    TransactionBody,
    decode_transaction,
    header_hash,
    sign_transaction,
)
from ledger.possession import prove_possession
from ledger.store import MemoryStore
from node.application import Application
from node.application import Candidate as Block
from node.commit import Commits, SyncedBlock, SyncedBlocks
from node.council_side import read_council, read_scores
from node.evidence_side import evidence_argument
from node.founding import block_rules, current_epoch, engine_policy, engine_side, make_executor, open_chain
from node.metrics import Metrics
from node.siblings import Siblings

GAS = 50_000_000
ROLES = ("bureau", "grid", "notary", "center", "community")


def key_of(name: str) -> SigningKey:
    """The key of anybody in these worlds."""
    return SigningKey(sha256(name.encode()))


def account(name: str) -> bytes:
    return bytes(address_of(key_of(name).public))


def voter(number: int) -> SigningKey:
    return key_of(f"voter {number}")


def speaker(number: int) -> str:
    """Whose account speaks for a validator."""
    return f"speaker {number}"


def council_genesis(
    voters: int = 6, seats: int = 4, floor: Iterable[int] = range(4), with_contract: bool = True, **changes: Any
) -> Genesis:
    """`changes` name fields of the market's parameters, or of the council's settings."""
    names = tuple(f"v{number}" for number in range(voters))
    keys = [voter(number) for number in range(voters)]
    market = parameters(**{name: value for name, value in changes.items() if name not in ("bar_elections", "alpha")})
    market = LibraryParameters(
        Institutions(*(account(role) for role in ROLES)), market.calendar, market.mode, market.tariffs
    )
    floor_names = tuple(names[number] for number in floor)
    settings = {name: changes[name] for name in ("bar_elections", "alpha") if name in changes}
    head = GenesisHead(
        version=1,
        name=NETWORK,
        time_ms=START_MS,
        engine="dpos",
        profile="safe",
        engine_parameters=EngineSettings(),
        validators=tuple(
            GenesisValidator(name, key.public, 1, prove_possession(key, NETWORK, "validator"))
            for name, key in zip(names, keys, strict=True)
        ),
        members=tuple(_member(number, name) for number, name in enumerate(names)),
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GenesisLimits(),
        council=CouncilSettings(seats, floor_names, **settings),
        shards=None,
    )
    candidates = tuple(
        Candidate(name, key.public, account(speaker(number)), name in floor_names)
        for number, (name, key) in enumerate(zip(names, keys, strict=True))
    )
    installed = list(library_contracts(market))
    if with_contract:
        installed.append(council_contract(seats, candidates, market.calendar))
    return make_genesis(head, [GenesisContract(i.name, i.source, i.arguments, i.calls) for i in installed])


def _member(number: int, name: str) -> Member:
    node, own = key_of(f"node {number}"), key_of(speaker(number))
    return Member(
        name=name,
        organisation=name,
        roles=("validator", "peer", "submit"),
        node_key=node.public,
        node_possession=prove_possession(node, NETWORK, "node"),
        validator_key=voter(number).public,
        validator_possession=prove_possession(voter(number), NETWORK, "validator"),
        account_key=own.public,
        account_possession=prove_possession(own, NETWORK, "account"),
    )


@dataclass
class CouncilWorld:
    """One node's ledger side. Block time is market time plus the genesis time. `kept`: every committed block, with
    `certificates`."""

    genesis: Genesis = field(default_factory=council_genesis)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.executor = make_executor(self.genesis)
        self.chain = open_chain(self.store, self.genesis, self.executor)
        self.open()
        self.nonces: dict[str, int] = {}
        self.now = 0
        self.kept: list[Block] = []
        self.certificates: list[Certificate] = []
        self.waiting: list[Transaction] = []

    def open(self) -> None:
        """As after a restart: nothing is known but what the store holds."""
        side = engine_side(self.genesis, Siblings(), self.executor)
        metrics = Metrics("test")
        self.application = Application(
            self.chain.state(), self.executor, block_rules(self.genesis, side), self.chain.head_hash, metrics
        )
        epoch = current_epoch(self.chain, engine_policy(self.genesis))
        self.commits = Commits(self.chain, self.application, metrics, epoch)

    # --- blocks -------------------------------------------------------------------------------------------------------

    @property
    def queue(self) -> list[str]:
        """Names of those who vote and lead in the running epoch, in the order of their turns."""
        return [seat.name for seat in self.commits.epoch.validators.validators]

    def template(self, view: int | None = None) -> HeaderTemplate:
        epoch, head = self.commits.epoch, self.chain.head
        fresh = head.height == epoch.boundary.height
        parent_view = 0 if fresh else head.view
        view = parent_view + 1 if view is None else view
        members = epoch.validators.validators
        return HeaderTemplate(
            chain_id=self.genesis.chain_id,
            epoch=epoch.epoch,
            view=view,
            height=head.height + 1,
            time_ms=max(head.time_ms + 1, START_MS + self.now),
            parent=self.chain.head_hash,
            parent_view=parent_view,
            closing=False,
            validators=epoch.validators.hash,
            proposer=members[(view - 1) % len(members)].public_key,
        )

    def block(self, *transactions: Transaction, view: int | None = None) -> Block:
        """Build on the head and commit."""
        built = self.application.build(self.template(view), [*self.waiting, *transactions])
        assert built is not None
        self.waiting = []
        certificate = self.finalization(built.block.header)
        self.commits.commit(Commit((built.block.hash,), certificate))
        self.kept.append(built)
        self.certificates.append(certificate)
        return built

    def end_epoch(self, *transactions: Transaction) -> Block:
        """Blocks without loss up to the end of the epoch, the first with `transactions`; the boundary block."""
        epoch = self.commits.epoch.epoch
        block = self.block(*transactions)
        while self.commits.epoch.epoch == epoch:
            block = self.block()
        return block

    def finalization(self, header: Header) -> Certificate:
        committee = self.commits.epoch.validators
        block_hash = header_hash(encode(header))
        message = vote_bytes(
            self.genesis.chain_id, committee.hash, VoteKind.FINALIZE, header.epoch, header.view, block_hash
        )
        by_key = {voter(number).public: voter(number) for number in range(len(self.genesis.validators))}
        votes = [
            Vote(
                VoteKind.FINALIZE,
                header.epoch,
                header.view,
                block_hash,
                index,
                by_key[seat.public_key].sign(DOMAIN_VOTE, message),
            )
            for index, seat in enumerate(committee.validators)
        ]
        return assemble(votes, committee)

    def follow(self, other: CouncilWorld) -> None:
        """Take every block that `other` committed, as catching up does."""
        for block in other.kept[self.chain.height :]:
            header = block.block.header
            synced = SyncedBlock(header, block.block.hash, block.transactions, block.block.body.extra)
            self.commits.commit_synced(SyncedBlocks((synced,), self.finalization(header), ()))

    def dump(self) -> dict[bytes, bytes]:
        return dict(self.store.rows)

    # --- what people send ---------------------------------------------------------------------------------------------

    def transaction(self, sender: str, contract: str, entry: str, *arguments: Any) -> Transaction:
        nonce = self.nonces.get(sender, 0)
        self.nonces[sender] = nonce + 1
        key = key_of(sender)
        body = TransactionBody(
            1, self.genesis.chain_id, key.public, nonce, contract, entry, encode_value(list(arguments)), GAS
        )
        return decode_transaction(sign_transaction(body, key))

    def send(self, sender: str, contract: str, entry: str, *arguments: Any) -> Receipt:
        """One transaction in a block of its own."""
        transaction = self.transaction(sender, contract, entry, *arguments)
        receipts = self.block(transaction).receipts
        return next(receipt for receipt in receipts if receipt.subject == transaction.id)

    def done(self, sender: str, contract: str, entry: str, *arguments: Any) -> Any:
        receipt = self.send(sender, contract, entry, *arguments)
        assert receipt.ok, (entry, receipt.code, receipt.line)
        return decode_value(receipt.value) if receipt.value else None

    def refused(self, sender: str, contract: str, entry: str, *arguments: Any) -> str:
        receipt = self.send(sender, contract, entry, *arguments)
        assert not receipt.ok, f"{entry} was accepted"
        return receipt.code

    def query(self, contract: str, view: str, *arguments: Any) -> Any:
        head = self.chain.head
        context = BlockContext(self.genesis.chain_id, head.height, head.time_ms, head.time_ms - START_MS)
        return self.executor.query(self.chain.state(), contract, view, list(arguments), context)

    def council(self, entry: str, *arguments: Any, by: int = 0) -> str:
        """A validator's call of the council; "" or the code of its refusal."""
        receipt = self.send(speaker(by), "council", entry, *arguments)
        return receipt.code

    def say(self, calls: Iterable[tuple[str, bytes]], *further: Transaction, by: int) -> list[str]:
        """A validator's calls of the council in one block, each with one argument; "" or the code of each."""
        sent = [self.transaction(speaker(by), "council", entry, argument) for entry, argument in calls]
        found = {receipt.subject: receipt.code for receipt in self.block(*further, *sent).receipts}
        return [found[transaction.id] for transaction in sent]

    def anchor(self) -> tuple[int, bytes]:
        """What `ready` names in this epoch."""
        start = self.commits.epoch
        return start.boundary.height, bytes(start.boundary_hash)

    def ready(self, *numbers: int) -> list[Transaction]:
        height, block = self.anchor()
        return [self.transaction(speaker(number), "council", "ready", height, block) for number in numbers]

    @property
    def state(self) -> Any:
        """The council of the committed state."""
        return read_council(self.chain.state())

    @property
    def scores(self) -> dict[str, int]:
        found = read_scores(self.chain.state())
        return {one.name: found.get(one.public_key, 0) for one in self.genesis.validators}

    # --- what members sign --------------------------------------------------------------------------------------------

    def vote(self, name: str, kind: VoteKind, view: int, block_hash: bytes) -> Vote:
        """A vote of a member of the running committee."""
        start = self.commits.epoch
        index = self.queue.index(name)
        message = vote_bytes(self.genesis.chain_id, start.validators.hash, kind, start.epoch, view, block_hash)
        key = voter(int(name[1:]))
        return Vote(kind, start.epoch, view, block_hash, index, key.sign(DOMAIN_VOTE, message))

    def evidence(self, name: str, view: int = 1) -> bytes:
        """Two notarize votes of a member of the running committee in one view."""
        return evidence_argument(*(self.vote(name, VoteKind.NOTARIZE, view, bytes([n]) * 32) for n in (1, 2)))

    def complaints(self, names: Iterable[str], view: int, block_hash: bytes = b"x" * 32) -> bytes:
        """INVALID, signed by members of the running committee, as a report carries it."""
        start, said = self.commits.epoch, []
        for name in names:
            fields = (start.epoch, view, block_hash, ComplaintReason.INVALID)
            message = complaint_bytes(self.genesis.chain_id, start.validators.hash, *fields)
            signature = voter(int(name[1:])).sign(DOMAIN_COMPLAINT, message)
            said.append(Complaint(*fields, self.queue.index(name), signature))
        return encode(InvalidReport(tuple(said)))

    # --- a market -----------------------------------------------------------------------------------------------------

    def go_slot(self, slot: int, offset: int) -> None:
        """Move on to `offset` slots after the start of delivery, with the scheduled calls on the way."""
        target = START_MS + self.start(slot) + offset * SLOT_MS
        while (due := self.executor.next_due_ms(self.chain.state())) is not None and due <= target:
            self.now = max(self.now, due - START_MS)
            self.block()
        self.now = max(self.now, target - START_MS)

    def start(self, slot: int) -> int:
        return 40 * SLOT_MS + slot * SLOT_MS

    def join(self, name: str, watts: int = 20_000, owner: str = "") -> None:
        """Register, approve and fund a member with a meter of its own key."""
        meter = account(f"meter of {name}")
        pseudonym = bytes(sha256((owner or name).encode()))
        applied = [meter, pseudonym, ["prosumer"], ["pv"], [watts], "bus-1", "west", ["name"], [bytes(32)]]
        self.done(name, "registry", "apply", *applied)
        digest = self.query("registry", "member", account(name))["digest"]
        self.done("bureau", "registry", "attest", account(name), digest, ["licence"])
        self.done("grid", "registry", "attest", account(name), digest, ["meter", "connection"])
        self.done("center", "token", "deposit", account(name), 10**12, f"bank {name}")

    def trade(self, slot: int, sold: dict[str, int], bought: dict[str, int], read: dict[str, int]) -> None:
        """Orders that cross, and readings: `read` is what sellers generated; buyers use what they bought."""
        self.go_slot(slot, -4)
        self.block()
        for name, wh in sold.items():
            self.done(name, "double_auction", "submit_order", slot, "sell", wh, 480_000, "reference")
        for name, wh in bought.items():
            self.done(name, "double_auction", "submit_order", slot, "buy", wh, 600_000, "reference")
        self.go_slot(slot, 1)
        self.block()
        for name, wh in read.items():
            self.done(f"meter of {name}", "metering", "submit_reading", slot, wh, 0)
        for name, wh in bought.items():
            self.done(f"meter of {name}", "metering", "submit_reading", slot, 0, wh)


__all__ = ["ZERO_HASH", "CouncilWorld", "Hash", "account", "council_genesis", "key_of", "speaker", "voter"]
