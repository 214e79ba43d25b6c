"""Contracts come to the test chain as they come to a real one: deployed, approved by vote, instantiated, upgraded.

On a chain of its own one account, `deployer`, deploys and has the only vote; on the state of a real chain its deployers
and voters do it, without their keys: nothing is signed here. All but the @init happens inside the present block and is
not part of the chain's log or gas report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from contracts.artifacts import Artifact, make_artifact
from contracts.executor import BlockContext, Executor
from contracts.library_sources import Elector, Electorate, governance_contract
from contracts.values import decode_value
from ledger.errors import ConfigError, InvariantBroken
from ledger.objects import Receipt
from ledger.schema import state_contract
from node.contract_testing.show import plain
from node.contract_testing.watched_state import WatchedState

GOVERNANCE: Final = "governance"
_BATCHES: Final = 10_000
"""Blocks that a migration may take in a test."""


class Chain(Protocol):
    """What the life cycle needs of the test chain."""

    executor: Executor
    state: WatchedState
    height: int

    def context(self) -> BlockContext:
        """The present block."""

    def execute(self, contract: str, entry: str, arguments: list[Any], sender: bytes) -> Receipt:
        """A transaction in the present block."""

    def mine(self, blocks: int = 1) -> list[Any]:
        """Make blocks."""


class Governed:
    """The life cycle on one chain."""

    def __init__(self, chain: Chain, deployer: bytes) -> None:
        self.chain = chain
        self.deployer = bytes(deployer)
        self.voters: dict[bytes, str] = {self.deployer: "deployer"}
        """Who votes, by account, in the order of their votes."""
        if chain.state.peek(state_contract(GOVERNANCE)) is not None:
            self.found()
        else:
            self.installed()

    def found(self) -> None:
        """Take the deployers and voters that the state names. Raise `ConfigError` (NO_DEPLOYER)."""
        deployers: Any = self.asked("deployers", b"", 1)
        voters: Any = self.asked("voters")
        if not deployers:
            raise ConfigError(
                "nobody may deploy on this chain", code="NO_DEPLOYER", expected="a deployer known to governance",
                fix="on the chain itself a vote makes one: propose_deployer",
            )  # fmt: skip
        self.deployer = deployers[0]
        self.voters = {voter["account"]: voter["name"] for voter in voters}

    def installed(self) -> None:
        """Install the contract with `deployer` as the only voter."""
        chain = self.chain
        rules = governance_contract(Electorate((Elector(self.deployer, "deployer", 1),), (self.deployer,)))
        receipt = chain.executor.install(
            chain.state, rules.name, rules.source, rules.arguments, rules.calls, chain.context()
        )
        if not receipt.ok:
            raise InvariantBroken(f"no governance: {receipt.code} at line {receipt.line}")

    def approved(self, source: bytes, calls: Sequence[str], roles: str) -> Artifact:
        """Deploy a source and approve it, unless that was done before."""
        artifact = make_artifact(source, calls, roles)
        receipt = self.chain.execute(GOVERNANCE, "deploy", [source, list(calls), roles], self.deployer)
        if receipt.code != "ALREADY_DEPLOYED":
            _done(receipt, "deploy")
            self.decided("approve", artifact.hash, "", 0)
        return artifact

    def decided(self, *proposal: Any) -> None:
        """Propose and vote. Raise `ConfigError` with the code for which it was refused."""
        number = _done(self.chain.execute(GOVERNANCE, "propose", list(proposal), self.deployer), str(proposal[0]))
        status = "open"
        for voter in self.voters:
            if status == "open":
                status = _done(self.chain.execute(GOVERNANCE, "vote", [number, True], voter), "vote")
        if status != "passed":
            raise _refused(str(proposal[0]), str(self.told(GOVERNANCE, "proposal", number)["code"]))

    def instantiated(self, artifact: Artifact, name: str, arguments: Sequence[Any]) -> Receipt:
        """Make an instance; the receipt has what its @init did."""
        values = [artifact.hash, name, [plain(value) for value in arguments]]
        return self.chain.execute(GOVERNANCE, "instantiate", values, self.deployer)

    def upgraded(self, name: str, artifact: Artifact) -> None:
        """Upgrade an instance and make blocks until its migration is over. Raise `ConfigError` if it is refused or
        stalls; then it was undone."""
        self.decided("upgrade", artifact.hash, name, self.chain.height + 1)
        for _ in range(_BATCHES):
            self.chain.mine()
            plan = self.instance(name)["upgrade"]
            if plan is None:
                return
            if plan["phase"] == "stalled":
                self.decided("abort", b"", name, 0)
                self.chain.mine()
                raise ConfigError(
                    f"the migration of {name} failed",
                    code=plan["code"],
                    found=f"line {plan['line']}, batch {plan['batches'] + 1}",
                    fix="correct @migrate",
                )
        raise ConfigError(f"the migration of {name} does not end", code="ENDLESS", found=f"{_BATCHES} batches")

    def instance(self, name: str) -> dict[str, Any]:
        """What the chain tells about an instance."""
        return self.told("lifecycle", "instance", name)

    def asked(self, view: str, *arguments: Any) -> Any:
        """The answer of a view of the contract."""
        chain = self.chain
        return chain.executor.query(chain.state, GOVERNANCE, view, list(arguments), chain.context())

    def told(self, contract: str, view: str, argument: Any) -> dict[str, Any]:
        """The answer of a view that gives a dict."""
        chain = self.chain
        found: Any = chain.executor.query(chain.state, contract, view, [argument], chain.context())
        return dict(found)


def _done(receipt: Receipt, what: str) -> Any:
    if not receipt.ok:
        raise _refused(what, receipt.code)
    return decode_value(receipt.value)


def _refused(what: str, code: str) -> ConfigError:
    fix = "write @migrate, or keep the slots that are there" if code == "LAYOUT_CHANGED" else ""
    return ConfigError(f"the chain refuses to {what}", code=code, fix=fix)
