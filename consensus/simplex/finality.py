"""R4: what is final becomes a commit; what was committed ends epochs and frees memory."""

from __future__ import annotations

from consensus.engine import Commit, Committed, Halt, Prune, Verdict
from consensus.simplex.certificates import prune_views
from consensus.simplex.recovery import begin_epoch
from consensus.simplex.state import BlockEntry, PastEpoch, State
from ledger.certificates import Certificate
from ledger.crypto import Hash
from ledger.objects import Header


def commit(state: State) -> bool:
    """Commit everything up to the highest finalization, once each block of it is here and VALID."""
    certificate = state.finalization
    if certificate is None or state.over or state.halted or state.final_hash == state.head_hash:
        return False
    path = _path(state)
    if path is None:
        return False
    blocks = [entry for entry in path if entry.header is not None and not entry.header.closing]
    closing = tuple(e.block.header_bytes for e in path if e.header is not None and e.header.closing and e.block)
    if not blocks:
        return False
    for entry in blocks:
        entry.final = True
    state.out.append(Commit(tuple(entry.hash for entry in blocks), certificate, closing))
    last = blocks[-1]
    if last.header is None:
        return False
    state.head, state.head_hash, state.next_due_ms = last.header, last.hash, last.next_due_ms
    state.over = state.policy.is_boundary(last.header)
    if state.over:
        kept = {entry.hash: entry for entry in path[path.index(last) :]}
        state.past = PastEpoch(state.epoch.epoch, certificate, kept)
    return True


def _path(state: State) -> list[BlockEntry] | None:
    """The blocks after the head up to the final one, ascending; None while one is missing or not judged."""
    path: list[BlockEntry] = []
    block_hash = state.final_hash
    while block_hash != state.head_hash:
        entry = state.blocks.get(block_hash)
        if entry is None or entry.header is None:
            return None
        if entry.verdict is Verdict.INVALID:
            state.halted = True
            state.out.append(Halt(f"state-divergence: {entry.reason}", block_hash))
            return None
        if entry.verdict is None or (entry.header.height <= state.head.height and not entry.header.closing):
            return None
        path.append(entry)
        block_hash = Hash(entry.header.parent)
    path.reverse()
    return path


def on_committed(state: State, event: Committed) -> None:
    """Blocks are durable, by this engine's `Commit` or by sync ahead of it."""
    if event.head.height > state.head.height:
        _jump(state, event.head, event.head_hash, event.finalization)
    if event.head.height < state.committed_height or event.head.height == 0:
        return
    state.committed_height = event.head.height
    if event.head_hash == state.head_hash:
        state.next_due_ms = event.next_due_ms
    entry = state.entry(event.head_hash)
    entry.next_due_ms = event.next_due_ms
    final_view = event.finalization.view
    _prune_blocks(state, event.finalization.epoch, final_view)
    if event.next_epoch is not None and event.next_epoch.epoch > state.epoch.epoch:
        begin_epoch(state, event.next_epoch)


def _jump(state: State, head: Header, head_hash: Hash, finalization: Certificate) -> None:
    """Sync was faster: take its head as ours."""
    entry = state.entry(head_hash)
    entry.header, entry.verdict, entry.final = head, Verdict.VALID, True
    state.head, state.head_hash = head, head_hash
    if finalization.epoch != state.epoch.epoch:
        return
    if finalization.view > state.final_view:
        state.finalization = finalization
        state.nullified //= 2
        state.certificate_version += 1
        prune_views(state)
        if finalization.view + 1 > state.next_view:
            state.next_view, state.next_entering = finalization.view + 1, finalization
    state.over = state.policy.is_boundary(head)
    if state.over:
        state.past = PastEpoch(state.epoch.epoch, finalization, {head_hash: entry})


def _prune_blocks(state: State, epoch: int, final_view: int) -> None:
    """Keep the newest final blocks and whatever may still become final; the log may be cut at `final_view`."""
    chain = _recent_chain(state)
    abandoned = []
    for block_hash, entry in list(state.blocks.items()):
        header = entry.header
        if block_hash in chain:
            continue
        old = header is not None and (header.epoch, header.view) <= (epoch, final_view)
        if old or (header is None and block_hash not in _wanted(state)):
            del state.blocks[block_hash]
            state.fetches.pop(block_hash, None)
            if not entry.final and header is not None and not header.closing:
                abandoned.append(block_hash)
    state.pruned = (epoch, final_view)
    state.out.append(Prune(tuple(abandoned), epoch, final_view))


def _wanted(state: State) -> set[Hash]:
    wanted = {Hash(certificate.block_hash) for certificate in state.notarizations.values()}
    wanted.add(state.final_hash)
    return wanted


def _recent_chain(state: State) -> set[Hash]:
    """The final blocks that are kept: from the highest final one and, where blocks between are missing, from the head,
    `keep_blocks` below it."""
    chain: set[Hash] = set()
    lowest = state.committed_height - state.parameters.keep_blocks
    for highest in (state.head_hash,) if state.over else (state.final_hash, state.head_hash):
        block_hash = highest
        while block_hash not in chain:
            entry = state.blocks.get(block_hash)
            if entry is None:
                break
            chain.add(block_hash)
            if entry.header is None or entry.header.height <= lowest:
                break
            block_hash = Hash(entry.header.parent)
    if state.past is not None:
        chain.update(state.past.blocks)
    return chain
