"""`gridchain market` on the four markets, sealed, each on a node of its own: from the first commitment to the bill.

The nodes run side by side, so the four days take the time of one. Bills add up to balances in every market.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from market_street import FIRST, FUNDS, ROOT, STREET, Street, found_street, run_node, settle_in

from deploy.main import app
from node.cli.output import run_command

PATIENCE_S = 90.0
EXPORTS = ("orders", "trades", "settlements", "bills", "readings", "schedule", "tariffs")


@contextmanager
def open_streets(home: Path, letters: str) -> Iterator[dict[str, Street]]:
    """The markets named, with members and money."""
    with ExitStack() as stack:
        layouts = {letter: found_street(home / f"street-{letter}", letter) for letter in letters}
        urls = {letter: stack.enter_context(run_node(layout)) for letter, layout in layouts.items()}
        found = {letter: Street(letter, layouts[letter], urls[letter]) for letter in letters}

        async def settle_all() -> None:
            async with asyncio.TaskGroup() as group:
                for street in found.values():
                    group.create_task(settle_in(street))

        asyncio.run(settle_all())
        yield found


class Terminal:
    """Runs commands in this process and reads their one JSON document."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._patch = monkeypatch

    def run(self, street: Street, *words: object) -> tuple[int, Any]:
        line = [*map(str, words), "--url", street.url, "--json"]
        self._patch.setattr(sys, "argv", ["gridchain", *line])
        code = int(run_command(app, line))
        return code, json.loads(self._capsys.readouterr().out)

    def done(self, street: Street, *words: object) -> Any:
        code, document = self.run(street, *words)
        assert code == 0, (words, document)
        return document

    def text(self, street: Street, *words: object) -> str:
        line = [*map(str, words), "--url", street.url]
        self._patch.setattr(sys, "argv", ["gridchain", *line])
        assert run_command(app, line) == 0, self._capsys.readouterr().err
        return self._capsys.readouterr().out


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(capsys, monkeypatch)


def until(ask: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not done(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def place(terminal: Terminal, street: Street, period: int) -> dict[str, Any]:
    """Two households trade, one commits and never reveals."""

    def order(kind: str, name: str, energy: str, price: str, *more: object) -> Any:
        return terminal.done(street, "market", kind, period, energy, price, "--key", street.key(name), *more)

    if street.letter == "A":
        return {
            "mill": order("offer", "mill", "0.5,0.4", "0.48"),
            "home": order("bid", "home", "0.3x2", "0.6"),
            "shop": order("bid", "shop", "0.1", "0.5"),
        }
    if street.letter == "B":
        quoted = order("offer", "solar", "0.5", "0.48")
        number = ("--quotation", quoted["seq"])
        bids = {name: order("bid", name, "0.3", "0.6", *number) for name in ("home", "shop")}
        return {"solar": quoted, **bids}
    placed: dict[str, Any] = {}
    if street.letter == "C":
        placed["home"] = killed_while_waiting(street, "home", "bid", period, "500Wh", "0.6")
        placed["roof"] = order("offer", "roof", "0.2", "0.66", "--requote", "keep")
        placed["mill"] = order("bid", "mill", "0.2", "0.46", "--requote", "keep")
    else:
        placed["home"] = order("bid", "home", "500Wh", "0.6")
    solar = order("offer", "solar", "0.5", "0.48")
    return {**placed, "solar": solar, "shop": order("bid", "shop", "0.1", "0.5")}


def reveal(terminal: Terminal, street: Street, placed: dict[str, Any]) -> None:
    """Everybody but the shop reveals; a second time there is nothing left."""
    for name, order in placed.items():
        if name != "shop" and order["state"] == "committed":
            assert Path(order["file"]).is_file()
            (row,) = terminal.done(street, "market", "reveal", "--wait", "--key", street.key(name))["revealed"]
            assert row["state"] == "placed", row
            assert terminal.done(street, "market", "reveal", "--key", street.key(name)) == {"revealed": []}


def quote_again(terminal: Terminal, street: Street, slot: int) -> None:
    """Market C, between the stages: what stage 1 left gets prices that cross, sealed."""
    phase = ("query", "contract", "double_auction", "slot", "--args", f"[{slot}]")
    until(lambda: terminal.done(street, *phase)["value"]["phase"], lambda found: found not in ("open", "forfeit"))
    for name, price in (("roof", "0.5"), ("mill", "0.52")):
        (order,) = terminal.done(street, "market", "list", "--key", street.key(name))["orders"]
        words = ("market", "requote", slot, order["seq"], price, "--key", street.key(name))
        assert terminal.done(street, *words)["state"] == "committed"
    for name in ("roof", "mill"):
        (row,) = terminal.done(street, "market", "reveal", "--wait", "--key", street.key(name))["revealed"]
        assert row["state"] == "placed", row


def read_meters(terminal: Terminal, street: Street, slots: range) -> None:
    """Everybody reads; the meter of the shop says nothing in time."""
    readings = {"solar": (600, 0), "roof": (150, 0), "home": (0, 450), "mill": (300, 0), "shop": None}
    for slot in slots:
        for name, reading in readings.items():
            if reading is not None:
                send = ("tx", "send", "metering", "submit_reading", "--args", json.dumps([slot, *reading]))
                until(lambda: terminal.run(street, *send, "--key", street.key(f"{name}_meter")), lambda f: f[0] == 0)  # noqa: B023 - called at once


def settled(terminal: Terminal, street: Street, slot: int) -> None:
    def ask() -> Any:
        rows = terminal.done(street, "market", "export", "--what", "settlements", "--from", slot, "--to", slot)["rows"]
        return {row["meter"] for row in rows}

    until(ask, lambda found: len(found) == len(STREET))


def books_balance(terminal: Terminal, street: Street, last: int) -> dict[str, Any]:
    """What a household has is what it was given and the amounts of its bill."""
    bills = {}
    for name, _, _ in STREET:
        account = street.address(name)
        bill = terminal.done(street, "market", "bill", account, "--slots", f"{FIRST}-{last}")
        state = terminal.done(street, "query", "contract", "token", "account", "--args", json.dumps([account]))["value"]
        assert sum(line["amount"] for line in bill["lines"]) == bill["amount"]
        held = int(state["balance"]) + int(state["escrow"]) - int(state["debt"])
        assert held == FUNDS + bill["amount"], (name, bill)
        assert bill["gain"] == bill["amount"] - bill["grid_only"]
        bills[name] = bill
    return bills


def opened(terminal: Terminal, street: Street) -> dict[str, Any]:
    """The market as soon as one of its windows is open: nodes may be there before the first."""
    for _ in range(60):
        info: dict[str, Any] = terminal.done(street, "market", "info")
        if info["open"]:
            return info
        time.sleep(0.5)
    raise AssertionError("no window opens within 30 s")


def play(streets: dict[str, Street], terminal: Terminal, folder: Path) -> None:
    """A day in each, side by side: what is asserted is the same everywhere."""
    periods, orders = {}, {}
    for letter, street in streets.items():
        info = opened(terminal, street)
        assert (info["market"], info["sealed"]) == (letter, True)
        periods[letter] = info["open"][-1][info["period"]]
        orders[letter] = place(terminal, street, periods[letter])
    for letter, street in streets.items():
        reveal(terminal, street, orders[letter])
    if "C" in streets:
        quote_again(terminal, streets["C"], periods["C"])
    if "D" in streets:
        words = ("market", "solve", periods["D"], "--wait", "--key", streets["D"].key("solar"))
        found = terminal.done(streets["D"], *words)
        assert (found["users"], found["served"], found["served_bound"], found["gap_ppm"]) == (1, 1, 1, 0)
    lasts = {}
    for letter, street in streets.items():
        first = FIRST + 2 * periods[letter] if letter == "A" else periods[letter]
        slots = range(first, first + (2 if letter == "A" else 1))
        lasts[letter] = slots[-1]
        read_meters(terminal, street, slots)
    for letter, street in streets.items():
        settled(terminal, street, lasts[letter])
        bills = books_balance(terminal, street, lasts[letter])
        check_market(terminal, street, bills, lasts[letter])
        check_exports(terminal, street, folder / letter, lasts[letter])


@pytest.mark.timeout(300)
def test_a_day_of_commands_in_markets_b_and_c(terminal: Terminal, tmp_path: Path) -> None:
    with open_streets(tmp_path, "CB") as streets:
        play(streets, terminal, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_day_of_commands_in_markets_a_and_d(terminal: Terminal, tmp_path: Path) -> None:
    with open_streets(tmp_path, "AD") as streets:
        play(streets, terminal, tmp_path)


def killed_while_waiting(street: Street, name: str, *words: object) -> dict[str, Any]:
    """The command commits, says so, waits to reveal, and is killed; what its file says is all that is left of it."""
    line = [sys.executable, "-m", "deploy.main", "market", *map(str, words), "--wait", "--url", street.url]
    with subprocess.Popen(
        [*line, "--key", street.key(name)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as command:
        assert command.stderr is not None
        until(command.stderr.readline, lambda told: "committed" in told)
        command.kill()
    (file,) = (street.key(name).parent / "sealed").glob(f"*-{words[1]}-*.waiting.json")
    return {"state": "committed", "file": str(file)}


def check_market(terminal: Terminal, street: Street, bills: dict[str, Any], last: int) -> None:
    letter = street.letter
    kinds = {name: {line["kind"] for line in bill["lines"] if line["slot"] == last} for name, bill in bills.items()}
    everything = {line["kind"] for line in bills["shop"]["lines"]}
    assert "deposit_lost" in everything, "the shop did not reveal"
    assert any(line["estimated"] for line in bills["shop"]["lines"]) or bills["shop"]["estimated"] > 0
    bought = {"A": "day_ahead_bought"}.get(letter, "trade_bought")
    assert bought in kinds["home"]
    states = {
        row["state"] for row in terminal.done(street, "market", "list", "--who", street.address("home"))["orders"]
    }
    assert states == {{"A": "placed", "B": "confirmed"}.get(letter, "traded")}
    if letter != "A":
        traded = terminal.done(street, "market", "trades", "--who", street.address("home"))["trades"]
        assert [row["wh"] for row in traded] == [{"B": 300}.get(letter, 500)]
    if letter == "C":
        prices = {(row["stage"], row["price"]) for row in terminal.done(street, "market", "trades")["trades"]}
        assert prices == {(1, 540_000), (2, 510_000)}


def check_exports(terminal: Terminal, street: Street, folder: Path, last: int) -> None:
    """Every export as JSON on standard output and as CSV in a file, with the same rows."""
    folder.mkdir()
    for what in EXPORTS:
        words = ("market", "export", "--what", what, "--from", FIRST, "--to", last)
        document = terminal.done(street, *words)
        assert document["rows"] or (street.letter, what) == ("A", "trades"), what
        file = folder / f"{what}.csv"
        assert terminal.done(street, *words, "-o", file)["rows"] == len(document["rows"])
        rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
        assert len(rows) == len(document["rows"])
        for row, plain in zip(rows, document["rows"], strict=True):
            for name, value in plain.items():
                if isinstance(value, int) and not isinstance(value, bool):
                    assert row[name] == str(value)
    assert terminal.text(street, "market", "export", "--what", "schedule", "--from", last, "--to", last).startswith(
        "slot,"
    )
    assert "self-sufficiency" in terminal.text(street, "market", "bill", street.address("home"), "--slots", last)
