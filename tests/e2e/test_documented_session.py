"""The first session of docs/cli.md with `gridchain dev`, command by command as it stands there."""

from __future__ import annotations

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
SPEED = 300
"""A slot takes 3 s; the orders have to meet a window of two slots."""
PATIENCE_S = 60.0


def session() -> list[str]:
    """The commands of the document, in order."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    begin = text.index("To begin with `gridchain dev --published`")
    return re.findall(r"^    (gridchain .+)$", text[begin : text.index("The same from Python")], re.MULTILINE)


def until(ask: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not done(found := ask()):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


@pytest.mark.timeout(180)
def test_the_first_session_of_the_manual(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, buys, sells, reads, exports = session()
    monkeypatch.chdir(tmp_path)

    def run(line: str, **places: object) -> tuple[int, Any]:
        for place, value in places.items():
            line = re.sub(rf"\b{place}\b", str(value), line)
        words = [*shlex.split(line)[1:], "--json"]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = int(run_command(app, words))
        return code, json.loads(capsys.readouterr().out)

    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "deploy.main",
            "dev",
            str(tmp_path / "dev"),
            "--published",
            "--speed",
            str(SPEED),
            "--port",
            "0",
            "--json",
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as dev:
        try:
            assert dev.stdout is not None
            network = json.loads(dev.stdout.readline())
            monkeypatch.setenv("GRIDCHAIN_URL", network["nodes"][0]["url"])
            keys = Path(network["accounts"][0]["key"]).parent
            meter = next(entry["address"] for entry in network["accounts"] if entry["name"] == "consumer1_meter")
            code, answer = run(asks)
            assert code == 0
            slot = max(answer["value"])
            for order in (buys, sells):
                code, receipt = run(order, SLOT=slot, KEYS=keys)
                assert (code, receipt["ok"]) == (0, True), receipt
            phase = f"gridchain query contract double_auction slot --args '[{slot}]'"
            until(lambda: run(phase)[1]["value"]["phase"], lambda found: found not in ("open", "future", "stage_two"))
            until(lambda: run(reads, SLOT=slot, KEYS=keys), lambda found: found[0] == 0)
            code, proof = until(lambda: run(exports, SLOT=slot, METER=meter), lambda found: found[0] == 0)
            check = f"gridchain proof verify {proof['file']} --trust {network['genesis_hash']}"
            code, verdict = run(check)
            assert (code, verdict["verdict"]) == (0, "holds")
            settled = verdict["settlement"]
            assert (settled["slot"], settled["meter"]) == (slot, meter)
            assert (settled["bought_wh"], settled["use_wh"], settled["estimated"]) == (500, 480, False)
            dev.send_signal(signal.SIGINT)
            assert dev.wait(20) == 0
        finally:
            if dev.poll() is None:
                dev.terminate()
                dev.wait(20)
