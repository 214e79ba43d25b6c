"""What a call may allocate bounds what the process takes: programs that keep as much as they can, each in its own child."""

# ruff: noqa: E501  # one program a line

from __future__ import annotations

import json
import resource

import pytest

from contracts.solo_run import run_solo
from node.cli.confined import confined

MIB = 1024 * 1024
GROWTH = 176 * MIB
"""Beside some 60 MiB of the interpreter and the compiler: below 256 MiB together."""

KEPT: dict[str, tuple[str, str]] = {
    "empty sets": ("", "xs.append(set())"),
    "empty dicts": ("", "xs.append({})"),
    "small dicts": ("", "xs.append({'a': 1})"),
    "small sets": ("", "xs.append({1})"),
    "wide integers": ("i = 2**250", "i += 1\n        xs.append(i)"),
    "one wide character": ("s = '\\U00010001'", "xs.append(s[0])"),
    "characters": ("s = '\\U00010001' * 60000", "xs.append(list(s))"),
    "wide texts": ("s = '\\U00010001' * 60000", "xs.append(s + str(len(xs)))"),
    "texts from a format": ("s = '\\U00010001' * 60000", "xs.append(f'{s}a')"),
    "texts from a join": ("s = '\\U00010001' * 60000", "xs.append(''.join([s, 'a']))"),
    "upper case": ("s = '\\U00010001' * 30000", "xs.append(s.upper())"),
    "dict of wide keys": ("", "xs.append({2**200 + i: i for i in range(60000)})"),
    "set of wide keys": ("", "xs.append({2**200 + i for i in range(60000)})"),
    "set of a list": ("r = [2**200 + i for i in range(60000)]", "xs.append(set(r))"),
    "tuple keys": ("i = 2**200\n    d = {}", "i += 1\n        d[(i, i, i, i)] = i\n        if len(d) > 60000:\n            xs.append(d)\n            d = {}"),
    "integer keys": ("i = 10**6\n    d = {}", "i += 1\n        d[i] = i\n        if len(d) > 60000:\n            xs.append(d)\n            d = {}"),
    "sets in a comprehension": ("", "xs.append([set() for i in range(60000)])"),
    "filtered comprehension": ("", "xs.append([2**200 + i for i in range(60000) if i >= 0])"),
    "mapped dicts": ("r = list(range(60000))", "xs.append(list(map(lambda y: {y: [y]}, r)))"),
    "pieces": ("s = '\\U00010001,' * 30000", "xs.append(s.split(','))"),
    "records": ("i = 2**40", "i += 1\n        xs.append(R(a=i, b=i))"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_no_program_takes_more_memory_than_a_process_may(name: str) -> None:
    setup, step = KEPT[name]
    source = (
        "R = record('R', a=u64, b=u64)\n\ndef main():\n    xs = []\n"
        f"    {setup or 'pass'}\n    while True:\n        {step}\n        if len(xs) > 60000:\n            xs = [xs]\n"
    )

    def work() -> bytes:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = run_solo(source.encode(), "main", [])
        return json.dumps([found.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]).encode()

    answer = confined(work, 512 * MIB, 60)
    assert isinstance(answer, bytes), answer
    code, grown = json.loads(answer)
    assert code in ("OutOfMemory", "OutOfGas")
    assert grown * 1024 < GROWTH
