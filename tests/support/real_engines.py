"""Networks of any engine over real nodes, spoken to through the HTTP API as clients do; the same day on each of them.

Nodes are hosts of this process, whose common clock a test sets on, or processes, for which it waits. A day is a list of
calls at given slots; every member has a home, which with `sharded` is its region's chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.applications import application_digest
from contracts.library_sources import AuctionMode, Calendar, Tariffs
from deploy.cluster import Cluster
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import NetworkLayout, default_names
from deploy.network import COMMUNITY, INSTITUTIONS, MarketMode, NetworkPlan
from deploy.regions.audit import quiet
from ledger.crypto import SigningKey, address_of, contract_address, sha256
from ledger.engine_settings import GLOBAL, ShardSettings
from ledger.genesis import Genesis, load_genesis
from node.api.server import ApiServer
from node.client import Account, Client
from node.clock import Clock, SystemClock
from node.config import load_config
from node.host import Host
from node.keys import load_key
from node.machine import SystemMachine
from node.own_keys import load_account_key, load_identity, load_validator_key

SLOT_MS: Final = 900_000
FIRST_SLOT_AT: Final = 12
"""Slots between genesis and slot 0; members join meanwhile."""
GAS: Final = 20_000_000
PATIENCE_S: Final = 90.0
FUNDS: Final = 10**12
DESKS: Final = {"bureau": "energy_bureau", "grid": "grid_company", "center": "trading_center"}
Call = tuple[str, str, list[Any]]
"""Contract, entry, arguments."""


@dataclass
class SetOnClock:
    """The machine's clock, set on by a test; one for all nodes of a network."""

    ahead_ms: int = 0
    _system: SystemClock = field(default_factory=SystemClock)

    def now(self) -> int:
        """See `Clock`."""
        return self._system.now() + self.ahead_ms


class ClockedMachine(SystemMachine):
    """This machine with another clock."""

    def __init__(self, identity: Any, clock: Clock) -> None:
        super().__init__(identity)
        self.clock = clock


@dataclass(frozen=True)
class Shape:
    """A network: its engine, regions of four for `sharded`, each member's home among them ("" or the first else), how
    many times quicker than the clock its market runs, and whether its nodes are processes."""

    engine: str
    mode: MarketMode
    tariffs: Tariffs
    regions: int = 0
    homes: Mapping[str, str] = field(default_factory=dict)
    speed: int = 10
    processes: bool = False
    fee: int = 0

    def plan(self, directory: Path) -> NetworkPlan:
        """With rules that count no region as silent because a test has set the clock on."""
        round_ms = min(2_000, SLOT_MS // self.speed)
        return NetworkPlan(
            directory,
            f"bench-{self.engine}",
            self.engine,
            tuple(default_names(1 if self.engine == "solo" else 4)),
            regions=default_regions(self.regions, 4) if self.regions else (),
            sharding=ShardSettings(
                (), round_ms=round_ms, lottery="hash", stale_rounds=10_000, takeover_rounds=20_000, fee=self.fee
            ),
            speed=self.speed,
            origin_ms=0,
            calendar=Calendar(SLOT_MS, FIRST_SLOT_AT * SLOT_MS),
            tariffs=self.tariffs,
            mode=self.mode,
            first_api_port=0,
            first_p2p_port=0,
            min_block_interval_ms=100,
        )


def person(name: str) -> SigningKey:
    """The key of somebody, the same in every network."""
    return SigningKey(sha256(name.encode()))


def address(name: str) -> bytes:
    return bytes(address_of(person(name).public))


class RealEngine:
    """A running network. `urls`: of its nodes, by name."""

    def __init__(self, shape: Shape, layout: NetworkLayout, urls: Mapping[str, str], clock: SetOnClock | None) -> None:
        self.shape = shape
        self.layout = layout
        self.urls = urls
        self.genesis: Genesis = load_genesis(layout.nodes[0].home / "genesis.json")
        self._clock = clock
        self._desks = {name: load_key(layout.key_file(role)) for name, role in DESKS.items()}
        self._accounts: dict[tuple[str, bytes], Account] = {}
        self.clients: dict[str, list[Client]] = {}
        """Of every chain with a market, clients of all nodes that vote on it."""
        self.centres: list[Client] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, shape: Shape, directory: Path) -> AsyncIterator[RealEngine]:
        """Found and start a network."""
        layout = make_network(shape.plan(directory))
        try:
            async with AsyncExitStack() as stack:
                if shape.processes:
                    cluster = await stack.enter_async_context(Cluster.open(layout))
                    urls, clock = {node.name: node.url for node in cluster.nodes}, None
                else:
                    clock = SetOnClock()
                    urls = {node.name: await _host(stack, node.home, clock) for node in layout.nodes}
                network = cls(shape, layout, urls, clock)
                await network._connect(stack)
                yield network
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _connect(self, stack: AsyncExitStack) -> None:
        names = list(self.urls)
        voters = {region.name: [f"{region.name}{at + 1}" for at in range(4)] for region in self._regions}
        for chain, nodes in (voters or {"": names}).items():
            opened = [Client.open(self.urls[name], chain=chain) for name in nodes]
            self.clients[chain] = [await stack.enter_async_context(one) for one in opened]
        if voters:
            for name in names[:4]:
                client = Client.open(self.urls[name], chain=GLOBAL)
                self.centres.append(await stack.enter_async_context(client))

    @property
    def _regions(self) -> Sequence[Any]:
        return self.genesis.shards.regions if self.genesis.shards is not None else ()

    def home(self, name: str) -> str:
        """The chain on which somebody trades."""
        return self.shape.homes.get(name, next(iter(self.clients)))

    # --- calls

    async def call(self, sender: str, chain: str, call: Call) -> Any:
        """Send a call through a node of the chain, await its receipt; its value. A failure fails the test."""
        key = self._desks.get(sender) or person(sender)
        nodes = self.clients[chain]
        client = nodes[key.public[0] % len(nodes)]
        account = self._accounts.setdefault((chain, key.public), client.account(key))
        contract, entry, arguments = call
        outcome = await account.call(contract, entry, arguments, gas_limit=GAS, timeout_s=PATIENCE_S)
        receipt = await client.receipt(outcome.id)
        assert receipt is not None
        assert receipt.ok, (self.shape.engine, chain, entry, arguments, receipt.code, receipt.line)
        return receipt.value

    async def says(self, name: str, contract: str, entry: str, *arguments: Any) -> Any:
        """A member's call at home."""
        owner = name.removeprefix("meter of ")
        return await self.call(name, self.home(owner), (contract, entry, list(arguments)))

    async def join(self, name: str) -> None:
        """Register, approve and fund a member with a meter of its own key."""
        role, device = ("prosumer", "pv") if name.startswith("sun") else ("consumer", "load")
        owner, home = bytes(sha256(name.encode())), self.home(name)
        applied: list[Any] = [
            address(f"meter of {name}"),
            owner,
            [role],
            [device],
            [20_000],
            "bus-1",
            "west",
            ["name"],
            [owner],
        ]
        await self.call(name, home, ("registry", "apply", applied))
        digest = application_digest(address(name), applied)
        for desk, what in (("bureau", ["licence"]), ("grid", ["meter", "connection"])):
            await self.call(desk, home, ("registry", "attest", [address(name), digest, what]))
        await self.call("center", home, ("token", "deposit", [address(name), FUNDS, f"bank {name}"]))

    # --- time

    async def reach(self, slot: int) -> None:
        """Return when every chain with a market has done what was scheduled until the start of a slot."""
        target_ms = self.genesis.time_ms + (FIRST_SLOT_AT + slot) * SLOT_MS // self.shape.speed + 1
        clock = self._clock or SystemClock()
        missing_ms = max(0, target_ms - clock.now())
        if self._clock is not None:
            self._clock.ahead_ms += missing_ms
        else:
            await asyncio.sleep(missing_ms / 1_000)
        # timers run on the loop's clock, which nobody sets on: a transaction asks for the block in which all is done
        limit = ("token", "set_debt_limit", [address("nobody"), slot + 100])
        await asyncio.gather(*(self.call("grid", chain, limit) for chain in self.clients))

    async def filled(self, name: str, slot: int) -> None:
        """Return when a member's order of a slot has been matched in another region."""
        client = self.clients[self.home(name)][0]
        async with asyncio.timeout(PATIENCE_S):
            while not await client.view("crossing", "trades_of", slot, address(f"meter of {name}")):
                await asyncio.sleep(0.2)

    async def settled(self) -> None:
        """Return when nothing waits between regions any more; market C alone trades with others."""
        if self.centres and isinstance(self.shape.mode, AuctionMode):
            await quiet(self.centres, self.clients)

    # --- what is compared

    async def outcome(self, people: Sequence[str], slots: Sequence[int]) -> dict[str, Any]:
        """What everybody has, owes and is worth. Accounts and supply are added up over the chains; `away` is money on
        its way between them."""
        names = {address(name): name for name in people} | {address(f"meter of {n}"): f"meter of {n}" for n in people}
        names |= {load_key(self.layout.key_file(role)).address: role for role in (*INSTITUTIONS, COMMUNITY)}
        accounts: dict[str, list[int]] = {}
        supply: dict[str, int] = {}
        for chain, nodes in self.clients.items():
            held = 0
            for row in await _pages(nodes[0]):
                if not any(row[1:]):
                    continue
                known = names.get(row[0]) or _contract(self.genesis, row[0])
                assert known, f"an account of nobody: 0x{row[0].hex()}"
                held += row[1] + row[2] - row[3]
                accounts[known] = [a + b for a, b in zip(accounts.get(known, [0, 0, 0]), row[1:], strict=True)]
            money: Any = await nodes[0].view("token", "supply")
            circulating = money["minted"] + money["arrived"] - money["burned"] - money["left"]
            assert held == circulating == await nodes[0].view("token", "circulating"), (chain, "money is not conserved")
            elsewhere = money.pop("left") - money.pop("arrived")
            supply = {name: supply.get(name, 0) + amount for name, amount in (money | {"away": elsewhere}).items()}
        found: dict[str, Any] = {name: await self._member(name, slots) for name in people}
        return found | {"accounts": accounts, "supply": supply}

    async def _member(self, name: str, slots: Sequence[int]) -> dict[str, Any]:
        client, meter = self.clients[self.home(name)][-1], address(f"meter of {name}")
        sellers: list[Any] = [await client.view("bills", "provider", meter, slot) for slot in slots]
        for seller in sellers:
            seller["trades"] = len(seller["trades"])  # they are numbered on each chain
        return {
            "bill": await client.view("bills", "bill", meter, slots[0], slots[-1]),
            "lines": [await client.view("bills", "bill_lines", slot, meter) for slot in slots],
            "seller": sellers,
            "readings": [await client.view("metering", "reading", slot, meter) for slot in slots],
        }

    async def one_state(self) -> None:
        """All nodes of a chain have the same state at a height that all have reached."""
        for clients in (*self.clients.values(), *([self.centres] if self.centres else [])):
            height = max([(await client.status()).height for client in clients])
            async with asyncio.timeout(PATIENCE_S):
                while min([(await client.status()).height for client in clients]) < height:
                    await asyncio.sleep(0.05)
            roots = {(await client.block(height)).header["state_root"] for client in clients}
            assert len(roots) == 1, roots
            assert not [text for c in clients if (text := (await c.status()).stopped_reason)]


def _first(error: BaseException) -> BaseException:
    """What went wrong, out of the scopes of a dozen hosts."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _host(stack: AsyncExitStack, home: Path, clock: SetOnClock) -> str:
    """Open a host of this process and its API; the address."""
    config = load_config(home, {"log": {"level": "error"}}, {})
    genesis = load_genesis(config.path(config.node.genesis))
    key = load_validator_key(config, genesis)
    account = load_account_key(config, genesis, key)
    machine = ClockedMachine(load_identity(config), clock)
    host = await stack.enter_async_context(Host.open_on(machine, config, genesis, key, account))
    server = ApiServer.open(host.chains, config.api.model_copy(update={"port": 0}))
    return f"http://127.0.0.1:{(await stack.enter_async_context(server)).port}"


async def _pages(client: Client) -> list[list[Any]]:
    rows: list[list[Any]] = []
    while True:
        page: Any = await client.view("token", "page", rows[-1][0] if rows else b"", 128)
        rows += page
        if not page:
            return rows


def _contract(genesis: Genesis, account: bytes) -> str:
    """The contract that an account belongs to; "" for none."""
    return next((one.name for one in genesis.contracts if bytes(contract_address(one.name)) == account), "")
