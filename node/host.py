"""The composition root: opens everything of a process in one scope, in order; closes it in reverse, whatever happens.

    async with Host.open(config, genesis) as host:
        await host.finished()

Order: keys and identity, threads, every chain's store, log and parts, the network. A network of one chain goes the same
road with one chain. A crash in any part ends the scope with its exception. Ready means: stores and logs are open and
identity is checked; no quorum is waited for.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.genesis import Genesis
from node.address_file import load_addresses, save_addresses
from node.beginning import begin_with_state
from node.chains import hosted_chains
from node.config import NodeConfig
from node.machine import Machine, SystemMachine
from node.metrics import Metrics, text_of_chains
from node.multiplexer import Multiplexer
from node.node import Node
from node.own_keys import load_account_key, load_identity, load_validator_key
from node.parts import network_settings, open_commons, open_parts
from node.peers import Links, Members
from node.self_test import self_test_once
from node.severed import Severed, SeveredHandler, SeveredLinks
from node.shards.attester import Attester
from node.shards.courier import Courier
from node.siblings import join_siblings
from node.tasks import Tasks, task_scope
from p2p.topology import LinkPolicy

SWITCH_INTERVAL_S: Final = 0.0005
"""How long one thread may keep the interpreter lock while another wants it (ADR 0040)."""
ADDRESS_FILE: Final = Path("addresses")
ADDRESSES_S: Final = 5.0


class Host:
    """A running process of the network. `chains`: what it hosts, by name; `home`: the first of them."""

    def __init__(
        self, config: NodeConfig, genesis: Genesis, key: SigningKey | None, account: SigningKey | None
    ) -> None:
        self.config = config
        self.genesis = genesis
        self.network: Links | None = None
        self._key = key
        self._account = account
        self._chains: dict[str, Node] = {}
        self._speakers: list[Courier | Attester] = []
        self._address_file = config.path(ADDRESS_FILE)

    @property
    def chains(self) -> Mapping[str, Node]:
        """The chains of this process, the home chain first."""
        return self._chains

    @property
    def home(self) -> Node:
        """What the API serves where no chain is named: the chain this node votes on, if it votes."""
        return next(iter(self._chains.values()))

    # --- opening ------------------------------------------------------------------------------------------------------

    @classmethod
    @asynccontextmanager
    async def open(cls, config: NodeConfig, genesis: Genesis) -> AsyncIterator[Host]:
        """Open a process for as long as the scope lasts. Raise `GridchainError` with code and fix if it cannot start.

        `genesis`: the network's.
        """
        config.check_chain(genesis.name)
        self_test_once(config.path(config.node.data).parent)
        identity = load_identity(config)
        key = load_validator_key(config, genesis)
        account = load_account_key(config, genesis, key)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        dev = config.dev
        machine = SystemMachine(identity, clock_offset_ms=dev.clock_offset_ms, lose_unsynced=dev.lose_unsynced)
        async with cls.open_on(machine, config, genesis, key, account) as host:
            tame_collector()
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
    ) -> AsyncIterator[Host]:
        """Open a process on a machine, by the keys in hand. `account`: what a validator of `dpos` speaks by."""
        await begin_with_state(machine, config, genesis)
        with ExitStack() as files, ExitStack() as threads:
            host = cls(config, genesis, key, account)
            host._open_chains(machine, (files, threads))
            known = load_addresses(host._address_file)
            settings = network_settings(config, genesis, Members(genesis), known)
            if any(chain.held for chain in host.chains.values()):
                everybody = max(len(genesis.members), settings.links.max_links)  # q others must be heard themselves
                settings = replace(settings, links=LinkPolicy(min_links=everybody, max_links=everybody))
            handlers = {chain.place: chain.peers for chain in host.chains.values()}
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
        metrics = [Metrics(self.config.node.name) for _ in hosted]
        commons = open_commons(machine, self.config, self.genesis, self._account, stacks, metrics[0])
        for chain, counted in zip(hosted, metrics, strict=True):
            parts = open_parts(commons, chain, counted)
            self._chains[chain.name] = Node(self.config, chain, parts, machine, self._metrics_text)
        join_siblings({name: (node.as_sibling(), node.siblings) for name, node in self._chains.items()})

    def _start(self, tasks: Tasks) -> None:
        for chain in self._chains.values():
            chain.start(tasks)
        for chain in self._chains.values():
            self._committed(chain, tasks)  # what the siblings have committed in former lives
        centres = self._chains.get(GLOBAL)
        courier = None if centres is None else self.home.courier_to(centres, self._account)
        for speaker in (courier, self.home.attester(self._account)):
            if speaker is not None:
                self._speakers.append(speaker)
                speaker.start(tasks)
        tasks.spawn(self._keep_addresses(), name="addresses")
        self._set_ready(True)

    def _set_ready(self, ready: bool) -> None:
        for chain in self._chains.values():
            chain.ready = ready

    # --- at work ------------------------------------------------------------------------------------------------------

    async def finished(self) -> None:
        """Return never: wait until the scope is cancelled, or a part crashes and ends it."""
        await asyncio.get_running_loop().create_future()

    @property
    def halted(self) -> str:
        """Why a chain of this process commits nothing more before it is started again; "" if all do."""
        return next((node.halted for node in self._chains.values() if node.halted), "")

    def _metrics_text(self) -> bytes:
        """Prometheus exposition; in a sharded network each sample says of which chain it is."""
        measured = {name: node.measure() for name, node in self._chains.items()}
        return self.home.metrics.text() if self.genesis.shards is None else text_of_chains(measured)

    def _committed(self, chain: Node, tasks: Tasks) -> None:
        for other in self._chains.values():
            if other is not chain:
                other.sibling_committed(chain.as_sibling(), tasks)
        for speaker in self._speakers:
            speaker.wake()

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


def tame_collector() -> None:
    """What exists now lives for ever; collect young objects rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
