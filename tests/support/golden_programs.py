"""Write the vector of the self-test: `python tests/support/golden_programs.py`. About 300 small programs, picked from
the corpora of the tests: the shortest that run, one or two for each rule, the shortest that fail with each code.

Whoever changes prices or language on purpose runs it, and reviews which outcomes changed.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(ROOT)]

import msgspec  # noqa: E402  # found through the path set above
from contract_attacks import REJECTED, REVERTED  # noqa: E402  # the same
from contract_expressions import EXPRESSIONS  # noqa: E402  # the same
from contract_failing import FAILING  # noqa: E402  # the same
from contract_forms import FORMS  # noqa: E402  # the same
from contract_hostile import REFUSED  # noqa: E402  # the same
from contract_programs import VALID  # noqa: E402  # the same
from contract_tricky import TRICKY  # noqa: E402  # the same

from contracts.self_test import VECTOR, GoldenProgram, outcome_now  # noqa: E402  # the same

PATH = ROOT / "contracts" / VECTOR
GAS = 50_000
"""Of each program: what loops for ever costs little."""
RUNNING = 110
TOGETHER = 7
OF_A_RULE = 2
OF_A_CODE = 6
SOURCE_CHARS = 400


def _shortest(named: Iterable[tuple[str, str | bytes]], each: int) -> list[str]:
    """The shortest sources of each name, by name."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, source in named:
        if isinstance(source, str) and len(source) <= SOURCE_CHARS:
            groups[name].append(source)
    return [source for name in sorted(groups) for source in sorted(groups[name], key=lambda s: (len(s), s))[:each]]


def chosen() -> list[tuple[str, list[Any]]]:
    """Sources with the arguments of `main`."""
    valid = sorted({**VALID, **TRICKY, **FORMS}.items(), key=lambda row: (len(row[1][0]), row[0]))[:RUNNING]
    found: list[tuple[str, list[Any]]] = [(source, cases[0]) for _, (source, cases) in valid]
    for begin in range(0, len(EXPRESSIONS), TOGETHER):
        lines = "".join(f"        {text},\n" for text in EXPRESSIONS[begin : begin + TOGETHER])
        found.append((f"def main():\n    return [\n{lines}    ]\n", []))
    found += [(source, []) for source in _shortest([*REJECTED, *REFUSED], OF_A_RULE)]
    return found + [(source, []) for source in _shortest([*REVERTED, *FAILING], OF_A_CODE)]


def vector() -> list[GoldenProgram]:
    """The programs with what this tree makes of them."""
    return [
        GoldenProgram(source, arguments, GAS, outcome_now(source, arguments, GAS)) for source, arguments in chosen()
    ]


def text_of(programs: list[GoldenProgram]) -> bytes:
    """The file: a program a line, in ASCII."""
    return b"[\n" + b",\n".join(json.dumps(msgspec.to_builtins(row)).encode() for row in programs) + b"\n]\n"


if __name__ == "__main__":
    programs = vector()
    raw = text_of(programs)
    changed = not PATH.exists() or PATH.read_bytes() != raw
    PATH.write_bytes(raw)
    print(f"{len(programs)} programs, {len(raw):,} bytes, {'changed' if changed else 'unchanged'}")
