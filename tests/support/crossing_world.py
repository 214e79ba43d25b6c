"""Regions whose markets trade with each other: a chain of library contracts each, and the clearing of the global chain.

What lies between them is the rules themselves (`consensus.sharded.clearing`), without records, blocks or votes: a round
collects what regions closed, clears, and leaves items in inboxes. A region that is `away` closes and hears nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from market_world import CHAIN_ID, MarketWorld, meter
from shard_world import members, verify

from consensus.sharded.clearing import clear_locks, expire_locks, open_residuals
from consensus.sharded.discipline import ShardRules
from consensus.sharded.global_state import GlobalContext, GlobalState, RegionView
from consensus.sharded.records import Asset, Filled, InboxItem, RegionPosition, Released, Residual, Side
from consensus.sharded.work import Work
from consensus.simulator.body_audit import BodyAuditor
from consensus.simulator.scheme import MockScheme
from contracts.library_crossing import Crossing
from contracts.values import decode_value
from ledger.crypto import ZERO_HASH
from ledger.objects import Receipt

BLOCKS = 4


class Regions:
    """See the module. `worlds` by name; `missed`: what a region closed while it was away, in order."""

    def __init__(self, names: tuple[str, ...], rules: ShardRules | None = None, **changes: Any) -> None:
        crossing = changes.pop("crossing", Crossing(blocks=BLOCKS))
        self.worlds = {
            name: MarketWorld(crossing=crossing, chain_id=f"dev-{name}{CHAIN_ID[4:]}", **changes) for name in names
        }
        self.away: set[str] = set()
        self.missed: dict[str, list[Residual]] = {name: [] for name in names}
        views = tuple(
            RegionView(name, world.chain_id, members(name), RegionPosition(0, ZERO_HASH, 0, 0, 0, 0))
            for name, world in self.worlds.items()
        )
        checked = rules or ShardRules(fee_ppm=1_000)
        self.context = GlobalContext(checked, members("centre"), MockScheme, verify, BodyAuditor(verify, ()))
        self.state = GlobalState(views)
        self.heard = dict.fromkeys(names, 0)

    def everywhere(self, market_ms: int) -> None:
        """All regions reach a market time."""
        for world in self.worlds.values():
            world.go(market_ms)

    def close(self, name: str) -> list[Residual]:
        """A region ends a record; what of it goes to the global chain."""
        world = self.worlds[name]
        seq, _ = world.query("crossing", "position")
        receipt = world.engine("crossing", "close", seq + 1, self.heard[name])
        assert receipt.ok, (receipt.code, receipt.line)
        found = []
        for row in decode_value(receipt.value):
            found.append(Residual(row[0], Side(row[1]), *row[2:]))
        return found

    def round(self) -> list[tuple[str, InboxItem]]:
        """Regions close a record, one global block decides, inboxes are consumed. The items of the block."""
        work = Work(self.context, replace(self.state, height=self.state.height + 1))
        for name in self.worlds:
            self.missed[name] += self.close(name)
            if name not in self.away:
                residuals, self.missed[name] = tuple(self.missed[name]), []
                open_residuals(work, work.view(name), residuals)
        expire_locks(work)
        clear_locks(work)
        self.state = work.state
        self.check()
        for name in self.worlds:
            if name not in self.away:
                self.deliver(name)
        self.check()
        return work.items

    def deliver(self, name: str) -> None:
        """A region consumes its inbox."""
        view = self.state.region(name)
        assert view is not None
        for _, item in view.inbox:
            receipt = self.consume(name, item)
            assert receipt.ok, (receipt.code, receipt.line, item)
        self.heard[name] = self.state.height
        regions = tuple(replace(one, inbox=()) if one.name == name else one for one in self.state.regions)
        self.state = replace(self.state, regions=regions)
        self.worlds[name].run_due()

    def consume(self, name: str, item: InboxItem, **changes: Any) -> Receipt:
        """One item; `changes` falsify it."""
        assert isinstance(item, Filled | Released)
        filled = isinstance(item, Filled)
        given = {
            "kind": 1 if filled else 2, "lock": item.lock_id, "owner": item.owner, "money": item.money, "wh": item.wh,
            "ended": item.ended if isinstance(item, Filled) else True,
            "reason": "" if isinstance(item, Filled) else item.reason,
            "traded": item.traded if isinstance(item, Filled) else 0,
            "price": item.price if isinstance(item, Filled) else 0, **changes,
        }  # fmt: skip
        return self.worlds[name].engine("crossing", "consume", *given.values())

    def check(self) -> None:
        """Money and energy over all regions, what they closed and nobody took, locks, inboxes and the pool."""
        minted = money = wh = 0
        views = []
        for name, world in self.worlds.items():
            world.assert_money_conserved()
            supply = world.query("token", "supply")
            minted += supply["minted"] - supply["burned"]
            found = world.query("crossing", "totals")
            money += sum(one.locked for one in self.missed[name] if one.side is Side.BUY)
            wh += sum(one.locked for one in self.missed[name] if one.side is Side.SELL)
            view = self.state.region(name)
            assert view is not None
            views.append(replace(view, position=RegionPosition(0, ZERO_HASH, 0, 0, found[0], found[1])))
        state = replace(self.state, regions=tuple(views))
        assert state.conserved(Asset.MONEY) + money == minted
        assert state.conserved(Asset.ENERGY) + wh == 0

    def forecast(self, region: str, name: str, slot: int, side: str, wh: int) -> None:
        """What a meter expects of a slot."""
        self.worlds[region].done(meter(name), "metering", "submit_forecast", slot, side, wh)
