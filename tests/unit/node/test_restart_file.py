"""A restart certificate beside a log: taken for the head it is for, removed when the chain has gone on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from chain_world import seeded_key
from counter_world import CounterWorld, counter_genesis

from consensus.engine import Commit, EpochStart
from ledger.errors import ProofError
from ledger.restart import RestartCertificate, combine_restart, sign_restart
from node.disk import SystemDisk
from node.founding import current_epoch, engine_policy
from node.log import node_logger
from node.restart_file import NAME, check_for, restart_view, statement_of, write_restart

GENESIS = counter_genesis(epoch_blocks=3)
DISK = SystemDisk()


def one_block(world: CounterWorld) -> None:
    template = world.template()
    if world.chain.height % 3 == 0:
        template = replace(template, parent_view=0)
    built = world.application.build(template, [])
    assert built is not None
    world.commits.commit(Commit((built.block.hash,), world.finalization(built.block.header)))


def epoch_of(world: CounterWorld) -> EpochStart:
    return current_epoch(world.chain, engine_policy(GENESIS))


def certificate(world: CounterWorld, view: int = 50) -> RestartCertificate:
    epoch = epoch_of(world)
    statement = statement_of(world.chain, epoch, view)
    shares = [sign_restart(statement, epoch.validators, seeded_key(number)) for number in (1, 2, 3)]
    return combine_restart(shares, epoch.validators)


def looked_at(world: CounterWorld, directory: Path) -> int | None:
    return restart_view(directory, world.chain, epoch_of(world), DISK, node_logger("test"))


def test_it_counts_until_the_head_moves(tmp_path: Path) -> None:
    world = CounterWorld(GENESIS)
    one_block(world)
    assert looked_at(world, tmp_path) is None
    write_restart(tmp_path, certificate(world), DISK)
    assert looked_at(world, tmp_path) == 50
    assert looked_at(world, tmp_path) == 50, "a crash before the next block begins there again"
    one_block(world)
    assert looked_at(world, tmp_path) is None
    assert not (tmp_path / NAME).exists()


def test_a_replay_in_a_later_epoch_is_refused(tmp_path: Path) -> None:
    world = CounterWorld(GENESIS)
    one_block(world)
    old = certificate(world)
    for _ in range(3):
        one_block(world)
    with pytest.raises(ProofError) as refused:
        check_for(old, world.chain, epoch_of(world))
    assert refused.value.code == "RESTART_ELSEWHERE"
    write_restart(tmp_path, old, DISK)
    assert looked_at(world, tmp_path) is None


def test_a_head_at_the_end_of_an_epoch_is_restarted_in_the_next(tmp_path: Path) -> None:
    world = CounterWorld(GENESIS)
    for _ in range(3):
        one_block(world)
    made = certificate(world)
    assert made.statement.epoch == 2
    check_for(made, world.chain, epoch_of(world))


def test_another_chains_head_and_too_few_signatures_are_refused(tmp_path: Path) -> None:
    world, other = CounterWorld(GENESIS), CounterWorld(GENESIS)
    one_block(world)
    built = other.application.build(other.template(later_ms=999), [])
    assert built is not None
    other.commits.commit(Commit((built.block.hash,), other.finalization(built.block.header)))
    with pytest.raises(ProofError) as refused:
        check_for(certificate(other), world.chain, epoch_of(world))
    assert refused.value.code == "RESTART_ELSEWHERE"
    made = certificate(world)
    few = RestartCertificate(made.statement, made.signers[:2], made.signatures[:2])
    with pytest.raises(ProofError) as less:
        check_for(few, world.chain, epoch_of(world))
    assert less.value.code == "RESTART_QUORUM"


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    world = CounterWorld(GENESIS)
    (tmp_path / NAME).write_bytes(b"junk")
    assert looked_at(world, tmp_path) is None
    assert not (tmp_path / NAME).exists()
