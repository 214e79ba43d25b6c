"""`gridchain member` on a running node: a household applies, the registrar reads and the institutions judge, the person
gets its data and has them erased. Nobody else ever reads them, and no block holds them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import deploy
from contracts.applications import application_digest
from deploy.main import app
from ledger.crypto import SigningKey
from node.cli.output import run_command
from node.keys import save_key

ROOT = Path(deploy.__file__).resolve().parents[1]
TEXTS = {
    "name": "Zoë Müller-Quarzsand",
    "email": "zoe.quarzsand@example.org",
    "postcode": "98761-X",
    "address": "Mühlgasse 7, Top 12",
    "bank_account": "AT611904300234573201",
}
NEW, METER, OTHER = (SigningKey(bytes([number]) * 32) for number in (71, 72, 73))


@contextmanager
def dev_chain(home: Path) -> Iterator[dict[str, Any]]:
    """`gridchain dev`, and what it prints."""
    command = [sys.executable, "-m", "deploy.main", "dev", str(home), "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


class Terminal:
    """Runs commands in this process and reads their one JSON document; keeps all that was printed for others."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.url = url
        self._capsys = capsys
        self._patch = patch

    def run(self, *words: object, url: bool = True, as_json: bool = True) -> tuple[int, str]:
        where = ["--url", self.url] if url else []
        return self.line("member", *words, *where, *(["--json"] if as_json else []))

    def line(self, *words: object) -> tuple[int, str]:
        line = list(map(str, words))
        self._patch.setattr(sys, "argv", ["gridchain", *line])
        code = int(run_command(app, line))
        told = self._capsys.readouterr()
        return code, told.out + told.err

    def done(self, *words: object, url: bool = True) -> Any:
        code, out = self.run(*words, url=url)
        assert code == 0, (words, out)
        return json.loads(out)

    def refused(self, *words: object, url: bool = True) -> str:
        code, out = self.run(*words, url=url)
        assert code in (2, 4), (words, out)
        assert not shown(out), "no error shows personal data"
        error = json.loads(out)["error"]
        assert set(error) == {"code", "message", "expected", "found", "fix"}, error
        return str(error["code"])


def shown(text: str) -> bool:
    raw = text.encode()
    return any(value.encode() in raw or json.dumps(value).encode() in raw for value in TEXTS.values())


def readable(folder: Path) -> list[Path]:
    """Files below a folder that hold personal data in clear."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if any(value.encode() in file.read_bytes() for value in TEXTS.values())]


@pytest.mark.timeout(120)
def test_an_application_from_envelope_to_erasure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = tmp_path / "people"
    for name, key in (("zoe", NEW), ("zoe_meter", METER), ("other", OTHER)):
        save_key(people / name / f"{name}.key", key)
    mine, meter, other = (people / name / f"{name}.key" for name in ("zoe", "zoe_meter", "other"))
    (people / "zoe" / "me.json").write_text(json.dumps(TEXTS))
    with dev_chain(tmp_path / "chain") as network:
        terminal = Terminal(network["nodes"][0]["url"], capsys, monkeypatch)
        keys = Path(network["accounts"][0]["key"]).parent
        bureau, grid = keys / "energy_bureau.key", keys / "grid_company.key"
        public = {name: public_key(terminal, keys / f"{name}.key") for name in ("energy_bureau", "grid_company")}
        account = "0x" + NEW.address.hex()
        plan = ["--role", "prosumer", "--device", "pv:5000", "--device", "storage:2000", "--connection", "bus 7",
                "--region", "dev", "--meter-key", meter, "--personal", people / "zoe" / "me.json"]  # fmt: skip
        refusals_of_apply(terminal, mine, plan, public)
        assert not list(mine.parent.glob("*.envelope"))
        first = apply(terminal, mine, plan, public["energy_bureau"])
        assert terminal.refused("apply", "--key", mine, "--registrar", public["energy_bureau"], *plan) == "FILE_EXISTS"
        (mine.parent / "zoe.envelope").rename(people / "old.envelope")
        turned_down(terminal, account, bureau, grid)
        applied = apply(terminal, mine, plan, public["energy_bureau"])
        (people / "zoe" / "me.json").unlink()
        assert applied["digest"] != first["digest"], "salts are fresh"
        envelope = Path(applied["envelope"])
        again = ["envelope", "--key", mine, "--registrar", public["energy_bureau"]]
        assert terminal.refused(*again) == "FILE_EXISTS"
        assert terminal.refused("envelope", "--key", other, *again[3:]) == "NOT_MEMBER"
        made = terminal.done(*again, "-o", people / "copy.envelope")
        assert (made["account"], made["digest"]) == (account, applied["digest"])

        take_in(terminal, people, envelope, (bureau, grid, other))
        assert not envelope.exists()
        assert terminal.refused("attest", account, "--licence", "--digest", first["digest"], "--key", bureau) == (
            "APPLICATION_CHANGED"
        )
        assert terminal.refused("attest", account, "--meter", "--key", bureau) == "NOT_ALLOWED"
        who_reads(terminal, account, (mine, bureau, grid, other))
        judge(terminal, account, bureau, grid)
        exported(terminal, account, (mine, bureau, other), people, applied["digest"])
        forget(terminal, account, (mine, bureau), people)
        assert readable(tmp_path) == [], "neither the node's files nor anybody else's"


def public_key(terminal: Terminal, file: Path) -> str:
    code, out = terminal.line("keys", "show", file, "--json")
    assert code == 0
    return str(json.loads(out)["public_key"])


def apply(terminal: Terminal, key: Path, plan: list[object], registrar: str) -> Any:
    document = terminal.done("apply", "--key", key, "--registrar", registrar, *plan)
    assert document["fields"] == list(TEXTS)
    assert not shown(json.dumps(document))
    row = terminal.done("show", document["account"])
    assert (row["digest"], row["status"], row["personal_state"]) == (document["digest"], "pending", "hidden")
    for name in ("envelope", "copy"):
        assert os.stat(document[name]).st_mode & 0o777 == 0o600
    return document


def refusals_of_apply(terminal: Terminal, key: Path, plan: list[object], public: dict[str, str]) -> None:
    """Bad input leaves neither envelope nor copy."""
    good = ["apply", "--key", key, "--registrar", public["energy_bureau"], *plan]
    assert terminal.refused("apply", "--key", key, "--registrar", public["grid_company"], *plan) == "NOT_REGISTRAR"
    code, out = terminal.run(*good, "--timeout", "0")
    kept = [file for file in key.parent.rglob("*") if file.suffix in (".envelope", ".copy")]
    assert (code, len(kept), shown(out)) == (5, 2, False), "whether it will be carried out is not known"
    for file in kept:
        file.unlink()
    assert terminal.refused(*good, "--device", "tide:5") == "BAD_DEVICE"
    assert terminal.refused(*good, "--device", "pv") == "BAD_DEVICE"
    assert terminal.refused(*good, "--role", "baron") == "BAD_ROLE"
    assert terminal.refused(*good, "--name", "two\nlines") == "BAD_FIELD"
    assert terminal.refused(*good, "--meter", "0x" + "00" * 32) == "BAD_METER"
    assert terminal.refused(*good, "--owner", "0x00") == "BAD_HEX"
    assert not [file for file in key.parent.rglob("*") if file.suffix in (".envelope", ".copy")]


def take_in(terminal: Terminal, people: Path, envelope: Path, keys: tuple[Path, ...]) -> None:
    bureau, grid, other = keys
    torn = people / "torn.envelope"
    torn.write_bytes(envelope.read_bytes()[:-1])
    assert terminal.refused("import", torn, "--key", bureau) == "NOT_AN_ENVELOPE"
    for stranger in (grid, other):
        assert terminal.refused("import", envelope, "--key", stranger) == "OTHER_REGISTRAR"
    assert terminal.refused("import", people / "old.envelope", "--key", bureau) == "APPLICATION_CHANGED"
    assert not (bureau.parent / "members").exists(), "what is refused leaves nothing"
    assert terminal.done("import", envelope, "--key", bureau, "--keep")["imported"]
    again = terminal.done("import", envelope, "--key", bureau)
    assert (again["imported"], again["envelope_destroyed"]) == (False, True)


def who_reads(terminal: Terminal, account: str, keys: tuple[Path, ...]) -> None:
    mine, bureau, grid, other = keys
    for reader in (mine, bureau):
        row = terminal.done("show", account, "--key", reader)
        assert (row["personal_state"], row["personal"]) == ("shown", TEXTS)
        assert TEXTS["address"] in terminal.run("show", account, "--key", reader, as_json=False)[1]
    for stranger in (grid, other):
        for as_json in (True, False):
            code, out = terminal.run("show", account, "--key", stranger, as_json=as_json)
            assert code == 0
            assert not shown(out)
            assert account in out
    states = {row["account"]: row["personal_state"] for row in terminal.done("list", "--key", bureau)["members"]}
    assert states.pop(account) == "held"
    assert set(states.values()) == {"none"}
    assert terminal.refused("list", "--key", other) == "NOT_REGISTRAR"
    _code, out = terminal.run("list", as_json=False)
    assert account in out
    assert not shown(out)
    assert [row["account"] for row in terminal.done("list", "--status", "pending")["members"]] == [account]


def turned_down(terminal: Terminal, account: str, bureau: Path, grid: Path) -> None:
    refused = terminal.done("refuse", account, "--reason", "again, please", "--key", grid)
    assert (refused["judged"]["status"], refused["member"]["status"]) == ("pending", "refused")
    assert refused["member"]["reason"] == "again, please"
    assert terminal.refused("attest", account, "--licence", "--key", bureau) == "NO_APPLICATION"


def judge(terminal: Terminal, account: str, bureau: Path, grid: Path) -> None:
    reason = ["--reason", "arrears"]
    assert terminal.refused("attest", account, "--key", bureau) == "BAD_KIND"
    assert terminal.refused("suspend", account, *reason, "--key", bureau) == "BAD_STATUS"
    ruled = terminal.done("attest", account, "--licence", "--key", bureau)
    assert (ruled["member"]["status"], ruled["member"]["attested"]) == ("pending", ["licence"])
    ruled = terminal.done("attest", account, "--meter", "--connection", "--key", grid)
    assert (ruled["judged"]["status"], ruled["member"]["status"]) == ("pending", "approved")
    meter = ruled["member"]["meter"]
    assert terminal.refused("suspend", account, *reason, "--key", grid) == "NOT_ALLOWED"
    assert terminal.done("suspend", meter, *reason, "--key", bureau)["member"]["status"] == "suspended"
    assert terminal.done("reinstate", account, "--reason", "paid", "--key", bureau)["member"]["status"] == "approved"


def exported(terminal: Terminal, account: str, keys: tuple[Path, ...], people: Path, digest: str) -> None:
    """Registrar and owner export the same, and it opens the commitments; nobody else does."""
    mine, bureau, other = keys
    assert terminal.refused("export", account, "--key", other, "-o", people / "stolen.json") == "NOT_HELD"
    documents = []
    for number, key in enumerate((mine, bureau)):
        file = people / f"export{number}.json"
        told = terminal.done("export", account, "--key", key, "-o", file)
        assert not shown(json.dumps(told))
        assert file.stat().st_mode & 0o777 == 0o600
        documents.append(json.loads(file.read_text(encoding="utf-8")))
        file.unlink()
    assert documents[0] == documents[1]
    public, personal = documents[0]["public"], documents[0]["personal"]
    assert {entry["field"]: entry["text"] for entry in personal} == TEXTS
    opened = [hashlib.sha256(bytes.fromhex(e["salt"][2:]) + e["text"].encode()).digest() for e in personal]
    arguments: list[Any] = [bytes.fromhex(public[name][2:]) for name in ("meter", "owner")]
    arguments += [public[name] for name in ("roles", "devices", "watts", "connection", "region")]
    arguments += [[entry["field"] for entry in personal], opened]
    assert "0x" + application_digest(bytes.fromhex(account[2:]), arguments).hex() == digest == public["digest"]


def forget(terminal: Terminal, account: str, keys: tuple[Path, ...], people: Path) -> None:
    mine, bureau = keys
    assert terminal.refused("erase", account, "--key", bureau, url=False) == "NOT_CONFIRMED"
    note = terminal.done("erase", account, "--key", bureau, "--yes", url=False)
    assert (note["account"], note["erased"]) == (account, "registrar's record")
    row = terminal.done("show", account, "--key", bureau)
    assert (row["personal_state"], row["personal"]) == ("erased", None)
    assert terminal.refused("export", account, "--key", bureau, "-o", people / "late.json") == "NOT_HELD"
    assert terminal.refused("import", people / "copy.envelope", "--key", bureau) == "ERASED"
    assert terminal.done("show", account, "--key", mine)["personal"] == TEXTS, "the owner's copy is the owner's"
    assert terminal.done("erase", account, "--key", mine, "--yes", url=False)["copies"] == 2
    assert terminal.done("show", account, "--key", mine)["personal_state"] == "none"
