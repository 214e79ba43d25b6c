"""`gridchain contract`: one JSON line whatever a program does, exit codes, findings, the files of a new contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract_attacks import REJECTED, REVERTED
from contract_bench import DictView, run
from contract_programs import VALID

import deploy
from contracts.limits import PYC1
from contracts.solo_run import ScratchState, run_solo
from deploy.main import app
from node.cli.output import run_command

ROOT = Path(deploy.__file__).resolve().parents[1]
KEYS = ["status", "value", "code", "line", "gas"]


@pytest.fixture
def cli(capsys, monkeypatch):
    def call(*arguments):
        words = ["contract", *(str(argument) for argument in arguments)]
        monkeypatch.setattr(sys, "argv", ["gridchain", *words])
        code = run_command(app, words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(code), captured.out, captured.err

    return call


@pytest.fixture
def source(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "source.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", VALID)
def test_a_valid_program_runs_alone_as_on_the_bench(name: str) -> None:
    text, cases = VALID[name]
    for arguments in cases:
        found, expected = run_solo(text.encode(), "main", arguments, calls=2), run(text, "main", arguments)
        assert (found.status, found.code, found.gas) == ("ok", None, expected.gas)
        json.dumps(found.value)


def test_every_refused_program_is_rejected_with_its_rule() -> None:
    for rule, text in REJECTED:
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        found = run_solo(raw, "main", [])
        assert (found.status, found.code, found.gas) == ("rejected", rule, 0), text
        assert found.line is not None
        assert found.line >= 1
        assert found.hint


def test_every_failing_program_is_reverted_at_equal_gas() -> None:
    for code, text in REVERTED:
        found = run_solo(text.encode(), "main", [], gas=200_000, calls=2)
        assert found.status == "reverted", text
        assert found.code in (code, "OutOfGas"), text
        assert not found.fault
        assert 0 <= found.gas <= 200_000


VALUES: list[tuple[str, Any]] = [
    ("None", None),
    ("True", True),
    ("2 ** 254", 2**254),
    ("-2 ** 200", -(2**200)),
    ("'0x\\u00e9\\n'", "0x\u00e9\n"),
    ("b'\\x00\\xff'", "0x00ff"),
    ("(1, [2, (3,)])", [1, [2, [3]]]),
    ("{'b': 1, 'a': (2,)}", {"b": 1, "a": [2]}),
    ("{}", {}),
    ("{2: 'x', 1: None}", [[2, "x"], [1, None]]),
    ("{'a': 1, 2: 3}", [["a", 1], [2, 3]]),
    ("{(1, b'k'): {3}}", [[[1, "0x6b"], [3]]]),
    ("{2 ** 100: True}", [[2**100, True]]),
    ("{3, 1, 2 ** 100, -5}", [-5, 1, 3, 2**100]),
    ("{'b', 'a', b'c', 2, (1, 'x')}", [2, "a", "b", "0x63", [1, "x"]]),
    ("[set()]", [[]]),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_values_are_shown_as_json(cli, source, expression: str, value: Any) -> None:
    file = source(f"def main():\n    return {expression}\n")
    status, out, err = cli("run", file, "--entry", "main", "--calls", "3", "--json")
    found = json.loads(out)
    assert (status, list(found), err) == (0, KEYS, "")
    assert out.count("\n") == 1
    assert found["status"] == "ok"
    assert json.dumps(found["value"]) == json.dumps(value)


def test_a_record_is_an_object() -> None:
    text = b"P = record('P', b=u64, a=str)\n\ndef main():\n    return [P(b=1, a='x')]\n"
    assert run_solo(text, "main", []).value == [{"b": 1, "a": "x"}]


ARGUMENTS: list[tuple[str, str, str, Any]] = [
    ("x", '["0x0aFF"]', "ok", "0x0aff"),
    ("x: str", '["0x0aFF"]', "ok", "0x0aFF"),
    ("x", '["0xq"]', "ok", "0xq"),
    ("x", '[{"b": [1], "a": "0x"}]', "ok", {"b": [1], "a": "0x"}),
    ("x: list[str]", '[["0x01"]]', "ok", ["0x01"]),
    ("x", "[]", "TypeMismatch", None),
    ("x", "[1, 2]", "TypeMismatch", None),
    ("x: int", "[true]", "TypeMismatch", None),
    ("x", "[1.5]", "BadValue", None),
    ("x", "[NaN]", "BadValue", None),
    ("x", '["\\ud800"]', "BadValue", None),
    ("x", "[" * 34 + "]" * 34, "BadValue", None),
    ("x", "[" + "9" * 5000 + "]", "Overflow", None),
    ("x", f"[{2**255}]", "Overflow", None),
    ("x", f"[{-(2**255)}]", "ok", -(2**255)),
]


@pytest.mark.parametrize(("parameter", "arguments", "outcome", "value"), ARGUMENTS)
def test_arguments(cli, source, parameter: str, arguments: str, outcome: str, value: Any) -> None:
    file = source(f"def main({parameter}):\n    return x\n")
    status, out, _ = cli("run", file, "--entry", "main", "--args", arguments, "--json")
    found = json.loads(out)
    assert (status, found["code"] or found["status"], found["value"]) == (0, outcome, value)
    assert found["line"] == (None if outcome == "ok" else 1)


def test_print_is_rejected_with_a_hint(cli, source) -> None:
    status, out, err = cli("run", source("def main():\n    print(1)\n"), "--entry", "main", "--json")
    assert status == 0
    assert json.loads(out) == {"status": "rejected", "value": None, "code": "C064", "line": 2, "gas": 0}
    assert "emit an event" in err


def test_bad_input_is_told_from_bad_contracts(cli, source, tmp_path) -> None:
    file = source("def main():\n    def inner(a):\n        return a\n    return inner(1)\n")
    for entry in ("other", "inner", "main.inner", "__class__", ""):
        status, out, err = cli("run", file, "--entry", entry, "--json")
        assert (status, json.loads(out)["code"]) == (0, "C073")
        assert "main" in err
    for path, arguments, code in (
        (tmp_path / "none.py", "[]", "NO_SOURCE"),
        (tmp_path, "[]", "NO_SOURCE"),
        (file, "{}", "BAD_ARGS"),
        (file, "[1", "BAD_ARGS"),
        (file, "[" * 9000 + "]" * 9000, "BAD_ARGS"),
    ):
        status, out, _ = cli("run", path, "--entry", "main", "--args", arguments, "--json")
        assert (status, json.loads(out)["error"]["code"]) == (2, code)
    status, out, _ = cli("run", "/dev/zero", "--entry", "main", "--json")
    assert (status, json.loads(out)["code"]) == (0, "C004")


@pytest.mark.parametrize(
    ("words", "shell", "found"),
    [
        (["--json"], ">&-", "it is closed"),
        ([], ">&-", "it is closed"),
        (["--json"], ">/dev/full", "No space left on device"),
        (["--args", "no JSON", "--json"], ">/dev/full", "No space left on device"),
    ],
)
def test_an_output_that_takes_nothing_is_told(source, words: list[str], shell: str, found: str) -> None:
    path = source("def main():\n    return 1\n")
    line = [sys.executable, "-m", "deploy.main", "contract", "run", str(path), "--entry", "main", *words]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *line], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 1
    assert "OUTPUT" in done.stderr
    assert found in done.stderr
    assert "Traceback" not in done.stderr


def test_a_result_is_bounded_before_it_is_shown() -> None:
    size = PYC1.value_bytes // 16
    fits = f"def main(n):\n    s = 'a' * {size - 2}\n    return [s] * n\n".encode()
    assert run_solo(fits, "main", [16]).status == "ok"
    assert run_solo(fits, "main", [17]).code == "BadValue"
    shared = b"def main():\n    y = []\n    for i in range(30):\n        y = [y, y]\n    return y\n"
    assert run_solo(shared, "main", []).code in ("BadValue", "OutOfMemory", "OutOfGas")


def test_storage_begins_empty_at_every_call() -> None:
    text = b"n = Var(u64, default=0)\nC = [1]\n\ndef main():\n    n.set(n.get() + 1)\n"
    text += b"    C.append(1)\n    return n.get() + len(C)\n"
    assert run_solo(text, "main", [], calls=5).value == 3


def test_scratch_state_is_a_journalled_sorted_map() -> None:
    ours, plain = ScratchState(), DictView()
    for step in range(300):
        key = b"k" + bytes([step * 37 % 11, step * 53 % 3][: 1 + step % 2])
        for view in (ours, plain):
            if step % 5 == 4:
                view.delete(key)
            else:
                view.put(key, bytes([step % 256]))
        if step % 7 == 0:
            mark = (ours.checkpoint(), plain.checkpoint())
        if step % 7 == 6:
            ours.rollback(mark[0])
            plain.rollback(mark[1])
        for prefix, after, limit in ((b"k", None, 99), (key, None, 3), (b"k", key, 2), (b"k\x05", b"k\x05", 9)):
            assert ours.scan(prefix, after, limit) == plain.scan(prefix, after, limit)


def test_check_tells_every_finding_with_place_and_fix(cli, source) -> None:
    file = source("import os\n\ndef main():\n    x = 1 / 2\n    print(x)\n")
    status, out, _ = cli("check", file, "--json")
    found = json.loads(out)
    assert (status, found["admitted"]) == (1, False)
    assert [(row["code"], row["line"]) for row in found["findings"]] == [("C031", 1), ("C046", 4), ("C064", 5)]
    assert all(row["fix"] and row["reason"] and row["column"] >= 1 for row in found["findings"])
    status, out, _ = cli("check", file)
    assert status == 1
    assert f"{file}:5:5: C064 print; return the value" in out


def test_gas_by_line_adds_up(cli, source) -> None:
    file = source("def main(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\n")
    status, out, _ = cli("gas", file, "--entry", "main", "--args", "[100]", "--json")
    found = json.loads(out)
    assert (status, found["value"]) == (0, 4950)
    assert sum(row["gas"] for row in found["lines"]) == found["gas"] == run(file.read_text(), "main", [100]).gas
    assert {row["line"]: row["times"] for row in found["lines"]}[4] == 100
    assert cli("gas", file, "--entry", "main", "--args", '["a"]')[0] == 1


def test_abi_is_a_schema_of_entries_and_records(cli) -> None:
    status, out, _ = cli("abi", ROOT / "contracts" / "library" / "tokens.py", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    entry = found["entries"]["transfer"]
    assert entry["role"] == "export"
    assert entry["arguments"]["prefixItems"][0]["pattern"] == "^0x[0-9a-f]{64}$"
    assert cli("abi", ROOT / "README.md", "--json")[0] != 0


def test_a_new_contract_is_admitted_and_its_tests_pass(cli, tmp_path) -> None:
    home = tmp_path / "village_jar"
    status, out, _ = cli("new", home, "--json")
    assert (status, json.loads(out)["files"]) == (
        0,
        [
            "contract.py",
            "test_contract.py",
            "pyproject.toml",
            "README.md",
            "__builtins__.pyi",
        ],
    )
    assert cli("check", home / "contract.py")[0] == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(home)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    assert cli("new", home)[0] == 2
    assert cli("new", tmp_path / "../Bad-Name")[0] == 2


@pytest.mark.parametrize(
    ("flags", "variables"),
    [(["-O"], {"PYTHONHASHSEED": "1"}), (["-W", "error"], {"PYTHONHASHSEED": "77", "LC_ALL": "C"})],
)
def test_flags_seeds_and_locales_change_nothing(source, flags: list[str], variables: dict[str, str]) -> None:
    file = source(
        "def main(x):\n    assert x != 'é', 'é'\n    return sorted({'a', 'b', 'é'}), {1, 'é'}, 1 if x else 2\n"
    )
    arguments = ["--args", '["\\u00e9"]', "--json"]
    done = subprocess.run(
        [sys.executable, *flags, "-m", "deploy.main", "contract", "run", str(file), "--entry", "main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["code"] == "Assertion"


@pytest.mark.parametrize(
    "step", ["A{} = [A{}, A{}]", "A{} = (A{}, A{})", "A{} = {{1: A{}, 2: A{}}}", "A{} = [A{}]", "A{} = (A{},)"]
)
def test_constants_that_grow_by_sharing_are_refused_at_once(step: str) -> None:
    rows = ["A0 = [1]", *(step.format(i, i - 1, i - 1) for i in range(1, 40))]
    found = run_solo(("\n".join(rows) + "\n\ndef main():\n    return 1\n").encode(), "main", [])
    assert (found.status, found.code) == ("rejected", "C078")


@pytest.mark.parametrize(("expression", "code"), [("x / 2", "C046"), ("x @ 2", "C047")])
def test_a_refused_operator_has_its_line(expression: str, code: str) -> None:
    found = run_solo(f"def main(x):\n    y = 1\n    return {expression}\n".encode(), "main", [1])
    assert (found.code, found.line) == (code, 3)
