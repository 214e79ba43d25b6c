"""Who has which block, which parent a view builds on, and how what is missing is fetched (R0, R2, A.7).

A block can be judged once its parent was judged VALID, so `require` climbs to the first ancestor that is not, and asks
for exactly that: a `Check` if its bytes are here, else a `BodyRequest`. "Not yet known" is never "invalid".
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.compact import Names
from consensus.engine import Check, PeerId, StoredBlock, Verdict
from consensus.messages import BodyRequest, BodyResponse, Part, Proposal
from consensus.simplex.closing import is_closing_child
from consensus.simplex.effects import accuse_peer, next_peer, peers_of, report_behind, send
from consensus.simplex.restart import passed_over
from consensus.simplex.state import BlockEntry, Fetch, State
from ledger.certificates import Certificate
from ledger.codec import encode
from ledger.crypto import Hash
from ledger.errors import DecodeError
from ledger.merkle import merkle_root
from ledger.objects import BODY_VERSION, Body, Header, decode_header, extra_root, header_hash


def parent_of(state: State, view: int) -> tuple[int, Hash] | None:
    """R0: the highest view u below `view` with a notarization or finalization, every view between nullified.

    None while a certificate for that is missing. View 0 is the boundary block of the epoch before.
    """
    cached_view, version, found = state.parent_cache
    if cached_view == view and version == state.certificate_version:
        return found
    found = None
    for below in range(view - 1, state.final_view, -1):
        if passed_over(state, below):
            found = (state.final_view, state.final_hash)
            break
        notarization = state.notarizations.get(below)
        if notarization is not None:
            found = (below, Hash(notarization.block_hash))
            break
        if below not in state.nullifications:
            break
    else:
        if view > state.final_view:
            found = (state.final_view, state.final_hash)
    state.parent_cache = (view, state.certificate_version, found)
    return found


def parent_header(state: State, view: int) -> Header | None:
    """Header of the block that a view builds on, None while it or a certificate is missing."""
    parent = parent_of(state, view)
    entry = state.blocks.get(parent[1]) if parent is not None else None
    return entry.header if entry is not None else None


def justification(state: State, view: int, parent_view: int, parent: Hash) -> tuple[Certificate, ...] | None:
    """The certificates that justify a block of `view` on this parent; None while one is missing.

    They are: the notarization or finalization of the parent (none for the boundary block, which its finality proof
    justifies), and the nullifications of every view between.
    """
    proof: list[Certificate] = []
    if parent_view == state.final_view:
        if state.final_hash != parent:
            return None
        if state.finalization is not None:
            proof.append(state.finalization)
    else:
        notarization = state.notarizations.get(parent_view)
        if notarization is None or notarization.block_hash != parent:
            return None
        proof.append(notarization)
    for between in range(parent_view + 1, view):
        nullification = state.nullifications.get(between)
        if passed_over(state, between):
            continue
        if nullification is None:
            return None
        proof.append(nullification)
    return tuple(proof)


def require_blocks(state: State) -> None:
    """See that every notarised or final block above the head gets here and is judged."""
    if state.over or state.halted:
        return
    if state.finalization is not None and state.final_hash != state.head_hash:
        require(state, state.final_hash, state.finalization)
    for certificate in list(state.notarizations.values()):
        require(state, Hash(certificate.block_hash), certificate)


def require(state: State, block_hash: Hash, certificate: Certificate | None = None) -> None:
    """Do the next thing that brings this block, or the first of its ancestors that is not VALID, to a verdict."""
    entry = state.entry(block_hash)
    child: Header | None = None
    logged = False
    while entry.verdict is None:
        header = entry.header
        if header is None:
            if child is None or logged or child.height <= state.head.height + _most_waiting(state):
                fetch(state, entry, (), peers_of(state, certificate.signers) if certificate is not None else ())
            return  # else catching up brings it; what an earlier life has voted above, perhaps nobody has committed
        if header.height <= state.head.height and not header.closing:
            return
        parent = state.entry(Hash(header.parent))
        if parent.verdict is Verdict.VALID:
            judge(state, entry, certificate)
            return
        logged |= entry.durable
        entry, child = parent, header


def forget_far(state: State) -> None:
    """Of the blocks below the final one that wait for an ancestor, keep those next to the head.

    A node whose questions are not answered still hears proposals, and would hold them all; when it is heard again, what
    is missing above these comes by catching up. What is in the own log stays: if all restart before any has committed,
    catching up brings nothing, and no other copy may be left.
    """
    waiting = sorted(
        (entry.header.view, block_hash)
        for block_hash, entry in state.blocks.items()
        if entry.header is not None
        and entry.header.epoch == state.epoch.epoch
        and entry.header.view < state.final_view
        and entry.verdict is None
        and not (entry.checking or entry.durable)
    )
    if len(waiting) <= _most_waiting(state):
        return
    for _, block_hash in waiting[_most_waiting(state) :]:
        del state.blocks[block_hash]
    headers = [entry.header for entry in state.blocks.values() if entry.header is not None]
    named = {Hash(header.parent) for header in headers} | {state.final_hash}
    named.update(Hash(certificate.block_hash) for certificate in state.notarizations.values())
    for block_hash in [name for name, entry in state.blocks.items() if entry.header is None and name not in named]:
        del state.blocks[block_hash]
    state.fetches = {name: asked for name, asked in state.fetches.items() if name in state.blocks}


def _most_waiting(state: State) -> int:
    return 2 * state.parameters.keep_blocks


def judge(state: State, entry: BlockEntry, certificate: Certificate | None = None) -> None:
    """Ask for a verdict on a block whose parent is VALID; closing blocks are judged here and now."""
    header = entry.header
    if entry.verdict is not None or entry.checking or header is None:
        return
    if entry.block is not None and entry.hash in state.fetches:
        return  # see `ask_again_later`
    parent = state.blocks.get(Hash(header.parent))
    if header.closing and parent is not None and parent.header is not None:
        _judge_closing(state, entry, header, parent.header)
        return
    proposal = entry.proposal if entry.block is None else None
    if entry.block is None and (proposal is None or (entry.missing is not None and not _complete(entry))):
        missing = entry.missing or () if proposal is not None else ()
        fetch(state, entry, missing, peers_of(state, certificate.signers) if certificate is not None else ())
        return
    entry.checking = True
    parts = tuple(entry.parts[index] for index in sorted(entry.parts)) if proposal is not None else ()
    state.out.append(Check(header.epoch, header.view, header, entry.hash, proposal, entry.block, parts))


def _complete(entry: BlockEntry) -> bool:
    return bool(entry.missing) and all(index in entry.parts for index in entry.missing or ())


def _judge_closing(state: State, entry: BlockEntry, header: Header, parent: Header) -> None:
    if entry.block is None:
        body = encode(Body(BODY_VERSION, ()))
        entry.block = StoredBlock(entry.hash, encode(header), body)
    if is_closing_child(header, parent):
        entry.verdict = Verdict.VALID
        state.fetches.pop(entry.hash, None)
    else:
        entry.verdict, entry.reason = Verdict.INVALID, "closing-block"


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(state: State, entry: BlockEntry, missing: tuple[int, ...], preferred: Sequence[PeerId] = ()) -> None:
    """Begin to ask for a block (or some positions of its body), unless that is under way."""
    outstanding = state.fetches.get(entry.hash)
    if outstanding is None or outstanding.missing != missing:
        outstanding = state.fetches[entry.hash] = Fetch(missing)
        _ask(state, entry.hash, outstanding, preferred)


def ask_again_later(state: State, entry: BlockEntry) -> None:
    """The application has no judgement on a whole block yet (its parent's state is not at hand): wait for Delta."""
    state.fetches[entry.hash] = Fetch((), at=state.now + state.parameters.delta_ms)


def _ask(state: State, block_hash: Hash, outstanding: Fetch, preferred: Sequence[PeerId] = ()) -> None:
    entry = state.entry(block_hash)
    first = [entry.source] if entry.source is not None else []
    peer = next_peer(state, [*first, *preferred], outstanding.attempts)
    delta = state.parameters.delta_ms
    outstanding.attempts += 1
    outstanding.interval = min(max(outstanding.interval * 3 // 2, delta), 4 * delta)
    outstanding.at = state.now + outstanding.interval
    missing = outstanding.missing if outstanding.attempts <= 2 else ()  # a peer may never have seen the compact form
    if peer is not None:
        send(state, peer, BodyRequest(block_hash, missing))


def retry_fetches(state: State) -> None:
    """Ask other peers for what has not come (T_r); forget what nobody needs any more."""
    for block_hash, outstanding in list(state.fetches.items()):
        entry = state.blocks.get(block_hash)
        if entry is None or entry.verdict is not None:
            del state.fetches[block_hash]
        elif outstanding.at <= state.now and entry.block is not None:
            del state.fetches[block_hash]  # it is here and its time to be judged has come
        elif outstanding.at <= state.now:
            _ask(state, block_hash, outstanding)


def on_body(state: State, response: BodyResponse, peer: PeerId) -> None:
    """Take an answer; what does not fit the hash it answers is the peer's fault, never the block's."""
    block_hash = Hash(response.block_hash)
    entry = state.blocks.get(block_hash)
    if entry is None or block_hash not in state.fetches or entry.block is not None or entry.verdict is not None:
        return
    if header_hash(response.header) != block_hash:
        accuse_peer(state, peer, "wrong-header")
        return
    try:
        header = decode_header(response.header)
    except DecodeError:
        return  # a quorum has certified a hash without a header: beyond the fault bound, nothing to learn
    entry.header = header
    if header.height > state.head.height + state.parameters.keep_blocks // 2:
        report_behind(state, peer, header.height)
    if response.count == len(response.parts):
        block = _whole(entry.hash, response, header)
        if block is None:
            accuse_peer(state, peer, "wrong-body")
            return
        entry.block, entry.parts = block, {}
        del state.fetches[block_hash]
    elif entry.proposal is not None and not _take_parts(entry, entry.proposal, response.parts):
        _doubt_ids(state, entry, peer)
    elif _complete(entry):
        del state.fetches[block_hash]


def _doubt_ids(state: State, entry: BlockEntry, peer: PeerId) -> None:
    """Parts do not fit the ids. The ids are not signed: only the leader's own node, if it sent both, contradicts
    itself. Another may be right, and who brought the ids wrong; or it has passed them on as they came. So it costs
    nobody, and the whole body, which the header signs, decides."""
    if peer == entry.source and _is_node_of(state, peer, entry.header):
        accuse_peer(state, peer, "wrong-parts")
        return
    entry.missing, entry.parts = (), {}
    fetch(state, entry, ())


def _is_node_of(state: State, peer: PeerId, header: Header | None) -> bool:
    """Whether a peer is the node of a block's proposer, by the driver's word."""
    known = state.peers.get(peer)
    return known is not None and header is not None and known.key == header.proposer


def _whole(block_hash: Hash, response: BodyResponse, header: Header) -> StoredBlock | None:
    """The block of a full answer, None unless it is exactly what the header commits to."""
    if any(part.index != position for position, part in enumerate(response.parts)):
        return None
    transactions = tuple(part.transaction for part in response.parts)
    body = encode(Body(BODY_VERSION, transactions, response.extra))
    fits = len(body) == header.body_size and extra_root(response.extra) == header.extra_root
    if not fits or merkle_root(transactions) != header.transactions_root:
        return None
    return StoredBlock(block_hash, response.header, body)


def _take_parts(entry: BlockEntry, proposal: Proposal, parts: Sequence[Part]) -> bool:
    """Take positions of a compact block; False if one is not the transaction that its id names."""
    names = Names(proposal, entry.hash)
    for part in parts:
        if not names.fits(part.index, part.transaction):
            return False
        entry.parts[part.index] = part
    return True
