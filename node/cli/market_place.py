"""Placing orders: in clear with one call; sealed with a commitment now and a revelation when its time has come.

What is committed to is on disk before the commitment leaves (`market_sealed`), and every way out of here leaves it
there unless the chain has said that it is of no more use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.values import Value
from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.api.models import ReceiptView
from node.cli.market_auction import DoubleAuction
from node.cli.market_chain import find_member, market_now
from node.cli.market_kinds import Call, Market, Row, Sealing, Window, Wish
from node.cli.market_sealed import REVEALED, VOID, Hidden, Kept, SealedStore, seal
from node.cli.market_units import show_energy, show_money
from node.cli.output import Output
from node.client import Account, Client, Refusal, Unreachable

GAS: Final = 10_000_000
EARLY: Final = frozenset({"WINDOW_CLOSED"})
OVER: Final = frozenset({"ORDER_LATE", "NO_STAGE_TWO"})
_WATT_MS_PER_WH: Final = 3_600_000
_ONE: Final = 1_000_000
NO_RECEIPT: Final = "NO_RECEIPT"
_MARGIN_S: Final = 0.1
_PAUSE_S: Final = 0.5
_LONGEST_SLEEP_S: Final = 30.0
_FIXES: Final = {
    "INSUFFICIENT_FUNDS": "the treasury deposits money: token.deposit by the trading center; or order less",
    "DEBT_LIMIT": "pay the debt first: gridchain query contract token account --args '[ADDRESS]' shows it",
    "NOT_MEMBER": "apply at the registry first, or use the key of a member or its meter",
    "SUSPENDED": "the energy bureau reinstates members",
    "WINDOW_CLOSED": "gridchain market info shows what is open",
    "ORDER_LATE": "gridchain market info shows what is open",
    "ONE_SIDE": "sell with this meter, or buy, not both in one slot",
    "BAD_WH": "more than 0, at most what the devices are rated for in a slot",
    "SELF_TRADE": "choose a quotation of another owner",
    "NO_STAGE_TWO": "prices can be changed only between T1 and T2, if stage 1 left orders on both sides",
    "REQUOTED": "an order has one other price, and none if it follows the reference price",
}
_RULES: Final = {
    "WINDOW_CLOSED": ("a period that takes orders now", "one that does not"),
    "ORDER_LATE": ("a call before the gate", "the gate has passed"),
    "NOT_MEMBER": ("the key of a member or its meter", "a stranger's"),
    "SUSPENDED": ("an active member", "a suspended one"),
    "ONE_SIDE": ("one side for each meter and slot", "an order on the other side"),
    "SELF_TRADE": ("the quotation of another owner", "one of the same owner"),
    "REQUOTED": ("an order that keeps its price", "one that has its price for stage 2"),
}
"""What was expected and found, for codes that come without figures."""


@dataclass(slots=True)
class Desk:
    """Somebody who orders: a key, where it lies, and the market at a node."""

    client: Client
    market: Market
    key: SigningKey
    store: SealedStore
    chain_id: str
    account: Account
    timeout_s: float

    @classmethod
    async def open(cls, client: Client, market: Market, key: SigningKey, key_file: Path, timeout_s: float) -> Desk:
        """A desk for the key in `key_file`."""
        store = SealedStore(key_file)
        return cls(client, market, key, store, await client.chain_id(), client.account(key), timeout_s)

    async def call(self, call: Call, contract: str = "") -> ReceiptView:
        """Send a call, of the market unless another contract is named, and return its receipt. Raise `Refusal` with the
        contract's code if it failed."""
        callee, arguments = contract or self.market.contract, list(call.arguments)
        outcome = await self.account.call(callee, call.entry, arguments, gas_limit=GAS, timeout_s=self.timeout_s)
        receipt = await self.client.receipt(outcome.id)
        if not outcome.ok:
            raise _refused(callee, call.entry, outcome.code, receipt.value if receipt else None)
        if receipt is None:
            raise Unreachable(
                "the call was carried out, and its receipt cannot be read",
                code=NO_RECEIPT,
                expected="the receipt of a committed call",
                found="0x" + outcome.id.hex(),
                fix="gridchain market list shows what became of it",
            )
        return receipt

    async def place(self, wish: Wish) -> Row:
        """Place an order, or commit to it. Raise `GridchainError`."""
        plain, sealing = self.market.plain(wish), self.market.sealing(wish)
        check_bounds(self.market, wish, (await find_member(self.client, self.key.address)).rated_w)
        if not self.market.sealed or sealing is None:
            receipt = await self.call(plain)
            return {"state": "placed", "seq": receipt.value, **_place(receipt)}
        return await self.commit(wish.period, wish.side, sealing)

    async def commit(self, period: int, side: str, sealing: Sealing) -> Row:
        """Commit to what `sealing` hides; first to disk, then to the chain."""
        nonce, mark = seal(sealing.text, self.key.address, period)
        kept = self.store.keep(
            Hidden(
                chain_id=self.chain_id,
                contract=self.market.contract,
                entry=sealing.reveal.entry,
                arguments=list(sealing.reveal.arguments),  # type: ignore[arg-type]  # numbers, texts, lists of numbers
                period=period,
                side=side,
                sender=self.key.address.hex(),
                nonce=nonce.hex(),
                mark=mark.hex(),
            )
        )
        try:
            receipt = await self.call(Call(sealing.commit, (period, mark)))
        except Refusal:
            self.store.mark(kept, VOID)
            raise
        return {"state": "committed", "commitment": "0x" + mark.hex(), "file": str(kept.file), **_place(receipt)}

    def waiting(self) -> list[Kept]:
        """What this key may still reveal here."""
        return [
            kept
            for kept in self.store.waiting(self.chain_id, self.key.address)
            if kept.hidden.contract == self.market.contract
        ]

    async def window(self, hidden: Hidden) -> Window:
        """When it may be revealed."""
        if hidden.entry == "reveal_requote" and isinstance(self.market, DoubleAuction):
            return self.market.requote_window(hidden.period)
        return await self.market.window(self.client, hidden.period)

    async def reveal_all(self, output: Output, *, wait: bool, only: str = "") -> AsyncIterator[Row]:
        """Reveal whatever is due, the earliest first; with `wait` also what will be. What becomes of each. `only`: one
        commitment."""
        wanted = [kept for kept in self.waiting() if only in ("", "0x" + kept.hidden.mark)]
        timed = [((await self.window(kept.hidden)).reveal_ms or 0, kept) for kept in wanted]
        for due_ms, kept in sorted(timed, key=lambda pair: (pair[0], pair[1].hidden.mark)):
            if wait:
                await self._until(due_ms, output)
            yield {**describe(kept.hidden), **await self._reveal(kept, wait=wait)}

    async def _until(self, market_ms: int, output: Output) -> None:
        """Sleep until the market's time has come; the node's clock is asked again and again."""
        while True:
            status = await self.client.status()
            left_s = (market_ms - market_now(status)) / status.market_clock.speed / 1000
            if left_s <= 0:
                return
            output.note(f"revelations begin in {left_s:.0f} s")
            await asyncio.sleep(min(left_s + _MARGIN_S, _LONGEST_SLEEP_S))

    async def _reveal(self, kept: Kept, *, wait: bool) -> Row:
        hidden = kept.hidden
        arguments: tuple[Value, ...] = (*hidden.arguments, bytes.fromhex(hidden.nonce))
        while True:
            try:
                receipt = await self.call(Call(hidden.entry, arguments))
            except Refusal as refusal:
                status = await self.client.status()
                over = market_now(status) >= (await self.window(hidden)).end_ms
                if refusal.code == "NO_COMMITMENT" and over:
                    self.store.mark(kept, VOID)  # revealed by a command that did not live to say so, or never arrived
                    return {"state": "gone", "code": refusal.code}
                if refusal.code in OVER:
                    self.store.mark(kept, VOID)
                    return {"state": "lost", "code": refusal.code}
                if refusal.code in EARLY and wait:
                    await asyncio.sleep(_PAUSE_S)  # a block may carry an older time than the node's clock
                    continue
                state = "waiting" if refusal.code in EARLY else "refused"
                return {"state": state, "code": refusal.code, "fix": refusal.fix}
            self.store.mark(kept, REVEALED)
            refused = hidden.contract == "community_vpp" and receipt.value is None
            return {"state": "rejected" if refused else "placed", "seq": receipt.value, **_place(receipt)}


def check_bounds(market: Market, wish: Wish, rated_w: int) -> None:
    """Refuse here what the contract would refuse only at the revelation, when the deposit is at stake. Raise
    `ConfigError` (BAD_WH, BAD_PRICE)."""
    terms = market.parameters
    margin = _ONE + terms.get("margin_ppm", _ONE)
    most = rated_w * terms["slot_ms"] * margin // (_WATT_MS_PER_WH * _ONE) + 1
    dearest = terms.get("max_price", terms.get("ceiling", max(wish.prices)))
    if not 0 <= max(wish.wh) <= most or (len(wish.wh) == 1 and wish.wh[0] == 0):
        raise ConfigError(
            "these devices neither make nor use so much in a slot",
            code="BAD_WH",
            expected=f"more than 0, at most {show_energy(most)} ({rated_w} W)",
            found=show_energy(max(wish.wh)),
            fix="0.5 is half a kilowatt hour, 500Wh as well",
        )
    if max(wish.prices) > dearest:
        raise ConfigError(
            "no order of this market costs so much",
            code="BAD_PRICE",
            expected=f"at most {show_money(dearest)} per kWh",
            found=show_money(max(wish.prices)),
            fix="prices are currency per kWh",
        )


def describe(hidden: Hidden) -> Row:
    """What is committed to, as it is shown to its owner."""
    return {"period": hidden.period, "side": hidden.side, "entry": hidden.entry, "arguments": hidden.arguments}


def _place(receipt: ReceiptView) -> Row:
    return {"id": receipt.id, "height": receipt.height, "gas": receipt.gas}


def _refused(contract: str, entry: str, code: str, details: Any) -> Refusal:
    expected, found = _RULES.get(code, (f"a call of {contract}.{entry} that its rules allow", code))
    if isinstance(details, dict) and len(details) == 2:
        (expected_name, expected_value), (found_name, found_value) = details.items()
        expected, found = f"{expected_name} {expected_value}", f"{found_name} {found_value}"
    return Refusal(
        f"the market refused {entry}",
        code=code,
        expected=expected,
        found=found,
        fix=_FIXES.get(code, f"docs/contracts.md says what {contract}.{entry} refuses with {code}"),
    )
