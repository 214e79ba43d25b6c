"""The composition root: opens everything of a process in one scope, in order; closes it in reverse, whatever happens.

    async with Host.open(config, genesis) as host:
        await host.finished()

Order: keys and identity, threads, every chain's store, log and parts, the network. A network of one chain goes the same
road with one chain. A crash in any part ends the scope with its exception. Ready means: stores and logs are open and
identity is checked; no quorum is waited for.

Where a region begins anew, `finished` returns: the same process opens a host again, which finds the new chain and takes
over what waited in the mempools (`carried`). The road is that of any restart.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.genesis import Genesis
from node.address_file import load_addresses, save_addresses
from node.asleep import Asleep
from node.beginning import begin_with_state
from node.chains import HostedChain, Phase, Place, hosted_chains
from node.commit import StateDivergence
from node.config import NodeConfig
from node.first_logs import LostList
from node.ledger_thread import LedgerThread
from node.log import node_logger
from node.machine import Machine, SystemMachine
from node.metrics import Metrics, text_of_chains
from node.multiplexer import ChainHandler, Multiplexer
from node.node import Node
from node.open_views import OpenViews
from node.own_keys import load_account_key, load_identity, load_validator_key
from node.parts import Parts, network_settings, open_commons, open_parts
from node.peers import Links, Members
from node.regional_epochs import Epochs, Grounds, name_of, with_epochs
from node.self_test import self_test_once
from node.severed import Severed, SeveredHandler, SeveredLinks
from node.shards.global_store import read_machines
from node.shards.speakers import ShardSpeaker, speakers_of
from node.shards.succession import void_transactions
from node.siblings import join_siblings
from node.tasks import Tasks, task_scope
from p2p.topology import LinkPolicy

SWITCH_INTERVAL_S: Final = 0.0005
"""How long one thread may keep the interpreter lock while another wants it (ADR 0040)."""
ADDRESS_FILE: Final = Path("addresses")
ADDRESSES_S: Final = 5.0
FAREWELL_S: Final = 0.3
"""What the peers lack of the block that ends this life still leaves."""
AT_ONCE: Final = 256
Carried: TypeAlias = dict[str, list[bytes]]
"""Transactions by the name of their chain."""


class Host:
    """A running process of the network. `chains`: what it hosts, by name; `home`: the first of them."""

    def __init__(
        self,
        config: NodeConfig,
        genesis: Genesis,
        key: SigningKey | None,
        account: SigningKey | None,
        carried: Carried,
    ) -> None:
        self.config = config
        self.genesis = genesis
        self.network: Links | None = None
        self._key = key
        self._account = account
        self._carried = carried
        self._chains: dict[str, Node] = {}
        self._asleep: list[Asleep] = []
        self._epochs: Epochs | None = None
        self._members = Members(genesis)
        self._list: LostList | None = None
        self._ledger_thread: LedgerThread | None = None
        self._outgrown = asyncio.Event()
        self._vain: frozenset[str] = frozenset()
        self._speakers: list[ShardSpeaker] = []
        self._address_file = config.path(ADDRESS_FILE)

    @property
    def chains(self) -> Mapping[str, Node]:
        """The chains of this process, the home chain first; of a region the newest under its name, and each that is
        over as `NAME.EPOCH`."""
        return self._chains

    @property
    def home(self) -> Node:
        """What the API serves where no chain is named: the chain this node votes on, if it votes."""
        return next(iter(self._chains.values()))

    # --- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    @asynccontextmanager
    async def open(cls, config: NodeConfig, genesis: Genesis, carried: Carried | None = None) -> AsyncIterator[Host]:
        """Open a process for as long as the scope lasts. Raise `GridchainError` with code and fix if it cannot start.

        `genesis`: the network's. `carried`: what waited in a host that this process closed before.
        """
        config.check_chain(genesis.name)
        self_test_once(config.path(config.node.data).parent)
        identity = load_identity(config)
        key = load_validator_key(config, genesis)
        account = load_account_key(config, genesis, key)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        dev = config.dev
        machine = SystemMachine(identity, clock_offset_ms=dev.clock_offset_ms, lose_unsynced=dev.lose_unsynced)
        async with cls.open_on(machine, config, genesis, key, account, carried) as host:
            with _COLLECTOR.tamed():
                yield host

    @classmethod
    @asynccontextmanager
    async def open_on(
        cls,
        machine: Machine,
        config: NodeConfig,
        genesis: Genesis,
        key: SigningKey | None,
        account: SigningKey | None = None,
        carried: Carried | None = None,
    ) -> AsyncIterator[Host]:
        """Open a process on a machine, by the keys in hand. `account`: what a validator of `dpos` speaks by."""
        await begin_with_state(machine, config, genesis)
        with ExitStack() as files, ExitStack() as threads:
            host = cls(config, genesis, key, account, carried or {})
            host._open_chains(machine, (files, threads))
            for chain in host.chains.values():
                views = OpenViews()
                chain.chain.guard = views.one
                files.callback(views.end)
            known = load_addresses(host._address_file)
            settings = network_settings(config, genesis, host._members, known)
            if any(chain.held for chain in host.chains.values()):
                everybody = max(host._members.count, settings.links.max_links)  # q others must be heard themselves
                settings = replace(settings, links=LinkPolicy(min_links=everybody, max_links=everybody))
            handlers: dict[Place, ChainHandler] = {chain.place: chain.peers for chain in host.chains.values()}
            handlers |= {chain.place: chain for chain in host._asleep}
            multiplexer = Multiplexer(genesis, handlers, None if key is None else key.public)
            severed = Severed(genesis, config.path(Path(config.dev.severed))) if config.dev.severed else None
            handler = multiplexer if severed is None else SeveredHandler(multiplexer, severed)
            async with task_scope() as tasks:
                for chain in host.chains.values():
                    chain.attach(tasks, partial(host._committed, chain, tasks))
                async with machine.network(settings, handler) as opened:
                    network: Links = opened if severed is None else SeveredLinks(opened, severed)
                    host.network = network
                    multiplexer.connect(network)
                    if severed is not None:
                        tasks.spawn(severed.watch(), name="severed")
                    host._start(tasks)
                    tasks.spawn(multiplexer.run(), name="hosting")
                    yield host
                    host._set_ready(False)

    def _open_chains(self, machine: Machine, stacks: tuple[ExitStack, ExitStack]) -> None:
        hosted = hosted_chains(self.config, self.genesis, self._key)
        metrics = {hosted[0].name: Metrics(self.config.node.name)}
        first = metrics[hosted[0].name]
        commons = open_commons(machine, self.config, self._members, self._account, stacks, first)
        self._ledger_thread = commons.ledger_thread
        opened: dict[str, Parts] = {}

        def parts_of(chain: HostedChain) -> Parts:
            counted = metrics.setdefault(chain.name, Metrics(self.config.node.name))
            return opened.get(chain.name) or opened.setdefault(chain.name, open_parts(commons, chain, counted))

        centres = next((chain for chain in hosted if chain.name == GLOBAL), None)
        if centres is not None:  # it says what has become of the regions
            state = parts_of(centres).chain.state()
            self._members.named(read_machines(state))
            self._epochs = Epochs.read(state, self.genesis, [chain.name for chain in hosted], self._key)
            log = node_logger(self.config.node.name)
            grounds = Grounds(machine, self.config, self.genesis, self._key, state, log)
            hosted = with_epochs(grounds, hosted, self._epochs)
            left = [chain for chain in hosted if chain.phase is Phase.LEFT]
            # a copy that holds the base and founds nothing is of another history: it is not tried again
            self._vain = frozenset(c.name for c in left if self._epochs.reached(c.place, parts_of(c).chain.state()))
            self._list = LostList(self.config.path(self.config.node.wal), machine.disk)
        for chain in hosted:
            if chain.phase is Phase.ASLEEP:
                self._asleep.append(self._sleeping(machine, chain))
                stacks[0].callback(self._asleep[-1].close)
                continue
            self._chains[chain.name] = Node(self.config, chain, parts_of(chain), machine, self._metrics_text)
        join_siblings({node.name: (node.as_sibling(), node.siblings) for node in self._running()})

    def _sleeping(self, machine: Machine, chain: HostedChain) -> Asleep:
        log = node_logger(self.config.node.name)
        return Asleep(chain, partial(machine.store, chain.data, self.config.node.store), log)

    def _start(self, tasks: Tasks) -> None:
        for chain in self._chains.values():
            chain.start(tasks)
        for chain in self._running():
            self._committed(chain, tasks)  # what the siblings have committed in former lives
        centres = self._chains.get(GLOBAL)
        stands = [one.stand for one in self._running()]
        speakers = () if centres is None else speakers_of(stands, centres.stand, self._key, self._account)
        for speaker in speakers:
            self._speakers.append(speaker)
            speaker.start(tasks)
        tasks.spawn(self._keep_addresses(), name="addresses")
        tasks.spawn(self._hand_over(), name="hand-over")
        self._set_ready(True)

    def _running(self) -> list[Node]:
        return [node for node in self._chains.values() if node.phase is not Phase.OVER]

    def _set_ready(self, ready: bool) -> None:
        for chain in self._chains.values():
            chain.ready = ready

    # --- at work ------------------------------------------------------------------------------------------------------

    async def finished(self) -> None:
        """Return when this process has to be opened again, because a region that it hosts begins anew; else wait until
        the scope is cancelled, or a part crashes and ends it."""
        await self._outgrown.wait()
        await asyncio.sleep(FAREWELL_S)

    def waiting(self) -> Carried:
        """The transactions that wait in this host, by chain: what the next one is to be opened with."""
        return {node.name: [*self._carried.get(node.name, []), *node.waiting()] for node in self._running()}

    @property
    def halted(self) -> str:
        """Why a chain of this process commits nothing more before it is started again; "" if all do."""
        return next((node.halted for node in self._chains.values() if node.halted), "")

    def _metrics_text(self) -> bytes:
        """Prometheus exposition; in a sharded network each sample says of which chain it is."""
        measured = {name: node.measure() for name, node in self._chains.items()}
        return self.home.metrics.text() if self.genesis.shards is None else text_of_chains(measured)

    def _committed(self, chain: Node, tasks: Tasks) -> None:
        for other in self._running():
            if other is not chain:
                other.sibling_committed(chain.as_sibling(), tasks)
        for speaker in self._speakers:
            speaker.wake()
        self._look(chain)

    def _look(self, chain: Node) -> None:
        """Whether a region has begun anew, or a copy is as far as its next chain needs."""
        if self._epochs is None or self._outgrown.is_set():
            return
        if chain.name == GLOBAL:
            self._members.named(read_machines(chain.head_state))
            if self._list is not None and self._list.missing and self.home.caught_up:
                with suppress(OSError):  # a full disk: the next block tries again
                    self._list.begin_again(Epochs.read(chain.head_state, self.genesis, (), self._key).logs())
            region = self._epochs.outgrown(chain.head_state)
        else:
            left = chain.phase is Phase.LEFT and chain.name not in self._vain
            region = chain.name if left and self._epochs.reached(chain.place, chain.head_state) else ""
        if region:
            self.home.log.info("a region begins anew: this node opens its chains again", region=region)
            self._outgrown.set()

    async def _hand_over(self) -> None:
        """Give the chains what waited for them before this life, and what void blocks of a former epoch held."""
        for node in self._running():
            raws = self._carried.get(node.name, [])  # until they are handed over: this life may end before
            before = self._chains.get(name_of(Place(node.place.chain, node.place.epoch - 1)))
            opening = None if self._epochs is None or before is None else self._epochs.began(node.place)
            thread = self._ledger_thread  # it ends before the stores are closed: LevelDB must not be read meanwhile
            if before is not None and opening is not None and thread is not None and not node.moved:
                with suppress(StateDivergence):  # a copy of another history has nothing to say
                    raws = [*await thread.run(void_transactions, before.chain, opening), *raws]
            for first in range(0, len(raws), AT_ONCE):
                await node.submit(raws[first : first + AT_ONCE])
            self._carried.pop(node.name, None)

    async def _keep_addresses(self) -> None:
        """Write the address book down whenever it has changed."""
        saved: list[bytes] = []
        while True:
            await asyncio.sleep(ADDRESSES_S)
            known = [] if self.network is None else self.network.known_addresses()
            if known and known != saved:
                try:
                    await asyncio.to_thread(save_addresses, self._address_file, known)
                    saved = known
                except OSError as error:
                    self.home.log.warning("the address book cannot be written", error=str(error))


class Collector:
    """The collector of this process. Hosts that are open beside each other, as in tests, tame it once: looking at all
    that exists takes 0.1 to 0.3 s."""

    def __init__(self) -> None:
        self._hosts = 0

    @contextmanager
    def tamed(self) -> Iterator[None]:
        """For as long as a host is open."""
        if self._hosts == 0:
            tame_collector()
        self._hosts += 1
        try:
            yield
        finally:
            self._hosts -= 1


_COLLECTOR: Final = Collector()


def tame_collector() -> None:
    """What exists now lives for ever; collect young objects rarely. What a host before this one left goes."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
