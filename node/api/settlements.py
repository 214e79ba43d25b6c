"""The proof file of one settlement, taken out of the chain that this node keeps."""

from __future__ import annotations

from typing import Final

from contracts.values import decode_value
from ledger.chain_reader import ChainReader
from ledger.codec import decode
from ledger.objects import Receipt
from ledger.proof_export import CentresView, build_settlement
from ledger.schema import state_storage
from ledger.succession import succession_of
from node.api.access import ApiNode
from node.api.problems import Refused

PERIODS: Final = {"wind": "slot", "community_vpp": "slot", "double_auction": "slot", "matching": "cycle"}
"""The markets, of which a chain has one that settles its meters, and what each calls a slot."""
SETTLED: Final = "Settled"


def market_of(node: ApiNode) -> str:
    """The instance that settles the meters of this chain; a chain without one has no settlements."""
    return next((contract.name for contract in node.genesis.contracts if contract.name in PERIODS), "double_auction")


def settlement_key(market: str, slot: int, meter: bytes) -> bytes:
    """State key of the entry `settlements[slot, meter]` of a market (docs/contracts.md)."""
    return state_storage(market, "settlements") + slot.to_bytes(8, "big") + meter


def export_settlement(node: ApiNode, slot: int, meter: bytes) -> tuple[int, bytes]:
    """Height that the state claim is of, and the file. Takes a while: not on the loop. Raise `GridchainError`."""
    market = market_of(node)
    key = settlement_key(market, slot, meter)
    with node.chain.view() as view:
        if view.state.get(key) is None:
            raise _none(market, slot, meter)
        place = find_settled(view.chain, view.height, _settled_from_ms(node, market, slot), market, slot, meter)
        if place is None:
            raise _none(market, slot, meter)
        if succession_of(node.genesis) is None or node.centres is None:
            return view.height, build_settlement(view, node.genesis.summary, key, place)
        with node.centres.view() as above:
            centres = CentresView(above, node.centres.genesis.summary)
            return view.height, build_settlement(view, node.genesis.summary, key, place, centres=centres)


def find_settled(
    chain: ChainReader, head: int, from_ms: int, market: str, slot: int, meter: bytes
) -> tuple[int, int] | None:
    """Height and index of the receipt with the event `Settled` of (slot, meter), in blocks of `from_ms` or later."""
    for height in range(_first_at(chain, head, from_ms), head + 1):
        for index, raw in enumerate(chain.receipt_bytes(height) or ()):
            # Most receipts name neither; decoding them all would take a hundred times as long.
            if meter in raw and SETTLED.encode() in raw and _settles(decode(Receipt, raw), market, slot, meter):
                return height, index
    return None


def _settles(receipt: Receipt, market: str, slot: int, meter: bytes) -> bool:
    for event in receipt.events:
        if (event.contract, event.name) == (market, SETTLED):
            fields = decode_value(event.data)
            if fields.get(PERIODS[market]) == slot and fields.get("meter") == meter:
                return True
    return False


def _settled_from_ms(node: ApiNode, market: str, slot: int) -> int:
    """Block time before which the slot cannot be settled: its delivery has to end first."""
    shown = node.query(market, PERIODS[market], [slot])
    end_ms = shown.get("end_ms") if isinstance(shown, dict) else None
    return node.executor.clock.block_time(end_ms) if isinstance(end_ms, int) else 0


def _first_at(chain: ChainReader, head: int, time_ms: int) -> int:
    """The lowest height whose block time is `time_ms` or later; block times ascend."""
    low, high = chain.began + 1, head + 1
    while low < high:
        middle = (low + high) // 2
        header = chain.header(middle)
        if header is not None and header.time_ms < time_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _none(market: str, slot: int, meter: bytes) -> Refused:
    return Refused(
        "no such settlement",
        code="NOT_FOUND",
        expected="a slot that is settled and a meter that was in it",
        found=f"slot {slot}, meter 0x{meter.hex()}",
        fix=f"wait until the slot is settled; the view {market}.{PERIODS[market]} tells its phase",
    )
