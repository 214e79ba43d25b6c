"""Interval arithmetic for integer operations: where can a result leave the width of the language?"""

from __future__ import annotations

from contracts.kinds import HIGH, LOW, Kind


def inline_safe(which: str, a: Kind, b: Kind) -> bool:
    """Whether the plain operator may be emitted at all: `**` and shifts must be known to stay small before they run."""
    if a.optional or b.optional:
        return which in ("add", "sub", "mul", "floordiv", "mod")
    match which:
        case "pow":
            widest = max(abs(a.low), abs(a.high))
            return b.low >= 0 and b.high <= 255 and widest.bit_length() * b.high <= 255
        case "lshift":
            return b.low >= 0 and b.high <= 255 and max(abs(a.low), abs(a.high)).bit_length() + b.high <= 255
        case "rshift":
            return b.low >= 0 and b.high <= 512
        case _:
            return True


def binary_interval(which: str, a: Kind, b: Kind) -> tuple[int, int]:
    """Bounds of the mathematical result for operands in their intervals."""
    match which:
        case "add":
            return a.low + b.low, a.high + b.high
        case "sub":
            return a.low - b.high, a.high - b.low
        case "mul":
            corners = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
            return min(corners), max(corners)
        case "floordiv":
            return _quotient(a, b)
        case "mod":
            return _remainder(a, b)
        case "pow":
            top = max(abs(a.low), abs(a.high), 1) ** b.high
            return (0 if a.low >= 0 else -top), top
        case "lshift":
            return min(a.low << b.high, a.low), max(a.high << b.high, a.high)
        case "rshift":
            return min(a.low, a.low >> b.high, a.low >> b.low), max(a.high, a.high >> b.high, a.high >> b.low)
        case _:
            return _bitwise(which, a, b)


def _quotient(a: Kind, b: Kind) -> tuple[int, int]:
    if b.low > 0:
        corners = (a.low // b.low, a.low // b.high, a.high // b.low, a.high // b.high)
        return min(corners), max(corners)
    widest = max(abs(a.low), abs(a.high))
    return -widest, widest


def _remainder(a: Kind, b: Kind) -> tuple[int, int]:
    low = min(0, b.low + 1)
    high = max(0, b.high - 1)
    if b.low > 0:
        low = 0
        if a.low >= 0:
            high = min(high, a.high)
    return low, high


def _bitwise(which: str, a: Kind, b: Kind) -> tuple[int, int]:
    if a.low >= 0 and b.low >= 0:
        if which == "bitand":
            return 0, min(a.high, b.high)
        return 0, (1 << max(a.high.bit_length(), b.high.bit_length())) - 1
    if which == "bitand" and (a.low >= 0 or b.low >= 0):
        return 0, a.high if a.low >= 0 else b.high
    return LOW, HIGH
