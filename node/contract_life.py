"""The life of contracts on a running network, through a node's API: deploy, propose, vote, instantiate, upgrade.

What each step means and who may take it is in docs/contracts.md (`governance`, `lifecycle`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.artifacts import Artifact
from contracts.values import Value
from ledger.crypto import SigningKey
from node.api.models import ReceiptView
from node.client import Client, Refusal

GOVERNANCE: Final = "governance"
LIFECYCLE: Final = "lifecycle"
GAS: Final = 100_000_000
"""What a deployment may use; a network gives every other call less of it."""
_POLL_S: Final = 0.2

FIXES: Final = {
    "NOT_DEPLOYER": "sign with the key of a deployer: gridchain query contract governance deployers",
    "NOT_MEMBER": "sign with the key of a voter or a deployer",
    "NOT_VOTER": "sign with the key of a voter: gridchain query contract governance voters",
    "ALREADY_VOTED": "an account votes once; take another key",
    "NOT_OPEN": "propose it again",
    "NO_PROPOSAL": "gridchain contract status lists what is open",
    "NO_ARTIFACT": "deploy the source first: gridchain contract deploy FILE",
    "NOT_APPROVED": "let it be approved by vote first",
    "NO_INSTANCE": "gridchain contract status lists the instances",
    "NAME_TAKEN": "choose another name",
    "BAD_NAME": "small letters, digits and underscores, a letter first",
    "BAD_STATUS": "gridchain contract status NAME tells where it stands",
    "TOO_LATE": "name a later block",
    "SAME_ARTIFACT": "the instance runs this already",
    "UPGRADE_PENDING": "wait for the upgrade that was voted, or propose to cancel it",
    "LAYOUT_CHANGED": "write @migrate, or keep the slots as they are: gridchain contract diff OLD NEW",
    "WAS_MISMATCH": "declare the handle with the type of the old slot",
    "BAD_MANIFEST": "--calls names instances, --roles the instance that knows who has which role",
    "UNKNOWN_CONTRACT": "the network was founded without governance: its contracts stay as they are",
    "OutOfGas": "give more gas: --gas",
}


@dataclass(frozen=True, slots=True)
class Deployed:
    """`known`: it was on the chain before, so nothing was sent. `status`: pending, approved or revoked."""

    artifact: bytes
    status: str
    known: bool
    gas: int


class ContractLife:
    """The steps, each signed by the key given; every transaction is waited for at most `timeout_s`."""

    def __init__(self, client: Client, timeout_s: float = 30.0, gas: int = GAS) -> None:
        self.client = client
        self.timeout_s = timeout_s
        self.gas = gas

    async def send(self, key: SigningKey, entry: str, arguments: Sequence[Value]) -> ReceiptView:
        """Call an entry of `governance`. Raise `Refusal` with the contract's code if it fails."""
        account = self.client.account(key)
        outcome = await account.call(GOVERNANCE, entry, arguments, gas_limit=self.gas, timeout_s=self.timeout_s)
        receipt = await self.client.receipt(outcome.id)
        if receipt is None:
            raise Refusal(
                "the receipt is gone",
                code="NOT_FOUND",
                expected="the receipt of a committed call",
                found="0x" + outcome.id.hex(),
                fix="ask another node",
            )
        if not receipt.ok:
            rejected = receipt.code.startswith("C0") and receipt.code[1:].isdigit()
            fix = "gridchain contract check FILE" if rejected else FIXES.get(receipt.code, "see docs/contracts.md")
            raise Refusal(
                f"governance refuses to {entry.replace('_', ' ')}",
                code=receipt.code,
                expected="a source that is admitted" if rejected else f"what governance.{entry} takes",
                found=f"line {receipt.line} of the source" if rejected else _found(receipt),
                fix=fix,
            )
        return receipt

    async def deploy(self, key: SigningKey, source: bytes, artifact: Artifact) -> Deployed:
        """Put a source on the chain, unless it is there with this manifest."""
        name = bytes(artifact.hash)
        before = await self.artifact(name)
        if before is not None:
            return Deployed(name, str(before["status"]), True, 0)
        receipt = await self.send(key, "deploy", [source, list(artifact.calls), artifact.roles])
        return Deployed(name, "pending", False, receipt.gas)

    async def propose(
        self, key: SigningKey, kind: str, artifact: bytes = b"", instance: str = "", height: int = 0
    ) -> int:
        """Open a proposal; its number."""
        receipt = await self.send(key, "propose", [kind, artifact, instance, height])
        return int(receipt.value)

    async def vote(self, key: SigningKey, number: int, yes: bool) -> str:
        """Vote; the proposal's status."""
        return str((await self.send(key, "vote", [number, yes])).value)

    async def instantiate(self, key: SigningKey, artifact: bytes, name: str, arguments: list[Value]) -> ReceiptView:
        """Make an instance of an approved artifact."""
        return await self.send(key, "instantiate", [artifact, name, arguments])

    # reading

    async def artifact(self, artifact: bytes) -> dict[str, Any] | None:
        """What the chain knows of an artifact."""
        return await self._dict(LIFECYCLE, "artifact", artifact)

    async def instance(self, name: str) -> dict[str, Any] | None:
        """What the chain knows of an instance."""
        return await self._dict(LIFECYCLE, "instance", name)

    async def proposal(self, number: int) -> dict[str, Any] | None:
        """What the chain knows of a proposal."""
        return await self._dict(GOVERNANCE, "proposal", number)

    async def difference(self, name: str, artifact: bytes) -> dict[str, Any]:
        """What an upgrade would change."""
        return await self._dict(LIFECYCLE, "diff", name, artifact) or {}

    async def instances(self) -> list[dict[str, Any]]:
        """All instances."""
        return await self._pages(LIFECYCLE, "instances", "", "name")

    async def proposals(self) -> list[dict[str, Any]]:
        """All proposals."""
        return await self._pages(GOVERNANCE, "proposals", 0, "number")

    async def open_approval(self, artifact: bytes) -> int | None:
        """The number of an open proposal to approve an artifact."""
        for found in await self.proposals():
            if (found["kind"], found["status"], found["artifact"]) == ("approve", "open", artifact):
                return int(found["number"])
        return None

    async def height(self) -> int:
        """The head."""
        return (await self.client.status()).height

    async def progress(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """The instance each time its upgrade moves on, until it is over or stalled. Raise `Refusal` NO_INSTANCE, and
        `TimeoutError` when nothing moved for `timeout_s`."""
        last: object = None
        while True:
            async with asyncio.timeout(self.timeout_s):
                while True:
                    found = await self.instance(name)
                    if found is None:
                        raise unknown("instance", name)
                    if (now := (found["version"], found["status"], str(found["upgrade"]))) != last:
                        break
                    await asyncio.sleep(_POLL_S)
            last = now
            yield found
            if found["upgrade"] is None or found["upgrade"]["phase"] == "stalled":
                return

    async def _dict(self, contract: str, view: str, *arguments: Value) -> dict[str, Any] | None:
        found = await self.client.view(contract, view, *arguments)
        return dict(found) if isinstance(found, dict) else None

    async def _pages(self, contract: str, view: str, first: str | int, field: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        after: Value = first
        while True:
            page = await self.client.view(contract, view, after, 256)
            found = [dict(row) for row in page] if isinstance(page, list) else []
            rows += found
            if len(found) < 256:
                return rows
            after = found[-1][field]


def unknown(what: str, name: object) -> Refusal:
    """Nothing of that name."""
    return Refusal(
        f"there is no such {what}", code=f"NO_{what.upper()}", expected=f"a known {what}", found=name,
        fix="gridchain contract status lists what there is",
    )  # fmt: skip


def _found(receipt: ReceiptView) -> str:
    told = "" if receipt.value is None else f": {receipt.value}"
    return (f"line {receipt.line} of governance refuses" if receipt.line else "arguments that it does not take") + told
