"""What members tell the chain about each other: reports of invalid blocks and evidence of two votes (consensus B.4).

A transaction carries the signatures, so every node judges it alike. What proves nothing is refused with a code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consensus.council import Bar, Cause, Council, CouncilRules, bar, leader_of
from consensus.evidence import ReportRefused, culprit_of
from consensus.messages import Complaint, ComplaintReason
from consensus.scheme import Scheme
from ledger.certificates import Vote
from ledger.codec import Wire
from ledger.validators import ValidatorSet, fault_bound

__all__ = ["InvalidReport", "ReportRefused", "complaints_needed", "convict", "report_invalid"]


class InvalidReport(Wire, frozen=True):
    """Members' complaints about one leader's block, as a transaction carries them."""

    complaints: tuple[Complaint, ...]


def complaints_needed(committee: ValidatorSet) -> int:
    """F + 1: the least weight among whose signers there is an honest one."""
    return fault_bound(committee.total_weight) + 1


def report_invalid(council: Council, rules: CouncilRules, scheme: Scheme, complaints: Sequence[Complaint]) -> Council:
    """Bar the leader of the view that these complaints are about for K elections. Raise `ReportRefused`.

    All are INVALID, about one block of this epoch or the one before, by members of more than F weight, each once. One
    honest signer suffices: it has checked that the leader signed the block.
    """
    if not complaints:
        raise ReportRefused("a report without complaints", code="REPORT_EMPTY", expected="at least one", found=0)
    first = complaints[0]
    place = (first.epoch, first.view)
    committee = _committee(council, first.epoch)
    if place in council.reported:
        raise ReportRefused("this view was reported before", code="REPORT_AGAIN", found=f"view {place}")
    about = {(one.epoch, one.view, one.block_hash, one.reason) for one in complaints}
    if about != {(*place, first.block_hash, ComplaintReason.INVALID)} or first.view < 1:
        raise ReportRefused("not one block called invalid", code="REPORT_MIXED", expected="one block", found=len(about))
    signers = {one.signer for one in complaints}
    if len(signers) != len(complaints) or not all(scheme.verify_complaint(one, committee) for one in complaints):
        raise ReportRefused("a signature that is not good", code="REPORT_SIGNATURE", expected="members, each once")
    needed = complaints_needed(committee)
    if committee.weight_of(signers) < needed:
        found = committee.weight_of(signers)
        raise ReportRefused("too few complaints", code="REPORT_TOO_FEW", expected=needed, found=found)
    accused = leader_of(committee.validators, first.view)
    barred = bar(council, Bar(accused, Cause.INVALID, *place, rules.bar_elections))
    return replace(barred, reported=council.reported | {place})


def convict(council: Council, scheme: Scheme, first: Vote, second: Vote) -> Council:
    """Bar the signer of two votes that exclude each other for good. Raise `ReportRefused`."""
    culprit = culprit_of(council.committee, scheme, first, second)
    if any(one.member == culprit and one.cause is Cause.EQUIVOCATION for one in council.bars):
        raise ReportRefused("this member is barred for good already", code="EVIDENCE_AGAIN", found=culprit.hex())
    return bar(council, Bar(culprit, Cause.EQUIVOCATION, first.epoch, first.view, 0))


def _committee(council: Council, epoch: int) -> ValidatorSet:
    committee = council.committee(epoch)
    if committee is None:
        expected = f"epoch {max(1, council.epoch - 1)} or {council.epoch}"
        raise ReportRefused("of an epoch that is over", code="REPORT_EPOCH", expected=expected, found=epoch)
    return committee
