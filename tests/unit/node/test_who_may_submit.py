"""Who may submit: accounts of genesis, approved members and meters; anybody may apply (design 3 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from solo_world import Solo, found_solo, open_solo

from contracts.applications import application_digest
from contracts.values import Value
from ledger.crypto import SigningKey
from node.client import Client
from node.client_errors import Refusal

APPLICANT, METER = SigningKey(bytes([7]) * 32), SigningKey(bytes([8]) * 32)
APPLICATION: Sequence[Value] = [
    METER.address, bytes(32), ["consumer"], ["load"], [5_000], "connection 1", "here", ["name"], [bytes(32)],
]  # fmt: skip


async def refusal_of(client: Client, key: SigningKey, contract: str, entry: str, *arguments: Value) -> str:
    """The code by which the node refuses a call at once, with its values and fix in place; "" if it takes it."""
    try:
        await client.account(key).call(contract, entry, list(arguments))
    except Refusal as error:
        refused = error
    else:
        return ""
    assert (refused.expected, refused.found) == (
        "an account of genesis, an approved member or a meter",
        key.address.hex(),
    )
    assert "registry.apply" in str(refused.fix)
    return refused.code


async def approve(client: Client, solo: Solo) -> None:
    digest = application_digest(APPLICANT.address, list(APPLICATION))
    for role, claims in (("energy_bureau", ["licence"]), ("grid_company", ["meter", "connection"])):
        outcome = await client.account(solo.key(role)).call(
            "registry", "attest", [APPLICANT.address, digest, list(claims)]
        )
        assert outcome.ok, outcome


@pytest.mark.asyncio
async def test_a_stranger_may_only_apply_until_it_is_approved(tmp_path: Path) -> None:
    layout = found_solo(tmp_path / "network", strangers=False)
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        nobody = bytes(32)
        for key in (APPLICANT, METER):
            assert await refusal_of(client, key, "token", "transfer", nobody, 1) == "NOT_MEMBER"
        assert await refusal_of(client, APPLICANT, "registry", "apply", *APPLICATION) == ""
        assert await refusal_of(client, APPLICANT, "token", "transfer", nobody, 1) == "NOT_MEMBER"  # not yet approved
        await approve(client, solo)
        for key in (APPLICANT, METER):
            assert await refusal_of(client, key, "token", "transfer", nobody, 1) == ""
        assert await refusal_of(client, solo.key("trading_center"), "token", "transfer", nobody, 1) == ""


@pytest.mark.asyncio
async def test_a_development_chain_takes_transactions_of_anybody(tmp_path: Path) -> None:
    async with open_solo(found_solo(tmp_path / "network")) as solo, Client.open(solo.url) as client:
        assert await refusal_of(client, APPLICANT, "token", "transfer", bytes(32), 1) == ""
