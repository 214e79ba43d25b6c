"""The oracle agrees with the product on the ordinary and the hostile programs, also where gas or memory ends."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from contract_fresh import FRESH, FRESH_HOSTILE

from oracle.compare import GAS, MEMORY, Alone

HOSTILE = {name: (source, [[]]) for name, ends, source in FRESH_HOSTILE if ends != "rejected"}
PROGRAMS: dict[str, tuple[str, list[list[Any]]]] = {**FRESH, **HOSTILE}


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_say_the_same(name: str) -> None:
    source, cases = PROGRAMS[name]
    alone = Alone(source)
    for arguments in cases:
        row = alone.check(copy.deepcopy(arguments), GAS, MEMORY)
        for part in (3, 7):
            alone.check(copy.deepcopy(arguments), row.gas * part // 10, MEMORY)
        alone.check(copy.deepcopy(arguments), GAS, 2_000)
