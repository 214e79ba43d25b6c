"""Set-up before the clock: senders with a meter and funds each, on a running `bench-` network.

Everything goes through the API as signed transactions, the same way any neighbourhood joins.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import OrderSource
from contracts.applications import application_digest
from contracts.values import Value
from deploy.gateway import Signer
from deploy.layout import NetworkLayout
from ledger.crypto import SigningKey
from ledger.errors import GridchainError
from node.client import Client, EventSeen
from node.keys import load_key

FUNDS_MICRO: Final = 10**15
"""Enough cover for any number of orders."""
RATED_W: Final = 10_000_000
LOOK: Final = "run it again with --keep and look at the nodes' logs"
"""What to do after a bench that failed."""
_PATIENCE_S: Final = 60.0


class SetupFailed(GridchainError):
    """The network did not take what the bench needs before its clock starts."""

    code = "BENCH_SETUP"


@dataclass(frozen=True, slots=True)
class Senders:
    """Keys of approved, funded members, and the source of their orders."""

    keys: tuple[SigningKey, ...]
    orders: OrderSource


def sender_keys(count: int, seed: int) -> tuple[SigningKey, ...]:
    """Keys from a seed, so that a run can be repeated."""
    return tuple(SigningKey(hashlib.sha256(f"bench|{seed}|{number}".encode()).digest()) for number in range(count))


async def join_market(url: str, layout: NetworkLayout, count: int, seed: int) -> Senders:
    """Apply, attest, deposit for `count` senders and wait until an order window is open. Raise `SetupFailed`."""
    keys = sender_keys(count, seed)
    desk = {
        role: Signer(load_key(layout.key_file(role)), layout.chain_id)
        for role in ("energy_bureau", "grid_company", "trading_center")
    }
    applications = [_application(key.address, number) for number, key in enumerate(keys)]
    raws: list[bytes] = []
    for key, application in zip(keys, applications, strict=True):
        raws.append(Signer(key, layout.chain_id).call("registry", "apply", *application))
    for number, key in enumerate(keys):
        account = key.address
        digest = application_digest(account, applications[number])
        raws.append(desk["energy_bureau"].call("registry", "attest", account, digest, ["licence"]))
        raws.append(desk["grid_company"].call("registry", "attest", account, digest, ["meter", "connection"]))
        raws.append(desk["trading_center"].call("token", "deposit", account, FUNDS_MICRO, f"bench {number}"))
    async with Client.open(url) as client:
        await _submit(client, raws[:count])
        await _submit(client, raws[count:])
        orders = OrderSource(layout.chain_id, keys, await _open_slot(client))
    orders.use_nonces([1] * count)
    return Senders(keys, orders)


def _application(account: bytes, number: int) -> list[Value]:
    meter = SigningKey(hashlib.sha256(b"bench meter" + account).digest())
    legal_owner = hashlib.sha256(b"bench owner" + account).digest()
    role, device = ("producer", "pv") if number % 2 else ("consumer", "load")
    return [
        meter.address, legal_owner, [role], [device], [RATED_W], f"connection {number}", "bench",
        ["name"], [hashlib.sha256(b"bench name" + account).digest()],
    ]  # fmt: skip


async def _submit(client: Client, raws: Sequence[bytes]) -> None:
    for outcome in await client.submit_and_wait(raws, _PATIENCE_S):
        if not outcome.ok:
            raise SetupFailed("a set-up transaction failed", expected="ok", found=outcome.code, fix=LOOK)


async def _open_slot(client: Client) -> int:
    """The newest slot whose window is open, so that it stays open longest."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for event in client.events(start="0", contract="double_auction", names=["SlotOpened"]):
                if isinstance(event, EventSeen):
                    return await _newest(client, int(event.data["slot"]))
    except TimeoutError:
        pass
    raise SetupFailed("no order window opened", expected="SlotOpened", found="none", fix=LOOK)


async def _newest(client: Client, slot: int) -> int:
    while await _phase(client, slot + 1) == "open":
        slot += 1
    return slot


async def _phase(client: Client, slot: int) -> Value:
    answer = await client.view("double_auction", "slot", slot)
    return answer["phase"] if isinstance(answer, dict) else None
