"""Overlays, deltas, caches and damaged rows: what the property tests do not reach."""

from __future__ import annotations

import pytest

from ledger.errors import InvariantBroken, ProofError, StoreError
from ledger.state import Overlay, StateBase, verify_state_proof
from ledger.state_proof import ProofLevel, StateProof, empty_state_root
from ledger.state_tree import BUCKET_KEYS, EMPTY, INNER_SIZE, TreeUpdate, build, place, rebuild_sector
from ledger.store import Batch, MemoryStore


def filled(count: int) -> tuple[MemoryStore, StateBase]:
    store = MemoryStore()
    base = StateBase(store)
    overlay = Overlay(base)
    for number in range(count):
        overlay.put(b"k%d" % number, b"v")
    overlay.seal()
    save(store, base, overlay)
    return store, base


def save(store: MemoryStore, base: StateBase, overlay: Overlay) -> None:
    batch = Batch()
    batch.extend(overlay.delta().rows())
    store.write(batch, sync=True)
    base.absorb(overlay.delta())


def records_below(prefix: bytes, count: int) -> bytes:
    """`count` records whose places share all of `prefix`: what grinding would give."""
    return b"".join(prefix + n.to_bytes(32 - len(prefix), "big") + bytes((n % 256,)) * 32 for n in range(count))


def test_dropping_an_overlay_leaves_base_and_store_as_they_were() -> None:
    store, base = filled(300)
    rows, root, top = dict(store.rows), base.root, base.top
    overlay = Overlay(base)
    for number in range(0, 300, 3):
        overlay.delete(b"k%d" % number)
        overlay.put(b"n%d" % number, b"w")
    assert overlay.seal() != root
    child = Overlay(overlay)
    child.put(b"k1", b"other")
    child.seal()
    del child, overlay
    assert (store.rows, base.root, base.top) == (rows, root, top)
    assert base.get(b"k0") == b"v"


def test_a_write_of_the_same_value_changes_nothing() -> None:
    _, base = filled(50)
    overlay = Overlay(base)
    overlay.put(b"k1", b"v")
    overlay.delete(b"unknown")
    overlay.put(b"k2", b"w")
    overlay.put(b"k2", b"v")
    assert overlay.seal() == base.root
    delta = overlay.delta()
    assert (delta.writes, delta.old, delta.nodes, delta.groups, delta.rows()) == ({}, {}, {}, (), [])


def test_a_delta_says_what_changed_and_what_was() -> None:
    _, base = filled(20)
    overlay = Overlay(base)
    overlay.put(b"k1", b"new")
    overlay.delete(b"k2")
    overlay.put(b"fresh", b"1")
    overlay.seal()
    delta = overlay.delta()
    assert delta.writes == {b"k1": b"new", b"k2": None, b"fresh": b"1"}
    assert delta.old == {b"k1": b"v", b"k2": b"v", b"fresh": None}
    assert (delta.parent_root, delta.root) == (base.root, overlay.root)


def test_undone_writes_show_what_was_read_before_them() -> None:
    _, base = filled(5)
    overlay = Overlay(base)
    assert overlay.get(b"k1") == b"v"
    assert overlay.get(b"absent") is None
    mark = overlay.checkpoint()
    for key in (b"k1", b"k2", b"absent", b"absent too"):
        overlay.put(key, b"w")
    overlay.delete(b"k3")
    assert len(overlay.scan(b"")) == 6
    overlay.rollback(mark)
    assert [overlay.get(key) for key in (b"k1", b"k2", b"k3", b"absent", b"absent too")] == [b"v"] * 3 + [None] * 2
    assert overlay.scan(b"") == base.scan(b"")
    overlay.put(b"k2", b"x")
    assert overlay.scan(b"k2") == [(b"k2", b"x")]
    overlay.seal()
    assert overlay.delta().writes == {b"k2": b"x"}
    assert overlay.delta().old == {b"k2": b"v"}


def test_a_sealed_overlay_is_frozen_and_an_open_one_has_no_root() -> None:
    _, base = filled(1)
    overlay = Overlay(base)
    for use in (lambda: overlay.root, overlay.delta, lambda: overlay.prove(b"a"), lambda: Overlay(overlay).seal()):
        with pytest.raises(InvariantBroken):
            use()
    first = overlay.seal()
    assert overlay.seal() == first
    with pytest.raises(InvariantBroken):
        overlay.put(b"a", b"b")
    with pytest.raises(InvariantBroken):
        overlay.delete(b"a")


def test_sealing_in_slices_is_the_same() -> None:
    _, base = filled(500)
    whole, sliced = Overlay(base), Overlay(base)
    for overlay in (whole, sliced):
        for number in range(0, 900, 2):
            overlay.put(b"k%d" % number, b"w%d" % number)
    slices = sum(1 for _ in sliced.seal_slices())
    assert 100 < slices <= 258
    assert sliced.root == whole.seal()
    assert sliced.delta() == whole.delta()


def test_only_the_right_successor_is_absorbed_or_rebased() -> None:
    store, base = filled(5)
    one, two = Overlay(base), Overlay(base)
    one.put(b"a", b"1")
    two.put(b"a", b"2")
    one.seal()
    two.seal()
    child = Overlay(two)
    save(store, base, one)
    with pytest.raises(InvariantBroken):
        base.absorb(two.delta())
    with pytest.raises(InvariantBroken):
        child.rebase(base)


def test_an_abandoned_fork_cannot_be_sealed_or_proved() -> None:
    store, base = filled(5)
    chosen, fork = Overlay(base), Overlay(base)
    chosen.put(b"a", b"1")
    fork.put(b"a", b"2")
    chosen.seal()
    child, late = Overlay(fork), Overlay(base)
    fork.seal()
    save(store, base, chosen)
    for use in (child.seal, late.seal, lambda: fork.prove(b"a")):
        with pytest.raises(InvariantBroken):
            use()
    follows = Overlay(chosen)
    follows.put(b"b", b"3")
    assert follows.seal() != base.root
    verify_state_proof(chosen.prove(b"a"), base.root, b"a", b"1")


def test_caches_stay_within_their_bound() -> None:
    store, base = filled(2_000)
    small = StateBase(store, cache_bytes=20_000)
    for number in range(2_000):
        assert small.get(b"k%d" % number) == b"v"
        assert small.get(b"none%d" % number) is None
    for _ in small.load_all():
        pass
    overlay = Overlay(small)
    for number in range(2_000):
        overlay.put(b"k%d" % number, b"w")
    other = Overlay(base)
    for number in range(2_000):
        other.put(b"k%d" % number, b"w")
    assert overlay.seal() == other.seal()
    assert small._values._size <= 20_000
    assert small._buckets._size <= 20_000
    assert len(small._values.held) < 200


def test_ground_keys_split_a_bucket_as_deep_as_they_share() -> None:
    """17 keys that share 20 digits: 18 inner nodes, and back to one bucket when one of them goes."""
    prefix = bytes.fromhex("ab" * 10)
    records = records_below(prefix, BUCKET_KEYS + 1)
    nodes: dict[str, bytes | None] = {}
    digest, count = build("ab", records, nodes)
    assert count == 17
    assert sum(1 for blob in nodes.values() if blob is not None and len(blob) == INNER_SIZE) >= 18
    update = TreeUpdate((nodes,), lambda path: None)
    gone = [(records[:32].hex(), records[:32], None, b"key")]
    after = update.apply("ab", digest, gone, 0, 1)
    assert after == build("ab", records[64:], {})[0]
    assert update.nodes["ab"] == records[64:]
    assert all(blob is None for path, blob in update.nodes.items() if path != "ab")
    again = TreeUpdate((update.nodes, nodes), lambda path: None)
    back = [(records[:32].hex(), records[:32], records[32:64], b"key")]
    assert again.apply("ab", after, back, 0, 1) == digest


def test_a_value_digest_that_looks_like_a_place_is_no_record() -> None:
    one, two = sorted((place(b"a"), place(b"b")))
    fake = one + two
    update = TreeUpdate((), lambda path: fake)
    items = [(two.hex(), two, b"\x07" * 32, b"key")]
    update.apply(two.hex()[:2], b"\x01" * 32, items, 0, 1)
    assert update.nodes[two.hex()[:2]] == fake + two + b"\x07" * 32
    assert not update.present


def test_a_lost_node_is_an_invariant_broken() -> None:
    update = TreeUpdate((), lambda path: None)
    with pytest.raises(InvariantBroken):
        update.apply("ab", b"\x01" * 32, [("ab" * 32, b"\xab" * 32, b"\x01" * 32, b"k")], 0, 1)


def test_stored_buckets_give_the_inner_nodes_back() -> None:
    prefix = bytes.fromhex("ab")
    records = records_below(prefix, 200)
    nodes: dict[str, bytes | None] = {}
    digest, _ = build("ab", records, nodes)
    buckets = [(path, blob) for path, blob in nodes.items() if blob is not None and len(blob) % 64 == 0]
    found, inner = rebuild_sector("ab", buckets)
    assert found == digest
    assert inner == {path: blob for path, blob in nodes.items() if blob is not None and len(blob) == INNER_SIZE}
    assert rebuild_sector("ab", []) == (EMPTY, {})
    with pytest.raises(StoreError):
        rebuild_sector("ab", [("ab", records[:64]), *buckets])


def test_damaged_tree_rows_are_named() -> None:
    store, _ = filled(100)
    for key, value in ((b"T\x10", bytes(512)), (b"T\x01", bytes(5)), (b"T\x01\x01", bytes(512))):
        with pytest.raises(StoreError) as refused:
            StateBase(MemoryStore(store.rows | {key: value}))
        assert refused.value.fix
    lost = dict(store.rows)
    bucket = next(key for key in lost if key[:1] == b"B")
    del lost[bucket]
    with pytest.raises(StoreError) as damaged:
        StateBase(MemoryStore(lost)).load(bucket[1:3].decode())
    assert damaged.value.expected != damaged.value.found


def test_no_changed_proof_verifies() -> None:
    _, base = filled(600)
    key = b"k7"
    proof = base.prove(key)
    verify_state_proof(proof, base.root, key, b"v")
    level = proof.levels[0]
    own = 1 << int(place(key).hex()[0], 16)
    record, rest = proof.records[:64], proof.records[64:]
    changed = [
        StateProof(proof.records[:-1], proof.levels),
        StateProof(b"", proof.levels),
        StateProof(rest + record, proof.levels) if rest else StateProof(record * 2, proof.levels),
        StateProof(record + proof.records, proof.levels),
        StateProof(records_below(b"\x00", 1) + proof.records, proof.levels),
        StateProof(proof.records, (*proof.levels, proof.levels[-1])),
        StateProof(proof.records, proof.levels[::-1]),
        StateProof(proof.records, (ProofLevel(level.present | own, level.siblings), *proof.levels[1:])),
        StateProof(proof.records, (ProofLevel(level.present, level.siblings[:-32]), *proof.levels[1:])),
        StateProof(proof.records, (ProofLevel(level.present, bytes(32) + level.siblings[32:]), *proof.levels[1:])),
    ]
    for bad in changed:
        with pytest.raises(ProofError):
            verify_state_proof(bad, base.root, key, b"v")


def test_absence_in_an_empty_state() -> None:
    base = StateBase(MemoryStore())
    assert base.root == empty_state_root() == EMPTY
    proof = base.prove(b"a")
    verify_state_proof(proof, base.root, b"a", None)
    with pytest.raises(ProofError):
        verify_state_proof(proof, base.root, b"a", b"v")


def test_a_scan_of_a_large_overlay_costs_its_page() -> None:
    """Interleaved writes and page scans: the number of comparisons stays far below sorting each time."""
    _, base = filled(10)
    overlay = Overlay(base)
    for number in range(5_000):
        overlay.put(b"o%06d" % (number * 7919 % 5_000), b"v")
    assert len(overlay.scan(b"o", limit=3)) == 3
    index = overlay._index
    for number in range(200):
        overlay.put(b"p%06d" % number, b"v")
        assert overlay.scan(b"p", after=b"p", limit=2)[0] == (b"p000000", b"v")
    assert overlay._index is index
    assert len(index) == 5_200
    assert index == sorted(set(index))


def test_a_scan_passes_many_deleted_rows_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A market clears its book in one call and asks for the first order that is left."""
    _, base = filled(400)
    keys = [key for key, _ in base.scan(b"")]
    overlay = Overlay(base)
    for key in keys[:-2]:
        overlay.delete(key)
    looks: list[int] = []
    scan = base.scan
    monkeypatch.setattr(
        StateBase, "scan", lambda _, prefix, after, limit: looks.append(limit) or scan(prefix, after, limit)
    )
    assert [key for key, _ in overlay.scan(b"", limit=1)] == keys[-2:-1]
    assert [key for key, _ in overlay.scan(b"", after=keys[-2], limit=5)] == keys[-1:]
    assert len(looks) < 10
    assert max(looks) <= 1_024
