"""The files of sealed orders: written before anything is sent, never lost, never mixed up."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from contracts.sealed_orders import auction_order
from ledger.errors import ConfigError
from node.cli.market_sealed import REVEALED, VOID, Hidden, SealedStore, seal

SENDER = bytes(range(32))


def hidden(period: int = 5, sender: bytes = SENDER, chain: str = "dev-a") -> Hidden:
    text = auction_order("sell", 500, 480_000, "keep")
    nonce, mark = seal(text, sender, period)
    return Hidden(
        chain_id=chain,
        contract="double_auction",
        entry="reveal_order",
        arguments=[period, "sell", 500, 480_000, "keep"],
        period=period,
        side="sell",
        sender=sender.hex(),
        nonce=nonce.hex(),
        mark=mark.hex(),
    )


def test_a_commitment_is_what_the_contract_computes() -> None:
    text = auction_order("buy", 500, 620_000, "reference")
    nonce, mark = seal(text, SENDER, 7)
    assert len(nonce) == 32
    assert mark == hashlib.sha256(text + nonce + SENDER + (7).to_bytes(8, "big")).digest()
    assert seal(text, SENDER, 7)[0] != nonce


def test_what_is_kept_is_found_again_by_its_sender_on_its_chain(tmp_path: Path) -> None:
    store = SealedStore(tmp_path / "home.key")
    kept = [store.keep(hidden(5)), store.keep(hidden(6)), store.keep(hidden(5))]
    store.keep(hidden(5, sender=bytes(32)))
    store.keep(hidden(5, chain="dev-b"))
    again = SealedStore(tmp_path / "other.key")
    marks = {one.hidden.mark for one in again.waiting("dev-a", SENDER)}
    assert marks == {one.hidden.mark for one in kept}
    assert {one.hidden.sender for one in again.waiting("dev-a", bytes(32))} == {bytes(32).hex()}
    store.mark(kept[0], REVEALED)
    store.mark(kept[1], VOID)
    assert [one.hidden for one in store.waiting("dev-a", SENDER)] == [kept[2].hidden]
    assert len(list(store.folder.iterdir())) == 5, "nothing is deleted"


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = SealedStore(tmp_path / "home.key")
    kept = store.keep(hidden())
    assert kept.file.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError) as refused:
        store.keep(kept.hidden)
    assert refused.value.code == "SEALED_FILE", "a file is never overwritten"


def test_a_file_is_synced_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    kept = SealedStore(tmp_path / "home.key").keep(hidden())
    assert synced == [str(kept.file), str(kept.file.parent)]


def test_a_damaged_file_is_an_error_not_a_loss(tmp_path: Path) -> None:
    store = SealedStore(tmp_path / "home.key")
    kept = store.keep(hidden())
    kept.file.write_bytes(kept.file.read_bytes()[:-20])
    with pytest.raises(ConfigError) as refused:
        list(store.waiting("dev-a", SENDER))
    assert refused.value.code == "SEALED_FILE"
    assert kept.file.is_file()
