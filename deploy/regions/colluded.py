"""What is told of a region whose members lied together (`deploy.regions.collusion`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Colluded:
    """What became of it. Money in micro-units; `claimed`: what the accomplices had on the chain that ended, `left`:
    what they have; `transfers`: those sent meanwhile, of which `void` were in blocks that are void, `again` of these in
    blocks of the new chain; `changed`: accounts that have not what they had. Seconds: `corrected_s` from the first lie
    to the global chain's correction, `served_s` from there until every process of the region and every centre serves
    the new chain, `final_s` of a new transfer at all of them. `problems`: what is not as it should be."""

    region: str
    liars: tuple[str, ...]
    record: int = 0
    kind: str = ""
    corrections: int = 0
    fined: list[tuple[str, str, int]] = field(default_factory=list)
    epoch: int = 0
    reason: str = ""
    chain_id: str = ""
    voters: tuple[str, ...] = ()
    claimed: int = 0
    left: int = 0
    transfers: int = 0
    void: int = 0
    again: int = 0
    accounts: int = 0
    changed: int = 0
    corrected_s: float | None = None
    served_s: float | None = None
    final_s: float | None = None
    told: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """The line of the card."""
        if self.problems:
            return self.problems[0]
        return (
            f"{self.region}: record {self.record} corrected, {len(self.fined)} members fined, epoch {self.epoch} "
            f"served by all {_rounded(self.served_s)} s later; {self.again} of {self.void} void transfers are in "
            f"blocks again, {self.accounts - self.changed} of {self.accounts} accounts have what they had"
        )

    def as_json(self) -> dict[str, Any]:
        """The field `collusion` of the demo's document."""
        return {
            "region": self.region,
            "members": list(self.liars),
            "record": self.record,
            "kind": self.kind,
            "corrections": self.corrections,
            "fined": [{"name": name, "offence": offence, "fine": fine} for name, offence, fine in self.fined],
            "epoch": self.epoch,
            "reason": self.reason,
            "chain_id": self.chain_id,
            "voters": list(self.voters),
            "claimed_micro": self.claimed,
            "left_micro": self.left,
            "transfers": self.transfers,
            "void": self.void,
            "again": self.again,
            "accounts": self.accounts,
            "changed": self.changed,
            "corrected_s": _rounded(self.corrected_s),
            "served_s": _rounded(self.served_s),
            "final_s": _rounded(self.final_s),
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
