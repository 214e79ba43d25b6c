"""The native contract `lifecycle`: artifacts are kept, approved, instantiated; instances are upgraded and frozen.

It knows one rule of authority: only the instance `governance` may change anything. Who deploys, who votes and what
decides is contract source there. Its interface is `contracts/library/lifecycle_interface.py`, migrations are in
`contracts.migration`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from contracts.abi import Entry
from contracts.admit import admit
from contracts.artifacts import (
    APPROVED,
    PENDING,
    REVOKED,
    ArtifactRecord,
    asks_roles,
    layout_fault,
    make_artifact,
    record_of,
)
from contracts.clock import MarketClock
from contracts.compile import Program, compile_source
from contracts.faults import AuthDenied, CalleeFailed, TypeMismatch
from contracts.frames import Machine
from contracts.lifecycle_views import LifecycleViews
from contracts.limits import LANGUAGE, PYC1, ExecutionLimits
from contracts.meter import GAS, StateReader
from contracts.migration import Migrations
from contracts.native import NativeState, fail, link_native
from contracts.program import Instance
from contracts.rules import SourceRejected
from contracts.state_format import FROZEN, GOVERNANCE, LIFECYCLE, InstanceRecord, UpgradeRecord, well_named
from contracts.tokens import prescan
from contracts.validate import parse
from ledger.codec import decode
from ledger.crypto import contract_address
from ledger.schema import STATE_CONTRACT, state_contract, state_source, state_storage

_MAX_CALLS = 32
_UNCOUNTED = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def make_machine(clock: MarketClock, limits: ExecutionLimits) -> Machine:
    """A machine that knows the native contracts."""
    machine = Machine(clock, limits)
    Lifecycle(machine)
    return machine


@lru_cache(maxsize=1)
def interface_source() -> str:
    """The interface of `lifecycle` as contract source."""
    return files("contracts").joinpath("library", "lifecycle_interface.py").read_text(encoding="utf-8")


def valid_name(name: str) -> bool:
    """Whether an instance may be called so."""
    return well_named(name) and name != LIFECYCLE


def artifact_key(artifact: bytes) -> bytes:
    """Where the record of an artifact lies in state."""
    return state_storage(LIFECYCLE, "artifacts") + artifact


def unknown_language(view: StateReader) -> tuple[str, str] | None:
    """The first instance in a language that this software does not speak, with the language; None if all are fine."""
    for key, raw in view.scan(STATE_CONTRACT):
        record = decode(InstanceRecord, raw)
        if record.language != LANGUAGE:
            return key[len(STATE_CONTRACT) + 1 :].decode("utf-8"), record.language
    return None


def syntax_size(tree: ast.Module) -> int:
    """Syntax nodes that every Python release sees alike: no operators, no contexts, and of an f-string the expressions
    only, because releases may cut its text differently. A function is counted a sixteenth more for each one nested in
    it: lifting that one out looks at all of the outer one."""
    count = 1
    for statement in tree.body:
        nodes, functions = _counted(statement)
        count += nodes + nodes * max(0, functions - 1) // 16
    return count


def _counted(statement: ast.stmt) -> tuple[int, int]:
    """Nodes and functions of a statement of the module."""
    count = functions = 0
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, _UNCOUNTED):
            continue
        count += 1
        functions += isinstance(node, ast.FunctionDef)
        if isinstance(node, ast.JoinedStr):
            pending.extend(part.value for part in node.values if isinstance(part, ast.FormattedValue))
        else:
            pending.extend(ast.iter_child_nodes(node))
    return count, functions


class Lifecycle:
    """Everything behind the interface, bound to one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.meter = machine.meter
        self.state = NativeState(machine, LIFECYCLE)
        self.migrations = Migrations(self.state)
        self.governor = bytes(contract_address(GOVERNANCE))
        self.linked: Instance | None = None
        machine.native = self.native

    def native(self, name: str) -> Instance | None:
        """The linked contract of that name, if it is this one."""
        if name != LIFECYCLE:
            return None
        if self.linked is None:
            self.linked = link_native(self.machine, LIFECYCLE, interface_source(), self.functions())
        return self.linked

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Entry name to function."""
        decided = (
            self.store, self.approve, self.revoke, self.instantiate, self.upgrade, self.cancel, self.freeze,
            self.resume, self.rollback, self.retry, self.abort,
        )  # fmt: skip
        moving = self.migrations
        by_chain = (moving.migrate_batch, moving.undo_batch, moving.clean_batch, moving.wake_batch, moving.activate)
        shown = LifecycleViews(self.state, self.migrations)
        views = (
            shown.quorum, shown.artifact, shown.artifacts, shown.source, shown.instance, shown.instances, shown.diff,
            self.check_upgrade,
        )  # fmt: skip
        return {
            **{function.__name__: self.by_governance(function) for function in decided},
            **{function.__name__: function for function in (*by_chain, *views)},
        }

    def by_governance(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let only the governing contract in."""

        def checked(*arguments: Any) -> Any:
            if self.meter.sender != self.governor:
                raise AuthDenied
            return function(*arguments)

        return checked

    # artifacts

    def store(self, source: bytes, calls: list[str], roles: str, language: str, deployer: bytes) -> bytes:
        """See the interface. A refused source fails with its rule code and line."""
        if language != LANGUAGE:
            fail("UNKNOWN_LANGUAGE")
        if len(calls) > _MAX_CALLS or not all(type(name) is str and well_named(name) for name in calls):
            fail("BAD_MANIFEST")
        if roles and not well_named(roles):
            fail("BAD_MANIFEST")
        artifact = make_artifact(source, calls, roles, language)
        key = artifact_key(artifact.hash)
        if self.state.read(key) is not None:
            fail("ALREADY_DEPLOYED")
        program = self.compiled(source)
        if asks_roles(program.contract) and not roles:
            fail("BAD_MANIFEST")
        record = record_of(program, artifact, deployer, self.meter.height, PENDING)
        self.keep(record, source)
        self.state.emit(
            "Deployed", artifact=artifact.hash, deployer=deployer, source_hash=artifact.source_hash,
            abi_hash=record.abi_hash, language=language, calls=list(artifact.calls), roles=roles,
        )  # fmt: skip
        return bytes(artifact.hash)

    def compiled(self, source: bytes) -> Program:
        """Check and compile, paid for by byte, then by syntax node, each before the work."""
        self.meter.spend(GAS.deploy_per_byte * len(source))
        try:
            text = admit(source, PYC1)
            prescan(text, PYC1)
            self.meter.spend(GAS.deploy_per_node * syntax_size(parse(text, PYC1)))
            return compile_source(source)
        except SourceRejected as error:
            raise CalleeFailed(error.code, error.line, None) from None

    def keep(self, record: ArtifactRecord, source: bytes) -> None:
        """Write an artifact, and its source unless it is there under another manifest."""
        self.state.save(artifact_key(record.artifact.hash), record)
        place = state_source(record.artifact.source_hash)
        if self.state.read(place) is None:
            self.state.write(place, source)

    def known(self, artifact: bytes) -> ArtifactRecord:
        """The record of an artifact. Fails with NO_ARTIFACT."""
        return self.state.load(ArtifactRecord, artifact_key(artifact)) or fail("NO_ARTIFACT")

    def approved(self, artifact: bytes) -> ArtifactRecord:
        """The record of an artifact that may run. Fails with NO_ARTIFACT, NOT_APPROVED."""
        record = self.known(artifact)
        return record if record.status == APPROVED else fail("NOT_APPROVED")

    def approve(self, artifact: bytes) -> None:
        """See the interface."""
        self.judged(artifact, (PENDING, REVOKED), APPROVED)

    def revoke(self, artifact: bytes) -> None:
        """See the interface."""
        self.judged(artifact, (PENDING, APPROVED), REVOKED)

    def judged(self, artifact: bytes, before: Sequence[str], status: str) -> None:
        """Give an artifact another status."""
        record = self.known(artifact)
        if record.status not in before:
            fail("BAD_STATUS", {"status": record.status})
        self.state.save(artifact_key(artifact), msgspec.structs.replace(record, status=status))
        self.state.emit("StatusChanged", artifact=artifact, status=status)

    # instances

    def instantiate(self, artifact: bytes, name: str, arguments: list[Any], creator: bytes) -> None:
        """See the interface."""
        if not valid_name(name):
            fail("BAD_NAME")
        if self.state.read(state_contract(name)) is not None:
            fail("NAME_TAKEN")
        record = self.approved(artifact)
        self.place(name, record)
        self.state.emit("Instantiated", instance=name, artifact=artifact, creator=creator)
        instance = self.machine.instance(name)
        setup = _init_of(instance)
        if instance is None or (setup is None and arguments):
            raise TypeMismatch
        if setup is not None:
            own, self.meter.self_address = self.meter.self_address, creator
            # @init may trust its sender: here the account that asked, who may do nothing else through it
            try:
                self.machine.enter(instance, setup, tuple(arguments), False)
            finally:
                self.meter.self_address = own

    def place(self, name: str, record: ArtifactRecord) -> None:
        """Write the first version of an instance, paid for by the size of what has to be linked."""
        artifact = record.artifact
        source = self.state.read(state_source(artifact.source_hash)) or b""
        self.meter.spend(GAS.install_per_byte * len(source))
        first = InstanceRecord(
            artifact.source_hash, artifact.language, 1, artifact.calls, artifact.hash, artifact.roles
        )
        self.state.save(state_contract(name), first)

    def running(self, name: str) -> InstanceRecord:
        """The record of an instance. Fails with NO_INSTANCE."""
        return self.migrations.running(name)

    # upgrades

    def check_upgrade(self, instance: str, artifact: bytes, height: int) -> None:
        """See the interface."""
        record, new = self.running(instance), self.approved(artifact)
        if self.migrations.plan(instance) is not None:
            fail("UPGRADE_PENDING")
        if height <= self.meter.height:
            fail("TOO_LATE", {"height": self.meter.height})
        if bytes(artifact) == record.artifact:
            fail("SAME_ARTIFACT")
        fault = layout_fault(self.known(record.artifact), new)
        if fault:
            fail(fault)
        if instance == GOVERNANCE and not _governs(new):
            fail("PROTECTED")

    def upgrade(self, instance: str, artifact: bytes, height: int, window: int) -> None:
        """See the interface."""
        self.check_upgrade(instance, artifact, height)
        base = self.running(instance).artifact
        self.migrations.planned(instance, UpgradeRecord(artifact, base, height, window))

    def cancel(self, instance: str) -> None:
        """See the interface."""
        self.running(instance)
        self.migrations.cancelled(instance)

    def freeze(self, instance: str) -> None:
        """See the interface."""
        record = self.running(instance)
        if instance == GOVERNANCE:
            fail("PROTECTED")
        if record.status:
            fail("BAD_STATUS", {"status": record.status})
        self.state.save(state_contract(instance), msgspec.structs.replace(record, status=FROZEN))
        self.state.emit("Frozen", instance=instance)

    def resume(self, instance: str) -> None:
        """See the interface."""
        record = self.running(instance)
        if record.status != FROZEN:
            fail("BAD_STATUS", {"status": record.status})
        self.state.save(state_contract(instance), msgspec.structs.replace(record, status=""))
        self.migrations.wake(instance)
        self.state.emit("Resumed", instance=instance)

    def rollback(self, instance: str) -> None:
        """See the interface."""
        record = self.running(instance)
        self.migrations.taken_back(instance, record)

    def retry(self, instance: str) -> None:
        """See the interface."""
        self.migrations.retried(instance)

    def abort(self, instance: str) -> None:
        """See the interface."""
        self.migrations.aborted(instance)

    # genesis

    def installed(self, name: str, source: bytes, calls: Sequence[str]) -> str:
        """Put an artifact of genesis, approved, and its instance into state. Return the name of its @init, or "".
        Raise `SourceRejected`."""
        program = compile_source(source)
        artifact = make_artifact(source, calls)
        record = record_of(program, artifact, bytes(32), self.meter.height, APPROVED)
        self.keep(record, source)
        self.place(name, record)
        found = [function.name for function in program.contract.functions.values() if function.role == "init"]
        return found[0] if found else ""


def _governs(record: ArtifactRecord) -> bool:
    """Whether a contract could still decide anything in the place of `governance`."""
    return LIFECYCLE in record.artifact.calls and {"propose", "vote"} <= {name for name, _ in record.entries}


def _init_of(instance: Instance | None) -> Entry | None:
    entries = () if instance is None else instance.entries.values()
    return next((entry for entry in entries if entry.role == "init"), None)
