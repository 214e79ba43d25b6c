"""Calls that a command makes for its user and waits for: the receipt, or why the contract refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.values import Value
from ledger.crypto import SigningKey
from node.api.models import ReceiptView
from node.client import Client, Refusal

GAS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Manners:
    """How a contract's refusals are told. `refused`: what happened, with `{entry}`; `expected`: what it takes; `fixes`:
    next steps by code."""

    refused: str
    expected: str
    fixes: Mapping[str, str]


async def called(
    client: Client, signer: SigningKey, call: tuple[str, str, Sequence[Value]], manners: Manners
) -> tuple[bytes, ReceiptView]:
    """Id and receipt of a call (contract, entry, arguments) that took effect. Raise `Refusal` with its code."""
    contract, entry, arguments = call
    outcome = await client.account(signer).call(contract, entry, arguments, gas_limit=GAS)
    receipt = await client.receipt(outcome.id)
    if receipt is None or not receipt.ok:
        code = "NOT_FOUND" if receipt is None else receipt.code
        raise Refusal(
            manners.refused.format(entry=entry), code=code, expected=manners.expected, found=code,
            fix=manners.fixes.get(code, "gridchain tx status shows the receipt"),
        )  # fmt: skip
    return outcome.id, receipt
