"""A real one-node network in this process: founding, node, API server, and people with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.library_sources import AuctionMode
from contracts.values import encode_value
from deploy.founding import make_network
from deploy.layout import NetworkLayout
from deploy.network import NetworkPlan
from ledger.crypto import SigningKey
from ledger.genesis import load_genesis
from ledger.objects import TransactionBody, sign_transaction
from node.api.server import ApiServer
from node.client import Client
from node.config import load_config
from node.host import Host
from node.keys import load_key
from node.node import Node


@dataclass(frozen=True, slots=True)
class Solo:
    """A running node and its API."""

    layout: NetworkLayout
    node: Node
    api: ApiServer
    url: str

    def key(self, name: str) -> SigningKey:
        """A key that founding made, by name or role."""
        return load_key(self.layout.key_file(name))


def found_solo(directory: Path, **plan: object) -> NetworkLayout:
    """A network of one node in `directory`, on ports that the system chose, open to any account like `dev`'s; plain
    orders."""
    settings: dict[str, object] = {"chain_name": "dev-test", "engine": "solo", "names": ("one",), "speed": 60}
    settings |= {"strangers": True, "mode": AuctionMode(sealed=False)}
    return make_network(
        NetworkPlan(directory=directory, first_api_port=0, first_p2p_port=0, **(settings | plan))  # type: ignore[arg-type]  # test settings
    )


@asynccontextmanager
async def open_solo(layout: NetworkLayout, **api: int) -> AsyncIterator[Solo]:
    """Run the node of `layout` in this process; `api` overrides keys of [api]."""
    home = layout.nodes[0].home
    config = load_config(home, {"api": {"port": 0, **api}, "log": {"level": "error"}}, {})
    genesis = load_genesis(config.path(config.node.genesis))
    async with Host.open(config, genesis) as host, ApiServer.open(host.chains, config.api) as server:
        yield Solo(layout, host.home, server, f"http://127.0.0.1:{server.port}")


async def fund(client: Client, solo: Solo, name: str = "alice", money: int = 1_000_000) -> None:
    """A deposit by the treasury."""
    treasury = client.account(solo.key("trading_center"))
    outcome = await treasury.call("token", "deposit", [solo.key(name).address, money, f"bank {name}"])
    assert outcome.ok, outcome


def transfer(solo: Solo, key: SigningKey, nonce: int = 0, **changes: str) -> bytes:
    """A signed transfer of 5 to bob, with other fields on request."""
    body = TransactionBody(
        1,
        changes.get("chain_id", solo.layout.chain_id),
        key.public,
        nonce,
        changes.get("contract", "token"),
        changes.get("entry", "transfer"),
        encode_value([solo.key("bob").address, 5]),
        1_000_000,
    )
    return sign_transaction(body, key)
