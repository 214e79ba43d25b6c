"""No operation is priced more than three times below what it takes (soak: it measures time).

One gas is meant to be 10 ns on the reference host. How fast this host is comes from a plain Python loop measured beside.
"""

# ruff: noqa: E501  # one operation a line

from __future__ import annotations

import time

import pytest
from contract_bench import run

pytestmark = pytest.mark.soak

OPERATIONS: dict[str, tuple[str, str]] = {
    "pass": ("", "pass"),
    "int inline": ("t=1", "t = (t * 31 + i) % 1000003"),
    "int big": ("t=2**200\n    u=3**100", "t = t * 3 // 3"),
    "int mul big": ("t=2**120+7\n    u=2**120+13", "v = t * u"),
    "int div big": ("t=2**250+7\n    u=2**120+13", "v = t // u"),
    "mod big": ("t=2**250+7\n    u=2**120+13", "v = t % u"),
    "unknown add": ("t=q", "t = t + p"),
    "unknown mul": ("t=q", "t = p * p"),
    "unknown cmp": ("t=q", "t = p < q"),
    "unknown eq": ("t=q", "t = p == q"),
    "unknown chain": ("t=q", "t = p < q < p"),
    "pow": ("", "t = 2 ** 250"),
    "pow unknown": ("", "t = q ** 31"),
    "pow big": ("t=2**31", "v = t ** 8"),
    "lshift": ("", "t = q << 250"),
    "powmod": ("t=2**250", "v = pow(t, t, t + 1)"),
    "powmod small exp": ("t=2**250", "v = pow(t, 3, t + 1)"),
    "muldiv": ("t=2**250", "v = mul_div(t, t, t)"),
    "divmod": ("", "v = divmod(p, 7)"),
    "neg": ("", "v = -p"),
    "list index": ("xs=[1,2,3]", "v = xs[1]"),
    "unknown index": ("", "v = l[1]"),
    "setitem": ("xs=[1,2,3]", "xs[0] = i"),
    "unknown setitem": ("", "l[0] = i"),
    "dict get": ('d={"a":1}', 'v = d["a"]'),
    "dict set": ("d={}", 'd["a"] = i'),
    "dict get int": ("d={5:1}", "v = d[q]"),
    "dict big key": ("d={}\n    k=2**200", "d[k] = i"),
    "dict tuple key": ("d={}\n    k=(2**200,1,2,3)", "d[k] = i"),
    "dict in": ("d={5:1}", "v = q in d"),
    "append pop": ("xs=[]", "xs.append(i)\n        xs.pop()"),
    "list display": ("", "v = [1, 2, 3]"),
    "tuple display": ("", "v = (i, 2, 3)"),
    "dict display": ("", "v = {1: 2, 3: 4}"),
    "set display": ("", "v = {1, 2, 3}"),
    "listcomp": ("xs=[1]*100", "v = [x + 1 for x in xs]"),
    "listcomp small": ("xs=[1]*1", "v = [x for x in xs]"),
    "dictcomp": ("xs=list(range(100))", "v = {x: x for x in xs}"),
    "setcomp": ("xs=list(range(100))", "v = {x for x in xs}"),
    "sum": ("xs=[1]*1000", "v = sum(xs)"),
    "sum big": ("xs=[2**250, -2**250]*500", "v = sum(xs)"),
    "min2": ("", "v = min(i, 5)"),
    "min unknown": ("", "v = min(p, q)"),
    "min list": ("xs=[1]*1000", "v = min(xs)"),
    "sorted": ("xs=[(j*7919)%1000 for j in range(1000)]", "v = sorted(xs)"),
    "sorted key": ("xs=[(j*7919)%1000 for j in range(1000)]", "v = sorted(xs, key=lambda y: -y)"),
    "sorted tuples": ("xs=[((j*7919)%10, j) for j in range(1000)]", "v = sorted(xs)"),
    "sorted strs": ('xs=["a"*500+str((j*7919)%1000) for j in range(1000)]', "v = sorted(xs)"),
    "reversed": ("xs=[1]*1000", "v = reversed(xs)"),
    "enumerate": ("xs=[1]*1000", "v = enumerate(xs)"),
    "zip": ("xs=[1]*1000", "v = zip(xs, xs)"),
    "map": ("xs=[1]*1000", "v = map(lambda y: y, xs)"),
    "list": ("xs=[1]*1000", "v = list(xs)"),
    "slice": ("xs=[1]*1000", "v = xs[1:]"),
    "list mul": ("xs=[1]*1000", "v = xs * 2"),
    "list add": ("xs=[1]*1000", "v = xs + xs"),
    "list eq": ("xs=[1]*1000\n    ys=[1]*1000", "v = xs == ys"),
    "list eq1": ("xs=[1]\n    ys=[1]", "v = xs == ys"),
    "list in": ("xs=[1]*1000", "v = 2 in xs"),
    "list in str": ('xs=["a"*200+str(j) for j in range(100)]\n    k="a"*200+"z"', "v = k in xs"),
    "nested eq": ("xs=[[[1,2],[3]]]*100", "v = xs == xs"),
    "str add": ('s="a"*1000', "v = s + s"),
    "str add short": ('s="a"', "v = s + s"),
    "str eq": ('s="a"*60000\n    t="a"*59999+"b"', "v = s == t"),
    "str lt": ('s="a"*60000\n    t="a"*59999+"b"', "v = s < t"),
    "str in": ('s="a"*60000\n    t="a"*30000+"b"', "v = t in s"),
    "str find bad": ('s=("a"*200+"b")*290\n    t="a"*100+"c"+"a"*100', "v = s.find(t)"),
    "str find bad2": ('s="a"*60000\n    t="b"+"a"*2000', "v = s.find(t)"),
    "str count": ('s="ab"*30000', 'v = s.count("ab")'),
    "str replace": ('s="a"*30000', 'v = s.replace("a", "bb")'),
    "str split": ('s="a,"*3000', 'v = s.split(",")'),
    "str split ws": ('s="a b "*3000', "v = s.split()"),
    "str join": ('xs=["ab"]*1000', 'v = ",".join(xs)'),
    "str upper": ('s="a"*30000', "v = s.upper()"),
    "str upper uni": ('s="é"*30000', "v = s.upper()"),
    "str strip": ('s=" "*30000+"a"+" "*30000', "v = s.strip()"),
    "str isdigit": ('s="1"*60000', "v = s.isdigit()"),
    "str startswith": ('s="1"*60000', "v = s.startswith(s)"),
    "str encode": ('s="é"*15000', "v = s.encode()"),
    "str idx": ('s="abc"', "v = s[1]"),
    "str iter": ('s="a"*1000', "for c in s:\n            pass"),
    "fstring": ("", 'v = f"{i}"'),
    "fstring big": ("t=2**250", 'v = f"{t:>80}{t:x}{t:,}"'),
    "str(int)": ("t=2**250", "v = str(t)"),
    "int(str)": ("t=str(2**250)", "v = int(t)"),
    "bytes hex": ('b=b"a"*30000', "v = b.hex()"),
    "bytes fromhex": ('b="ab"*30000', "v = bytes.fromhex(b)"),
    "to_bytes": ("", 'v = q.to_bytes(32, "big")'),
    "from_bytes": ('b=b"a"*31', 'v = int.from_bytes(b, "big")'),
    "sha256": ('b=b"a"*32', "v = sha256(b)"),
    "sha256 long": ('b=b"a"*60000', "v = sha256(b)"),
    "contract_address": ("", 'v = contract_address("token")'),
    "call fn": ("", "v = f0(i)"),
    "call fn chk": ("", "v = f1(l[0])"),
    "call fn rec": ("", "v = fr(3)"),
    "raise catch": ("", 'try:\n            revert("A")\n        except A:\n            pass'),
    "fault catch": ("", "try:\n            v = 1 // (q - q)\n        except DivByZero:\n            pass"),
    "require": ("", 'require(i >= 0, "A")'),
    "isinstance": ("", "v = isinstance(i, int)"),
    "if": ("", "if i > 5:\n            v = 1"),
    "ternary": ("", "v = 1 if i > 5 else 2"),
    "boolop": ("", "v = i > 5 and i < 9 or i == 3"),
    "match": (
        "",
        "match i:\n            case 0 | 1:\n                v = 1\n            case _:\n                v = 2",
    ),
    "while": ("", "k = 0\n        while k < 10:\n            k += 1"),
    "unpack": ("", "a, b = i, i"),
    "unpack list": ("xs=[1,2]", "a, b = xs"),
    "star": ("xs=[1,2]", "v = [*xs, 3]"),
    "dict iter": ("d={j: j for j in range(100)}", "for k in d:\n            pass"),
    "dict items": ("d={j: j for j in range(100)}", "for k, w in d.items():\n            pass"),
    "dict items bigkeys": ("d={2**200+j: j for j in range(100)}", "for k, w in d.items():\n            pass"),
    "dict copy": ("d={j: j for j in range(1000)}", "v = d.copy()"),
    "set add": ("s=set([1])", "s.add(i)"),
    "set union": ("s=set(range(1000))", "v = s | s"),
    "set sorted": ("s=set(range(1000))", "v = sorted(s)"),
    "list insert": ("xs=[1]*60000", "xs.insert(0, 1)\n        xs.pop(0)"),
    "list remove": ("xs=[1]*1000", "xs.remove(1)\n        xs.append(1)"),
    "list reverse": ("xs=[1]*1000", "xs.reverse()"),
    "list sort": ("xs=[1]*1000", "xs.sort()"),
    "list iadd": ("xs=[]", "xs += [1]\n        xs.pop()"),
    "dict update": ("d={j: j for j in range(1000)}\n    e={}", "e.update(d)"),
    "fromlist bytes": ("xs=[1]*1000", "v = bytes(xs)"),
    "tuple(list)": ("xs=[1]*1000", "v = tuple(xs)"),
    "set(list)": ("xs=list(range(1000))", "v = set(xs)"),
    "dict(list)": ("xs=[(j,j) for j in range(1000)]", "v = dict(xs)"),
    "ranged": ("", "v = list(range(1000))"),
    "any": ("xs=[0]*1000", "v = any(xs)"),
    "chr ord": ("", 'v = chr(ord("a"))'),
    "collide": ("d={j * 2**40: j for j in range(1000)}", "v = d[999 * 2**40]"),
}

FUNCTIONS = (
    "def f0(a):\n    return a\n\ndef f1(a: int) -> int:\n    return a\n\n"
    "def fr(n):\n    if n:\n        return fr(n - 1)\n    return 0\n\n"
)
GAS = 2_000_000
REFERENCE_LOOP_NS = 65
"""Plain CPython 3.11 on the reference host, for one turn of `reference_loop`."""
LOWEST = 3 * 10 * 1.5
"""Nanoseconds per gas above which an operation is under-priced; half as much again for the noise of a shared host."""


def reference_loop() -> float:
    """Nanoseconds of one turn of a plain loop on this host, best of 5."""
    best = 10.0**9
    for _ in range(5):
        start = time.process_time()
        total = 0
        for index in range(200_000):
            total = (total * 31 + index) % 1_000_003
        best = min(best, (time.process_time() - start) / 200_000 * 10**9)
    return best


def nanoseconds_per_gas(setup: str, operation: str) -> float:
    lines = [f"    {line.strip()}" for line in setup.split("\n") if line.strip()]
    source = FUNCTIONS + "\n".join(
        ["def main(p, q, l):", *lines, "    for i in range(10**9):", f"        {operation}", ""]
    )
    best = 10.0**9
    for _ in range(4):
        start = time.process_time()
        found = run(source, "main", [3, 5, [1, 2, 3]], GAS)
        best = min(best, (time.process_time() - start) / max(found.gas, 1) * 10**9)
        assert found.code in ("OutOfGas", "OutOfMemory", "BadValue"), (operation, found)
    return best


def test_the_dearest_nanosecond_per_gas() -> None:
    slowness = reference_loop() / REFERENCE_LOOP_NS
    found = sorted(((nanoseconds_per_gas(*case) / slowness, name) for name, case in OPERATIONS.items()), reverse=True)
    for value, name in found[:10]:
        print(f"{value:6.1f} ns/gas  {name}")
    assert found[0][0] <= LOWEST, found[:5]
