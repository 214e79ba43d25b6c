"""`gridchain contract diff`: what an upgrade changes, and whether the chain would take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.artifacts import PENDING, Change, changes, layout_changes, layout_fault, make_artifact, record_of
from contracts.compile import Program

VERDICTS: Final = {
    "same": "the sources are the same",
    "compatible": "the upgrade needs no @migrate: what is stored stays readable",
    "migrates": "the new source migrates: its @migrate runs in batches after the upgrade",
    "needs_migrate": "the chain would refuse the upgrade: without @migrate no slot may be removed or have another type",
    "bad_handle": "the chain would refuse the upgrade: a slot declared with was= has another type than the old slot",
}
_REFUSED: Final = {"LAYOUT_CHANGED": "needs_migrate", "WAS_MISMATCH": "bad_handle"}


@dataclass(frozen=True, slots=True)
class Difference:
    """`refused`: the code for which the chain would not take the upgrade, or empty. New slots are in `storage` too."""

    verdict: str
    refused: str
    storage: tuple[Change, ...]
    entries: tuple[Change, ...]
    events: tuple[Change, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "verdict": self.verdict,
            "says": VERDICTS[self.verdict],
            "refused": self.refused,
            **{
                part: [change.shown() for change in found]
                for part, found in (("storage", self.storage), ("entries", self.entries), ("events", self.events))
            },
        }

    def lines(self) -> list[str]:
        """For people."""
        found: list[str] = []
        for part, table in (("storage", self.storage), ("entries", self.entries), ("events", self.events)):
            found += [part, *(line for change in table for line in _shown(change))] if table else []
        return [*found, VERDICTS[self.verdict]]


def _shown(change: Change) -> list[str]:
    if change.what == "changed":
        return [f"  - {change.name}  {change.before}", f"  + {change.name}  {change.after}"]
    sign, text = ("+", change.after) if change.what == "added" else ("-", change.before)
    return [f"  {sign} {change.name}  {text}"]


def difference(old: tuple[bytes, Program], new: tuple[bytes, Program]) -> Difference:
    """Compare two sources as the chain does at a vote on an upgrade."""
    first, second = (record_of(program, make_artifact(source), bytes(32), 0, PENDING) for source, program in (old, new))
    refused = layout_fault(first, second)
    if old[0] == new[0]:
        verdict = "same"
    elif refused:
        verdict = _REFUSED[refused]
    else:
        verdict = "migrates" if second.migrates else "compatible"
    return Difference(
        verdict,
        refused,
        tuple(layout_changes(first, second)),
        tuple(changes(dict(first.entries), dict(second.entries))),
        tuple(changes(_events(old[1]), _events(new[1]))),
    )


def _events(program: Program) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for event in program.contract.events.values():
        fields = ", ".join(f"{name}: {shape}" for name, shape in event.fields.items())
        found[event.label] = f"({fields})" + (f" indexed by {', '.join(event.indexed)}" if event.indexed else "")
    return found
