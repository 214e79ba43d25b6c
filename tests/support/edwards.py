"""Ed25519 in plain integers (RFC 8032, section 5.1), and libsodium's rule of what verifies: to make edge cases and to
say independently how they are decided. Slow, not constant in time; for tests only."""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(one: Point, two: Point) -> Point:
    """Sum of two points."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(count: int, point: Point) -> Point:
    """`count` times a point."""
    total = NEUTRAL
    while count:
        if count & 1:
            total = add(total, point)
        point, count = add(point, point), count >> 1
    return total


def encoded(point: Point) -> bytes:
    """32 bytes: y, and the lowest bit of x."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decoded(raw: bytes) -> Point | None:
    """The point of an encoding, canonical or not; None if there is none."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (x if x & 1 == sign else -x % P), y % P


BASE = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or NEUTRAL


def torsion() -> list[Point]:
    """The eight points of small order."""
    y = 2
    while True:
        point = decoded(y.to_bytes(32, "little"))
        eighth = times(L, point) if point is not None else NEUTRAL
        if times(4, eighth) != NEUTRAL:
            return [times(count, eighth) for count in range(8)]
        y += 1


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    """The number k of a signature."""
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L


def libsodium_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """S below L; R and the key not of small order, the key canonical; then S*B - k*A has exactly the bytes of R."""
    if len(public) != 32 or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    point, key = decoded(r), decoded(public)
    if s >= L or key is None or encoded(key) != public or times(8, key) == NEUTRAL:
        return False
    if point is not None and times(8, point) == NEUTRAL:
        return False
    k = challenge(r, public, message)
    minus = (-key[0] % P, key[1])
    return encoded(add(times(s, BASE), times(k, minus))) == r
