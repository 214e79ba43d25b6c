"""What makes a header definitely invalid: a pure function of the header, its parent and the epoch."""

from __future__ import annotations

from consensus.simplex.closing import is_closing_child
from consensus.simplex.effects import leader_key
from consensus.simplex.state import State
from ledger.objects import Header


def ends_epoch(state: State, header: Header) -> bool:
    """Whether only closing blocks may follow this block in the current epoch."""
    return header.epoch == state.epoch.epoch and (header.closing or state.policy.is_boundary(header))


def header_fault(state: State, header: Header, transactions: int, parent: Header) -> str:
    """What is wrong with a header on this parent, "" if nothing. Time against the clock is judged elsewhere: it is
    never a fault. A leader judges its own blocks too, so a broken application costs it only its turns."""
    committee = state.epoch.validators
    ends = ends_epoch(state, parent)
    if header.chain_id != state.chain_id or header.validators != committee.hash:
        return "wrong-chain-or-committee"
    if header.proposer != leader_key(state.epoch, header.view):
        return "not-the-leader"
    if header.time_ms <= parent.time_ms:
        return "time-not-after-parent"
    if header.closing != ends:
        return "closing"
    if ends:
        return "" if is_closing_child(header, parent) else "closing-block"
    if header.height != parent.height + 1:
        return "height"
    if not state.policy.is_boundary(header) and header.next_validators != header.validators:
        return "next-validators"
    if header.body_size > state.parameters.max_block_bytes or transactions > state.parameters.max_block_txs:
        return "too-large"
    return ""
