"""Hosts of a sharded network over real TLS and LevelDB in one process, closed and opened again by name. A host that a
region's new chain outgrows opens again by itself, as in `gridchain node run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from contracts.library_sources import AuctionMode
from contracts.values import Value, encode_value
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from ledger.crypto import SigningKey
from ledger.engine_settings import ShardSettings
from ledger.errors import GridchainError
from ledger.genesis import load_genesis
from ledger.objects import TransactionBody, sign_transaction
from node.config import NodeConfig, load_config
from node.host import Carried, Host
from node.keys import load_key
from node.tasks import task_scope

CENTRES = ("bureau", "grid", "notary", "trading")


def region_network(directory: Path, sharding: ShardSettings, regions: int = 1) -> NetworkLayout:
    """Four centres and regions of four, market C without sealed orders, on free ports."""
    return make_network(
        NetworkPlan(
            directory=directory,
            chain_name="dev-shards",
            engine="sharded",
            names=CENTRES,
            regions=default_regions(regions, 4),
            mode=AuctionMode(sealed=False),
            sharding=sharding,
            first_api_port=0,
            first_p2p_port=0,
        )
    )


class ShardHosts:
    """Hosts by the names of their nodes."""

    def __init__(self, layout: NetworkLayout) -> None:
        self.layout = layout
        self.hosts: dict[str, Host] = {}
        self.lives: dict[str, int] = {}
        self._scopes: dict[str, AsyncExitStack] = {}
        self._nonces: dict[str, int] = {}

    async def open(self, *names: str, **node: object) -> None:
        """Open hosts; `node` overrides keys of [node]. Raise what keeps one from opening."""
        for name in names:
            home = self.home(name)
            config = load_config(home, {"log": {"level": "error"}, "node": node}, {})
            opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            scope = self._scopes[name] = AsyncExitStack()
            tasks = await scope.enter_async_context(task_scope())
            tasks.spawn(self._live(name, config, opened), name=f"host {name}")
            try:
                await opened
            except GridchainError:
                del self._scopes[name]
                await scope.aclose()
                raise

    def home(self, name: str) -> Path:
        return self.layout.nodes[self.layout.node(name)].home

    async def _live(self, name: str, config: NodeConfig, opened: asyncio.Future[None]) -> None:
        carried = Carried()
        try:
            genesis = load_genesis(config.path(config.node.genesis))
            while True:
                async with Host.open(config, genesis, carried) as host:
                    self.hosts[name] = host
                    self.lives[name] = self.lives.get(name, 0) + 1
                    if not opened.done():
                        opened.set_result(None)
                    await host.finished()
                    carried = host.waiting()
        except GridchainError as error:
            if opened.done():
                raise
            opened.set_exception(error)
        finally:
            self.hosts.pop(name, None)

    async def close(self, *names: str) -> None:
        for name in names or tuple(self._scopes):
            await self._scopes.pop(name).aclose()

    async def call(self, name: str, chain: str, key: SigningKey, call: tuple[str, str, list[Value]]) -> None:
        """Send a call to one chain of a host."""
        node = self.hosts[name].chains[chain]
        nonce = self._nonces.get(chain, 0)
        self._nonces[chain] = nonce + 1
        contract, entry, arguments = call
        chain_id = node.genesis.transaction_chain_id
        body = TransactionBody(1, chain_id, key.public, nonce, contract, entry, encode_value(arguments), 1_000_000)
        try:
            (answer,) = await node.submit([sign_transaction(body, key)])
        except asyncio.CancelledError:
            self._nonces[chain] = nonce  # the host closed while it was asked: whoever waited no longer asks once more
            raise
        assert answer.accepted or answer.code == "NONCE_USED", answer

    def sent(self, chain: str) -> int:
        """How many calls were sent to a chain."""
        return self._nonces.get(chain, 0)

    def key(self, role: str) -> SigningKey:
        return load_key(self.layout.key_file(role))

    def height(self, name: str, chain: str) -> int:
        return self.hosts[name].chains[chain].chain.height

    async def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.02)
