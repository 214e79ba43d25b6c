"""Rows 8 and 18 of docs/reliability.md on whole nodes: what is given up leaves nothing, and nobody waits for another.

Views are lost on purpose (drops, slow links, crashes), so that nodes execute blocks that never become final, while
followers of every node never read, or ask and submit from within their callbacks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from consensus.engine import Commit, Effect, Prune, Publish, SignVote
from consensus.simulator import SimulationOptions
from ledger.certificates import VoteKind
from ledger.crypto import Hash
from node.application import Application, Candidate
from node.driver import Driver
from node.feed import Feeds
from node.inbox import Inbox
from node.simulation import NodeSeed, draw_nodes, run_node_seed
from node.simulation.mutants import SHELL_MUTANTS, lured

LOSSY = NodeSeed(
    0, nodes=4, seconds_ms=5_000, interval_ms=100, load_ms=40, drop_ppm=200_000, jitter_ms=150, followers=True
)
SEEDS = (1, 2)
HELD_UP_S = 0.4
RARELY = 40
"""In one of so many cases a busy loop leaves an engine's events lying for so long."""
NEW = (
    "executed-into-the-store",
    "commit-waits-for-abort",
    pytest.param("commit-waits-for-readers", marks=pytest.mark.soak),
)


class Watch:
    """What happened in the nodes of a run, counted at the seams of their shell."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen: Counter[str] = Counter()
        self._executed: set[Hash] = set()
        self._final: set[Hash] = set()
        self._patch_application(patch)
        self._patch_driver(patch)

    @property
    def given_up(self) -> int:
        """Blocks that were executed somewhere and became final nowhere."""
        return len(self._executed - self._final)

    def _patch_application(self, patch: pytest.MonkeyPatch) -> None:
        plain, publish = Application.committed, Feeds.publish

        def committed(application: Application, head: Candidate) -> None:
            self._executed.update(application._candidates)
            self._final.add(head.block.hash)
            parent = Hash(head.block.header.parent)
            while (below := application.candidate(parent)) is not None:
                self._final.add(parent)
                parent = Hash(below.block.header.parent)
            plain(application, head)

        def told(feeds: Feeds, block: object) -> None:
            self.seen["followed"] += len(feeds._feeds)
            publish(feeds, block)  # type: ignore[arg-type]  # a summary

        patch.setattr(Application, "committed", committed)
        patch.setattr(Feeds, "publish", told)

    def _patch_driver(self, patch: pytest.MonkeyPatch) -> None:
        plain, inside = Driver._turn, Driver._turns

        def turns(driver: Driver, until: float) -> int:
            self._slice: set[str] = set()
            done = inside(driver, until)
            self.seen["at once"] += len(self._slice) > 1
            return done

        def turn(driver: Driver, event: object) -> None:
            handle = driver._engine.handle

            class Heard:
                """The engine, overheard."""

                def handle(_, event: object, now: object) -> Sequence[Effect]:
                    effects = handle(event, now)  # type: ignore[arg-type]  # as the driver gives them
                    self._count(effects)
                    return effects

            engine, driver._engine = driver._engine, Heard()  # type: ignore[assignment]  # for this turn
            try:
                plain(driver, event)  # type: ignore[arg-type]  # an event
            finally:
                driver._engine = engine

        patch.setattr(Driver, "_turns", turns)
        patch.setattr(Driver, "_turn", turn)

    def _count(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Commit():
                    name = "decide"
                case Prune():
                    name = "abort"
                case Publish(SignVote(VoteKind.NULLIFY, _, _, _)):
                    name = "nullify"
                case _:
                    continue
            self.seen[name] += 1
            self._slice.add(name)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_given_up_leaves_the_durable_store_as_it_was(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch without a final block, and in the end every disk has, byte for byte, what its final blocks give."""
    watch = Watch(monkeypatch)
    report = run_node_seed(replace(LOSSY, seed=seed))
    assert report.good, report.text()
    assert watch.given_up >= 1, "no block was executed and given up: the run shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_decisions_views_given_up_and_callbacks_never_wait_for_each_other(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On busy machines, where they meet in one slice of the driver's turns; every callback has its answer, and the
    chain goes on."""
    watch, wait, wakes = Watch(monkeypatch), Inbox.wait, count(seed)

    async def held_up(inbox: Inbox) -> None:
        await wait(inbox)
        if next(wakes) % RARELY == 0:
            await asyncio.sleep(HELD_UP_S)

    monkeypatch.setattr(Inbox, "wait", held_up)
    report = run_node_seed(replace(LOSSY, seed=10 + seed, crash_mtbf_ms=4_000, restart_ms=300))
    assert report.good, report.text()
    seen = watch.seen
    assert min(seen["decide"], seen["abort"], seen["nullify"], seen["followed"]) >= 10, seen
    assert seen["at once"] >= 1, seen


def test_the_swarm_has_followers() -> None:
    drawn = [draw_nodes(SimulationOptions(), seed).followers for seed in range(20)]
    assert 4 < sum(drawn) < 16


@pytest.mark.parametrize("name", NEW)
def test_the_missing_rule_is_noticed_by_what_it_breaks(name: str) -> None:
    options = lured(name, SHELL_MUTANTS[name].seed)
    report = run_node_seed(replace(options, mutant=name), hasty=True)
    if name == "executed-into-the-store":
        assert report.violations[0].invariant == "store", report.text()
    else:
        assert report.stalled or report.violations[0].invariant == "blocked", report.text()
    assert run_node_seed(options).good


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 160))
def test_followed_nodes_at_length(seed: int) -> None:
    plain = draw_nodes(SimulationOptions(nodes=4, seconds=20), seed)
    report = run_node_seed(replace(plain, followers=True))
    assert report.good, report.text()
