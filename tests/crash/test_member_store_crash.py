"""The registrar's store stopped before each call of the operating system: the old state or the new one, never between.

A stop is an exception at one call of `open write pwrite fsync rename unlink mkdir`; every place is tried in turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from personal_world import APPLICANT, CHAIN, REGISTRAR, application

from ledger.crypto import SigningKey
from ledger.errors import ConfigError
from node.member_store import Erased, Held, MemberStore, open_store
from node.own_copies import OwnCopies

CALLS = ("open", "write", "pwrite", "fsync", "rename", "unlink", "mkdir")
NOW = 5
MOST = 60


class Stopped(BaseException):
    """The process ended here."""


@contextmanager
def stopped_before(patch: pytest.MonkeyPatch, number: int) -> Any:
    """Raise `Stopped` at the `number`-th call; what was called before that is done."""
    left = number

    def stopping(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Stopped
            left -= 1
            return real(*arguments, **named)

        return call

    with patch.context() as scoped:
        for name in CALLS:
            scoped.setattr(os, name, stopping(getattr(os, name)))
        yield


def at_each_call(
    tmp_path: Path, patch: pytest.MonkeyPatch, begin: Callable[[Path], None], work: Callable[[Path], None]
) -> list[Path]:
    """Folders in which `work` was stopped before its first, second, .. call, and one in which it came to its end."""
    folders: list[Path] = []
    for number in range(MOST):
        folder = tmp_path / str(number) / "members"
        folder.parent.mkdir()
        begin(folder)
        folders.append(folder)
        try:
            with stopped_before(patch, number):
                work(folder)
        except Stopped:
            continue
        return folders
    raise AssertionError(f"more than {MOST} calls")


def held(folder: Path) -> Held | Erased | None:
    with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
        return store.get(APPLICANT.address)


def opens(folder: Path, key: SigningKey) -> bool:
    try:
        with open_store(folder, key, CHAIN):
            return True
    except ConfigError as error:
        if error.code != "OTHER_REGISTRAR":
            raise
        return False


def keys_in(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "keys").iterdir())


def doing(step: Callable[[MemberStore], object]) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        with open_store(folder, REGISTRAR, CHAIN, create=True) as store:
            step(store)

    return work


def test_an_import_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = application()
    work = doing(lambda store: store.put(made, NOW))
    folders = at_each_call(tmp_path, monkeypatch, lambda folder: None, work)
    found = [held(folder) for folder in folders]
    turn = found.index(Held(made, NOW))
    assert set(map(type, found[:turn])) == {type(None)}
    assert all(one == Held(made, NOW) for one in found[turn:])
    assert len(folders) > 10
    for folder, one in zip(folders, found, strict=True):
        assert len(keys_in(folder)) == (one is not None), "what a crash left is destroyed"
        work(folder)
        assert held(folder) == Held(made, NOW), "it can be done again"


def test_a_replacement_is_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = application(), application()
    begin = doing(lambda store: store.put(old, NOW - 1))
    folders = at_each_call(tmp_path, monkeypatch, begin, doing(lambda store: store.put(new, NOW)))
    found = [held(folder) for folder in folders]
    turn = found.index(Held(new, NOW))
    assert turn > 0
    assert all(one == Held(old, NOW - 1) for one in found[:turn])
    assert all(one == Held(new, NOW) for one in found[turn:])
    assert len(found) > turn + 1, "the old key is destroyed after the record"
    assert {len(keys_in(folder)) for folder in folders} == {1}


def test_an_erasure_is_finished_by_whoever_opens_the_store_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = application()
    begin = doing(lambda store: store.put(made, NOW - 1))
    work = doing(lambda store: store.erase(APPLICANT.address, NOW))
    folders = at_each_call(tmp_path, monkeypatch, begin, work)
    found = [held(folder) for folder in folders]
    turn = [isinstance(one, Erased) for one in found].index(True)
    assert turn > 0
    assert all(one == Held(made, NOW - 1) for one in found[:turn])
    assert all(isinstance(one, Erased) for one in found[turn:])
    assert len(found) > turn + 3, "note, overwriting, removal are steps of their own"
    for folder, one in zip(folders, found, strict=True):
        assert len(keys_in(folder)) == isinstance(one, Held)
        work(folder)
        assert isinstance(held(folder), Erased)
        assert keys_in(folder) == []


def test_a_store_that_changes_hands_belongs_to_one_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = application()
    begin = doing(lambda store: store.put(made, NOW))
    folders = at_each_call(tmp_path, monkeypatch, begin, doing(lambda store: store.rekey(APPLICANT)))
    owners = []
    for folder in folders:
        owner, other = (REGISTRAR, APPLICANT) if opens(folder, REGISTRAR) else (APPLICANT, REGISTRAR)
        assert not opens(folder, other)
        with open_store(folder, owner, CHAIN) as store:
            assert store.get(APPLICANT.address) == Held(made, NOW)
        owners.append(owner)
    assert (owners[0], owners[-1]) == (REGISTRAR, APPLICANT)


def test_an_owners_copy_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = application()

    def work(folder: Path) -> None:
        OwnCopies(folder / "home.key", APPLICANT).keep(made)

    def begin(folder: Path) -> None:
        folder.mkdir()

    folders = at_each_call(tmp_path, monkeypatch, begin, work)
    found = [OwnCopies(folder / "home.key", APPLICANT).get(made.digest) for folder in folders]
    turn = found.index(made)
    assert found[:turn] == [None] * turn
    assert found[turn:] == [made] * (len(found) - turn)
    for folder in folders:
        OwnCopies(folder / "home.key", APPLICANT).erase()
        assert not list(folder.glob("personal/*"))
