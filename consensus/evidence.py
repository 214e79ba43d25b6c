"""Evidence that a member signed what nobody may: two votes that exclude each other (consensus A.4, B.4).

Nothing here knows an engine: who asks gives the committee of the votes' epoch and judges the culprit by its own rules.
"""

from __future__ import annotations

from collections.abc import Callable

from consensus.scheme import Scheme
from consensus.simplex.tally import conflict_of
from ledger.certificates import Vote
from ledger.errors import GridchainError
from ledger.validators import ValidatorSet


class ReportRefused(GridchainError):
    """A report or evidence that proves nothing about anybody."""

    code = "REPORT_REFUSED"


def culprit_of(committee: Callable[[int], ValidatorSet | None], scheme: Scheme, first: Vote, second: Vote) -> bytes:
    """Key of the member that signed both votes. `committee`: of an epoch, None if it is over. Raise `ReportRefused`."""
    members = committee(first.epoch)
    if members is None:
        raise ReportRefused("of an epoch that is over", code="EVIDENCE_EPOCH", found=first.epoch)
    if not conflict_of(first, second):
        expected = "two that exclude each other"
        raise ReportRefused("two votes that one may sign", code="EVIDENCE_EMPTY", expected=expected)
    if not all(scheme.verify_vote(vote, members) for vote in (first, second)):
        raise ReportRefused("a signature that is not good", code="EVIDENCE_SIGNATURE", expected="both by the member")
    return members.validators[first.signer].public_key
