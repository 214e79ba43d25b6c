"""One chain of a founded network under any engine, in memory: blocks are built, certified and committed, with the
market that genesis installs. No network, no loop; of `sharded` a region's chain, beside the global one at its genesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consensus.engine import Commit, HeaderTemplate
from contracts.executor import BlockContext
from contracts.library_sources import Calendar, Tariffs
from contracts.values import decode_value, encode_value
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import default_names
from deploy.network import MarketMode, NetworkPlan
from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, SigningKey, address_of, sha256
from ledger.engine_settings import GLOBAL
from ledger.genesis import load_genesis
from ledger.objects import Header, Receipt, Transaction, TransactionBody, decode_transaction, header_hash
from ledger.objects import sign_transaction as signed
from ledger.shard_genesis import ONLY, hosted_genesis
from ledger.store import MemoryStore
from node.application import Application
from node.commit import Commits
from node.founding import block_rules, current_epoch, engine_policy, engine_side, make_executor, open_chain
from node.keys import load_key
from node.metrics import Metrics
from node.siblings import Siblings, StoredSibling, join_siblings

START_MS = 1_700_000_000_000
SLOT_MS = 900_000
SLOT0_MS = 40 * SLOT_MS
GAS = 50_000_000
ENGINES = ("solo", "bft", "dpos", "sharded")
DESKS = {"bureau": "energy_bureau", "grid": "grid_company", "center": "trading_center"}


def person(name: str) -> SigningKey:
    """The key of somebody, the same on every chain."""
    return SigningKey(sha256(name.encode()))


def address(name: str) -> bytes:
    return bytes(address_of(person(name).public))


@dataclass
class Hosted:
    """A chain of the founded network in a store of its own."""

    genesis: Any
    network: Any

    def __post_init__(self) -> None:
        self.executor = make_executor(self.genesis)
        self.store = MemoryStore()
        self.chain = open_chain(self.store, self.genesis, self.executor)
        self.siblings = Siblings()

    def open(self) -> None:
        """When its siblings are known."""
        side = engine_side(self.genesis, self.siblings, self.executor, self.network)
        metrics, rules = Metrics("test"), block_rules(self.genesis, side)
        self.application = Application(self.chain.state(), self.executor, rules, self.chain.head_hash, metrics)
        epoch = current_epoch(self.chain, engine_policy(self.genesis))
        self.commits = Commits(self.chain, self.application, metrics, epoch)


class EngineChain:
    """A market of `mode` under `engine`, founded in `directory`."""

    def __init__(self, engine: str, mode: MarketMode, tariffs: Tariffs, directory: Path) -> None:
        count = 1 if engine == "solo" else 4
        plan = NetworkPlan(
            directory,
            f"bench-{engine}",
            engine,
            tuple(default_names(count)),
            regions=default_regions(1, 4) if engine == "sharded" else (),
            genesis_time_ms=START_MS,
            origin_ms=0,
            calendar=Calendar(SLOT_MS, SLOT0_MS),
            tariffs=tariffs,
            mode=mode,
            first_api_port=0,
            first_p2p_port=0,
        )
        layout = make_network(plan)
        network = load_genesis(layout.nodes[0].home / "genesis.json")
        homes = [load_key(node.home / "keys" / "validator.key") for node in layout.nodes]
        self.voters = {key.public: key for key in homes}
        self.desks = {name: load_key(layout.key_file(role)) for name, role in DESKS.items()}
        names = (plan.regions[0].name, GLOBAL) if plan.regions else (ONLY,)
        hosted = {name: Hosted(hosted_genesis(network, name), network) for name in names}
        join_siblings(
            {name: (StoredSibling(name, one.genesis, one.chain), one.siblings) for name, one in hosted.items()}
        )
        for one in hosted.values():
            one.open()
        self.hosted = hosted[names[0]]
        self.genesis = self.hosted.genesis
        self.nonces: dict[bytes, int] = {}
        self.now = 0

    # --- blocks

    def block(self, *transactions: Transaction) -> list[Receipt]:
        """Build on the head, certify, commit."""
        head, epoch = self.hosted.chain.head, self.hosted.commits.epoch
        parent_view = 0 if head.height == epoch.boundary.height else head.view
        members = epoch.validators.validators
        template = HeaderTemplate(
            chain_id=self.genesis.chain_id,
            epoch=epoch.epoch,
            view=parent_view + 1,
            height=head.height + 1,
            time_ms=max(head.time_ms + 1, START_MS + self.now),
            parent=self.hosted.chain.head_hash,
            parent_view=parent_view,
            closing=False,
            validators=epoch.validators.hash,
            proposer=members[parent_view % len(members)].public_key,
        )
        built = self.hosted.application.build(template, list(transactions))
        assert built is not None
        self.hosted.commits.commit(Commit((built.block.hash,), self._final(built.block.header)))
        return list(built.receipts)

    def _final(self, header: Header) -> Certificate:
        committee = self.hosted.commits.epoch.validators
        where = (header.epoch, header.view, header_hash(encode(header)))
        message = vote_bytes(self.genesis.chain_id, committee.hash, VoteKind.FINALIZE, *where)
        seats = enumerate(committee.validators)
        return assemble(
            [
                Vote(VoteKind.FINALIZE, *where, at, self.voters[seat.public_key].sign(DOMAIN_VOTE, message))
                for at, seat in seats
            ],
            committee,
        )

    def go_slot(self, slot: int, offset: int) -> None:
        """Move on to `offset` slots after the start of delivery, with the scheduled calls on the way."""
        target = START_MS + SLOT0_MS + (slot + offset) * SLOT_MS
        while (due := self.hosted.executor.next_due_ms(self.hosted.chain.state())) is not None and due <= target:
            self.now = max(self.now, due - START_MS)
            self.block()
        self.now = max(self.now, target - START_MS)
        self.block()

    # --- what people send and ask

    def done(self, sender: str, contract: str, entry: str, *arguments: Any) -> Any:
        """A call in a block of its own, signed for this chain; its value."""
        key = self.desks.get(sender) or person(sender)
        nonce = self.nonces.get(key.public, 0)
        self.nonces[key.public] = nonce + 1
        body = TransactionBody(
            1, self.genesis.chain_id, key.public, nonce, contract, entry, encode_value(list(arguments)), GAS
        )
        transaction = decode_transaction(signed(body, key))
        receipt = next(one for one in self.block(transaction) if one.subject == transaction.id)
        assert receipt.ok, (self.genesis.engine, entry, receipt.code, receipt.line)
        return decode_value(receipt.value) if receipt.value else None

    def query(self, contract: str, view: str, *arguments: Any) -> Any:
        head = self.hosted.chain.head
        context = BlockContext(self.genesis.chain_id, head.height, head.time_ms, head.time_ms - START_MS)
        return self.hosted.executor.query(self.hosted.chain.state(), contract, view, list(arguments), context)

    def join(self, name: str) -> None:
        """Register, approve and fund a member with a meter of its own key."""
        role, device = ("prosumer", "pv") if name.startswith("sun") else ("consumer", "load")
        owner = bytes(sha256(name.encode()))
        applied = [address(f"meter of {name}"), owner, [role], [device], [20_000], "bus-1", "west", ["name"], [owner]]
        self.done(name, "registry", "apply", *applied)
        digest = self.query("registry", "member", address(name))["digest"]
        self.done("bureau", "registry", "attest", address(name), digest, ["licence"])
        self.done("grid", "registry", "attest", address(name), digest, ["meter", "connection"])
        self.done("center", "token", "deposit", address(name), 10**12, f"bank {name}")

    def read(self, name: str, slot: int, generation: int, use: int) -> None:
        self.done(f"meter of {name}", "metering", "submit_reading", slot, generation, use)
