"""How a region begins anew: the genesis and the first state of the chain that continues another (ADR 0285).

A chain goes on after the last record that the global chain has confirmed. Its first state is the one before the block
that closed that record, with the closing itself, because the global chain has opened the locks of that closing already.
All that the old chain did from that block on is void; its transactions are there to be sent again. A corrected record
counts as the centres found it (`node.shards.recomputed`).

Everything here is a pure function of the global chain's state and of a copy of the old chain, so members and centres
found the same, however far their copies are, or say that theirs is not far enough.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from consensus.sharded.lottery import LotteryState
from consensus.sharded.records import record_of
from ledger.chain import ChainStore
from ledger.codec import encode
from ledger.engine_settings import GenesisValidator
from ledger.errors import InvariantBroken
from ledger.genesis import Genesis
from ledger.objects import Block
from ledger.shard_genesis import hosted_genesis
from ledger.state import NO_LIMIT, Overlay, StateBase, StateReader
from ledger.store import Store
from ledger.succession import Succession, SuccessorGenesis, fields_of, succession_of, successor_block
from ledger.validators import Validator
from node.application import STATE_VALIDATORS
from node.commit import STATE_TURNS, StateDivergence
from node.founding import region_replay
from node.log import Logger
from node.shards.inbox_log import inbox_items
from node.shards.openings_log import Opening, openings
from node.shards.past_state import Replay, state_after
from node.shards.recomputed import Mail, recompute
from node.shards.region_state import read_closed, read_progress, read_section, write_progress

__all__ = ["Opening", "found_successor", "openings", "successor_genesis", "void_transactions"]

CORRECTED: Final = "corrected "
"""How the reason of an opening begins that a wrong record has led to."""
TELL_S: Final = 2.0
_PAGE: Final = 4_096


def successor_genesis(network: Genesis, region: str, opened: Sequence[Opening]) -> SuccessorGenesis:
    """The genesis of the chain that the last of a region's openings makes. `opened`: all up to that one, oldest first.
    Raise `InvariantBroken` if they are no line from the region's first chain."""
    first = hosted_genesis(network, region)
    line = [first.chain_id, *(one.chain_id for one in opened)]
    epochs = [one.opened.epoch for one in opened]
    if not opened or [one.before for one in opened] != line[:-1] or epochs != list(range(2, len(opened) + 2)):
        raise InvariantBroken(f"openings of {region} that do not follow one another: {epochs}")
    last = opened[-1]
    base = last.opened
    fields = fields_of(first) | {"validators": tuple(_voter(network, member) for member in base.members)}
    succession = Succession(
        region, last.chain_id, first.chain_id, last.before, base.epoch, base.base_seq, base.base_record
    )
    return SuccessorGenesis(**fields, succession=succession)


def found_successor(
    store: Store,
    genesis: SuccessorGenesis,
    predecessor: ChainStore,
    opening: Opening,
    centres: StateReader,
    log: Logger | None = None,
) -> bool:
    """Write the first state of a chain into an empty store, from a copy of the chain before; False if that copy does
    not reach the base yet. `centres`: any state of the global chain that has the opening, for a correction.
    Where old values do not reach the base, the old chain is executed again, which may take minutes; `log` hears of it.

    Raise `StateDivergence` if the copy is of another history than the global chain has confirmed, `StoreError`.
    """
    base = _base(predecessor, opening)
    if base is None:
        return False
    replay = region_replay(opening.opened.region, _genesis_before(genesis, predecessor))
    if log is not None:
        replay = dataclasses.replace(replay, tell=_Pace(log, opening.opened.region))
    with _closed_state(predecessor, opening, base, replay, centres) as state:
        view = Overlay(state)
        _begin_anew(view, genesis, base)
        root = view.seal()
        first = Overlay(StateBase(store))
        for key, value in _entries(view):
            first.put(key, value)
    if first.seal() != root:
        raise InvariantBroken("the state that is written is not the one that was found")
    block = successor_block(genesis, base.height, base.time_ms, root)
    ChainStore.create(store, genesis, block, (), first.delta())
    return True


def void_transactions(predecessor: ChainStore, opening: Opening) -> list[bytes]:
    """Transactions of the blocks that are void, in their order: of the one that closed the last confirmed record, and
    of all after it. Nothing while the copy does not reach the base. Raise `StateDivergence` as `found_successor`."""
    base = _base(predecessor, opening)
    if base is None:
        return []
    first = base.height if base.closing is not None else base.height + 1
    blocks = [predecessor.block(height) for height in range(first, predecessor.height + 1)]
    return [raw for block in blocks if block is not None for raw in block.body.transactions]


# --- where a chain is left --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Base:
    """Where a chain is left. `height`, `time_ms`: of the block that closed the last confirmed record (`closing`), else
    of its first block: nothing that it did is confirmed then."""

    height: int
    time_ms: int
    closing: Block | None


def _base(predecessor: ChainStore, opening: Opening) -> _Base | None:
    """None if the copy is not so far."""
    seq, succession = opening.opened.base_seq, succession_of(predecessor.genesis)
    if predecessor.genesis.chain_id != opening.before:
        raise InvariantBroken(f"{opening.chain_id} does not continue {predecessor.genesis.chain_id}")
    if seq == (0 if succession is None else succession.base_seq):
        header = predecessor.header(predecessor.first)
        if header is None:
            raise InvariantBroken("a chain without its first block")
        return _Base(header.height, header.time_ms, None)
    with predecessor.view() as head:
        closed = read_closed(head.state, seq)
    block = None if closed is None else predecessor.block(closed.height)
    if block is None:
        return None
    section = read_section(block.body.extra)
    epoch = 1 if succession is None else succession.epoch
    record = None if section is None else record_of(block.header, block.hash, section, epoch).id
    if record != opening.opened.base_record:
        raise StateDivergence(
            f"record {seq} of {opening.opened.region} is another here than the one that is confirmed",
            expected=opening.opened.base_record.hex(),
            found="none" if record is None else record.hex(),
            fix="remove this node's copy of the region's old chain and follow it again from the others",
        )
    return _Base(block.header.height, block.header.time_ms, block)


@contextmanager
def _closed_state(
    predecessor: ChainStore, opening: Opening, base: _Base, replay: Replay, centres: StateReader
) -> Iterator[Overlay | StateBase]:
    """State with which the chain is left, its last record closed."""
    if base.closing is None:
        with state_after(predecessor, base.height, replay) as state:
            yield state
    elif opening.opened.reason.startswith(CORRECTED):
        with recompute(predecessor, replay, opening.opened.base_seq, _mail(predecessor, opening, centres)) as found:
            _same_root(opening, found.position.root)
            yield found.after
    else:
        with state_after(predecessor, base.height - 1, replay) as state:
            _same_root(opening, state.root)
            yield replay.execution.begin(base.closing.header, state, base.closing.body.extra)


def _same_root(opening: Opening, root: bytes) -> None:
    if root != opening.opened.base_root:
        raise StateDivergence(
            f"the state after record {opening.opened.base_seq} of {opening.opened.region} is another here",
            expected=opening.opened.base_root.hex(),
            found=root.hex(),
            fix="compare the node's version with the others'; follow the region's old chain again from them",
        )


def _mail(predecessor: ChainStore, opening: Opening, centres: StateReader) -> Mail:
    """What the record that was corrected could consume."""
    with predecessor.view() as head:
        before = read_closed(head.state, opening.opened.base_seq - 1)
    consumed = 0 if before is None else before.section.inbox_count
    posted = inbox_items(centres, opening.opened.region, consumed, NO_LIMIT)
    return Mail([(one.height, one.item) for one in posted], opening.known)


# --- the first state --------------------------------------------------------------------------------------------------


def _begin_anew(view: Overlay, genesis: SuccessorGenesis, base: _Base) -> None:
    """What a chain does not take over: who votes, whose turn it is, the epochs that orders were drawn for. The record
    before is named by genesis (`RegionRules.base_record`), so no height of the old chain stays."""
    view.put(STATE_VALIDATORS, encode(genesis.validator_set.validators))
    view.delete(STATE_TURNS)
    progress = replace(read_progress(view), lottery=LotteryState(), n_tx=0, changed=False)
    if base.closing is not None:
        progress = replace(progress, closed_height=0, closed_hash=base.closing.hash)
    write_progress(view, progress)


def _entries(view: Overlay) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    while page := view.scan(b"", after, _PAGE):
        yield from page
        after = page[-1][0]


def _voter(network: Genesis, member: Validator) -> GenesisValidator:
    """Possession of a key that genesis does not know was the centres' to see to."""
    known = {voter.public_key: voter.possession for voter in network.all_validators}
    possession = known.get(member.public_key, bytes(64))
    return GenesisValidator(member.name, member.public_key, member.weight, possession)


# --- the old chain again ----------------------------------------------------------------------------------------------


class _Pace:
    """Tells people every two seconds how far the execution is."""

    def __init__(self, log: Logger, region: str) -> None:
        self._log, self._region = log, region
        self._told = time.monotonic()

    def __call__(self, height: int, last: int) -> None:
        now = time.monotonic()
        if now - self._told >= TELL_S:
            self._told = now
            self._log.info("a region's old chain is executed again", region=self._region, height=height, last=last)


def _genesis_before(genesis: SuccessorGenesis, predecessor: ChainStore) -> Genesis:
    """The predecessor's genesis with its sources, which its store does not keep."""
    fields = fields_of(genesis) | {"validators": predecessor.genesis.validators}
    del fields["succession"]
    succession = succession_of(predecessor.genesis)
    found = Genesis(**fields) if succession is None else SuccessorGenesis(**fields, succession=succession)
    if found.hash != predecessor.genesis.hash:
        raise InvariantBroken("the chain before is not of this network")
    return found
