"""The chains of a small sharded network in memory: processes that host several each, no network, no loop, no engine.

Every member and centre is a process with its own stores; blocks are built by one of them, judged by the other voters,
and taken as certified by those that only follow, as catching up does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chain_world import START_MS, seeded_key
from msgspec.structs import replace

from consensus.engine import Commit, HeaderTemplate, Verdict
from consensus.sharded.global_state import GlobalState
from consensus.sharded.records import DOMAIN_RECORD_SIGNATURE, Asset, Publication, publication_bytes
from consensus.simplex.effects import leader_key
from contracts.executor import ENGINE_ADDRESS, BlockContext
from contracts.library_sources import library_source
from contracts.values import Value, encode_value
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, SigningKey, address_of
from ledger.engine_settings import GLOBAL, EngineSettings, GenesisValidator, RegionSettings, ShardSettings
from ledger.genesis import Genesis, GenesisContract, GenesisHead, GenesisLimits, MarketClockSettings, make_genesis
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
from ledger.shard_genesis import hosted_genesis
from ledger.store import MemoryStore
from node.application import Application, Candidate, Judged
from node.commit import Commits, SyncedBlock, SyncedBlocks
from node.founding import block_rules, current_epoch, make_executor, open_chain, region_replay
from node.metrics import Metrics
from node.shards.agent import Agent
from node.shards.global_side import GlobalSide
from node.shards.kept_states import keep_for_next_epoch
from node.shards.region_side import RegionSide
from node.shards.wiring import region_rules, shard_side
from node.siblings import Siblings, StoredSibling, join_siblings

NETWORK = "dev-shards"
ROUND_MS = 1_000
DEPOSIT = 1_000_000
MONEY = 50_000_000
"""What every account of a region has at first."""
CROSSING = """
Lock = record(
    "Lock", account=Address, side=u64, money=u256, wh=u64, limit=u64, left=u64, open=bool, height=u64, slot=u64
)
engine = Var(Address)
balances = Map(Address, u256, default=0)
energy = Map(Address, int, default=0)
locks = Map(u64, Lock)
numbers = Map(bytes, u64)
count = Var(u64, default=0)
closed = Var(u64, default=0)
sequence = Var(u64, default=0)
consumed = Var(u64, default=0)
circulating = Var(u256, default=0)
border = Var(int, default=0)

@init
def setup(engine_address: Address, accounts: list[Address], money: u256) -> None:
    engine.set(engine_address)
    for one in accounts:
        balances[one] = money
    circulating.set(money * len(accounts))

@export
def pay(to: Address, amount: u256) -> None:
    require(balances[ctx.sender] >= amount, "FUNDS")
    balances[ctx.sender] = balances[ctx.sender] - amount
    balances[to] = balances[to] + amount

@export
def order(side: u64, wh: u64, limit: u64, blocks: u64) -> None:
    money = 0
    if side == 1:
        money = limit * wh // 1000
        require(balances[ctx.sender] >= money, "FUNDS")
        balances[ctx.sender] = balances[ctx.sender] - money
        circulating.set(circulating.get() - money)
    else:
        energy[ctx.sender] = energy[ctx.sender] - wh
        border.set(border.get() - wh)
    number = count.get() + 1
    count.set(number)
    locks[number] = Lock(
        account=ctx.sender, side=side, money=money, wh=wh, limit=limit, left=wh, open=True, height=blocks, slot=0
    )
    numbers[sha256(ctx.chain_id.encode() + number.to_bytes(8, "big"))] = number

@export
def close(seq: int, height: int) -> list:
    require(ctx.sender == engine.get(), "NOT_ALLOWED")
    require(seq == sequence.get() + 1, "BAD_SEQ")
    sequence.set(seq)
    rows = []
    for number in range(closed.get() + 1, count.get() + 1):
        one = locks[number]
        held = one.money if one.side == 1 else one.wh
        name = sha256(ctx.chain_id.encode() + number.to_bytes(8, "big"))
        rows.append([name, one.side, one.account, one.wh, one.limit, held, height + one.height, one.slot])
    closed.set(count.get())
    return rows

@export
def consume(
    kind: int, lock: bytes, owner: bytes, money: int, wh: int, ended: bool, reason: str, traded: int, price: int
) -> None:
    require(ctx.sender == engine.get(), "NOT_ALLOWED")
    consumed.set(consumed.get() + 1)
    if kind == 3:
        return
    if kind == 4:
        balances[owner] = balances[owner] + money
        circulating.set(circulating.get() + money)
        return
    number = numbers.get(lock)
    require(number is not None, "NO_LOCK")
    one = locks[number]
    require(one.open, "ENDED")
    balances[one.account] = balances[one.account] + money
    circulating.set(circulating.get() + money)
    energy[one.account] = energy[one.account] + wh
    border.set(border.get() + wh)
    locks[number] = one.replace(left=one.left - traded, open=not ended and kind == 1)

@view
def totals() -> list:
    money = circulating.get()
    wh = border.get()
    for number in range(closed.get() + 1, count.get() + 1):
        if locks[number].side == 1:
            money += locks[number].money
        else:
            wh += locks[number].wh
    return [money, wh]

@view
def balance(account: Address) -> int:
    return balances[account]

@view
def stored(account: Address) -> int:
    return energy[account]

@view
def position() -> list:
    return [sequence.get(), consumed.get()]
"""


TOKEN = """
@view
def account(address: Address) -> dict:
    return {"balance": view_call("crossing", "balance", address), "escrow": 0, "debt": 0}
"""
"""What every region's money is asked by, whoever keeps it."""


def user(region: int, number: int = 0) -> SigningKey:
    """A household of a region."""
    return seeded_key(5_000 + 100 * region + number)


def member_key(region: int, number: int) -> SigningKey:
    return seeded_key(1_000 + 100 * region + number)


def centre_key(number: int) -> SigningKey:
    return seeded_key(900 + number)


def _voter(name: str, key: SigningKey) -> GenesisValidator:
    return GenesisValidator(name, key.public, 1, prove_possession(key, NETWORK, "validator"))


def network_genesis(regions: int = 3, **settings: object) -> Genesis:
    """Regions `ra`, `rb`, ... of four members, four centres; every region has two households with money."""
    names = [f"r{chr(97 + index)}" for index in range(regions)]
    shards = ShardSettings(
        regions=tuple(
            RegionSettings(name, tuple(_voter(f"{name}{n}", member_key(index, n)) for n in range(4)))
            for index, name in enumerate(names)
        ),
        **{"round_ms": ROUND_MS, "deposit": DEPOSIT, "lottery": "hash", **settings},  # type: ignore[arg-type]  # a test's own
    )
    head = GenesisHead(
        version=1,
        name=NETWORK,
        time_ms=START_MS,
        engine="sharded",
        profile="safe",
        engine_parameters=EngineSettings(),
        validators=tuple(_voter(f"centre{n}", centre_key(n)) for n in range(4)),
        members=(),
        ca_certificates=(),
        market_clock=MarketClockSettings(0),
        limits=GenesisLimits(),
        council=None,
        shards=shards,
    )
    contracts = [
        GenesisContract("shards", library_source("shards"), encode_value([ENGINE_ADDRESS]), chain=GLOBAL),
    ]
    for index, name in enumerate(names):
        accounts = [address_of(user(index, n).public) for n in range(2)]
        arguments = encode_value([ENGINE_ADDRESS, accounts, MONEY])
        contracts.append(GenesisContract("crossing", CROSSING, arguments, chain=name))
        contracts.append(GenesisContract("token", TOKEN, encode_value([]), ("crossing",), chain=name))
    return make_genesis(head, contracts)


class HostedChain:
    """One chain of one process. `genesis`: of a chain that continues another, whose store is founded."""

    def __init__(self, network: Genesis, name: str, store: MemoryStore, genesis: Genesis | None = None) -> None:
        self.name = name
        self.genesis = genesis or hosted_genesis(network, name)
        self.store = store
        self.executor = make_executor(self.genesis)
        self.chain = open_chain(store, self.genesis, self.executor)
        self.siblings = Siblings()
        self.wanted = False
        self.siblings.propose = self._propose
        self.side = shard_side(network, self.genesis, self.siblings, self.executor, region_replay)
        if isinstance(self.side, RegionSide):
            keep_for_next_epoch(self.chain, self.side.rules, self.siblings)
        rules = block_rules(self.genesis, self.side)
        metrics = Metrics("test")
        self.application = Application(self.chain.state(), self.executor, rules, self.chain.head_hash, metrics)
        epoch, follows = current_epoch(self.chain, rules.policy), name != GLOBAL
        self.commits = Commits(self.chain, self.application, metrics, epoch, follows=follows)
        self.sibling = StoredSibling(name, self.genesis, self.chain)

    def _propose(self, wanted: bool) -> None:
        self.wanted = wanted

    def template(self, time_ms: int) -> HeaderTemplate:
        over, epoch = self.chain.head, self.commits.epoch
        view = over.view + 1 if over.epoch == epoch.epoch else 1
        return HeaderTemplate(
            chain_id=self.genesis.chain_id,
            epoch=epoch.epoch,
            view=view,
            height=over.height + 1,
            time_ms=time_ms,
            parent=self.chain.head_hash,
            parent_view=over.view if over.epoch == epoch.epoch else 0,
            closing=False,
            validators=epoch.validators.hash,
            proposer=leader_key(epoch, view),
        )

    def check(self, candidate: Candidate) -> Judged:
        block = candidate.block
        return self.application.check(block.header, block.hash, candidate.transactions, block.body.extra)

    def query(self, contract: str, entry: str, *arguments: Value) -> Any:
        header = self.chain.head
        context = BlockContext(self.genesis.transaction_chain_id, header.height, header.time_ms, 0)
        return self.executor.query(self.chain.state(), contract, entry, list(arguments), context)


@dataclass
class Process:
    """What one machine hosts; `stores` survive it."""

    network: Genesis
    names: tuple[str, ...]
    stores: dict[str, MemoryStore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.names:
            self.stores.setdefault(name, MemoryStore())
        self.chains = {name: HostedChain(self.network, name, self.stores[name]) for name in self.names}
        join_siblings({name: (chain.sibling, chain.siblings) for name, chain in self.chains.items()})
        for name in self.names:
            self.tell(name)

    def tell(self, name: str) -> None:
        """A chain has committed: the others hear of it."""
        for other, chain in self.chains.items():
            if other != name:
                chain.siblings.heard(self.chains[name].sibling)

    def restarted(self) -> Process:
        """The same machine after a crash."""
        return Process(self.network, self.names, self.stores)


@dataclass
class ShardedWorld:
    """A network: of each region two members' processes, and two centres. `leader` builds, the others follow."""

    network: Genesis = field(default_factory=network_genesis)

    def __post_init__(self) -> None:
        shards = self.network.shards
        assert shards is not None
        self.regions = [region.name for region in shards.regions]
        self.members = {name: [Process(self.network, (name, GLOBAL)) for _ in range(2)] for name in self.regions}
        self.centres = [Process(self.network, (GLOBAL, *self.regions)) for _ in range(2)]
        self.now = START_MS
        self.nonces: dict[tuple[str, bytes], int] = {}
        self.cut: set[str] = set()
        self.deaf: set[int] = set()
        self.pools: dict[str, list[Transaction]] = {name: [] for name in (GLOBAL, *self.regions)}
        self.receipts: dict[bytes, Receipt] = {}
        self.synced: dict[str, list[SyncedBlocks]] = {}
        self.agents = {
            (name, n): Agent(region_rules(hosted_genesis(self.network, name), name), member_key(index, n).public)
            for index, name in enumerate(self.regions)
            for n in range(4)
        }
        self.keys: dict[bytes, SigningKey] = {
            member_key(i, n).public: member_key(i, n) for i in range(len(self.regions)) for n in range(4)
        }
        self.keys |= {centre_key(n).public: centre_key(n) for n in range(4)}

    # --- who is who

    def voters(self, chain: str) -> list[Process]:
        return self.centres if chain == GLOBAL else self.members[chain]

    def followers(self, chain: str) -> list[Process]:
        everybody = [*self.centres, *(process for two in self.members.values() for process in two)]
        return [one for one in everybody if chain in one.chains and one not in self.voters(chain)]

    def head(self, chain: str) -> HostedChain:
        return self.voters(chain)[0].chains[chain]

    @property
    def state(self) -> GlobalState:
        side = self.head(GLOBAL).side
        assert isinstance(side, GlobalSide)
        return side.state(self.head(GLOBAL).chain.state())

    # --- transactions

    def send(self, chain: str, key: SigningKey, contract: str, entry: str, *arguments: Value) -> Transaction:
        """Into the chain's pool."""
        nonce = self.nonces.get((chain, key.public), 0)
        self.nonces[(chain, key.public)] = nonce + 1
        chain_id = self.head(chain).genesis.transaction_chain_id
        raw = encode_value(list(arguments))
        body = TransactionBody(1, chain_id, key.public, nonce, contract, entry, raw, 10_000_000)
        transaction = decode_transaction(sign_transaction(body, key))
        self.pools[chain].append(transaction)
        return transaction

    def receipt(self, transaction: Transaction) -> Receipt:
        return self.receipts[transaction.id]

    # --- blocks

    def build(self, chain: str, leader: int = 0) -> Candidate | None:
        """What a voter would propose now."""
        hosted = self.voters(chain)[leader].chains[chain]
        time_ms = max(self.now, hosted.chain.head.time_ms + 1)
        return hosted.application.build(hosted.template(time_ms), self.pools[chain], 1 << 60)

    def block(self, chain: str) -> Candidate:
        """Build, have all voters judge, commit everywhere that is not cut off."""
        candidate = self.build(chain)
        assert candidate is not None
        for process in self.voters(chain)[1:]:
            judged = process.chains[chain].check(candidate)
            assert judged.verdict is Verdict.VALID, (chain, judged.verdict, judged.reason)
        self.commit(chain, candidate)
        return candidate

    def commit(self, chain: str, candidate: Candidate) -> None:
        block = candidate.block
        finalization = self.certificate(chain, block.header)
        done = {one.id for one in candidate.transactions}
        self.pools[chain] = [one for one in self.pools[chain] if one.id not in done]
        self.receipts |= {one.subject: one for one in candidate.receipts}
        for process in self.voters(chain):
            process.chains[chain].commits.commit(Commit((block.hash,), finalization))
            process.tell(chain)
        synced = SyncedBlock(block.header, block.hash, candidate.transactions, block.body.extra)
        self.synced.setdefault(chain, []).append(SyncedBlocks((synced,), finalization, ()))
        self.follow(chain)

    def follow(self, chain: str) -> None:
        """Followers take what they lack; nobody crosses a cut."""
        for process in self.followers(chain):
            at_region = process.names[0]
            if chain in self.cut or (chain == GLOBAL and at_region in self.cut) or id(process) in self.deaf:
                continue
            hosted = process.chains[chain]
            for batch in self.synced.get(chain, []):
                if batch.blocks[0].header.height == hosted.chain.height + 1:
                    hosted.commits.commit_synced(batch)
                    process.tell(chain)

    def certificate(self, chain: str, header: Header) -> Certificate:
        """Of exactly a quorum of the block's committee."""
        voters = self.head(chain).commits.epoch.validators
        block_hash = header_hash(encode(header))
        message = vote_bytes(header.chain_id, voters.hash, VoteKind.FINALIZE, header.epoch, header.view, block_hash)
        votes = []
        for index, voter in enumerate(voters.validators[: voters.quorum]):
            signature = self.keys[voter.public_key].sign(DOMAIN_VOTE, message)
            votes.append(Vote(VoteKind.FINALIZE, header.epoch, header.view, block_hash, index, signature))
        return assemble(votes, voters)

    # --- days

    def publications(self, region: str, member: int) -> list[Publication]:
        """What a member would publish now."""
        process = self.members[region][0]
        with process.chains[region].chain.view() as own:
            centres = process.chains[GLOBAL].chain.state()
            drafts = self.agents[(region, member)].due(own, centres, self.now)
        return [one.signed(self.keys[one.agent].sign(DOMAIN_RECORD_SIGNATURE, one.statement)) for one in drafts]

    def first_published(self, region: str) -> list[Publication]:
        """Go on in a region alone until its first member publishes, and what that would be."""
        while not (found := self.publications(region, 0)):
            self.now += 250
            self.block_if_due(region)
        return found

    def publish(self, region: str) -> None:
        """All members of a region do what their agents want."""
        for member in range(4):
            for publication in self.publications(region, member):
                self.submit(publication)

    def submit(self, publication: Publication) -> Transaction:
        key = self.keys[publication.agent]
        return self.send(GLOBAL, key, "shards", "submit", encode(publication))

    def step(self, ms: int = 250) -> None:
        """Time goes on: every chain that wants a block makes one, agents publish, I14 and I15 are checked."""
        self.now += ms
        for region in self.regions:
            self.block_if_due(region)
            if region not in self.cut:
                self.publish(region)
        if self.block_if_due(GLOBAL):
            self.check_conserved()

    def run(self, ms: int) -> None:
        until = self.now + ms
        while self.now < until:
            self.step()

    def block_if_due(self, chain: str) -> bool:
        hosted = self.head(chain)
        due = hosted.application.next_due_ms(hosted.chain.state())
        if not (self.pools[chain] or hosted.wanted or (due is not None and due <= self.now)):
            return False
        self.block(chain)
        return True

    def check_conserved(self) -> None:
        """I14: confirmed regions, locks, unconsumed items and the pool hold what there was at first."""
        state = self.state
        for asset in Asset:
            found = state.conserved(asset)
            if asset is Asset.MONEY:
                found += sum(2 * MONEY for view in state.regions if view.position.seq == 0)
                deposit = 0 if self.network.shards is None else self.network.shards.deposit
                assert found == len(self.regions) * (2 * MONEY + 4 * deposit), (asset, found)
            else:
                assert found == 0, (asset, found)


def lie(world: ShardedWorld, honest: Publication) -> Publication:
    """The same with another result, under the same member's name."""
    record = replace(honest.record, post_root=bytes(32))
    statement = publication_bytes(record, honest.headers, honest.section, honest.certificate)
    signature = world.keys[honest.agent].sign(DOMAIN_RECORD_SIGNATURE, statement)
    return replace(honest, record=record, signature=signature)
