"""`gridchain contract test, diff, repl, check --format`: what a person and a program see, good and bad."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.library_sources import library_source
from contracts.review import review
from deploy.main import app
from node.cli.contract_files import CONTRACT, new_contract
from node.cli.output import run_command


@pytest.fixture
def cli(capfd, monkeypatch):
    def call(*arguments, stdin: str = ""):
        words = ["contract", *(str(argument) for argument in arguments)]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run_command(app, words)
        captured = capfd.readouterr()
        return int(code), captured.out, captured.err

    return call


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    new_contract(tmp_path / "jar")
    return tmp_path / "jar" / "contract.py"


SMALL = """
def test_good(deploy):
    assert deploy("contract.py").pay(5) == 5

def test_other(deploy, accounts):
    jar = deploy("contract.py")
    jar.pay(5, sender=accounts.alice)
"""


def test_the_tests_of_a_project(cli, jar: Path, tmp_path: Path) -> None:
    file = jar.with_name("test_contract.py")
    file.write_text(SMALL)
    saved = tmp_path / "gas.json"
    status, out, _ = cli("test", jar.parent, "--gas-report", "--gas-save", saved)
    assert status == 0, out
    assert "2 passed" in out
    assert "jar.pay" in out
    most = json.loads(saved.read_text())["jar.pay"]
    status, out, err = cli(
        "test", jar.parent, "-k", "good", "--gas-lines", "--gas-budget", f"jar.pay={most - 1}", "--json"
    )
    found = json.loads(out)
    assert (status, found["ok"], found["passed"], found["failed"]) == (1, False, 1, 0)
    assert found["exceeded"] == [{"entry": "jar.pay", "budget": most - 1, "gas": most}]
    assert found["gas"]["lines"]
    assert "above its budget" in err
    file.write_text(SMALL.replace("== 5", "== 6"))
    status, out, _ = cli("test", jar.parent, "--gas-budget", saved, "--json")
    found = json.loads(out)
    assert (status, found["passed"], found["failed"], found["exceeded"]) == (1, 1, 1, [])
    assert "assert 5 == 6" in next(test["text"] for test in found["tests"] if test["outcome"] == "failed")


def test_nothing_to_test_is_said(cli, jar: Path, tmp_path: Path) -> None:
    for words, code in (
        ((tmp_path / "none",), "NO_TESTS"),
        ((jar.parent, "--gas-budget", "much"), "BAD_BUDGET"),
    ):
        status, out, _ = cli("test", *words, "--json")
        assert (status, json.loads(out)["error"]["code"]) == (2, code)
        assert {"expected", "found", "fix"} <= set(json.loads(out)["error"])
    (jar.parent / "pyproject.toml").write_text("[tool.pytest.ini_options\n")
    status, out, _ = cli("test", jar.parent, "--json")
    assert (status, json.loads(out)["error"]["code"]) == (2, "NO_TEST_RUN")


def test_a_new_project_is_clean_for_mypy(jar: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy"],
        cwd=jar.parent,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert review(jar.read_bytes()).warnings == ()


DIFFERENCES = [
    (CONTRACT, "same", 0),
    (CONTRACT + "\n\n@view\ndef sum() -> u64:\n    return total.get()\n", "compatible", 0),
    (CONTRACT + "\nextra = Var(u64, default=0)\n", "compatible", 0),
    (CONTRACT.replace("inside = Var(u64,", "inside = Var(u256,"), "needs_migrate", 1),
    (CONTRACT + "\nold = Var(u256, was='total')\n", "bad_handle", 1),
    (
        CONTRACT.replace("inside = Var(u64,", "inside = Var(u256,")
        + "\n@migrate\ndef move(version: u64, cursor: bytes) -> bytes | None:\n    return None\n",
        "migrates",
        0,
    ),
]


@pytest.mark.parametrize(("new", "verdict", "code"), DIFFERENCES)
def test_a_difference_has_a_verdict(cli, tmp_path: Path, new: str, verdict: str, code: int) -> None:
    (tmp_path / "old.py").write_text(CONTRACT)
    (tmp_path / "new.py").write_text(new)
    status, out, _ = cli("diff", tmp_path / "old.py", tmp_path / "new.py", "--json")
    found = json.loads(out)
    assert (status, found["verdict"], bool(found["refused"])) == (code, verdict, bool(code))
    status, out, _ = cli("diff", tmp_path / "old.py", tmp_path / "new.py")
    assert status == code
    assert found["says"] in out
    if verdict == "needs_migrate":
        assert "  - inside  Var(u64)\n  + inside  Var(u256)" in out


def test_a_directory_names_its_contract(cli, jar: Path) -> None:
    assert cli("check", jar.parent)[:2] == (0, "admitted\n")
    status, out, _ = cli("run", jar.parent, "--entry", "pay", "--args", "[5]", "--json")
    assert json.loads(out)["value"] == 5
    assert "deployed jar\n5\n" in cli("repl", jar.parent, stdin="pay(5)\n")[1]
    jar.write_text("import os\n")
    assert f"{jar}:1:1: C031" in cli("check", jar.parent)[1]
    jar.unlink()
    status, out, _ = cli("check", jar.parent, "--json")
    assert (status, str(jar) in json.loads(out)["error"]["found"]) == (2, True)


def test_a_source_that_is_refused_has_no_difference(cli, tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("import os\n")
    status, out, _ = cli("diff", tmp_path / "old.py", tmp_path / "old.py", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (1, "C031")
    assert cli("diff", tmp_path / "none.py", tmp_path / "old.py")[0] == 2


def test_findings_as_sarif(cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    import os\n    return 1 / 2\n")
    status, out, _ = cli("check", file, "--format", "sarif")
    document = json.loads(out)
    run = document["runs"][0]
    assert (status, document["version"]) == (1, "2.1.0")
    places = [
        (found["ruleId"], found["level"], found["locations"][0]["physicalLocation"]["region"])
        for found in run["results"]
    ]
    assert ("C031", "error", {"startLine": 2, "startColumn": 5}) in places
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {rule for rule, _, _ in places}
    file.write_text("Lost = event('Lost', a=u64)\n")
    status, out, _ = cli("check", file, "--format", "sarif")
    result = json.loads(out)["runs"][0]["results"][0]
    assert (status, result["ruleId"], result["level"]) == (0, "W004", "warning")
    assert cli("check", file, "--format", "xml")[0] == 2


ADVICE = [
    (
        "W001",
        '    call("a", "b", on_fail="return")\n',
        '    done = call("a", "b", on_fail="return")\n    require(done[0], "NO")\n',
    ),
    (
        "W001",
        '    ok, x = call("a", "b", on_fail="return")\n',
        '    ok, x = call("a", "b", on_fail="return")\n    require(ok, "NO")\n',
    ),
    ("W002", '    call("a", "b")\n    m[1] = ctx.sender\n', '    m[1] = ctx.sender\n    call("a", "b")\n'),
    ("W002", "    out()\n    m[1] = ctx.sender\n", "    m[1] = ctx.sender\n    out()\n"),
    ("W002", "    out()\n    guarded()\n", "    guarded()\n    out()\n"),
    (
        "W002",
        "    for i in range(3):\n        m[i] = ctx.sender\n        out()\n",
        "    for i in range(3):\n        m[i] = ctx.sender\n    for i in range(3):\n        out()\n",
    ),
    (
        "W002",
        "    if m[1] == ctx.sender:\n        out()\n    else:\n        pass\n    m[2] = ctx.sender\n",
        "    if m[1] == ctx.sender:\n        out()\n    else:\n        m[2] = ctx.sender\n",
    ),
    (
        "W002",
        "    try:\n        out()\n    except KeyMissing:\n        m[1] = ctx.sender\n",
        "    try:\n        m[1] = ctx.sender\n    except KeyMissing:\n        out()\n",
    ),
    (
        "W002",
        "    match m[1]:\n        case b'':\n            out()\n        case _:\n            pass\n    guarded()\n",
        "    match count.get():\n        case 1:\n            out()\n        case _:\n            guarded()\n",
    ),
    ("W002", "    while True:\n        guarded()\n        out()\n", "    while True:\n        out()\n"),
    ("W003", "    m[1] = bytes(32)\n", "    m[1] = ctx.sender\n"),
    ("W003", "    inner()\n", '    require(ctx.sender == bytes(32), "NO")\n    inner()\n'),
    ("W005", "    x = 7 // 2 * 3\n", "    x = mul_div(7, 3, 2)\n"),
    ("W005", "    x = 7 // 2\n    y = x * 3\n", "    x = 7 // 2\n    x = 8\n    y = x * 3\n"),
    (
        "W006",
        "    for i in range(count.get() + 1):\n        x = m[i]\n",
        "    for i in range(min(count.get(), 50)):\n        x = m[i]\n",
    ),
    (
        "W006",
        "    n = count.get()\n    for i in range(1, n):\n        x = m.get(i)\n",
        "    n = count.get()\n    for i in range(1, n):\n        x = i\n",
    ),
    (
        "W006",
        "    last = None\n    more = True\n    while more:\n        page = m.keys((), after=last, limit=9)\n"
        "        more = len(page) == 9\n        last = page[-1] if more else None\n",
        "    last = None\n    turns = 0\n    while turns < 5:\n        page = m.keys((), after=last, limit=9)\n"
        "        turns += 1\n        last = page[-1] if len(page) == 9 else None\n",
    ),
    ("W006", "    x = m.items()\n", "    x = m.items((), limit=5)\n"),
    (
        "W006",
        "    for k in m.keys(after=3):\n        pass\n",
        "    for k in m.keys((), after=3, limit=5):\n        pass\n",
    ),
]


@pytest.mark.parametrize(("rule", "bad", "good"), ADVICE)
def test_advice(rule: str, bad: str, good: str) -> None:
    head = (
        "m = Map(u64, Address)\ncount = Var(u64, default=0)\n\n"
        "def inner() -> None:\n    m[2] = bytes(32)\n\n"
        "def guarded() -> None:\n    m[2] = ctx.sender\n\n"
        'def out() -> None:\n    call("a", "b")\n\n'
        "@export\ndef f() -> None:\n"
    )

    def told(body: str) -> list[tuple[str, int]]:
        found = review((head + body).encode())
        assert found.refusals == ()
        return [(finding.code, finding.line) for finding in found.warnings]

    assert [code for code, _ in told(bad)] == [rule]
    assert told(good) == []
    line = told(bad)[0][1]
    rows = (head + bad).split("\n")
    rows[line - 1] += f"  # accept {rule}: on purpose"
    assert review("\n".join(rows).encode()).warnings == ()
    rows[line - 1] = rows[line - 1].replace(rule, "W999")
    assert [finding.code for finding in review("\n".join(rows).encode()).warnings] == [rule]


def test_advice_on_entries_that_are_guarded_otherwise() -> None:
    for decorator in ('@export(auth=("trader",))', "@export(scheduled=True)", '@export(signers=("who",))'):
        parameters = "due: u64, who: Address"
        text = f"n = Var(u64, default=0)\n\n{decorator}\ndef f({parameters}) -> None:\n    n.set(1)\n"
        assert review(text.encode()).warnings == ()
    assert review(b"n = Var(u64, default=0)\n\ndef f():\n    n.set(1)\n", pure=True).warnings == ()
    found = {finding.code for finding in review(library_source("double_auction").encode()).warnings}
    assert found.isdisjoint({"W001", "W003", "W004"})


SCRIPT = """# a script
pay(5, sender=alice)
.lines
pay(7, sender=bob)
.lines
share(alice, 120)
.as carol
take()
.state total
.step 5000
.undo
.upgrade v2.py
doubled()
.deploy contract.py as second
take(sender=deployer)
.abi
[1, -2, '0x00ff', True, None, {'a': alice}]
.quit
pay(1)
"""


def test_a_script_for_the_console(cli, jar: Path, monkeypatch) -> None:
    monkeypatch.chdir(jar.parent)
    (jar.parent / "v2.py").write_text(CONTRACT + "\n\n@view\ndef doubled() -> u64:\n    return 2 * total.get()\n")
    status, out, err = cli("repl", "contract.py", stdin=SCRIPT)
    assert (status, err) == (0, "")
    for part in (
        "deployed jar\n5\n  jar.paid[alice]: nothing -> 5\n  jar.total: nothing -> 5\n",
        "  event jar.Paid(amount=5, member=alice)\n",
        '  require(amount > 0, "BAD_AMOUNT", {"amount": amount})\n',
        "\n50\n",
        "NOT_OWNER at line 29 of jar\n",
        "  call      jar.take(), sender carol\n",
        "\njar.total = 12\nheight 4, 8000 ms\nheight 3, 3000 ms\n",
        "upgraded jar at height 4\n24\n",
        "deployed second, ",
        "  event second.Taken(amount=0)\n",
        "  @view share(member: Address, of: u64) -> u64\n",
        "[1, -2, 0x00ff, True, None, {'a': alice}]\n",
    ):
        assert part in out, part
    assert out.endswith("alice}]\n")


MISTAKES = [
    ("pai(1)", "did you mean pay?"),
    ("pay(1, 2)", "2 arguments are too many"),
    ("import os", "neither a call nor a command"),
    ('__import__("os").system("x")', "this calls nothing"),
    ("pay(x.y)", "no value"),
    ("shop.pay(1)", "no such contract"),
    (".nope", "no such command"),
    ("'unterminated", "neither a call"),
    (".deploy 'x", "No closing quotation"),
    (".step soon", "milliseconds"),
    (".undo", "nothing to undo"),
    (".upgrade contract.py nobody", "no such contract"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES)
def test_a_line_that_means_nothing(cli, jar: Path, monkeypatch, line: str, words: str) -> None:
    monkeypatch.chdir(jar.parent)
    status, out, _ = cli("repl", "contract.py", stdin=line + "\n")
    assert status == 2
    assert words in out
    status, out, _ = cli("repl", "contract.py", "--json", stdin=line + "\npay(3)\n")
    documents = [json.loads(text) for text in out.splitlines()]
    assert (status, [found["kind"] for found in documents]) == (2, ["done", "mistake", "call"])
    assert documents[2]["value"] == 3


def test_a_console_without_a_good_file(cli, jar: Path) -> None:
    assert cli("repl", jar.parent / "none.py")[0] == 2
    status, out, _ = cli("repl", jar, "--args", "[1]", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (1, "TypeMismatch")
    assert cli("repl", jar, "--args", "{}")[0] == 2
    status, out, _ = cli("repl", stdin="pay(1)\n.state\n")
    assert (status, "nothing is deployed" in out, "nothing is stored" in out) == (2, True, True)
