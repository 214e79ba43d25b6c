"""What the native contract `lifecycle` tells about artifacts and instances; free to ask, without effect."""

from __future__ import annotations

from contracts.artifacts import Artifact, ArtifactRecord, changes, layout_changes, layout_fault
from contracts.migration import Migrations
from contracts.native import NativeState, fail
from contracts.state_format import InstanceRecord, well_named
from contracts.values import Value
from ledger.codec import decode
from ledger.schema import STATE_CONTRACT, state_contract, state_source
from ledger.validators import quorum

_PAGE = 256


class LifecycleViews:
    """The views of the interface `contracts/library/lifecycle_interface.py`."""

    def __init__(self, state: NativeState, migrations: Migrations) -> None:
        self.state = state
        self.migrations = migrations

    def known(self, artifact: bytes) -> ArtifactRecord:
        """The record of an artifact. Fails with NO_ARTIFACT."""
        return self.record(artifact) or fail("NO_ARTIFACT")

    def record(self, artifact: bytes) -> ArtifactRecord | None:
        """The record of an artifact, if there is one."""
        return self.state.load(ArtifactRecord, self.state.key("artifacts", artifact))

    def quorum(self, weight: int) -> int:
        """See the interface."""
        return quorum(weight)

    def artifact(self, artifact: bytes) -> dict[str, Value] | None:
        """See the interface."""
        record = self.record(artifact)
        return None if record is None else _artifact_shown(record)

    def artifacts(self, after: bytes, limit: int) -> list[dict[str, Value]]:
        """See the interface."""
        prefix = self.state.key("artifacts")
        rows = self.state.page(prefix, prefix + after if after else None, min(limit, _PAGE))
        return [_artifact_shown(decode(ArtifactRecord, raw)) for _, raw in rows]

    def source(self, artifact: bytes) -> bytes | None:
        """See the interface."""
        record = self.record(artifact)
        return None if record is None else self.state.read(state_source(record.artifact.source_hash))

    def instance(self, name: str) -> dict[str, Value] | None:
        """See the interface."""
        record = self.state.load(InstanceRecord, state_contract(name)) if well_named(name) else None
        return None if record is None else {"name": name, **_instance_shown(record), **self.migrations.shown(name)}

    def instances(self, after: str, limit: int) -> list[dict[str, Value]]:
        """See the interface."""
        if after and not well_named(after):
            fail("BAD_NAME")
        rows = self.state.page(STATE_CONTRACT, state_contract(after) if after else None, min(limit, _PAGE))
        start = len(STATE_CONTRACT) + 1
        return [
            {"name": key[start:].decode("utf-8"), **_instance_shown(decode(InstanceRecord, raw))} for key, raw in rows
        ]

    def diff(self, instance: str, artifact: bytes) -> dict[str, Value]:
        """See the interface."""
        record, new = self.migrations.running(instance), self.known(artifact)
        old = self.known(record.artifact)
        return {
            "instance": instance,
            "from": bytes(record.artifact),
            "to": bytes(artifact),
            "version": record.version,
            "status": new.status,
            "migrates": new.migrates,
            "refused": layout_fault(old, new),
            "storage": [change.shown() for change in layout_changes(old, new)],
            "entries": [change.shown() for change in changes(dict(old.entries), dict(new.entries))],
            "calls": [change.shown() for change in changes(_calls(old.artifact), _calls(new.artifact))],
            "roles": [old.artifact.roles, new.artifact.roles],
        }


def _calls(artifact: Artifact) -> dict[str, str]:
    return {name: name for name in artifact.calls}


def _artifact_shown(record: ArtifactRecord) -> dict[str, Value]:
    artifact = record.artifact
    return {
        "artifact": bytes(artifact.hash),
        "source_hash": artifact.source_hash,
        "language": artifact.language,
        "calls": list(artifact.calls),
        "roles": artifact.roles,
        "status": record.status,
        "abi_hash": record.abi_hash,
        "deployer": record.deployer,
        "height": record.height,
        "migrates": record.migrates,
        "layout": [[slot.name, slot.type, slot.was] for slot in record.layout],
        "entries": [list(entry) for entry in record.entries],
    }


def _instance_shown(record: InstanceRecord) -> dict[str, Value]:
    return {
        "artifact": record.artifact,
        "source_hash": record.source_hash,
        "language": record.language,
        "version": record.version,
        "calls": list(record.calls),
        "roles": record.roles,
        "status": record.status,
    }
