"""The demo as people run it: real processes, real time, the whole road. Each test founds its own network."""

from __future__ import annotations

import asyncio
import csv
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import naive_market
import pytest
from demo_runs import TARIFFS, altering_one_stored_receipt_is_noticed, blocks_kept, demo

from contracts.values import decode_value
from deploy.generator import ask_price, bid_price
from deploy.layout import NetworkLayout
from deploy.neighbourhood import Side, load
from deploy.settlement_checker import ServedBlock
from ledger.codec import decode
from ledger.objects import Receipt
from node.client import Client

ROOT = Path(__file__).resolve().parents[2]


def left_over(mark: str) -> list[str]:
    """Command lines of processes that mention `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in text and str(os.getpid()) != path.parent.name:
            found.append(text)
    return found


def test_eight_slots_at_noon_with_a_killed_validator(tmp_path):
    code, document, told = demo("--slots", "8", "--keep", str(tmp_path / "kept"))
    assert code == 0, told
    assert document["conserved"] is True, document["problems"]
    assert (document["engine"], document["validators"], document["slots"]) == ("bft", 4, 8)
    assert [node["name"] for node in document["nodes"]] == ["bureau", "grid", "notary", "trading"]
    assert len({node["state_root"] for node in document["nodes"]}) == 1
    assert len({node["height"] for node in document["nodes"]}) == 1
    assert document["trades"] > 0
    assert document["first_trade_s"] < 20
    assert document["forecast"] == "previous_day"
    energy, money = document["energy_wh"], document["money_micro"]
    assert energy["consumption"] - energy["generation"] == energy["grid_import"] - energy["grid_export"]
    assert energy["traded"] > 0
    assert money["tokens_minted"] == money["tokens_held"] > 0
    assert document["orders"]["accepted"] > 0
    assert "killed (SIGKILL)" in told
    assert "is back at height" in told
    assert left_over(str(tmp_path)) == []
    the_market_is_the_naive_one(tmp_path / "kept", blocks_kept(tmp_path / "kept", document), document)
    altering_one_stored_receipt_is_noticed(tmp_path / "kept", document)


def the_market_is_the_naive_one(directory: Path, blocks: list[ServedBlock], document: dict) -> None:
    """Orders are those of data and generator; trades and bills those of the naive model for the accepted orders."""
    street, layout = load(), NetworkLayout.load(directory)
    plan = street.plan("2016-06-14")
    meters = {
        bytes.fromhex(layout.account(f"member{number + 1:03}-meter").address[2:]): member
        for number, member in enumerate(street.members)
    }
    books: dict[int, list[dict]] = {}
    for event in (event for block in blocks for raw in block.receipts for event in decode(Receipt, raw).events):
        if event.name == "OrderAccepted":
            order = decode_value(event.data)
            member, slot = meters[order["meter"]], order["slot"]
            price = ask_price if order["side"] == "sell" else bid_price
            assert (order["wh"], order["price"]) == (plan.forecast[member.name][slot], price(7, member.name, slot))
            books.setdefault(slot, []).append({**order, "owner": order["meter"]})
    expected = dict.fromkeys(("trades", "traded", "income", "cost", "imported", "exported"), 0)
    for slot in range(document["first_slot"], document["first_slot"] + document["slots"]):
        cleared = naive_market.clear(books.get(slot, []), feed=TARIFFS.feed, retail=TARIFFS.retail)
        trades = cleared["stage1"] + cleared["stage2"]
        readings = {
            meter: (wh, 0) if member.side is Side.GENERATION else (0, wh)
            for meter, member in meters.items()
            for wh in [plan.measured[member.name][slot]]
        }
        expected["trades"] += len(trades)
        expected["traded"] += sum(trade["wh"] for trade in trades)
        for meter, line in naive_market.settle(trades, readings, feed=TARIFFS.feed, retail=TARIFFS.retail).items():
            selling = meters[meter].side is Side.GENERATION
            expected["income" if selling else "cost"] += line["net"] if selling else -line["net"]
            expected["imported"] += line["grid_buy_wh"]
            expected["exported"] += line["grid_sell_wh"]
    energy, money = document["energy_wh"], document["money_micro"]
    assert expected == {
        "trades": document["trades"],
        "traded": energy["traded"],
        "income": money["sellers_income"],
        "cost": money["buyers_cost"],
        "imported": energy["grid_import"],
        "exported": energy["grid_export"],
    }


def test_a_day_without_sun_on_one_node_beside_busy_ports():
    with ExitStack() as stack:
        for port in (8600, 8700):
            busy = stack.enter_context(socket.socket())
            # Connections that another run has closed a moment ago keep no port busy, for nodes either.
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # another program has it: busy as well
                busy.bind(("127.0.0.1", port))
                busy.listen()
        code, document, told = demo("--engine", "solo", "--slots", "3", "--first-slot", "0", "--day", "2016-01-20")
    assert code == 0, told
    assert "http://127.0.0.1:" in told
    assert "http://127.0.0.1:8600" not in told
    assert document["trades"] == 0
    assert document["first_trade_s"] is None
    assert document["conserved"] is True, document["problems"]
    assert document["forecast"] == "next_day"
    assert document["validators"] == 1
    assert document["energy_wh"]["consumption"] == document["energy_wh"]["grid_import"]


def another_grid(folder: Path, members: int, seed: int) -> None:
    """A folder in the demo's CSV layout, drawn from `seed`: two days of a grid with other names and other columns.

    Every third of the `members` is a plant that makes power by day; two loads use nothing.
    """
    random = Random(seed)
    plants = [f"MV3.202 Gen {number} (Süd)" for number in range(members // 3)]
    loads = [f"MV3.202 Haus {number}" for number in range(members - len(plants))]
    types = ("PV", "solar roof", "Wind_MV", "Hydro")
    folder.mkdir()
    tables: dict[str, list[list[str]]] = {
        "loads.csv": [["profile", "p_kw", "name"], *(["H0", "5.5", name] for name in loads)],
        "generators.csv": [["name", "type", "p_kw"], *([name, random.choice(types), "12.25"] for name in plants)],
        "load_kw.csv": [["time", *loads]],
        "pv_kw.csv": [["time", *plants]],
    }
    for step in range(2 * 96):
        time_ = (datetime(2031, 3, 30) + step * timedelta(minutes=15)).isoformat()
        sun = max(0, 36 - abs(step % 96 - 48)) / 36
        used = [f"{random.uniform(0, 5):.4f}" if number > 1 else "0" for number in range(len(loads))]
        tables["load_kw.csv"].append([time_, *used])
        tables["pv_kw.csv"].append([time_, *(f"{sun * random.uniform(0, 12):.4f}" for _ in plants)])
    for name, rows in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


def test_a_hundred_and_twenty_members_of_another_grid(tmp_path):
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    another_grid(tmp_path / "data", 120, seed)
    code, document, told = demo("--data", str(tmp_path / "data"), "--day", "2031-03-31", "--slots", "4")
    assert code == 0, told
    assert document["conserved"] is True, document["problems"]
    assert (document["members"], document["validators"], document["slots"]) == (120, 4, 4)
    assert (document["day"], document["forecast"]) == ("2031-03-31", "previous_day")
    assert document["trades"] > 0
    street = load(tmp_path / "data")
    plan = street.plan("2031-03-31")
    forecasts = [wh for of_member in plan.forecast.values() for wh in of_member[46:50]]
    assert sum(document["orders"].values()) == sum(wh > 0 for wh in forecasts) < len(forecasts)
    assert document["orders"]["rejected"] == 0
    for side, figure in ((Side.DEMAND, "consumption"), (Side.GENERATION, "generation")):
        names = [member.name for member in street.members if member.side is side]
        expected = sum(sum(plan.measured[name][46:50]) for name in names)
        if document["estimated_readings"] == 0:
            assert document["energy_wh"][figure] == expected
    assert document["money_micro"]["tokens_minted"] == document["money_micro"]["tokens_held"] > 0


def homes_with(directory: Path, file: str) -> int:
    """Node homes of a demo under a directory that have this file."""
    return len(list(directory.glob(f"gridchain-demo-*/*/{file}")))


@pytest.mark.parametrize(
    ("signal_number", "once_all_have"),
    [(signal.SIGINT, "node.pid"), (signal.SIGTERM, "node.pid"), (signal.SIGTERM, "node.log")],
)
def test_an_interrupted_demo_leaves_no_process(tmp_path, signal_number, once_all_have):
    """A home has a log when its process loads, and a pid when it runs a node."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "deploy.main", "demo", "--headless", "--slots", "40"]
    # What a shell starts in the background inherits that SIGINT is ignored; at a terminal it is not.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 40
        while homes_with(tmp_path, once_all_have) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.7)
        assert len(left_over(str(tmp_path))) == 4
        running.send_signal(signal_number)
        said, _ = running.communicate(timeout=30)
    finally:
        if running.poll() is None:
            running.kill()
            running.communicate()
    assert running.returncode == 130, said.decode()
    assert left_over(str(tmp_path)) == []
    assert list(tmp_path.glob("gridchain-demo-*")) == []


async def the_height_that_stays(clients: list[Client]) -> int:
    """Where all of them stand when no height has changed for two seconds. What the dead had signed before they died
    may still become final at one node, and later at another: how soon, nobody promises."""
    deadline = time.monotonic() + 30
    heights, since = [-1], time.monotonic()
    while len(set(heights)) != 1 or time.monotonic() - since < 2:
        now = [(await client.status()).height for client in clients]
        if now != heights:
            heights, since = now, time.monotonic()
        assert time.monotonic() < deadline, f"two of four nodes go on, or apart: {heights}"
        await asyncio.sleep(0.1)
    return heights[0]


async def trades_in(client: Client, top: int) -> int:
    """Trades in all blocks up to a height, as one node tells them."""
    found = 0
    for height in range(1, top + 1):
        receipts = (await client.block(height, receipts=True)).receipts
        found += sum(event.name == "Trade" for receipt in receipts or [] for event in receipt.events)
    return found


@pytest.mark.asyncio
@pytest.mark.timeout(200)
async def test_with_two_nodes_stopped_no_further_trade_appears(tmp_path):
    from rich.console import Console

    from deploy import demo as demo_module
    from deploy.cluster import Cluster
    from deploy.day import DayRunner
    from deploy.held import Held
    from deploy.layout import default_names
    from deploy.loading import contracts_of
    from deploy.market.roster import market_of
    from deploy.pace import Pace, lead_for, slowness_of
    from deploy.screen import Screen

    options = demo_module.DemoOptions(slots=20, directory=tmp_path / "net")
    street = load()
    names, contracts = default_names(4), contracts_of(options, market_of("C"))
    with open(os.devnull, "w") as nowhere, Held.open(tmp_path / "net", names, contracts) as held:
        slowness = slowness_of(await held.loaded(), os.cpu_count() or 1)
        pace = Pace(1_500 + lead_for(4, os.cpu_count() or 1, 17, slowness), 75_000 // min(slowness, 200))
        stage = demo_module.found(options, street, pace, tmp_path / "net")
        screen = Screen(Console(file=nowhere), live=False)
        async with Cluster.open(stage.layout, held=held) as cluster, demo_module.connect(cluster) as clients:
            progress = demo_module.progress_of(stage, cluster)
            seen: list[int] = []

            async def two_down_for_a_while() -> None:
                await cluster.kill(1)
                await cluster.kill(2)
                height = await the_height_that_stays([clients[0], clients[3]])
                before = await trades_in(clients[0], height)
                while progress.trades < before:  # the screen follows by a stream of its own
                    await asyncio.sleep(0.05)
                await asyncio.sleep(4.0)
                assert [(await clients[node].status()).height for node in (0, 3)] == [height, height]
                assert progress.trades == before
                seen.append(before)
                await asyncio.gather(cluster.start(1), cluster.start(2))

            with screen.following(progress):
                played = await DayRunner(stage.market, demo_module.market_day(stage), clients, progress, screen).run(
                    two_down_for_a_while
                )
            result = await demo_module.judge(stage, clients, played, time.monotonic(), ())
    assert seen
    assert result.trades > seen[0]
    assert result.conserved, result.problems
