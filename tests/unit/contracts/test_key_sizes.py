"""Keys that dicts and sets keep have at most `key_bytes`: every way into one, what a longer one may still do, and that
lookups with equal keys that are other objects cannot be used up as time."""

from __future__ import annotations

import pytest
from contract_bench import Bench, run

from contracts.limits import PYC1
from oracle.compare import GAS, MEMORY, Alone

LIMIT = PYC1.key_bytes

# statements over a key k that put it into a container d, which is returned
INSERTS = {
    "item": "d = {}\nd[k] = 1",
    "item of anything": "d = [{}][z]\nd[k] = 1",
    "item in place": "d = {}\ntry:\n    d[k] += 1\nexcept KeyMissing:\n    d[k] = 1",
    "display": "d = {k: 1}",
    "display with stars": "d = {**{1: 2}, k: 1}",
    "display of a set": "d = {k}",
    "display of a set with stars": "d = {*[k]}",
    "comprehension": "d = {x: 1 for x in [k]}",
    "comprehension of a set": "d = {x for x in [k]}",
    "dict": "d = dict([(k, 1)])",
    "dict of names": "d = dict([(k, 1)], a=1)",
    "dict of zip": "d = dict(zip([k], [1]))",
    "fromkeys": "d = dict.fromkeys([k], 1)",
    "set": "d = set([k])",
    "add": "d = set()\nd.add(k)",
    "setdefault": "d = {}\nd.setdefault(k, 1)",
    "update": "d = {}\nd.update([(k, 1)])",
    "update of a set": "d = set()\nd.update([k])",
    "union": "d = set().union([k])",
    "symmetric difference": "d = set().symmetric_difference([k])",
    "dispatched add": "d = [set()][z]\nd.add(k)",
    "dispatched setdefault": "d = [{}][z]\nd.setdefault(k, 1)",
    "tuple": "d = {}\nd[(1, k, 2)] = 1",
    "tuple of a set": "d = set()\nd.add((k, 2**200))",
    "tuple in a display": "d = {(k, 1): 1}",
}
# texts and bytes, and how many make the longest key
KEYS = {
    "ascii": ("'a' * n", LIMIT),
    "bytes": ("b'a' * n", LIMIT),
    "beyond ascii": ("'\u00ff' * n", LIMIT // 4),
    "one beyond ascii": ("'a' * (n - 1) + '\u00a1'", LIMIT // 4),
    "two bytes": ("'\u0101' * n", LIMIT // 4),
    "four bytes": ("'\U00010001' * n", LIMIT // 4),
    "wide end": ("'a' * (n - 1) + '\U00010001'", LIMIT // 4),
}


def source_of(insert: str, key: str) -> str:
    lines = "".join(f"    {line}\n" for line in insert.split("\n"))
    return f"def main(n, z=0):\n    k = {key}\n{lines}    return len(d) > 0\n"


def codes(source: str, limit: int = LIMIT) -> list[str]:
    found = [run(source, "main", [limit + by]) for by in (-1, 0, 1)]
    return [one.code or str(one.value) for one in found]


@pytest.mark.parametrize("insert", INSERTS)
def test_a_key_at_the_limit_by_every_way_in(insert: str) -> None:
    assert codes(source_of(INSERTS[insert], KEYS["ascii"][0])) == ["True", "True", "BadValue"]
    assert codes(source_of(INSERTS[insert], KEYS["bytes"][0])) == ["True", "True", "BadValue"]


@pytest.mark.parametrize("key", KEYS)
def test_every_kind_of_text_is_measured(key: str) -> None:
    for insert in ("item", "display", "set", "tuple"):
        assert codes(source_of(INSERTS[insert], KEYS[key][0]), KEYS[key][1]) == ["True", "True", "BadValue"]


@pytest.mark.parametrize("insert", INSERTS)
def test_the_oracle_agrees_on_it(insert: str) -> None:
    for key, limit in KEYS.values():
        alone = Alone(source_of(INSERTS[insert], key))
        assert [alone.check([limit + by, 0], GAS, MEMORY).ok for by in (0, 1)] == [True, False]


def test_a_long_key_fails_before_it_changes_anything() -> None:
    source = (
        "def main(n):\n    d, s = {'a': 1}, {'a'}\n    k = 'b' * n\n    t = 0\n"
        "    try:\n        d[k] = 1\n    except BadValue:\n        t += 1\n"
        "    try:\n        s.add(k)\n    except BadValue:\n        t += 1\n"
        "    try:\n        d.update([('c', 1), (k, 1)])\n    except BadValue:\n        t += 1\n"
        "    try:\n        s.update(['c'], [k])\n    except BadValue:\n        t += 1\n"
        "    return [t, d, sorted(s)]\n"
    )
    assert run(source, "main", [LIMIT + 1]).value == [4, {"a": 1}, ["a", "c"]]


def test_looking_for_a_longer_key_finds_nothing() -> None:
    source = (
        "def main(n):\n    k = 'a' * n\n    d, s = {'a': 1}, {'a'}\n    s.discard(k)\n    t = 0\n"
        "    try:\n        d[k]\n    except KeyMissing:\n        t += 1\n"
        "    try:\n        del d[(k, 1)]\n    except KeyMissing:\n        t += 1\n"
        "    try:\n        s.remove(k)\n    except KeyMissing:\n        t += 1\n"
        "    return [k in d, k in s, d.get(k), d.pop(k, 5), t]\n"
    )
    assert run(source, "main", [PYC1.text]).value == [False, False, None, 5, 3]


def constant(size: int) -> str:
    """A text of so many bytes in source lines."""
    rows = ["a" * 100] * (size // 100) + ["a" * (size % 100)]
    return "\n".join(f"    '{row}'" for row in rows)


@pytest.mark.parametrize("display", ["{TEXT: 1}", "{TEXT}", "{**{}, TEXT: 1}"])
def test_written_out_keys(display: str) -> None:
    def code(size: int) -> str:
        return run("def main():\n    return len(" + display.replace("TEXT", constant(size)) + ")\n").code or "ok"

    assert [code(LIMIT + by) for by in (-1, 0, 1)] == ["ok", "ok", "BadValue"]


def test_keys_of_module_constants() -> None:
    def code(size: int) -> str:
        return run("D = {\n" + constant(size) + ": 1}\n\ndef main():\n    return len(D)\n").code or "ok"

    assert [code(LIMIT + by) for by in (-1, 0, 1)] == ["ok", "ok", "C078"]
    computed = [f"D = {{'a' * {LIMIT + by}: 1}}\n\ndef main():\n    return len(D)\n" for by in (0, 1)]
    assert [run(source).code or "ok" for source in computed] == ["ok", "C078"]


TAKES = """
@export
def table(d: dict) -> int:
    return len(d)


@export
def anything(d: list) -> int:
    return len(d[0])
"""
GIVES = """
@export
def give(n: u64) -> int:
    return call("takes", "table", {"a" * n: 1})
"""


def test_arguments_of_transactions_and_of_calls() -> None:
    bench = Bench()
    bench.installed("takes", TAKES)
    keys = ["a" * (LIMIT + by) for by in (-1, 0, 1)] + ["\u00e9" * (LIMIT // 4 + by) for by in (0, 1)]
    expected = ["", "", "BadValue", "", "BadValue"]
    assert [bench.call("takes", "table", {key: 1}).code for key in keys] == expected
    assert [bench.call("takes", "anything", [{key: 1}]).code for key in keys] == expected
    bench.installed("gives", GIVES, calls=("takes",))
    assert [bench.call("gives", "give", LIMIT + by).code for by in (-1, 0, 1)] == ["", "", "BadValue"]


def test_arguments_of_a_single_call() -> None:
    source = "def main(d: dict):\n    return len(d)\n\ndef items(s: set):\n    return len(s)\n"
    keys = ["a" * (LIMIT + by) for by in (-1, 0, 1)]
    assert [run(source, "main", [{key: 1}]).code or "ok" for key in keys] == ["ok", "ok", "BadValue"]
    assert [run(source, "items", [[key]]).code or "ok" for key in keys] == ["ok", "ok", "BadValue"]


BOMBS = {
    "update": "a.update(b)",
    "store": "for k in keys:\n            a[k] = 1",
    "load": "for k in keys:\n            a[k]",
    "union": "a = set(keys) | set(keys)",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_equal_long_keys_are_no_bomb(bomb: str) -> None:
    source = (
        "def main():\n    a, b, base = {}, {}, 'x' * 60000\n"
        "    keys = [base + f'{i:05d}' for i in range(200)]\n"
        "    for i in range(200):\n        a[base + f'{i:05d}'] = i\n        b[base + f'{i:05d}'] = i\n"
        f"    while True:\n        {BOMBS[bomb]}\n"
    )
    found = run(source)
    assert (found.code, found.line) == ("BadValue", 5)
    assert found.gas < 1_000_000
