"""The development switch that has a leader keep its blocks to itself."""

from __future__ import annotations

from consensus.messages import CertificateRequest, Message, Proposal
from node.withheld import withholding

PROPOSAL = Proposal(b"", bytes(64), (), (), b"", ())
OTHER = CertificateRequest(1, 2, 3)


def test_proposals_alone_are_kept_back_and_only_while_the_file_is_there(tmp_path) -> None:
    sent: list[Message] = []
    switch = tmp_path / "withhold"
    release = withholding(switch, sent.append)
    release(PROPOSAL)
    switch.touch()
    release(PROPOSAL)
    release(OTHER)
    switch.unlink()
    release(PROPOSAL)
    assert sent == [PROPOSAL, OTHER, PROPOSAL]


def test_without_the_switch_nothing_is_between() -> None:
    sent: list[Message] = []
    assert withholding(None, sent.append) == sent.append
