"""Ingress and mempool over a naive committed state; signatures are real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger.accounts import NonceWindow
from ledger.crypto import SigningKey
from ledger.objects import Transaction, TransactionBody, decode_transaction, sign_transaction
from node.ingress import Ingress, IngressSettings
from node.mempool import Mempool, MempoolLimits, Refusal
from node.metrics import Metrics
from node.signatures import SignatureChecks
from node.tasks import task_scope

CHAIN = "dev-ingress-00"


class OpenRules:
    """Fresh nonces for everybody; one contract `market` with one entry `order`."""

    def __init__(self) -> None:
        self.windows: dict[bytes, NonceWindow] = {}

    def window(self, sender: bytes) -> NonceWindow:
        return self.windows.get(sender, NonceWindow())

    def sender_refusal(self, sender: bytes, contract: str) -> Refusal | None:
        return None

    def call_refusal(self, contract: str, entry: str) -> Refusal | None:
        if contract != "market":
            return Refusal("UNKNOWN_CONTRACT", "market", contract)
        return None if entry == "order" else Refusal("UNKNOWN_ENTRY", "order", entry)


def signed(key: SigningKey, nonce: int = 0, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "version": 1,
        "chain_id": CHAIN,
        "public_key": key.public,
        "nonce": nonce,
        "contract": "market",
        "entry": "order",
        "arguments": b"\x90",
        "gas_limit": 1_000_000,
    }
    return sign_transaction(TransactionBody(**{**fields, **changes}), key)  # type: ignore[arg-type]  # test fields


class IngressWorld:
    def __init__(self, limits: MempoolLimits, metrics: Metrics, signatures: SignatureChecks) -> None:
        self.metrics = metrics
        self.rules = OpenRules()
        self.ready: list[bool] = []
        self.spread: list[tuple[list[Transaction], bytes | None]] = []
        self.bad: list[tuple[bytes, str]] = []
        self.pool = Mempool(limits, self.rules, self.ready.append)
        self.ingress = Ingress(
            IngressSettings(CHAIN, group_ms=1, chunk=16),
            self.pool,
            signatures,
            self.metrics,
            lambda transactions, source: self.spread.append((transactions, source)),
            lambda source, code: self.bad.append((source, code)),
        )

    @property
    def verifications(self) -> int:
        return int(self.metrics.verifications._value.get())

    @property
    def admitted(self) -> int:
        return int(self.metrics.admitted._value.get())

    def offer(self, raws: list[bytes], peer: bytes = b"peer") -> None:
        self.ingress.offer([(decode_transaction(raw).id, raw) for raw in raws], peer)


@asynccontextmanager
async def ingress_world(limits: MempoolLimits | None = None) -> AsyncIterator[IngressWorld]:
    metrics = Metrics("test")
    with SignatureChecks.open(2, metrics, processes=False) as signatures:
        world = IngressWorld(limits or MempoolLimits(), metrics, signatures)
        async with task_scope() as tasks:
            tasks.spawn(world.ingress.run(tasks), name="ingress")
            yield world
