"""Hosts of one process tame its collector once, and again when none of them is left."""

from __future__ import annotations

import gc

import pytest

from node.host import Collector


def test_hosts_that_are_open_beside_each_other_look_at_all_that_exists_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    thresholds = gc.get_threshold()
    monkeypatch.setattr(gc, "collect", lambda: looks.append(gc.get_freeze_count()))
    collector = Collector()
    try:
        with collector.tamed():
            with collector.tamed():
                assert len(looks) == 1
            with pytest.raises(ValueError, match="closes"), collector.tamed():
                raise ValueError("closes")
            assert len(looks) == 1
        with collector.tamed():
            assert len(looks) == 2, "what the hosts before have left goes"
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
