"""Prints one line per corpus program: what it did, and what it cost. Equal on every interpreter, flag and hash seed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]

from contract_attacks import REJECTED, REVERTED  # noqa: E402  # found through the path set above
from contract_bench import Run, run  # noqa: E402  # the same
from contract_expressions import EXPRESSIONS  # noqa: E402  # the same
from contract_failing import FAILING  # noqa: E402  # the same
from contract_hostile import REFUSED  # noqa: E402  # the same
from contract_programs import VALID  # noqa: E402  # the same
from contract_tricky import TRICKY  # noqa: E402  # the same


def lines() -> list[str]:
    """The outcome of each program, at little gas, with hostile texts as their `ascii`."""
    found: list[Run] = []
    for source, cases in (VALID | TRICKY).values():
        found.extend(run(source, "main", arguments) for arguments in cases)
    found.extend(run(f"def main():\n    return {expression}\n") for expression in EXPRESSIONS)
    found.extend(run(source) for _, source in REJECTED + REFUSED)
    found.extend(run(source, gas=300_000) for _, source in REVERTED + FAILING)
    return [ascii(outcome) for outcome in found]


if __name__ == "__main__":
    print("\n".join(lines()))
