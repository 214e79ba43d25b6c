"""Trades across regions (consensus B.3): residuals become locks, one clearing decides both legs, locks end here only.
What was put down for a voting key comes the same way and becomes that key's deposit at once.

A lock ends exactly once: used up, or released with what is left of it; the escrow of a lock is never at home and here
at once. Nothing ends by a local clock: expiry counts global blocks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msgspec import structs

from consensus.sharded.auction import Match, Quote, clear, cost
from consensus.sharded.discipline import ONE, Standing
from consensus.sharded.global_state import Lock, RegionView
from consensus.sharded.records import Filled, Released, Residual, Side
from consensus.sharded.work import Work
from ledger.crypto import valid_public_key

MOST: Final = (1 << 48) - 1
"""Micro-units or Wh of one residual: 280 million units of money, 280 TWh. Sums of thousands of them fit an object."""


def open_residuals(work: Work, view: RegionView, residuals: tuple[Residual, ...]) -> None:
    """Take a confirmed record's residuals. A region that lags, or whose inbox is full, gets its orders back at once; so
    does who put money down for what is no key, since nobody could ever take it out.

    What a region's contract hands over is its own: an upgrade of it may say anything. What no honest one says goes back
    as it came, before it could take what is another region's or make a sum that no object holds.
    """
    full = len(view.inbox) >= work.context.rules.inbox_limit
    for residual in residuals:
        lock, unsound = Lock(view.name, residual), _unsound(work, residual)
        if residual.side is Side.DEPOSIT and not unsound:
            put_down(work, residual)
            continue
        work.opened.append(lock)
        if unsound:
            _release(work, lock, unsound)
        elif view.lagging or full:
            _release(work, lock, "lagging" if view.lagging else "inbox full")
        else:
            work.state = replace(work.state, locks={**work.state.locks, residual.lock_id: lock})


def _unsound(work: Work, residual: Residual) -> str:
    """Why a residual cannot be taken, "" if it can."""
    if residual.side is Side.DEPOSIT:
        if not valid_public_key(residual.owner):
            return "no key"
        return "too much" if work.state.deposits.get(residual.owner, 0) + residual.locked > MOST else ""
    if residual.lock_id in work.state.locks:
        return "known lock"
    if residual.wh == 0:
        return "no energy"
    if max(residual.wh, residual.limit, residual.locked, cost(residual.limit, residual.wh)) > MOST:
        return "too much"
    if residual.side is Side.SELL:
        return "" if residual.locked == residual.wh else "not covered"
    return "" if residual.locked >= cost(residual.limit, residual.wh) else "not covered"


def put_down(work: Work, deposit: Residual) -> None:
    """Money from a region becomes the deposit of a voting key, or more of it."""
    member, deposits = deposit.owner, work.state.deposits
    work.state = replace(work.state, deposits={**deposits, member: deposits.get(member, 0) + deposit.locked})


def expire_locks(work: Work) -> None:
    """Release every lock whose height has come, in the order of ids."""
    for key, lock in sorted(work.state.locks.items()):
        if lock.residual.expiry <= work.state.height:
            work.state = replace(work.state, locks={k: v for k, v in work.state.locks.items() if k != key})
            _release(work, lock, "expired")


def clear_locks(work: Work) -> None:
    """The same auction as at home, over the locks of regions that take part, slot by slot of delivery."""
    part = {view.name for view in work.state.regions if _takes_part(work, view.name)}
    slots: dict[int, dict[Side, list[Quote]]] = {}
    for _, lock in sorted(work.state.locks.items()):
        if lock.region in part:
            sides = slots.setdefault(lock.residual.slot, {Side.BUY: [], Side.SELL: []})
            sides[lock.residual.side].append(_quote(lock))
    for _, quotes in sorted(slots.items()):
        for match in clear(quotes[Side.BUY], quotes[Side.SELL]):
            _fill(work, match)


def _takes_part(work: Work, region: str) -> bool:
    view = work.view(region)
    current = view.standing(work.context.rules, work.state.round) is Standing.CURRENT
    return current and len(view.inbox) < work.context.rules.inbox_limit


def _quote(lock: Lock) -> Quote:
    residual = lock.residual
    return Quote(residual.lock_id, residual.owner, residual.wh, residual.limit)


def _fill(work: Work, match: Match) -> None:
    """Money and energy change sides in one step; the fee comes out of the seller's money."""
    buy, sell = work.state.locks[match.buy], work.state.locks[match.sell]
    paid = cost(match.price, match.wh)
    fee = paid * work.context.rules.fee_ppm // ONE
    work.state = replace(work.state, pool=work.state.pool + fee)
    _leg(work, buy, match, taken=paid, money=0)
    _leg(work, sell, match, taken=match.wh, money=paid - fee)


def _leg(work: Work, lock: Lock, match: Match, taken: int, money: int) -> None:
    """One side: `taken` leaves the lock, its owner gets `money` or, as a buyer, the energy. A lock that is used up
    gives back what is left."""
    old = lock.residual
    wh = match.wh if old.side is Side.BUY else 0
    left = structs.replace(old, wh=old.wh - match.wh, locked=old.locked - taken)
    locks = {key: other for key, other in work.state.locks.items() if key != old.lock_id}
    ended = left.wh == 0
    if ended:
        money += left.locked if left.side is Side.BUY else 0
        wh += left.locked if left.side is Side.SELL else 0
    else:
        locks[old.lock_id] = Lock(lock.region, left)
    work.state = replace(work.state, locks=locks)
    work.send(lock.region, Filled(old.lock_id, old.owner, money, wh, ended, match.wh, match.price))


def _release(work: Work, lock: Lock, reason: str) -> None:
    residual = lock.residual
    money = residual.locked if residual.side is not Side.SELL else 0
    wh = residual.locked if residual.side is Side.SELL else 0
    work.send(lock.region, Released(residual.lock_id, residual.owner, money, wh, reason))
