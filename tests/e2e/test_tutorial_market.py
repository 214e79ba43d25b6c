"""docs/tutorial-market.md, command by command as it stands there, on a faster clock."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deploy
from deploy.main import app
from node.cli.output import run_command

ROOT = Path(deploy.__file__).resolve().parents[1]
SPEED = "240"
"""Instead of 20: a slot takes 3.75 s."""
PATIENCE_S = 90.0


def commands() -> list[str]:
    text = (ROOT / "docs" / "tutorial-market.md").read_text(encoding="utf-8")
    return re.findall(r"^    (gridchain .+)$", text, re.MULTILINE)


def until(ask: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not done(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


@pytest.mark.timeout(240)
def test_the_tutorial(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start, info, *rest = commands()
    offer, bid, listing, reveal, reveal_too, trades, reading, reading_too, bill, bills_csv, trades_json = rest
    monkeypatch.chdir(tmp_path)
    places: dict[str, str] = {}

    def run(line: str) -> tuple[int, Any]:
        for place, value in places.items():
            line = re.sub(rf"\b{place}\b", value, line)
        words = [*shlex.split(line)[1:], "--json"]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = int(run_command(app, words))
        return code, json.loads(capsys.readouterr().out)

    def done(line: str) -> Any:
        code, document = run(line)
        assert code == 0, (line, document)
        return document

    words = shlex.split(start.replace("20", SPEED))[1:]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.main", *words, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as dev:
        try:
            assert dev.stdout is not None
            network = json.loads(dev.stdout.readline())
            monkeypatch.setenv("GRIDCHAIN_URL", network["nodes"][0]["url"])
            addresses = {entry["name"]: entry["address"] for entry in network["accounts"]}
            places |= {"KEYS": str(Path(network["accounts"][0]["key"]).parent), "CONSUMER": addresses["consumer1"]}
            last = done(info)["open"][-1]["slot"]
            places["SLOT"] = str(until(lambda: done(info)["open"][-1]["slot"], lambda slot: slot > last))
            sealed = done(info)["sealed"]
            assert {done(line)["state"] for line in (offer, bid)} == {"committed" if sealed else "placed"}
            (order,) = done(listing)["orders"]
            assert order["state"] == ("committed" if sealed else "placed")
            for line in (reveal, reveal_too):
                assert [row["state"] for row in done(line)["revealed"]] == ["placed"] * sealed
            (trade,) = until(lambda: done(trades)["trades"], bool)
            assert (trade["wh"], trade["price"], trade["money"]) == (500, 540_000, 270_000)
            for line in (reading, reading_too):
                until(lambda: run(line), lambda found: found[0] == 0)  # noqa: B023 - asked at once
            found = until(lambda: done(bill), lambda shown: shown["settled"] == 1)
            assert [(line["kind"], line["wh"], line["amount"]) for line in found["lines"]] == [
                ("trade_bought", 500, -270_000), ("grid_sold", 20, 9_000),
            ]  # fmt: skip
            assert (found["amount"], found["grid_only"], found["gain"]) == (-261_000, -321_600, 60_600)
            assert (found["self_sufficiency_ppm"], found["estimated"]) == (1_000_000, 0)
            assert done(bills_csv)["rows"] >= 4
            with Path("bills.csv").open(encoding="utf-8", newline="") as stream:
                rows = [row for row in csv.DictReader(stream) if row["account"] == addresses["consumer1"]]
            assert sum(int(row["amount"]) for row in rows) == -261_000
            assert done(trades_json)["rows"] == 1
            (kept,) = json.loads(Path("trades.json").read_text(encoding="utf-8"))["rows"]
            assert kept == trade
            dev.send_signal(signal.SIGINT)
            assert dev.wait(20) == 0
        finally:
            if dev.poll() is None:
                dev.terminate()
                dev.wait(20)
