"""`gridchain contract deploy, vote, instantiate, upgrade, propose, status, repl --network` on a real node."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from solo_world import found_solo, open_solo

from contracts.artifacts import make_artifact
from deploy.main import app
from node.cli.contract_files import CONTRACT
from node.cli.output import run_command
from node.client import Client, Refusal
from node.contract_life import ContractLife

WIDER = (
    CONTRACT.replace("inside = Var(u64,", "inside = Var(u256,")
    + '\n\nold = Var(u64, default=0, was="inside")\n\n'
    + "@migrate\ndef widen(version: u64, cursor: bytes) -> bytes | None:\n"
    + '    require(old.get() < 100, "TOO_MUCH")\n    inside.set(old.get())\n    return None\n'
)

pytestmark = pytest.mark.asyncio


class Shell:
    """Commands against one running node; they have a loop of their own, so they run in a thread."""

    def __init__(self, url: str, capture: Any, monkeypatch: Any) -> None:
        self.url, self.capture, self.monkeypatch = url, capture, monkeypatch

    async def __call__(self, *words: object, stdin: str = "", as_json: bool = True) -> tuple[int, Any]:
        line = ["contract", *map(str, words), "--url", self.url, *(["--json"] if as_json else [])]
        self.monkeypatch.setattr(sys, "argv", ["gridchain", *line])
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = await asyncio.to_thread(run_command, app, line)
        # the node of this process logs to standard output too
        out, err = self.capture.readouterr()
        assert "Traceback" not in out + err
        return int(code), ([json.loads(row) for row in out.splitlines() if row.startswith("{")] if as_json else out)


@pytest.fixture
def capture(capsys):
    return capsys


async def test_the_life_of_a_contract_by_commands(tmp_path: Path, capture, monkeypatch) -> None:
    layout = found_solo(tmp_path / "net", accounts=("stranger",))
    old, new = tmp_path / "jar.py", tmp_path / "wider.py"
    old.write_text(CONTRACT)
    new.write_text(WIDER)
    async with open_solo(layout) as solo:
        shell = Shell(solo.url, capture, monkeypatch)
        names = [voter["name"] for voter in await voters(solo.url)]
        key, stranger = layout.key_file(names[0]), layout.key_file("stranger")
        for words, code in (
            (("deploy", old, "--key", stranger), "NOT_DEPLOYER"),
            (("deploy", old, "--key", key, "--calls", "Bad"), "BAD_MANIFEST"),
            (("instantiate", old, "jar", "--key", key), "NO_ARTIFACT"),
            (("upgrade", "jar", old, "--key", key), "NO_INSTANCE"),
            (("vote", 1, "--key", key), "NO_PROPOSAL"),
            (("propose", "freeze", "jar", "--key", key), "NO_INSTANCE"),
            (("propose", "dance", "jar", "--key", key), "BAD_KIND"),
            (("status", "jar"), "NO_INSTANCE"),
            (("status", "7"), "NO_PROPOSAL"),
            (("status", "0x" + "ab" * 32), "NO_ARTIFACT"),
        ):
            status, [found] = await shell(*words)
            assert (status, found["error"]["code"]) == (4, code)
            assert {"expected", "found", "fix"} <= set(found["error"]), found

        status, [found] = await shell("deploy", old, "--key", key)
        artifact = bytes(make_artifact(CONTRACT.encode()).hash)
        assert (status, found["artifact"], found["status"], found["proposal"]) == (
            0,
            "0x" + artifact.hex(),
            "pending",
            1,
        )
        status, [again] = await shell("deploy", old, "--key", key, "--no-propose")
        assert (again["known"], again["gas"], again["proposal"]) == (True, 0, None)
        assert (await shell("deploy", old, "--key", key))[1][0]["proposal"] == 1
        assert (await shell("vote", 1, "--key", stranger))[1][0]["error"]["code"] == "NOT_VOTER"
        status, [found] = await shell("vote", 1, "--key", key)
        assert (status, found["proposal"]["status"]) == (0, "passed")
        assert (await shell("deploy", old, "--key", key))[1][0]["proposal"] is None
        assert (await shell("vote", 1, "--key", key))[1][0]["error"]["code"] == "NOT_OPEN"
        status, [found] = await shell("instantiate", "0x" + artifact.hex(), "jar", "--key", key, "--args", "[1]")
        assert (status, found["error"]["code"]) == (4, "TypeMismatch")
        status, [found] = await shell("instantiate", old, "jar", "--key", key)
        assert (status, found["instance"]) == (0, "jar")

        assert (await shell("deploy", new, "--key", key))[1][0]["proposal"] == 2
        assert (await shell("upgrade", "jar", new, "--key", key))[1][0]["error"]["code"] == "NOT_APPROVED"
        await shell("vote", 2, "--key", key)
        status, [found] = await shell("upgrade", "jar", new, "--key", key)
        assert (status, found["proposal"], [row["name"] for row in found["diff"]["storage"]]) == (0, 3, ["inside"])
        await shell("vote", 3, "--key", key)
        status, [found] = await shell("status", "jar", "--wait", "--timeout", 20)
        assert (status, found["version"], found["upgrade"]) == (0, 2, None)
        status, text = await shell("status", as_json=False)
        assert "jar              version 2" in text
        assert "proposal 3: upgrade jar at block " in text


async def voters(url: str) -> list[dict[str, Any]]:
    async with Client.open(url) as client:
        found = await client.view("governance", "voters")
        assert isinstance(found, list)
        return found


async def test_a_migration_that_stalls_is_told(tmp_path: Path, capture, monkeypatch) -> None:
    layout = found_solo(tmp_path / "net")
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        key = solo.key((await voters(solo.url))[0]["name"])
        life = ContractLife(client, 20)
        await running(life, key, CONTRACT, "jar")
        assert (await client.account(key).call("jar", "pay", [500])).ok
        wider = make_artifact(WIDER.encode())
        await life.deploy(key, WIDER.encode(), wider)
        await life.vote(key, await life.propose(key, "approve", wider.hash), True)
        height = await life.height() + 5
        number = await life.propose(key, "upgrade", wider.hash, "jar", height)
        await life.vote(key, number, True)
        seen = [found["upgrade"]["phase"] async for found in life.progress("jar")]
        assert (seen[0], seen[-1]) == ("waiting", "stalled")
        shell = Shell(solo.url, capture, monkeypatch)
        status, [found] = await shell("status", "jar", "--wait")
        assert (status, found["upgrade"]["code"]) == (1, "TOO_MUCH")
        status, text = await shell("status", "jar", as_json=False)
        assert "its migration stalled with TOO_MUCH at line" in text
        with pytest.raises(Refusal, match="NO_INSTANCE"):
            _ = [found async for found in life.progress("nobody")]


async def running(life: ContractLife, key: Any, source: str, name: str) -> None:
    artifact = make_artifact(source.encode())
    await life.deploy(key, source.encode(), artifact)
    await life.vote(key, await life.propose(key, "approve", artifact.hash), True)
    await life.instantiate(key, artifact.hash, name, [])


SCRIPT = """# on a network
pay(5)
pay(0)
pay(15, sender=other)
share(other, 100)
jar.share(other, of=100)
.as other
take()
.use token
account(jar)
.abi
.nope
pai(1)
1 +
pay(1, sender=nobody)
.use nothing
"""


async def test_the_console_on_a_network(tmp_path: Path, capture, monkeypatch) -> None:
    layout = found_solo(tmp_path / "net", accounts=("other",))
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        name = (await voters(solo.url))[0]["name"]
        await running(ContractLife(client), solo.key(name), CONTRACT, "jar")
        shell = Shell(solo.url, capture, monkeypatch)
        keys = ["--key", layout.key_file(name), "--key", layout.key_file("other")]
        status, answers = await shell("repl", "jar", "--network", *keys, stdin=SCRIPT)
        kinds = [found["kind"] for found in answers]
        calls = ["call", "refused", "call", "call", "call", "done", "refused", "done", "call", "text"]
        assert kinds == [*calls, "mistake", "mistake", "mistake", "mistake", "refused"]
        assert [found["value"] for found in answers[:5]] == [5, {"amount": 0}, 20, 75, 75]
        assert answers[1]["code"] == "BAD_AMOUNT"
        assert answers[6]["code"] == "NOT_OWNER"
        assert answers[8]["value"] == {"balance": 0, "escrow": 0, "debt": 0, "limit": answers[8]["value"]["limit"]}
        assert status == 2
        status, text = await shell("repl", "--network", *keys, stdin="jar.pay(1)\n[jar]\n.help\n.quit\n", as_json=False)
        assert status == 0
        assert "21\n  event jar.Paid" in text
        status, [found] = await shell("repl", "nothing", "--network", *keys)
        assert (status, found["error"]["code"]) == (4, "NO_INSTANCE")
