"""Money that leaves what the global chain keeps: rewards of centres and members, deposits of who is neither any more.

A withdrawal is signed by the voting key. It is the only key that the global chain knows of a member, whether genesis
or the centres made it one; it earned the reward and stands for the deposit, and who steals a node's account key gets
neither.
The money becomes an item of a region's inbox in the same block: it is here or there, never twice, and comes once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from consensus.sharded.evidence import hears
from consensus.sharded.global_state import GlobalContext, GlobalState, Source, Withdrawal, Withdrawn
from consensus.sharded.records import Paid
from consensus.sharded.work import Work
from ledger.codec import encode
from ledger.crypto import domain

DOMAIN_WITHDRAWAL: Final = domain("region-withdrawal")


def withdrawal_bytes(chain_id: str, entry: Withdrawal) -> bytes:
    """What the voting key signs. `chain_id`: of the global chain."""
    named = (entry.member, entry.number, int(entry.source), entry.region, entry.account)
    return DOMAIN_WITHDRAWAL + encode((chain_id, *named))


def held_for(state: GlobalState, member: bytes, source: Source) -> int:
    """What a withdrawal would take, micro-units."""
    return (state.rewards if source is Source.REWARD else state.deposits).get(member, 0)


def withdrawal_fault(context: GlobalContext, state: GlobalState, entry: Withdrawal) -> str:
    """Why a withdrawal does nothing, "" if it takes effect. One signature is verified, last."""
    view = state.region(entry.region)
    if view is None:
        return "NO_REGION"
    if context.payees is not None and entry.region not in context.payees:
        return "NO_ACCOUNTS"
    before = state.withdrawals.get(entry.member, 0)
    if entry.number != before:
        return "WITHDRAWN_BEFORE" if entry.number < before else "BAD_NUMBER"
    tied = _tied(context, state, entry.member) if entry.source is Source.DEPOSIT else ""
    if tied:
        return tied
    if held_for(state, entry.member, entry.source) == 0:
        return "NOTHING_TO_WITHDRAW"
    if len(view.inbox) >= context.rules.inbox_limit:
        return "INBOX_FULL"
    said = withdrawal_bytes(context.chain_id, entry)
    return "" if context.verify(entry.member, said, entry.signature) else "BAD_SIGNATURE"


def withdraw(work: Work, entry: Withdrawal) -> str:
    """Move the whole of it; the code of why not."""
    state = work.state
    code = withdrawal_fault(work.context, state, entry)
    if code:
        return code
    member, source = entry.member, entry.source
    money = held_for(state, member, source)
    work.state = replace(
        state,
        rewards=_without(state.rewards, member) if source is Source.REWARD else state.rewards,
        deposits=_without(state.deposits, member) if source is Source.DEPOSIT else state.deposits,
        withdrawals={**state.withdrawals, member: entry.number + 1},
    )
    work.send(entry.region, Paid(entry.account, money, source.label))
    work.withdrawn.append(Withdrawn(member, entry.number, source, entry.region, entry.account, money))
    return ""


def _tied(context: GlobalContext, state: GlobalState, member: bytes) -> str:
    """Why a deposit stays: its owner has a seat, or evidence of the epoch in which it had one is still heard."""
    seats = (context.centres, *(view.validators for view in state.regions))
    if any(one.index_of(member) is not None for one in seats):
        return "STILL_MEMBER"
    left = [view for view in state.regions if view.before is not None and hears(context, state, view, view.epoch - 1)]
    there = any(view.before is not None and view.before[1].index_of(member) is not None for view in left)
    return "EVIDENCE_OPEN" if there else ""


def _without(amounts: Mapping[bytes, int], member: bytes) -> dict[bytes, int]:
    return {key: amount for key, amount in amounts.items() if key != member}
