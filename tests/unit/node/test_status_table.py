"""What a person sees of nodes whose region has begun anew."""

from __future__ import annotations

import io

from rich.console import Console

from node.api.models import ChainView, MarketClockView, RegionEpochView, StatusView
from node.cli.query import status_table

HASH = "0x" + "00" * 32


def epoch(number: int, reason: str, standing: str) -> RegionEpochView:
    return RegionEpochView.model_validate({"number": number, "reason": reason, "began": 7, "standing": standing})


def chain(name: str, votes: bool, found: RegionEpochView | None) -> ChainView:
    return ChainView(
        name=name, chain_id=name, engine="x", height=12, head_hash=HASH, head_time_ms=0, votes=votes,
        stopped_reason="", region_epoch=found,
    )  # fmt: skip


def status(chains: list[ChainView]) -> StatusView:
    home = chains[0]
    return StatusView(
        name="n", version="1", language="pyc/1", gas_version=1, chain_id="c", network_id="net", chain=home.name,
        genesis_hash=HASH, engine="x", height=12, head_hash=HASH, head_time_ms=0, state_root=HASH, epoch=1, view=1,
        leader="l", peers=[], mempool=0, held=False, stopped_reason="", ready=True, clock_ms=0,
        market_clock=MarketClockView(genesis_ms=0, origin_ms=0, speed=1), chains=chains, region_epoch=home.region_epoch,
    )  # fmt: skip


def shown(found: StatusView) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(status_table([("n", found)]))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_member_shows_the_epoch_and_why_and_a_centre_where_it_votes() -> None:
    second, first = epoch(2, "takeover", "runs"), epoch(1, "", "over")
    member = shown(
        status([chain("north", False, second), chain("global", False, None), chain("north.1", False, first)])
    )
    assert "ready, epoch 2 (takeover)" in member
    assert "north.1" not in member
    centre = shown(status([chain("global", True, None), chain("north", True, second), chain("south", False, first)]))
    assert "north/2 12 (votes)" in centre
    late = shown(status([chain("north", False, epoch(2, "members", "left")), chain("global", False, None)]))
    assert "left: epoch 2 (members)" in late
