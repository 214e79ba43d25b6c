"""Upgrades that were decided: they begin at their height, rewrite storage in batches, and can be undone until they end.

A migration is a chain of scheduled calls of the native contract `lifecycle`, one batch a block, each under the gas cap
of scheduled calls. All it knows lies in state, so a node that restarts goes on at the cursor. While it lasts the
instance takes no calls. The first write to a key of the instance keeps the old value in a journal, by version: `abort`
puts those back, the end of the migration drops them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from contracts.artifacts import APPROVED, ArtifactRecord, layout_fault, place_slots
from contracts.faults import Halt
from contracts.meter import GAS, LIMITS, Meter, StateView
from contracts.native import NativeState, fail
from contracts.outcome import outcome_of
from contracts.state_format import (
    GOVERNANCE,
    LIFECYCLE,
    MIGRATING,
    InstanceRecord,
    PreviousRecord,
    UpgradeRecord,
    sequence_key,
    well_named,
)
from contracts.values import Value
from ledger.codec import decode, encode
from ledger.errors import InvariantBroken
from ledger.schema import state_contract, state_instance, state_storage

ACTIVATIONS: Final = state_storage(LIFECYCLE, "activations")
"""Prefix of planned upgrades: height (8 bytes), name."""
_ROWS = 256
"""Rows of the journal or of waiting calls that one batch moves."""
_RESERVE = 200_000
"""Gas that a batch keeps for writing down how far it came."""
_ROW_GAS = 1_500_000
"""More than moving a row of the greatest size costs."""
_CURSOR_BYTES = 1_024


def name_part(name: str) -> bytes:
    """A name as part of a key."""
    raw = name.encode("utf-8")
    return len(raw).to_bytes(1, "big") + raw


def activation_key(name: str, height: int) -> bytes:
    """Where an upgrade waits for its height."""
    return ACTIVATIONS + height.to_bytes(8, "big") + name_part(name)


def parked_key(name: str, key: bytes) -> bytes:
    """Where a scheduled call waits while its instance takes none; `key`: its place in the queue."""
    return state_storage(LIFECYCLE, "parked") + name_part(name) + key


def activation_height(key: bytes) -> int:
    """The height of a planned upgrade, from its key under `ACTIVATIONS`."""
    return int.from_bytes(key[len(ACTIVATIONS) : len(ACTIVATIONS) + 8], "big")


def activation_instance(key: bytes) -> str:
    """The instance of a planned upgrade, from its key under `ACTIVATIONS`."""
    return key[len(ACTIVATIONS) + 9 :].decode("utf-8")


class Migrations:
    """Upgrades of one machine's view."""

    def __init__(self, state: NativeState) -> None:
        self.state = state
        self.machine = state.machine
        self.meter = state.meter

    def plan(self, name: str) -> UpgradeRecord | None:
        """The upgrade of an instance that is decided and not over."""
        return self.state.load(UpgradeRecord, self.state.key("upgrades", name))

    def running(self, name: str) -> InstanceRecord:
        """The record of an instance. Fails with NO_INSTANCE."""
        if not well_named(name):
            fail("NO_INSTANCE")
        return self.state.load(InstanceRecord, state_contract(name)) or fail("NO_INSTANCE")

    def shown(self, name: str) -> dict[str, Value]:
        """What views tell about upgrades of an instance."""
        plan, previous = self.plan(name), self.previous(name)
        return {
            "upgrade": None if plan is None else _plan_shown(plan),
            "previous": None if previous is None else _previous_shown(previous),
        }

    # decided by vote

    def planned(self, name: str, plan: UpgradeRecord) -> None:
        """Wait for the height of an upgrade that was checked."""
        self.state.save(self.state.key("upgrades", name), plan)
        self.state.write(activation_key(name, plan.height), b"\x01")
        self.state.emit("UpgradePlanned", instance=name, artifact=plan.artifact, height=plan.height)

    def cancelled(self, name: str) -> None:
        """Forget an upgrade before its height. Fails with NO_UPGRADE, BAD_STATUS."""
        plan = self._in_phase(name, "waiting")
        self.state.drop(activation_key(name, plan.height))
        self._dropped(name, plan, "CANCELLED")

    def retried(self, name: str) -> None:
        """Run the batch that failed again. Fails with NO_UPGRADE, BAD_STATUS."""
        plan = self._in_phase(name, "stalled")
        self._save(name, msgspec.structs.replace(plan, phase="migrating", code="", line=0))
        self.state.schedule("migrate_batch", name, plan.from_version + 1)

    def aborted(self, name: str) -> None:
        """Undo a migration. Fails with NO_UPGRADE, BAD_STATUS."""
        plan = self._in_phase(name, "migrating", "stalled")
        self._undo(name, plan)

    def taken_back(self, name: str, record: InstanceRecord) -> None:
        """Run what ran before the last upgrade. Fails with UPGRADE_PENDING, NO_PREVIOUS, MIGRATED, TOO_LATE."""
        previous = self.previous(name)
        if self.plan(name) is not None:
            fail("UPGRADE_PENDING")
        if previous is None:
            fail("NO_PREVIOUS")
        if previous.migrated:
            fail("MIGRATED")
        if self.meter.height > previous.until:
            fail("TOO_LATE", {"until": previous.until})
        old = decode(InstanceRecord, previous.record)
        version = record.version + 1
        back = msgspec.structs.replace(old, version=version, status=record.status)
        self.state.save(state_contract(name), back)
        self.state.drop(self.state.key("previous", name))
        self.state.emit("RolledBack", instance=name, artifact=old.artifact, version=version)

    # called by the chain

    def activate(self, due: int, name: str) -> None:
        """The height of an upgrade has come: change the code now, or begin its migration."""
        state = self.state
        plan, record = self._in_phase(name, "waiting"), self.running(name)
        old, new = self._artifact(record.artifact), self._artifact(plan.artifact)
        fault = "NOT_APPROVED" if new.status != APPROVED else layout_fault(old, new)
        if fault:
            self._dropped(name, plan, fault)
            return
        version = record.version + 1
        made = new.artifact
        target = InstanceRecord(
            made.source_hash, made.language, version, made.calls, made.hash, made.roles, record.status,
            place_slots(old, dict(record.slots), new, version),
        )  # fmt: skip
        until = self.meter.height + plan.window
        state.save(state.key("previous", name), PreviousRecord(encode(record), until, new.migrates))
        if not new.migrates:
            state.save(state_contract(name), target)
            state.drop(state.key("upgrades", name))
            state.emit("Upgraded", instance=name, artifact=plan.artifact, version=version)
            return
        state.save(state_contract(name), msgspec.structs.replace(target, status=MIGRATING))
        self._save(name, msgspec.structs.replace(plan, phase="migrating", from_version=record.version))
        state.schedule("migrate_batch", name, version, later=0)
        state.emit("MigrationStarted", instance=name, artifact=plan.artifact, version=version)

    def migrate_batch(self, due: int, name: str, version: int) -> None:
        """Run the @migrate of an upgrade once, from the cursor."""
        plan, record = self.plan(name), self.running(name)
        if plan is None or plan.phase != "migrating" or record.version != version:
            return
        cursor, code, line = self._batch(name, record, plan)
        if code:
            self._stalled(name, plan, code, line)
        elif cursor is None:
            self._finished(name, record, plan)
        else:
            self._save(name, msgspec.structs.replace(plan, cursor=cursor, batches=plan.batches + 1))
            self.state.schedule("migrate_batch", name, version)

    def undo_batch(self, due: int, name: str, version: int) -> None:
        """Put old values back, newest migration only; with the last one the old code runs again."""
        plan, previous = self.plan(name), self.previous(name)
        if plan is None or previous is None or plan.phase != "undoing" or plan.from_version + 1 != version:
            return
        prefix = self._journal(name, version)
        for key, raw in self._rows(prefix):
            place = key[len(prefix) :]
            if raw[:1] == b"\x00":
                self.state.drop(place)
            else:
                self.state.write(place, raw[1:])
            self.state.drop(key)
        if self.state.page(prefix, None, 1):
            self.state.schedule("undo_batch", name, version)
            return
        self.state.write(state_contract(name), previous.record)
        self.state.drop(self.state.key("previous", name))
        self.state.drop(self.state.key("upgrades", name))
        self.wake(name)
        self.state.emit("MigrationUndone", instance=name, version=version)

    def clean_batch(self, due: int, name: str, version: int) -> None:
        """Drop the journal of a migration that ended."""
        prefix = self._journal(name, version)
        for key, _ in self._rows(prefix):
            self.state.drop(key)
        if self.state.page(prefix, None, 1):
            self.state.schedule("clean_batch", name, version)

    def wake(self, name: str) -> None:
        """The instance takes calls again: let those that waited run from the next block on."""
        if self.state.page(parked_key(name, b""), None, 1):
            self.state.schedule("wake_batch", name)

    def wake_batch(self, due: int, name: str) -> None:
        """Put calls that waited back into the queue, under their old places."""
        if self.running(name).status:
            return
        prefix = parked_key(name, b"")
        for key, raw in self._rows(prefix):
            self.state.write(key[len(prefix) :], raw)
            self.state.drop(key)
        self.wake(name)

    # parts

    def previous(self, name: str) -> PreviousRecord | None:
        """What an instance was before its last upgrade, if that may still be wanted."""
        return self.state.load(PreviousRecord, self.state.key("previous", name))

    def _artifact(self, artifact: bytes) -> ArtifactRecord:
        return self.state.load(ArtifactRecord, self.state.key("artifacts", artifact)) or fail("NO_ARTIFACT")

    def _in_phase(self, name: str, *phases: str) -> UpgradeRecord:
        self.running(name)
        plan = self.plan(name)
        if plan is None:
            fail("NO_UPGRADE")
        return plan if plan.phase in phases else fail("BAD_STATUS", {"status": plan.phase})

    def _save(self, name: str, plan: UpgradeRecord) -> None:
        self.state.save(self.state.key("upgrades", name), plan)

    def _dropped(self, name: str, plan: UpgradeRecord, code: str) -> None:
        self.state.drop(self.state.key("upgrades", name))
        self.state.emit("UpgradeDropped", instance=name, artifact=plan.artifact, code=code)

    def _journal(self, name: str, version: int) -> bytes:
        return self.state.key("journal", name_part(name) + version.to_bytes(8, "big"))

    def _rows(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows under a prefix, each read when its turn comes, as many as one batch can pay for."""
        for count in range(_ROWS):
            if count and self.meter.gas < _RESERVE + _ROW_GAS:
                return
            found = self.state.page(prefix, None, 1)
            if not found:
                return
            yield found[0]

    def _batch(self, name: str, record: InstanceRecord, plan: UpgradeRecord) -> tuple[bytes | None, str, int]:
        """One run of @migrate: the next cursor (None at the end), or the code and line it failed with."""
        machine, meter, view = self.machine, self.meter, self.machine.view
        if view is None:
            raise InvariantBroken("a migration needs a view that can be written")
        linked = machine.link(name, record, frozenset())
        entry = next(entry for entry in linked.entries.values() if entry.role == "migrate")
        mark, events = view.checkpoint(), len(meter.events)
        machine.view = watched = _Journalled(view, name, self._journal(name, plan.from_version + 1), meter)
        meter.put, meter.delete = watched.put, watched.delete
        try:
            arguments = (plan.from_version, plan.cursor)
            reserve = min(_RESERVE, meter.gas // 2)
            cursor = machine.capped(linked, entry, arguments, False, meter.gas - reserve)
            code, line = _cursor_fault(cursor, plan.cursor), 0
        except Halt as error:
            code, line = outcome_of(error)
            cursor, line = None, getattr(error, "line", 0) or line
        finally:
            machine.view, meter.put, meter.delete = view, view.put, view.delete
        if code:
            view.rollback(mark)
            del meter.events[events:]
            meter.mem = max(meter.mem, LIMITS.stored_value)
        return cursor, code, line

    def _finished(self, name: str, record: InstanceRecord, plan: UpgradeRecord) -> None:
        previous = self.previous(name)
        status = "" if previous is None else decode(InstanceRecord, previous.record).status
        self.state.save(state_contract(name), msgspec.structs.replace(record, status=status))
        self.state.drop(self.state.key("upgrades", name))
        self.state.schedule("clean_batch", name, record.version)
        if not status:
            self.wake(name)
        self.state.emit("Upgraded", instance=name, artifact=plan.artifact, version=record.version)

    def _stalled(self, name: str, plan: UpgradeRecord, code: str, line: int) -> None:
        stalled = msgspec.structs.replace(plan, phase="stalled", code=code, line=line)
        self._save(name, stalled)
        self.state.emit("MigrationStalled", instance=name, code=code, line=line)
        if name == GOVERNANCE:
            # nobody could vote on what to do
            self._undo(name, stalled)

    def _undo(self, name: str, plan: UpgradeRecord) -> None:
        self._save(name, msgspec.structs.replace(plan, phase="undoing"))
        self.state.schedule("undo_batch", name, plan.from_version + 1)


class _Journalled:
    """A view that keeps the old value of each key of an instance when it is first written."""

    def __init__(self, view: StateView, name: str, journal: bytes, meter: Meter) -> None:
        self.view, self.meter, self.journal = view, meter, journal
        self.own, self.counter = state_instance(name), sequence_key(name)
        self.get, self.scan = view.get, view.scan
        self.checkpoint, self.rollback = view.checkpoint, view.rollback

    def put(self, key: bytes, value: bytes, /) -> None:
        self.keep(key)
        self.view.put(key, value)

    def delete(self, key: bytes, /) -> None:
        self.keep(key)
        self.view.delete(key)

    def keep(self, key: bytes) -> None:
        # the counter of scheduled calls only grows: those that a migration made stay in the queue
        if not key.startswith(self.own) or key == self.counter or self.get(self.journal + key) is not None:
            return
        raw = self.get(key)
        kept = b"\x00" if raw is None else b"\x01" + raw
        self.meter.spend(GAS.write + GAS.write_per_byte * (len(self.journal) + len(key) + len(kept)))
        self.view.put(self.journal + key, kept)


def _cursor_fault(cursor: Any, last: bytes) -> str:
    if cursor is None:
        return ""
    if type(cursor) is not bytes or len(cursor) > _CURSOR_BYTES:
        return "BadValue"
    return "NO_PROGRESS" if cursor == last else ""


def _plan_shown(plan: UpgradeRecord) -> dict[str, Value]:
    return {
        "artifact": plan.artifact,
        "height": plan.height,
        "phase": plan.phase,
        "from_version": plan.from_version,
        "cursor": plan.cursor,
        "batches": plan.batches,
        "code": plan.code,
        "line": plan.line,
    }


def _previous_shown(previous: PreviousRecord) -> dict[str, Value]:
    old = decode(InstanceRecord, previous.record)
    return {"artifact": old.artifact, "version": old.version, "until": previous.until, "migrated": previous.migrated}
