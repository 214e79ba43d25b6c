"""Artifacts: a source with its manifest, what governance approves by one hash; their storage layouts and differences.

    artifact hash = SHA-256("gridchain/artifact\\0" + encode([source hash, language, calls, roles]))

A layout is data that was computed once, at deploy, and kept beside the artifact, so that two of them are compared
without compiling anything. Types in it are structural: two records with the same fields are the same type.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.abi import abi_of
from contracts.compile import Program
from contracts.limits import LANGUAGE
from contracts.resolve import Contract, Function, Index, Slot
from contracts.shapes import Shape
from contracts.values import Value, encode_value
from ledger.codec import Bytes32, ShortText, Uint, Wire, encode
from ledger.crypto import Hash, domain, hash_of, sha256

_DOMAIN_ARTIFACT = domain("artifact")
_LONGEST = 1_000
PENDING, APPROVED, REVOKED = "pending", "approved", "revoked"


class Artifact(Wire, frozen=True):
    """What is voted on. `calls`: instances that it may call, sorted; `roles`: the instance that says who has which
    role (`has_role(account, role) -> bool`), empty if it asks for none."""

    source_hash: Bytes32
    language: ShortText
    calls: tuple[ShortText, ...]
    roles: ShortText = ""

    @property
    def hash(self) -> Hash:
        """The name of the artifact."""
        return hash_of(_DOMAIN_ARTIFACT, encode(self))


def make_artifact(source: bytes, calls: Sequence[str] = (), roles: str = "", language: str = LANGUAGE) -> Artifact:
    """The artifact of a source and a manifest."""
    return Artifact(sha256(source), language, tuple(sorted(set(calls))), roles)


class SlotLayout(Wire, frozen=True):
    """A storage slot: name, structural type, and for a handle on a slot of the version before, that slot's name."""

    name: str
    type: str
    was: str = ""


class ArtifactRecord(Wire, frozen=True):
    """An artifact in state. `deployer`: account, zeros for genesis; `entries`: name and signature of each."""

    artifact: Artifact
    status: ShortText
    abi_hash: Bytes32
    deployer: Bytes32
    height: Uint
    migrates: bool
    layout: tuple[SlotLayout, ...]
    entries: tuple[tuple[str, str], ...]


def record_of(program: Program, artifact: Artifact, deployer: bytes, height: int, status: str) -> ArtifactRecord:
    """What state keeps about an artifact whose source compiled to `program`."""
    contract = program.contract
    migrates = any(function.role == "migrate" for function in contract.functions.values())
    return ArtifactRecord(
        artifact, status, abi_hash(program), deployer, height, migrates, layout_of(contract), _signatures(contract)
    )


def abi_hash(program: Program) -> Hash:
    """SHA-256 of the canonical encoding of the ABI (`contracts.abi.abi_of`)."""
    return sha256(encode_value(abi_of(program)))


def layout_of(contract: Contract) -> tuple[SlotLayout, ...]:
    """The slots of a contract, by name."""
    types = _Types(contract)
    slots = [SlotLayout(slot.name, types.slot(slot), slot.was) for slot in contract.slots.values()]
    indexes = [SlotLayout(index.name, types.index(index)) for index in contract.indexes.values()]
    return tuple(sorted([*slots, *indexes], key=lambda slot: slot.name))


class _Types:
    """Types of a contract as text, records by their fields; a record whose text is long by its SHA-256, so that records
    inside records do not grow without end."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.records: dict[str, str] = {}
        for record in contract.records.values():
            text = "{" + ", ".join(f"{name}: {self.text(shape)}" for name, shape in record.fields.items()) + "}"
            self.records[record.name] = text if len(text) <= _LONGEST else f"{{#{sha256(text.encode()).hex()}}}"

    def text(self, shape: Shape) -> str:
        """Any type."""
        if shape.tag == "record":
            text = self.records[shape.name]
        else:
            inner = ", ".join(map(self.text, shape.items))
            text = str(Shape(shape.tag)) + (f"[{inner}]" if inner else "")
        return text + (" | None" if shape.optional else "")

    def slot(self, slot: Slot) -> str:
        """A cell or a map."""
        value = self.text(slot.value)
        if not slot.is_map:
            return f"Var({value})"
        parts = ", ".join(map(str, slot.key))
        return f"Map({f'({parts})' if slot.tuple_key else parts}, {value})"

    def index(self, index: Index) -> str:
        """An index, with what it is of."""
        return f"Index({index.of}: {self.slot(self.contract.slots[index.of])} by {', '.join(index.by)})"


def _decorated(function: Function) -> str:
    said = [word for word in ("scheduled", "reentrant") if getattr(function, word)]
    said += [f"auth={'|'.join(function.auth)}"] if function.auth else []
    said += [f"signer={function.signer}"] if function.signer else []
    return f"@{function.role}" + (f"({', '.join(said)})" if said else "")


def asks_roles(contract: Contract) -> bool:
    """Whether a contract asks who has which role, so that its manifest must name who answers."""
    functions = contract.functions.values()
    asked = (node for function in functions for node in ast.walk(function.node) if isinstance(node, ast.Attribute))
    return any(function.auth for function in functions) or any(node.attr == "has_role" for node in asked)


def _signatures(contract: Contract) -> tuple[tuple[str, str], ...]:
    types = _Types(contract)
    found = []
    for name, function in sorted(contract.functions.items()):
        if function.role:
            taken = ", ".join(f"{p.name}: {types.text(p.shape)}" for p in function.parameters)
            result = types.text(function.returns)
            found.append((name, f"{_decorated(function)} ({taken}) -> {result}"))
    return tuple(found)


# differences


@dataclass(frozen=True, slots=True)
class Change:
    """`what`: added, removed or changed; `before` and `after` as text, empty where there is none."""

    name: str
    what: str
    before: str
    after: str

    def shown(self) -> dict[str, Value]:
        """As a value that views return."""
        return {"name": self.name, "change": self.what, "before": self.before, "after": self.after}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """What differs between two tables of text, by name."""
    found: list[Change] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            found.append(Change(name, "changed" if old and new else "removed" if old else "added", old, new))
    return found


def _own_slots(record: ArtifactRecord) -> dict[str, str]:
    return {slot.name: slot.type for slot in record.layout if not slot.was}


def layout_changes(old: ArtifactRecord, new: ArtifactRecord) -> list[Change]:
    """What an upgrade does to the storage layout; handles on old slots are no part of it."""
    return changes(_own_slots(old), _own_slots(new))


def layout_fault(old: ArtifactRecord, new: ArtifactRecord) -> str:
    """Why an upgrade of an instance from `old` to `new` would lose or misread storage; "" if it would not."""
    known = _own_slots(old)
    if any(slot.was and known.get(slot.was) != slot.type for slot in new.layout):
        return "WAS_MISMATCH"
    kept = all(change.what == "added" and not _over_old_rows(change, known) for change in layout_changes(old, new))
    return "" if kept or new.migrates else "LAYOUT_CHANGED"


def _over_old_rows(change: Change, known: Mapping[str, str]) -> bool:
    """Whether an added slot is an index of a map that has rows already, which it would not know."""
    return change.after.startswith("Index(") and change.after[len("Index(") :].partition(":")[0] in known


def place_slots(
    old: ArtifactRecord, places: Mapping[str, str], new: ArtifactRecord, version: int
) -> tuple[tuple[str, str], ...]:
    """Where the slots of an upgraded instance lie: (slot, name of its storage) where the two differ.

    A slot that stays the same keeps its storage. Any other gets new storage, named after the version that begins it, so
    that nothing is ever read under a type that it was not written with.
    """
    known = _own_slots(old)
    found: list[tuple[str, str]] = []
    for slot in new.layout:
        if slot.was:
            place = places.get(slot.was, slot.was)
        elif known.get(slot.name) == slot.type:
            place = places.get(slot.name, slot.name)
        else:
            place = f"{slot.name}@{version}"
        if place != slot.name:
            found.append((slot.name, place))
    return tuple(found)
