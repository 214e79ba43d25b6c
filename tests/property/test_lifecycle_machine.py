"""Random lives of one contract: whatever is voted, stalls, is undone or restarts, its data is what its users wrote.

The contract keeps texts or numbers by version, so every upgrade between the two kinds rewrites all of it, some with
batches that fail. A model holds what users wrote. Two benches run each life: one keeps its executor, the other gets a
new one at every block.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from contract_bench import BOB
from governed_bench import MOST, GovernedBench

from contracts.executor import Executor
from ledger.schema import state_storage

NUMBER, TEXT = ("u64", "value", "value"), ("str", 'f"{value}"', "int(value)")
SOURCE = """
VERSION = {version}
rows = Map(u64, {type})
{handle}
ticks = Var(u64, default=0)
by_hand = Var(u64, default=0)


@export
def put(key: u64, value: u64) -> None:
    rows[key] = {write}
    by_hand.set(by_hand.get() + 1)


@export
def later(due: u64) -> None:
    schedule(due, "tick")


@export(scheduled=True)
def tick(due: u64) -> None:
    ticks.set(ticks.get() + 1)


@view
def shown() -> list:
    return [[[key, {read}] for key, value in rows.items((), limit=1000)], by_hand.get(), ticks.get()]
{migrate}
"""
MIGRATE = """

@migrate
def move(version: u64, cursor: bytes) -> bytes | None:
    after = None
    if len(cursor) > 0:
        after = int.from_bytes(cursor, "big")
    require(len(cursor) == 0 or {fine}, "STUCK")
    page = old.items((), after=after, limit={page})
    for key, value in page:
        rows[key] = {convert}
    if len(page) < {page}:
        return None
    return page[-1][0].to_bytes(8, "big")
"""


def source(rng: random.Random, version: int, old: tuple[str, ...], new: tuple[str, ...], fine: bool) -> str:
    kind, write, read = new
    if old == new:
        return SOURCE.format(version=version, type=kind, handle="", write=write, read=read, migrate="")
    convert = write.replace("value", "(" + old[2] + ")") if new is NUMBER else 'f"{value}"'
    migrate = MIGRATE.format(fine=fine, page=rng.choice((1, 3, 50)), convert=convert)
    handle = f'old = Map(u64, {old[0]}, was="rows")'
    return SOURCE.format(version=version, type=kind, handle=handle, write=write, read=read, migrate=migrate)


class Life:
    """One bench with a random life; `decisions` come from the generator alone, so two lives of one seed are equal."""

    def __init__(self, seed: int, restarts: bool) -> None:
        self.rng = random.Random(seed)
        self.restarts = restarts
        self.bench = GovernedBench()
        self.version = 0
        self.kinds = {self.made(NUMBER, NUMBER): NUMBER}
        self.bench.value("governance", "instantiate", next(iter(self.kinds)), "c", [])
        self.rows: dict[int, int] = {}
        self.writes = self.scheduled = 0

    def made(self, old: tuple[str, ...], new: tuple[str, ...], fine: bool = True) -> bytes:
        self.version += 1
        return self.bench.approved(source(self.rng, self.version, old, new, fine))

    def state(self) -> Any:
        return self.bench.instance("c")

    def kind(self) -> tuple[str, ...]:
        return self.kinds[self.state()["artifact"]]

    def step(self) -> None:
        bench, rng = self.bench, self.rng
        match rng.randrange(9):
            case 0 | 1 | 2:
                key, value = rng.randrange(8), rng.randrange(100)
                receipt = bench.call("c", "put", key, value, sender=BOB)
                status = self.state()["status"]
                assert (receipt.ok, receipt.code) == (status == "", status)
                if receipt.ok:
                    self.rows[key] = value
                    self.writes += 1
            case 3:
                self.scheduled += bench.call("c", "later", bench.now + rng.randrange(1, 400), sender=BOB).ok
            case 4 | 5:
                new = rng.choice((NUMBER, TEXT))
                artifact = self.made(self.kind(), new, fine=rng.random() < 0.6)
                self.kinds[artifact] = new
                self.voted("upgrade", artifact, "c", bench.height + rng.randrange(1, 4))
            case _:
                kinds = ("freeze", "resume", "rollback", "retry", "abort", "abort", "cancel")
                self.voted(rng.choice(kinds), b"", "c", 0)

    def voted(self, kind: str, *arguments: Any) -> None:
        receipt = self.bench.call("governance", "propose", kind, *arguments)
        if receipt.ok:
            number = self.bench.query("governance", "proposals", 0, 256)[-1]["number"]
            assert self.bench.voted(number, MOST) in ("passed", "failed")

    def block(self) -> None:
        if self.restarts:
            self.bench.executor = Executor(self.bench.executor.clock)
        for receipt in self.bench.next_block():
            assert receipt.ok, (receipt.entry, receipt.code)
        self.check()

    def check(self) -> None:
        """What users see is what they wrote, whenever they may look."""
        if self.state()["status"] == "Migrating":
            return
        rows, writes, _ = self.bench.query("c", "shown")
        assert {key: int(value) for key, value in rows} == self.rows
        assert writes == self.writes

    def ended(self) -> None:
        """Let what goes on come to its end: nothing may be left over but what was dropped on purpose."""
        for kind in ("abort", "cancel"):
            self.voted(kind, b"", "c", 0)
        for _ in range(40):
            self.block()
        self.voted("resume", b"", "c", 0)
        for _ in range(10):
            self.block()
        assert self.state()["status"] == ""
        assert self.bench.query("c", "shown")[2] == self.scheduled
        for slot in ("journal", "parked", "upgrades", "activations"):
            prefix = state_storage("lifecycle", slot)
            assert not [key for key in self.bench.view.rows if key.startswith(prefix)], slot


@pytest.mark.parametrize("seed", range(12))
def test_a_contract_keeps_what_was_written_through_any_life(seed: int) -> None:
    print("seed", seed)
    lives = [Life(seed, restarts) for restarts in (False, True)]
    for _ in range(25):
        for life in lives:
            for _ in range(life.rng.randrange(1, 4)):
                life.step()
            life.block()
        assert lives[0].bench.view.rows == lives[1].bench.view.rows
    for life in lives:
        life.ended()
    assert lives[0].bench.view.rows == lives[1].bench.view.rows
