"""The application of engine `bft` with the contract `committee`: blocks by hand, epochs of four blocks, no loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_world import NETWORK, START_MS, certify, seeded_key

from consensus.engine import HeaderTemplate
from contracts.executor import BlockContext
from contracts.library_committee import Voter, committee_contract
from contracts.values import Value, decode_value, encode_value
from ledger.certificates import Vote, VoteKind, vote_bytes
from ledger.crypto import DOMAIN_VOTE, Hash, SigningKey, address_of
from ledger.engine_settings import EngineSettings, GenesisValidator
from ledger.genesis import Genesis, GenesisContract, GenesisHead, GenesisLimits, MarketClockSettings, make_genesis
from ledger.objects import Receipt, Transaction, TransactionBody, decode_transaction, sign_transaction
from ledger.possession import prove_possession
from ledger.store import MemoryStore
from ledger.validators import ValidatorSet
from node.application import Application, Candidate
from node.commit import Commits, SyncedBlock, SyncedBlocks
from node.committee_side import CommitteeSide
from node.founding import block_rules, current_epoch, engine_policy, make_executor, open_chain
from node.metrics import Metrics

EPOCH_BLOCKS = 4


def account(number: int) -> SigningKey:
    """The account key of validator n."""
    return seeded_key(1_000 + number)


def possession(number: int, network: str = NETWORK) -> bytes:
    """Proof that somebody holds voting key n."""
    return prove_possession(seeded_key(number), network, "validator")


def committee_genesis(voters: int = 5) -> Genesis:
    numbers = range(1, voters + 1)
    head = GenesisHead(
        version=1,
        name=NETWORK,
        time_ms=START_MS,
        engine="bft",
        profile="safe",
        engine_parameters=EngineSettings(epoch_blocks=EPOCH_BLOCKS),
        validators=tuple(GenesisValidator(f"v{n}", seeded_key(n).public, 1, possession(n)) for n in numbers),
        members=(),
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GenesisLimits(),
        council=None,
        shards=None,
    )
    names = tuple(Voter(f"v{n}", seeded_key(n).public, bytes(address_of(account(n).public))) for n in numbers)
    made = committee_contract(names)
    return make_genesis(head, [GenesisContract(made.name, made.source, made.arguments, made.calls)])


@dataclass
class CommitteeWorld:
    """One node's ledger side."""

    genesis: Genesis = field(default_factory=committee_genesis)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.executor = make_executor(self.genesis)
        self.chain = open_chain(self.store, self.genesis, self.executor)
        side = CommitteeSide(self.genesis, self.executor)
        metrics = Metrics("test")
        rules = block_rules(self.genesis, side)
        self.application = Application(self.chain.state(), self.executor, rules, self.chain.head_hash, metrics)
        epoch = current_epoch(self.chain, engine_policy(self.genesis))
        self.commits = Commits(self.chain, self.application, metrics, epoch)
        self.nonces: dict[bytes, int] = {}
        self.history: list[tuple[Candidate, SyncedBlocks]] = []

    def transaction(self, key: SigningKey, entry: str, *arguments: Value) -> Transaction:
        nonce = self.nonces.get(key.public, 0)
        self.nonces[key.public] = nonce + 1
        raw = encode_value(list(arguments))
        body = TransactionBody(1, self.genesis.chain_id, key.public, nonce, "committee", entry, raw, 5_000_000)
        return decode_transaction(sign_transaction(body, key))

    def block(self, *transactions: Transaction) -> list[Receipt]:
        """Make a block of these, and make it final. The receipts of the transactions."""
        epoch, head = self.commits.epoch, self.chain.head
        first = epoch.boundary_hash == self.chain.head_hash
        template = HeaderTemplate(
            chain_id=self.genesis.chain_id,
            epoch=epoch.epoch,
            view=1 if first else head.view + 1,
            height=head.height + 1,
            time_ms=head.time_ms + 250,
            parent=self.chain.head_hash,
            parent_view=0 if first else head.view,
            closing=False,
            validators=epoch.validators.hash,
            proposer=epoch.validators.validators[0].public_key,
        )
        built = self.application.build(template, list(transactions))
        assert built is not None
        header = built.block.header
        numbers = [int(one.name[1:]) for one in epoch.validators.validators]
        proof = certify(self.genesis.chain_id, epoch.validators, numbers, header)
        synced = SyncedBlock(header, built.block.hash, built.transactions, built.block.body.extra)
        self.history.append((built, SyncedBlocks((synced,), proof, ())))
        assert self.commits.commit_synced(self.history[-1][1]).blocks
        return [receipt for receipt in built.receipts if not receipt.scheduled]

    def next_epoch(self) -> ValidatorSet:
        """Empty blocks up to and with the boundary; the committee after it."""
        epoch = self.commits.epoch.epoch
        while self.commits.epoch.epoch == epoch:
            self.block()
        return self.commits.epoch.validators

    def agree(self, *arguments: Value, voters: int = 4) -> Receipt:
        """Validator 1 proposes, the first `voters` vote yes. The receipt of the last vote, or of a refused proposal."""
        proposed = self.block(self.transaction(account(1), "propose", *arguments))[0]
        if not proposed.ok:
            return proposed
        number = decode_value(proposed.value)
        votes = [self.transaction(account(n), "vote", number, True) for n in range(1, voters + 1)]
        return self.block(*votes)[-1]

    def names(self) -> list[str]:
        """The committee of the running epoch."""
        return [one.name for one in self.commits.epoch.validators.validators]

    def ask(self, entry: str, *arguments: Value) -> Value:
        """A view at the head."""
        with self.chain.view(None) as view:
            context = BlockContext(self.genesis.chain_id, self.chain.height, self.chain.head.time_ms, 0)
            return self.executor.query(view.state, "committee", entry, list(arguments), context)

    def vote(self, number: int, kind: VoteKind, view: int, block: bytes, epoch: int | None = None) -> Vote:
        """A signed vote of validator n in the running epoch."""
        now = self.commits.epoch
        of = now.epoch if epoch is None else epoch
        signer = next(i for i, one in enumerate(now.validators.validators) if one.name == f"v{number}")
        raw = vote_bytes(self.genesis.chain_id, now.validators.hash, kind, of, view, Hash(block))
        return Vote(kind, of, view, block, signer, seeded_key(number).sign(DOMAIN_VOTE, raw))
