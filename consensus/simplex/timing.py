"""Work and deadlines (R0, R5, A.9): declared from the state after each turn, armed and disarmed by difference.

Nothing here decides anything by itself: a deadline that passes comes back as `Expired`, and the rules act.
"""

from __future__ import annotations

from consensus.engine import Arm, Disarm, Millis, Timer, TimerKind, Verdict
from consensus.simplex.ancestry import parent_header, parent_of
from consensus.simplex.headers import ends_epoch
from consensus.simplex.state import State
from consensus.simplex.tally import nullify_support
from consensus.simplex.voting import may_nullify

CLOCK_LEAD_MS = 250
"""How far a block's time may be ahead of its leader's own clock (A.8)."""


def clock_set_back(state: State, by: int) -> None:
    """The machine's clock was set back: deadlines move with it, so that intervals stay what they were."""
    state.entered_at -= by
    state.lead_at -= by
    state.view_at -= by
    state.resend_at -= by
    state.status_at -= by
    state.certificates_asked_at -= by
    state.behind_at -= by
    if state.work_since is not None:
        state.work_since -= by
    for outstanding in state.fetches.values():
        outstanding.at -= by
    state.armed = {kind: (timer, at - by) for kind, (timer, at) in state.armed.items()}


def current_wait(state: State) -> int:
    """`wait` of the current view: as at arming, else as it would be now (R0)."""
    return state.wait if state.work_since is not None else pace(state)


def pace(state: State) -> int:
    """max(0, parent.time_ms + min_block_interval - now), at most min_block_interval; that too while it is unknown."""
    interval = state.parameters.min_block_interval_ms
    parent = parent_header(state, state.view)
    return interval if parent is None else max(0, min(interval, parent.time_ms + interval - state.now))


def due_at(state: State) -> int:
    """When the clock itself makes work: a scheduled call or the heartbeat, whichever is first."""
    parent = parent_of(state, state.view)
    entry = state.blocks.get(parent[1]) if parent is not None else None
    header = entry.header if entry is not None and entry.header is not None else state.head
    heartbeat = header.time_ms + state.parameters.heartbeat_ms
    due = state.next_due_ms
    if entry is not None and entry.hash != state.head_hash and entry.verdict is Verdict.VALID:
        due = entry.next_due_ms
    return heartbeat if due is None else min(due, heartbeat)


def has_work(state: State) -> bool:
    """Whether the view must end: A.9's *pending*, as a follower sees it."""
    if state.over or state.halted:
        return False
    vs = state.current
    return (
        state.waiting
        or bool(state.notarizations)
        or vs.candidate is not None
        or vs.voted
        or due_at(state) + state.parameters.precision_ms <= state.now
        or nullify_support(state, vs)
    )


def follow_work(state: State) -> None:
    """Set the view's deadlines when work appears, clear them when it is gone."""
    if not has_work(state):
        state.work_since = None
        return
    if state.work_since is not None:
        return
    state.wait = pace(state)
    delta = state.delta()
    skip = state.policy.fast_skip and state.current.leader in state.inactive
    start = state.now + state.wait
    state.work_since = state.now
    state.lead_at = start + (delta if skip else 2 * delta)
    state.view_at = start + 3 * delta
    state.resend_interval = state.parameters.delta_ms
    state.resend_at = state.now + state.resend_interval
    state.resends = 0


def build_at(state: State) -> int | None:
    """When this node should begin its block; None if it is not its turn, or there is nothing to build for (A.9)."""
    vs = state.current
    if vs.leader != state.me or vs.building or vs.voted or not state.may_vote(vs.view):
        return None
    parent = parent_of(state, vs.view)
    entry = state.blocks.get(parent[1]) if parent is not None else None
    if entry is None or entry.header is None or entry.verdict is not Verdict.VALID:
        return None
    header = entry.header
    interval = state.parameters.min_block_interval_ms
    earliest = max(
        min(header.time_ms + interval, state.entered_at + interval),
        state.entered_at,
        header.time_ms + 1 - CLOCK_LEAD_MS,
    )
    if ends_epoch(state, header):
        return earliest + state.delta()
    if state.waiting:
        return earliest
    times = [max(earliest, due_at(state))]
    if state.notarizations:
        times.append(earliest + state.delta())
    return min(times)


def refresh(state: State) -> None:
    """Emit `Arm` and `Disarm` so that the armed timers are exactly the deadlines of the state."""
    follow_work(state)
    wanted = _deadlines(state)
    for kind in [kind for kind in state.armed if kind not in wanted]:
        state.out.append(Disarm(state.armed.pop(kind)[0]))
    for kind, at in wanted.items():
        armed = state.armed.get(kind)
        epoch, view = (0, 0) if kind in (TimerKind.STATUS, TimerKind.FETCH) else (state.epoch.epoch, state.view)
        if armed is not None and armed[1] == at and (armed[0].epoch, armed[0].view) == (epoch, view):
            continue
        timer = Timer(kind, epoch, view)
        if armed is not None and armed[0] != timer:
            state.out.append(Disarm(armed[0]))
        state.armed[kind] = (timer, at)
        state.out.append(Arm(timer, Millis(at)))


def _deadlines(state: State) -> dict[TimerKind, int]:
    wanted = {TimerKind.STATUS: state.status_at}
    if state.fetches:
        wanted[TimerKind.FETCH] = min(outstanding.at for outstanding in state.fetches.values())
    if state.over or state.halted:
        return wanted
    vs = state.current
    if state.work_since is not None:
        wanted[TimerKind.RESEND] = state.resend_at
        if may_nullify(state, vs):
            candidate = vs.candidate
            if not (vs.my_notarize is not None or (candidate is not None and candidate.timely and candidate.justified)):
                wanted[TimerKind.LEAD] = state.lead_at
            wanted[TimerKind.VIEW] = state.view_at
    else:
        wanted[TimerKind.WAKE] = due_at(state) + state.parameters.precision_ms
    building = build_at(state)
    if building is not None:
        wanted[TimerKind.BUILD] = building
    return wanted
