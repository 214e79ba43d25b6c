"""What a global block changed, told to the contract `shards`, which shows it to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from consensus.sharded.discipline import ShardRules
from consensus.sharded.global_state import GlobalOutcome, GlobalState, Lock, RegionView
from consensus.sharded.records import Filled, Forced, InboxItem, Paid, Released
from contracts.executor import BlockContext, EngineCall, Executor
from contracts.library_sources import SHARDS
from contracts.values import Value
from ledger.objects import Receipt
from ledger.state import Overlay
from node.shards.global_store import changed_locks, changed_members, changed_regions, items_for, member_part
from node.shards.inbox_log import inbox_length

_ROWS: Final = 64
"""Rows of one call, so that none comes near its gas."""
_GAS: Final = 50_000_000
_KINDS: Final = ("regions", "locks", "items", "people", "news")

Row = list[Value]
Places = Mapping[bytes, tuple[str, int]]


class Book:
    """See the module; `executor` is that of the chain's blocks."""

    def __init__(self, executor: Executor, rules: ShardRules) -> None:
        self._executor = executor
        self._rules = rules

    def write(
        self, view: Overlay, context: BlockContext, before: GlobalState, outcome: GlobalOutcome, places: Places
    ) -> list[Receipt]:
        """Tell what changed, in calls of a bounded size. After the state was saved. `places`: region and seq of the
        records that the block entered or settled."""
        after = outcome.state
        everything = before.height == 0
        regions = list(after.regions) if everything else self._shown(before, after)
        changed = changed_members(before, after)
        people = sorted({*after.deposits, *changed}) if everything else changed
        rows: dict[str, list[Row]] = {
            "regions": [self._region(view, after, region) for region in regions],
            "locks": [_lock(key, lock) for key, lock in changed_locks(before, after)],
            "items": [row for region in after.regions for row in _items(view, outcome, region.name)],
            "people": [_member(after, key) for key in people],
            "news": _news(outcome, places),
        }
        head: Row = [after.height, after.round, after.pool]
        flat = [(kind, row) for kind in _KINDS for row in rows[kind]]
        receipts: list[Receipt] = []
        for number, start in enumerate(range(0, max(1, len(flat)), _ROWS)):
            part = flat[start : start + _ROWS]
            arguments: Row = [head, *([row for kind, row in part if kind == wanted] for wanted in _KINDS)]
            call = EngineCall(SHARDS, "publish", number)
            receipts.append(self._executor.engine_call(view, context, call, arguments, _GAS))
        return receipts

    def _shown(self, before: GlobalState, after: GlobalState) -> list[RegionView]:
        """Regions that look different: a silent one changes its standing by doing nothing."""
        changed = {view.name for view in changed_regions(before, after)}
        for old, new in zip(before.regions, after.regions, strict=True):
            if old.standing(self._rules, before.round) is not new.standing(self._rules, after.round):
                changed.add(new.name)
        return [view for view in after.regions if view.name in changed]

    def _region(self, view: Overlay, state: GlobalState, region: RegionView) -> Row:
        position, waiting = region.position, region.pending
        return [
            region.name,
            region.chain_id,
            region.epoch,
            position.seq,
            bytes(region.record_id),
            position.root,
            region.standing(self._rules, state.round).name.lower(),
            region.lagging,
            position.money,
            position.wh,
            inbox_length(view, region.name),
            position.inbox_count,
            0 if waiting is None else waiting.publication.record.seq,
            region.confirmed[-1] if region.confirmed else 0,
        ]


def _lock(key: bytes, lock: Lock | None) -> Row:
    if lock is None:
        return [key]
    one = lock.residual
    side = one.side.name.lower()
    return [key, lock.region, side, one.owner, one.wh, one.limit, one.locked, one.expiry, one.slot]


def _items(view: Overlay, outcome: GlobalOutcome, region: str) -> list[Row]:
    new = items_for(outcome.items, region)
    first = inbox_length(view, region) - len(new)
    return [[region, number, outcome.state.height, *_item(item)] for number, item in enumerate(new, first)]


def _item(item: InboxItem) -> Row:
    match item:
        case Filled(lock, owner, money, wh, ended, traded, price):
            return ["filled", lock, owner, money, wh, ended, "", traded, price]
        case Released(lock, owner, money, wh, reason):
            return ["released", lock, owner, money, wh, True, reason, 0, 0]
        case Paid(account, money, reason):
            return ["paid", b"", account, money, 0, True, reason, 0, 0]
        case Forced():
            return ["forced", b"", b"", 0, 0, True, "", 0, 0]
        case _:
            assert_never(item)


def _member(state: GlobalState, key: bytes) -> Row:
    part = member_part(state, key)
    bar = -1 if part.bar is None else part.bar
    account = [part.deposit, bar, part.removed, state.accuracy_of(key), part.reward, part.served, part.withdrawals]
    return [key, *account]


def _news(outcome: GlobalOutcome, places: Places) -> list[Row]:
    """Events in the order in which things happened."""
    told: list[Row] = []
    for kind, records in (("entered", outcome.entered), ("confirmed", outcome.confirmed)):
        told += [[kind, *places[record], bytes(record)] for record in records]
    for one in outcome.corrections:
        told.append(["corrected", *places[one.record], one.record, one.kind, one.corrected_root])
    told += [["fined", one.member, one.region, one.seq, one.offence, one.fine] for one in outcome.fined]
    told += [["epoch", one.region, one.epoch, one.reason] for one in outcome.epochs]
    for taken in outcome.withdrawn:
        told.append(["withdrawn", taken.member, taken.region, taken.account, taken.source.label, taken.money])
    told += [["refused", code] for code in outcome.refused]
    return told
