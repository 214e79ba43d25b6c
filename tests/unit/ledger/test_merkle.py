"""RFC 6962 trees against the published vectors of the Certificate Transparency reference tree, and all small shapes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvariantBroken
from ledger.merkle import EMPTY_ROOT, leaf_hash, merkle_path, merkle_root, node_hash, root_of_path, verify_path

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def test_empty_tree_is_the_hash_of_nothing() -> None:
    assert merkle_root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_paths(index: int, size: int, path: list[str]) -> None:
    assert [step.hex() for step in merkle_path(LEAVES[:size], index)] == path


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_of_small_trees(size: int) -> None:
    leaves = [bytes((n,)) * n for n in range(size)]
    root = merkle_root(leaves)
    assert root == naive_root(leaves)
    for index in range(size):
        path = merkle_path(leaves, index)
        assert verify_path(leaves[index], index, size, path, root)
        assert not verify_path(leaves[index] + b"x", index, size, path, root)
        assert not verify_path(leaves[index], index, size, (*path, root), root)
        assert not verify_path(leaves[index], index, size, path[:-1], root) or size == 1
        for other in range(size):
            assert other == index or not verify_path(leaves[index], other, size, path, root)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=80), st.data())
def test_any_changed_bit_of_a_path_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle_path(leaves, index)
    root = merkle_root(leaves)
    assert root == naive_root(leaves)
    assert verify_path(leaves[index], index, len(leaves), path, root)
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        bit = data.draw(st.integers(0, 255))
        changed = bytearray(path[step])
        changed[bit // 8] ^= 1 << bit % 8
        bad = (*path[:step], bytes(changed), *path[step + 1 :])
        assert not verify_path(leaves[index], index, len(leaves), bad, root)


def test_a_node_is_no_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_positions_outside_the_tree() -> None:
    with pytest.raises(InvariantBroken):
        merkle_path([b"a"], 1)
    assert root_of_path(b"a", 1, 1, ()) is None
    assert root_of_path(b"a", -1, 1, ()) is None
    assert root_of_path(b"a", 0, 0, ()) is None
