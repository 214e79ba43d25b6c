"""What the chains of a sharded run have of its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from consensus.sharded.discipline import Audit, ShardRules
from consensus.simulator.options import SHARD_ADVERSARIES, SeedOptions

SHORT_INBOX: Final = 12
ASSIGNED_ROUNDS: Final = 2
"""One round may be over at once: it counts from the round in which a record enters."""
EVIDENCE_ROUNDS: Final = 6
"""So short that who left a region takes its deposit home within a run."""
LOTTERY_BLOCKS: Final = 12
"""Views of a region's epoch: one lottery each."""
MANY_BLOCKS: Final = 1_000_000


def audit_of(options: SeedOptions) -> Audit:
    """When centres audit; a silent one matters only where audits are assigned."""
    return Audit.ASSIGNED if options.adversary == "silent-centre" else Audit(options.audit)


def rules_of(options: SeedOptions) -> ShardRules:
    """Genesis parameters of a run: short ones where it is about their being reached."""
    return ShardRules(
        audit=audit_of(options),
        assigned_rounds=ASSIGNED_ROUNDS,
        takeover_rounds=5 if options.adversary == "region-loss" else 10,
        evidence_rounds=EVIDENCE_ROUNDS,
        inbox_limit=SHORT_INBOX if options.adversary == "inbox-flooder" else 10_000,
    )


def later_options(first: SeedOptions) -> SeedOptions:
    """The run of a region's next chain: who signed twice on the one before has no seat, or has had its warning."""
    return replace(first, adversary="", byzantine=0, twins=0)


def chain_options(options: SeedOptions, place: int, members: int, epoch_blocks: int) -> SeedOptions:
    """The run of one chain of the network: the same faults, another seed. `place` 0: the global chain."""
    shard = options.adversary in SHARD_ADVERSARIES
    return replace(
        options,
        seed=options.seed * 64 + place,
        engine="bft",
        nodes=members,
        epoch_blocks=epoch_blocks,
        committees=1,
        weighted=False,
        real_crypto=False,
        due_every_ms=0,
        adversary="" if shard else options.adversary,
        byzantine=0 if shard else options.byzantine,
        idle=place == 0,
    )
