"""The node's application over a memory store, with one small contract: no network, no loop, no engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_world import NETWORK, START_MS, certify, committee, seeded_key

from consensus.engine import HeaderTemplate
from contracts.values import encode_value
from ledger.certificates import Certificate
from ledger.crypto import Hash, SigningKey
from ledger.engine_settings import EngineSettings, GenesisValidator
from ledger.genesis import (
    Genesis,
    GenesisContract,
    GenesisHead,
    GenesisLimits,
    MarketClockSettings,
    make_genesis,
)
from ledger.objects import Header, Transaction, TransactionBody, decode_transaction, sign_transaction
from ledger.possession import prove_possession
from ledger.store import MemoryStore
from node.application import Application
from node.commit import Commits
from node.engine_side import PlainSide
from node.founding import block_rules, current_epoch, engine_policy, make_executor, open_chain
from node.metrics import Metrics

COUNTER = """
total = Var(int, default=0)
last = Map(Address, int, default=0)
ticks = Var(int, default=0)

@export
def add(n: int) -> None:
    require(n >= 0, "NEGATIVE")
    total.set(total.get() + n)
    last[ctx.sender] = n

@export
def later(after_ms: int) -> None:
    schedule(ctx.market_time_ms + after_ms, "tick", gas=100000)

@export(scheduled=True)
def tick(due_ms: int) -> None:
    ticks.set(ticks.get() + 1)

@view
def sum_of_all() -> int:
    return total.get()

@view
def ticked() -> int:
    return ticks.get()
"""


def counter_genesis(voters: int = 4, epoch_blocks: int = 1024, **limits: int) -> Genesis:
    keys = [seeded_key(number) for number in range(1, voters + 1)]
    head = GenesisHead(
        version=1,
        name=NETWORK,
        time_ms=START_MS,
        engine="bft" if voters > 1 else "solo",
        profile="safe",
        engine_parameters=EngineSettings(epoch_blocks=epoch_blocks),
        validators=tuple(
            GenesisValidator(f"v{n}", key.public, 1, prove_possession(key, NETWORK, "validator"))
            for n, key in enumerate(keys, 1)
        ),
        members=(),
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GenesisLimits(**limits),
        council=None,
        shards=None,
    )
    return make_genesis(head, [GenesisContract("counter", COUNTER, encode_value([]))])


@dataclass
class CounterWorld:
    """One node's ledger side; blocks are made by `build` or of another world's bytes by `check`."""

    genesis: Genesis = field(default_factory=counter_genesis)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.executor = make_executor(self.genesis)
        self.chain = open_chain(self.store, self.genesis, self.executor)
        self.metrics = Metrics("test")
        self.application = Application(
            self.chain.state(),
            self.executor,
            block_rules(self.genesis, PlainSide()),
            self.chain.head_hash,
            self.metrics,
        )
        epoch = current_epoch(self.chain, engine_policy(self.genesis))
        self.commits = Commits(self.chain, self.application, self.metrics, epoch)
        self.nonces: dict[bytes, int] = {}

    def transaction(
        self, key: SigningKey, n: int = 1, nonce: int | None = None, entry: str = "add", contract: str = "counter"
    ) -> Transaction:
        used = self.nonces.get(key.public, 0) if nonce is None else nonce
        self.nonces[key.public] = max(used + 1, self.nonces.get(key.public, 0))
        arguments = encode_value([n])
        body = TransactionBody(1, self.genesis.chain_id, key.public, used, contract, entry, arguments, 1_000_000)
        return decode_transaction(sign_transaction(body, key))

    def template(self, parent: Header | None = None, parent_hash: Hash | None = None, later_ms: int = 250):
        over = parent or self.chain.head
        validators = self.commits.epoch.validators.hash
        height = over.height + 1
        return HeaderTemplate(
            chain_id=self.genesis.chain_id,
            epoch=self.commits.epoch.epoch,
            view=height,
            height=height,
            time_ms=over.time_ms + later_ms,
            parent=parent_hash or self.chain.head_hash,
            parent_view=0 if over.height == 0 else over.view,
            closing=False,
            validators=validators,
            proposer=seeded_key(1).public,
        )

    def finalization(self, header: Header) -> Certificate:
        voters = len(self.genesis.validators)
        numbers = list(range(1, voters + 1))
        return certify(self.genesis.chain_id, committee(numbers), numbers, header)

    def dump(self) -> dict[bytes, bytes]:
        return dict(self.store.rows)
