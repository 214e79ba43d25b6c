"""Validators over real TLS and LevelDB in one process, closed and opened again by position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from contracts.values import encode_value
from deploy.layout import NetworkLayout
from ledger.crypto import SigningKey
from ledger.genesis import load_genesis
from ledger.objects import TransactionBody, sign_transaction
from node.config import load_config
from node.host import Host
from node.keys import load_key
from node.node import Node


class FourNodes:
    """Nodes that can be closed and opened again by position."""

    def __init__(self, layout: NetworkLayout) -> None:
        self.layout = layout
        self.scopes: list[AsyncExitStack | None] = [None] * len(layout.nodes)
        self.nodes: list[Node | None] = [None] * len(layout.nodes)
        self.treasury: SigningKey = load_key(layout.key_file("trading_center"))
        self.nonce = 0

    async def open(self, *positions: int, **node: object) -> None:
        """Open nodes; `node` overrides keys of [node]."""
        for position in positions:
            home = self.layout.nodes[position].home
            config = load_config(home, {"log": {"level": "error"}, "node": node}, {})
            scope = AsyncExitStack()
            host = await scope.enter_async_context(Host.open(config, load_genesis(config.path(config.node.genesis))))
            self.nodes[position] = host.home
            self.scopes[position] = scope

    async def close(self, *positions: int) -> None:
        for position in positions:
            scope, self.scopes[position], self.nodes[position] = self.scopes[position], None, None
            if scope is not None:
                await scope.aclose()

    def node(self, position: int) -> Node:
        found = self.nodes[position]
        assert found is not None
        return found

    async def deposit(self, position: int, count: int) -> None:
        raws = []
        for _ in range(count):
            arguments = encode_value([self.treasury.address, 5, f"bank {self.nonce}"])
            body = TransactionBody(
                1, self.layout.chain_id, self.treasury.public, self.nonce, "token", "deposit", arguments, 1_000_000
            )
            self.nonce += 1
            raws.append(sign_transaction(body, self.treasury))
        answers = await self.node(position).submit(raws)
        assert all(answer.accepted for answer in answers), answers

    def committed(self, position: int) -> int:
        return int(self.node(position).nonces(self.treasury.address).lowest)

    async def until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.02)
