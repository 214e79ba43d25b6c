"""Hosts of a sharded network over real TLS and LevelDB in one process, closed and opened again by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from contracts.values import Value, encode_value
from deploy.layout import NetworkLayout
from ledger.crypto import SigningKey
from ledger.genesis import load_genesis
from ledger.objects import TransactionBody, sign_transaction
from node.config import load_config
from node.host import Host
from node.keys import load_key


class ShardHosts:
    """Hosts by the names of their nodes."""

    def __init__(self, layout: NetworkLayout) -> None:
        self.layout = layout
        self.hosts: dict[str, Host] = {}
        self._scopes: dict[str, AsyncExitStack] = {}
        self._nonces: dict[str, int] = {}

    async def open(self, *names: str, **node: object) -> None:
        """Open hosts; `node` overrides keys of [node]."""
        for name in names:
            home = self.layout.nodes[self.layout.node(name)].home
            config = load_config(home, {"log": {"level": "error"}, "node": node}, {})
            scope = AsyncExitStack()
            genesis = load_genesis(config.path(config.node.genesis))
            self.hosts[name] = await scope.enter_async_context(Host.open(config, genesis))
            self._scopes[name] = scope

    async def close(self, *names: str) -> None:
        for name in names or tuple(self._scopes):
            del self.hosts[name]
            await self._scopes.pop(name).aclose()

    async def call(self, name: str, chain: str, key: SigningKey, call: tuple[str, str, list[Value]]) -> None:
        """Send a call to one chain of a host."""
        node = self.hosts[name].chains[chain]
        nonce = self._nonces.get(chain, 0)
        self._nonces[chain] = nonce + 1
        contract, entry, arguments = call
        chain_id = node.genesis.chain_id
        body = TransactionBody(1, chain_id, key.public, nonce, contract, entry, encode_value(arguments), 1_000_000)
        (answer,) = await node.submit([sign_transaction(body, key)])
        assert answer.accepted, answer

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
