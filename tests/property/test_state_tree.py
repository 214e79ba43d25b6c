"""The state tree and overlays against a plain dictionary and the definition of the root."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.crypto import (
    DOMAIN_STATE_BUCKET,
    DOMAIN_STATE_KEY,
    DOMAIN_STATE_NODE,
    DOMAIN_STATE_VALUE,
    hash_of,
)
from ledger.errors import ProofError
from ledger.state import Overlay, StateBase, StateProof, decode_undo, verify_state_proof
from ledger.state_tree import EMPTY
from ledger.store import Batch, MemoryStore


def defined_root(model: dict[bytes, bytes]) -> bytes:
    """The root straight from the definition (design 5), recursively, without any of the tree's code."""
    records = sorted((hash_of(DOMAIN_STATE_KEY, k), hash_of(DOMAIN_STATE_VALUE, v)) for k, v in model.items())

    def digest(prefix: str, below: list[tuple[bytes, bytes]]) -> bytes:
        if not below:
            return bytes(32)
        if len(prefix) >= 2 and len(below) <= 16:
            return hash_of(DOMAIN_STATE_BUCKET, b"".join(where + what for where, what in below))
        parts = [[r for r in below if r[0].hex()[len(prefix)] == digit] for digit in "0123456789abcdef"]
        children = [digest(prefix + digit, part) for digit, part in zip("0123456789abcdef", parts, strict=True)]
        return hash_of(DOMAIN_STATE_NODE, b"".join(children))

    return digest("", records)


def commit(store: MemoryStore, base: StateBase, overlay: Overlay) -> None:
    batch = Batch()
    batch.extend(overlay.delta().rows())
    store.write(batch, sync=True)
    base.absorb(overlay.delta())


def write_all(overlay: Overlay, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in writes:
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)


def keys_of(count: int) -> list[bytes]:
    return [b"k%d" % number for number in range(count)]


NUMBERED = st.integers(0, 700).map(lambda number: b"k%d" % number)
WRITES = st.lists(st.tuples(NUMBERED, st.none() | st.binary(max_size=3)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=900, unique=True), st.randoms(use_true_random=False), st.data()
)
def test_any_order_and_batching_gives_the_root_of_the_set(
    numbers: list[int], random: object, data: st.DataObject
) -> None:
    model = {b"k%d" % number: b"v%d" % (number % 7) for number in numbers}
    surplus = [b"x%d" % number for number in range(data.draw(st.integers(0, 40)))]
    steps: list[tuple[bytes, bytes | None]] = [*model.items(), *((key, b"soon gone") for key in surplus)]
    random.shuffle(steps)  # type: ignore[attr-defined]  # hypothesis' seeded random.Random
    steps += [(key, None) for key in surplus]
    store = MemoryStore()
    base = StateBase(store)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(steps)), max_size=4)))
    for start, stop in zip([0, *cuts], [*cuts, len(steps)], strict=True):
        overlay = Overlay(base)
        write_all(overlay, steps[start:stop])
        overlay.seal()
        commit(store, base, overlay)
    assert base.root == defined_root(model)
    reopened = StateBase(store)
    assert sum(1 for _ in reopened.load_all()) == 256
    assert reopened.root == base.root


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 600), st.integers(0, 600), st.binary(max_size=6))
def test_proofs_of_inclusion_and_absence(count: int, number: int, value: bytes) -> None:
    model = dict.fromkeys(keys_of(count), b"v")
    store = MemoryStore()
    base = StateBase(store)
    overlay = Overlay(base)
    write_all(overlay, model.items())
    root = overlay.seal()
    key = b"k%d" % number
    from_overlay = overlay.prove(key)
    commit(store, base, overlay)
    proof = base.prove(key)
    assert proof == from_overlay == StateBase(store).prove(key)
    verify_state_proof(proof, root, key, model.get(key))
    wrong = [value if value != b"v" else b"w", None if key in model else b"v"]
    for other in wrong:
        with pytest.raises(ProofError):
            verify_state_proof(proof, root, key, other)
    with pytest.raises(ProofError):
        verify_state_proof(proof, bytes(32), key, model.get(key))
    with pytest.raises(ProofError):
        verify_state_proof(StateProof(proof.records, (*proof.levels, proof.levels[-1])), root, key, model.get(key))


PREFIXES = (b"", b"a", b"ab", b"b", b"\xff", b"\xff\xff")
SHORT = st.binary(max_size=2).map(lambda tail: b"a" + tail) | st.sampled_from(
    [b"a", b"ab", b"abc", b"b", b"ba", b"\xff", b"\xff\xff", b"\xff\xff\x01", b"\xfe"]
)


class OverlayMachine(RuleBasedStateMachine):
    """Overlays stacked several deep, checkpoints and rollbacks, commits and drops, against plain dictionaries."""

    @initialize()
    def begin(self) -> None:
        self.store = MemoryStore()
        self.base = StateBase(self.store, cache_bytes=2_000)
        self.committed: dict[bytes, bytes] = {}
        self.sealed: list[tuple[Overlay, dict[bytes, bytes]]] = []
        self.top = Overlay(self.base)
        self.model: dict[bytes, bytes] = {}
        self.marks: list[tuple[int, dict[bytes, bytes]]] = []

    @rule(key=SHORT, value=st.binary(max_size=3))
    def put(self, key: bytes, value: bytes) -> None:
        self.top.put(key, value)
        self.model[key] = value

    @rule(key=SHORT)
    def delete(self, key: bytes) -> None:
        self.top.delete(key)
        self.model.pop(key, None)

    @rule(numbers=st.lists(st.integers(0, 400), max_size=120), gone=st.booleans())
    def write_many(self, numbers: list[int], gone: bool) -> None:
        for number in numbers:
            key = b"ab%d" % number
            self.top.delete(key) if gone else self.top.put(key, b"m")
            self.model.pop(key, None) if gone else self.model.update({key: b"m"})

    @rule()
    def checkpoint(self) -> None:
        self.marks.append((self.top.checkpoint(), dict(self.model)))

    @precondition(lambda self: bool(self.marks))
    @rule(keep=st.booleans())
    def rollback(self, keep: bool) -> None:
        mark, model = self.marks[-1]
        self.top.rollback(mark)
        self.model = dict(model)
        if not keep:
            self.marks.pop()

    @precondition(lambda self: len(self.sealed) < 4)
    @rule()
    def seal(self) -> None:
        assert self.top.seal() == defined_root(self.model)
        self.sealed.append((self.top, dict(self.model)))
        self.top, self.marks = Overlay(self.top), []

    @precondition(lambda self: bool(self.sealed))
    @rule()
    def commit_lowest(self) -> None:
        overlay, model = self.sealed.pop(0)
        undone = dict(decode_undo(overlay.delta().undo()))
        assert undone == {
            key: self.committed.get(key)
            for key in self.committed.keys() | model.keys()
            if self.committed.get(key) != model.get(key)
        }
        commit(self.store, self.base, overlay)
        self.committed = model
        child = self.sealed[0][0] if self.sealed else self.top
        child.rebase(self.base)

    @rule()
    def drop(self) -> None:
        """Abandon what is not sealed; nothing below moves."""
        before = dict(self.store.rows)
        parent, model = self.sealed[-1] if self.sealed else (self.base, self.committed)
        self.top, self.model, self.marks = Overlay(parent), dict(model), []
        assert self.store.rows == before

    @rule(prefix=st.sampled_from(PREFIXES), after=st.none() | SHORT, limit=st.integers(0, 5) | st.just(1 << 62))
    def scan(self, prefix: bytes, after: bytes | None, limit: int) -> None:
        wanted = sorted(
            (key, value)
            for key, value in self.model.items()
            if key.startswith(prefix) and (after is None or key > after)
        )
        assert self.top.scan(prefix, after, limit) == wanted[:limit]

    @invariant()
    def reads_agree(self) -> None:
        for key in (b"a", b"ab", b"ab1", b"b", b"\xff\xff"):
            assert self.top.get(key) == self.model.get(key)
        for overlay, model in self.sealed:
            assert overlay.get(b"ab1") == model.get(b"ab1")
        assert self.base.root == defined_root(self.committed) or len(self.committed) > 200


OverlayMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOverlays = OverlayMachine.TestCase


def test_an_empty_state_has_the_empty_root() -> None:
    assert StateBase(MemoryStore()).root == EMPTY == defined_root({})
    overlay = Overlay(StateBase(MemoryStore()))
    overlay.put(b"a", b"")
    overlay.delete(b"a")
    assert overlay.seal() == EMPTY
    assert overlay.delta().rows() == []
