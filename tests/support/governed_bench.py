"""A bench whose contracts are governed: four voters, one deployer, and the life of a contract in one call each."""

from __future__ import annotations

import hashlib
from typing import Any

from contract_bench import ALICE, Bench

from contracts.executor import ExecutionLimits
from contracts.library_sources import Elector, Electorate, governance_contract
from contracts.values import decode_value
from ledger.objects import Receipt

NAMES = ("ann", "ben", "cid", "dan")
ANN, BEN, CID, DAN = VOTERS = tuple(hashlib.sha256(name.encode()).digest() for name in NAMES)
MOST = (ANN, BEN, CID)
STRANGER = hashlib.sha256(b"stranger").digest()
VOTING_MS = 60_000
WINDOW = 100


class GovernedBench(Bench):
    """ALICE deploys; four vote with weight 1 each, so that any three are the quorum."""

    def __init__(self, limits: ExecutionLimits | None = None, weights: tuple[int, ...] = (1, 1, 1, 1)) -> None:
        super().__init__(limits)
        voters = tuple(
            Elector(account, name, weight) for account, name, weight in zip(VOTERS, NAMES, weights, strict=True)
        )
        rules = governance_contract(Electorate(voters, (ALICE,), VOTING_MS, WINDOW))
        receipt = self.executor.install(self.view, rules.name, rules.source, rules.arguments, rules.calls, self.block())
        assert receipt.ok, (receipt.code, receipt.line)

    def deploy(self, source: str | bytes, *, calls: tuple[str, ...] = (), roles: str = "", **options: Any) -> Receipt:
        raw = source.encode() if isinstance(source, str) else source
        return self.call("governance", "deploy", raw, list(calls), roles, **options)

    def deployed(self, source: str, *, calls: tuple[str, ...] = (), roles: str = "") -> bytes:
        receipt = self.deploy(source, calls=calls, roles=roles)
        assert receipt.ok, (receipt.code, receipt.line)
        return bytes(decode_value(receipt.value))

    def decided(self, kind: str, *arguments: Any, voters: tuple[bytes, ...] = MOST) -> str:
        """Propose by ALICE and let voters say yes; the status after the last."""
        number = self.value("governance", "propose", kind, *arguments)
        return self.voted(number, voters)

    def voted(self, number: int, voters: tuple[bytes, ...] = MOST) -> str:
        """Let voters say yes until it is decided."""
        status = "open"
        for voter in voters:
            if status == "open":
                status = self.value("governance", "vote", number, True, sender=voter)
        return status

    def code_of(self, number: int) -> str:
        return str(self.query("governance", "proposal", number)["code"])

    def approved(self, source: str, *, calls: tuple[str, ...] = (), roles: str = "") -> bytes:
        artifact = self.deployed(source, calls=calls, roles=roles)
        assert self.decided("approve", artifact) == "passed"
        return artifact

    def instantiated(self, source: str, name: str, *arguments: Any, **manifest: Any) -> bytes:
        artifact = self.approved(source, **manifest)
        self.value("governance", "instantiate", artifact, name, list(arguments))
        return artifact

    def planned(self, name: str, source: str, height: int | None = None) -> int:
        """Vote an upgrade of an instance to a source; the height of its activation."""
        artifact = self.approved(source)
        height = self.height + 2 if height is None else height
        assert self.decided("upgrade", artifact, name, height) == "passed"
        return height

    def next_block(self, count: int = 1) -> list[Receipt]:
        """Begin blocks; receipts of what the chain did in them."""
        receipts: list[Receipt] = []
        for _ in range(count):
            self.height += 1
            self.now += 100
            receipts += self.executor.run_due(self.view, self.block())
        return receipts

    def until(self, height: int) -> list[Receipt]:
        return self.next_block(height - self.height)

    def instance(self, name: str) -> Any:
        return self.query("lifecycle", "instance", name)
