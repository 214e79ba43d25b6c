"""Rules removed on purpose, to prove that the checker would notice (C.2: a mutant needs some tens of seeds to die).

A mutant is data: patches of a line or two in the source of a function of `consensus`, each of which must occur there
exactly once. The patched source is compiled, and the function runs it for the time of a run, whoever imported it. The
auditor's rules are never touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any, Final, TypeAlias

from ledger.errors import ConfigError

Lure: TypeAlias = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Patch:
    """`old` in the source of `consensus.<function>` (module, then name or class and name) becomes `new`."""

    function: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is left out, how; `lure`: options that bring it to light; `seed`: one on which it is known to die."""

    without: str
    patches: tuple[Patch, ...]
    lure: Lure = field(default_factory=dict)
    seed: int = 0


_EQUIVOCATOR: Final[Lure] = {"adversary": "equivocator", "byzantine": 1}
_WRONG_PARENT: Final[Lure] = {"adversary": "wrong-parent", "byzantine": 1}
_FORGER: Final[Lure] = {"adversary": "forger", "byzantine": 1}
_DRIFTER: Final[Lure] = {"adversary": "time-drifter", "byzantine": 1}
_INVALID: Final[Lure] = {"adversary": "invalid-state", "byzantine": 1}
_EPOCHS: Final[Lure] = {"epoch_blocks": 4, "jitter_ms": 80}
_CRASHES: Final[Lure] = {"crash_mtbf_ms": 2_500, "restart_ms": 200, "delay_ms": 20}
_SHARDS: Final[Lure] = {"engine": "sharded", "nodes": 12, "compact": False}
_COUNCIL: Final[Lure] = {"engine": "dpos", "nodes": 8, "drop_ppm": 150_000, "jitter_ms": 120}

MUTANTS: Final[dict[str, Mutant]] = {
    "nullify-and-finalize": Mutant(
        "R5's guard: nullify and finalize in one view never",
        (
            Patch("simplex.voting.may_nullify", "vs.my_finalize is None and ", ""),
            Patch("simplex.voting.may_finalize", "and not vs.my_nullify ", ""),
        ),
    ),
    "no-log": Mutant(
        "the write-ahead log", (Patch("simulator.node.SimNode.publish", "self.log.append(entries)", "pass"),)
    ),
    "body-not-durable": Mutant(
        "R1: the body under the same sync as its vote", (Patch("simplex.voting.notarize", "entry.block", "None"),)
    ),
    "quorum": Mutant(
        "one vote of the quorum",
        (
            Patch(
                "simulator.world.World.told_committee",
                "return ValidatorSet(self.committee(epoch).validators)",
                "told = ValidatorSet(self.committee(epoch).validators)\n"
                '    object.__setattr__(told, "quorum", told.quorum - 1); return told',
            ),
        ),
        _EQUIVOCATOR,
    ),
    "unjustified-parent": Mutant(
        "the check of a proposal's justification",
        (Patch("simplex.proposals._justify", "Hash(header.parent)) is not None", "Hash(header.parent)) is not True"),),
        _WRONG_PARENT,
        seed=2,
    ),
    "skipped-views-unproved": Mutant(
        "R0: every view between a block and its parent is nullified",
        (Patch("simplex.ancestry.justification", "if nullification is None:\n            return None", "continue"),),
        _WRONG_PARENT,
        seed=2,
    ),
    "no-resend": Mutant(
        "R6",
        (
            Patch("simplex.gossip.resend", "if state.entering is not None:", "if False:"),
            Patch("simplex.gossip.resend", "for number in (state.view - 1, state.view):", "for number in ():"),
            Patch("simplex.gossip.send_all_status", "for peer in state.peers:", "for peer in ():"),
        ),
        seed=12,
    ),
    "no-timers": Mutant(
        "R5: a view that comes to nothing is left", (Patch("simplex.engine._expire", "nullify(state)", "pass"),)
    ),
    "no-hold": Mutant(
        "the amnesia guard",
        (Patch("simplex.recovery.start", "Hold() if event.wal.held else None", "None"),),
        {"wiped": 1},
        seed=5,
    ),
    "slots-forgotten": Mutant(
        "own slots after a restart",
        (Patch("simplex.recovery._recover_vote", "vs = state.view_state(vote.view)", "return"),),
        _CRASHES,
    ),
    "proposal-forgotten": Mutant(
        "own proposals after a restart",
        (Patch("simplex.recovery._recover_epoch", "for proposal in state.wal.proposals:", "for proposal in ():"),),
        _CRASHES,
    ),
    "no-fetch": Mutant(
        "the search for missing bodies",
        (Patch("simplex.ancestry._ask", "if peer is not None:", "if False:"),),
        {"wiped": 1, "power_cuts": 2, "drop_ppm": 200_000},
        seed=26,
    ),
    "sync-unheard": Mutant(
        "what sync has committed becomes the head",
        (Patch("simplex.finality.on_committed", "event.head.height > state.head.height", "False"),),
        {"wiped": 1},
        seed=8,
    ),
    "evidence-against-honest": Mutant(
        "what an honest member may sign",
        (
            Patch("simplex.tally._contradiction", "view.finalize if", "view.notarize if"),
            Patch(
                "simplex.tally.conflict_of",
                "{VoteKind.NULLIFY, VoteKind.FINALIZE}",
                "{VoteKind.NULLIFY, VoteKind.NOTARIZE}",
            ),
        ),
    ),
    "header-unchecked": Mutant(
        "what makes a header invalid",
        (Patch("simplex.proposals._judge_block", "if fault:", "if False:"),),
        _DRIFTER,
        seed=15,
    ),
    "time-stands": Mutant(
        "a block's time is after its parent's",
        (Patch("simplex.headers.header_fault", "header.time_ms <= parent.time_ms", "False"),),
        _DRIFTER,
        seed=15,
    ),
    "finalize-unseen": Mutant(
        "R2: only what is held and valid",
        (
            Patch(
                "simplex.voting.finalize_notarized",
                "entry is not None and entry.verdict is Verdict.VALID and entry.block is not None",
                "entry is not None",
            ),
        ),
        _INVALID,
    ),
    "certificates-unchecked": Mutant(
        "the verification of a peer's certificate",
        (
            Patch(
                "simplex.certificates.receive_certificate",
                "if not state.scheme.verify_certificate(certificate, state.epoch.validators):",
                "if False:",
            ),
        ),
        _FORGER,
    ),
    "boundary-unseen": Mutant(
        "an epoch ends at its boundary block",
        (
            Patch(
                "simplex.headers.ends_epoch", "(header.closing or state.policy.is_boundary(header))", "header.closing"
            ),
        ),
        _EPOCHS,
    ),
    "leader-of-the-moment": Mutant(
        "a leader is fixed by the epoch, not by what is not final yet",
        (
            Patch(
                "simplex.state.State.view_state",
                "leaders[(view - 1) % len(leaders)]",
                "leaders[(view - 1 + len(self.notarizations)) % len(leaders)]",
            ),
        ),
    ),
    "work-forgotten": Mutant(
        "transactions of a lost block are work still",
        (Patch("simplex.views.enter", "_note_owed(state, certificate.view)", "pass"),),
        {**_WRONG_PARENT, "due_every_ms": 0},
        seed=9,
    ),
    "bringer-blamed": Mutant(
        "ids are not signed, so parts that do not fit them are nobody's fault",
        (
            Patch(
                "simplex.ancestry._doubt_ids", "peer == entry.source and _is_node_of(state, peer, entry.header)", "True"
            ),
        ),
        {"adversary": "id-forger", "byzantine": 1, "jitter_ms": 60},
    ),
    "views-admitted-without-end": Mutant(
        "votes are kept for the next view at most",
        (Patch("simplex.tally.add_vote", "vote.view <= state.view + 1", "vote.view"),),
        {"adversary": "future-flooder", "byzantine": 1},
    ),
    "closing-block-delivered": Mutant(
        "closing blocks never reach the application",
        (Patch("simplex.finality.commit", "not entry.header.closing]", "True]"),),
        _EPOCHS,
        seed=31,
    ),
    "bodies-unserved": Mutant(
        "bodies are handed to whoever asks",
        (Patch("simplex.gossip.on_body_request", "entry is not None and entry.block is not None", "False"),),
        {"power_cuts": 1, "drop_ppm": 100_000},
    ),
    "lift-too-early": Mutant(
        "a hold ends only above every view that others were in",
        (Patch("simplex.hold.try_lift", "state.final_view <= highest", "False"),),
        {"wiped": 1},
        seed=38,
    ),
    "route-unchecked": Mutant(
        "dpos: only the own route hash is notarised",
        (
            Patch(
                "simulator.application.ModelApplication.section_fault",
                'extra == self.section(parent) else "section"',
                'True else ""',
            ),
        ),
        {"engine": "dpos", "adversary": "wrong-route", "byzantine": 1},
    ),
    "lost-turns-forgiven": Mutant(
        "dpos: who loses a turn is barred",
        (Patch("council.lost_turns", "if header.closing:", "if True:"),),
        _COUNCIL,
    ),
    "turns-counted-from-the-parent": Mutant(
        "dpos: a turn is lost strictly between the parent's view and the block's",
        (Patch("council.lost_turns", "header.parent_view + 1, header.view)", "header.parent_view + 2, header.view)"),),
        _COUNCIL,
    ),
    "fee-forgotten": Mutant(
        "sharded: what a trade's seller pays goes to the pool",
        (Patch("sharded.clearing._fill", "pool=work.state.pool + fee", "pool=work.state.pool"),),
        _SHARDS,
    ),
    "lock-lost": Mutant(
        "sharded: a lock ends by a trade or by its release",
        (Patch("sharded.clearing.expire_locks", '_release(work, lock, "expired")', "pass"),),
        _SHARDS,
    ),
    "reward-kept": Mutant(
        "sharded: what a member takes out is here no more",
        (
            Patch(
                "sharded.withdrawals.withdraw",
                "_without(state.rewards, member) if source is Source.REWARD else state.rewards",
                "state.rewards",
            ),
        ),
        {**_SHARDS, **_EQUIVOCATOR},
        2,
    ),
    "inbox-offered-again": Mutant(
        "sharded: what a confirmed record has consumed leaves the inbox",
        (Patch("sharded.global_chain._settle", "inbox=view.inbox[consumed:]", "inbox=view.inbox"),),
        _SHARDS,
    ),
    "agents-unsigned": Mutant(
        "sharded: an agent answers for what it signed, and for nothing else",
        (
            Patch(
                "sharded.verdicts.judge",
                "not identity.verify(publication.agent, signed, publication.signature)",
                "False",
            ),
        ),
        {**_SHARDS, "adversary": "region-flooder"},
    ),
    "sequence-unchecked": Mutant(
        "sharded: records enter one after the other",
        (
            Patch("sharded.global_chain._submit", "if record.seq > view.next_seq:", "if False:"),
            Patch(
                "sharded.admission._of_region",
                "isinstance(entry, Submitted) and entry.publication.record.seq > turn",
                "False",
            ),
        ),
        {**_SHARDS, "adversary": "withholding-agent"},
        2,
    ),
    "guide-believed": Mutant(
        "sharded: members go along the centres' certificates only",
        (
            Patch(
                "sharded.following.follow",
                "if not centres.scheme.verify_certificate(final, centres.validators):",
                "if False:",
            ),
        ),
        {**_SHARDS, "adversary": "lying-guide"},
    ),
    "void-forgotten": Mutant(
        "sharded: what a regional epoch made void is carried to the next",
        (
            Patch(
                "simulator.region_node.RegionNode.void_transactions",
                "return found + list(self.pool.values())",
                "return []",
            ),
        ),
        {**_SHARDS, "adversary": "colluding-region"},
    ),
    "bars-lifted-at-once": Mutant(
        "dpos: bars are lifted only where too few are eligible",
        (Patch("council.eligible", "if len(found) < wanted and key not in found:", "if key not in found:"),),
        _COUNCIL,
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Run with a rule missing; the empty name is the true core. Raise `ConfigError`: NO_MUTANT, or
    MUTANT_DOES_NOT_APPLY if the source has changed so that a patch no longer fits."""
    with patched(name, patches_of(name, MUTANTS), "consensus."):
        yield


def patches_of(name: str, mutants: Mapping[str, Mutant]) -> tuple[Patch, ...]:
    """What a mutant changes; nothing for the empty name. Raise `ConfigError` (NO_MUTANT)."""
    if name and name not in mutants:
        raise ConfigError(
            "no such mutant", code="NO_MUTANT", expected=", ".join(mutants), found=name, fix="choose one of these"
        )
    return mutants[name].patches if name else ()


@contextmanager
def patched(name: str, patches: tuple[Patch, ...], room: str = "") -> Iterator[None]:
    """Run with the `patches` of a mutant; functions are named from `room` on. Raise `ConfigError` as `mutated` does."""
    functions = dict.fromkeys(_function(room + patch.function) for patch in patches)
    codes = {function: function.__code__ for function in functions}
    sources = {function: dedent(inspect.getsource(function)) for function in functions}
    for patch in patches:
        function = _function(room + patch.function)
        if sources[function].count(patch.old) != 1:
            raise ConfigError(
                f"the mutant {name} does not fit the source",
                code="MUTANT_DOES_NOT_APPLY",
                expected=f"{patch.old!r} once in {patch.function}",
                found=f"{sources[function].count(patch.old)} times",
                fix="change the patch with the rule that it removes",
            )
        sources[function] = sources[function].replace(patch.old, patch.new)
    try:
        for function, source in sources.items():
            function.__code__ = _compiled(source, function.__name__)
        yield
    finally:
        for function, code in codes.items():
            function.__code__ = code


def _function(path: str) -> FunctionType:
    module, *names = path.rsplit(".", 2) if path.rsplit(".", 2)[1][0].isupper() else path.rsplit(".", 1)
    found: Any = import_module(module)
    for name in names:
        found = getattr(found, name)
    if not isinstance(found, FunctionType):
        raise ConfigError("a mutant patches functions", code="MUTANT_DOES_NOT_APPLY", expected="a function", found=path)
    return found


def _compiled(source: str, name: str) -> CodeType:
    """The code of the function that a source defines."""
    module = compile(source, f"<mutant of {name}>", "exec", dont_inherit=True)
    return next(part for part in module.co_consts if isinstance(part, CodeType) and part.co_name == name)
