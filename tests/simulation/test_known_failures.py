"""Failures of other chains (docs/reliability.md): those that no test of a rule covers by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from consensus.bft import BftEngine
from consensus.engine import (
    Accuse,
    Broadcast,
    Committed,
    PeerId,
    Received,
    Request,
    RequestKind,
    SetHold,
    SignProposal,
    TransactionsReady,
)
from consensus.messages import Evidence, Status
from consensus.simplex.state import State
from consensus.simulator import SeedOptions, run_seed
from consensus.simulator.probe import Probe, block_of
from consensus.simulator.world import CHAIN_ID, World
from ledger.certificates import VoteKind
from ledger.crypto import ZERO_HASH, sha256
from ledger.objects import decode_header

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
HALF_HOUR_MS = 1_800_000


def begun(world):
    world.begin()
    return world


def run(world, until):
    while world.step(until):
        pass
    assert world.auditor.violations == [], world.options.text()


def heights(world):
    return [node.chain[-1].header.height for node in world.nodes]


def top_view(world):
    return max(node.core.state.view for node in world.nodes if node.core is not None)


# --- 4: amnesia -------------------------------------------------------------------------------------------------------


def peer(index):
    return PeerId(index.to_bytes(32, "big"))


def member_of_epochs_of_one_block(held):
    """Member 3 of four, connected to the others; the first block ends epoch 1."""
    probe = Probe(4, me=3, epoch_blocks=1)
    probe.restart(held=held)
    for member in range(3):
        probe.give(Request(RequestKind.PEER_CONNECTED, peer(member), probe.committee.validators[member].public_key))
    return probe


def end_epoch_one(probe):
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(first)))
    assert probe.state.epoch.epoch == 2


def test_a_hold_collects_anew_in_the_first_view_of_the_next_epoch():
    probe = member_of_epochs_of_one_block(held=True)
    for member in range(3):
        probe.hear(Status(1, 1, 0, ZERO_HASH, None), peer=member)
    end_epoch_one(probe)
    probe.give(TransactionsReady(True))
    probe.later(2_000)
    assert probe.state.hold is not None, "claims of epoch 1 say nothing of epoch 2"
    assert probe.votes() == []
    for member in range(3):
        probe.hear(Status(2, 1, 1, ZERO_HASH, None), peer=member)
    probe.hear(probe.certificate(FINALIZE, 1, sha256(b"one"), epoch=2))
    assert probe.state.hold is not None, "V is 1, and view 1 is not above it"
    probe.hear(probe.certificate(FINALIZE, 2, sha256(b"two"), epoch=2))
    assert probe.state.hold is None
    assert probe.state.floor == (2, 2)


def test_a_vote_shown_before_its_epoch_begins_holds_from_its_first_view_on():
    probe = member_of_epochs_of_one_block(held=False)
    forgotten = probe.vote(NOTARIZE, 1, sha256(b"forgotten"), 3, epoch=2)
    probe.hear(Status(2, 1, 1, ZERO_HASH, forgotten), peer=0)
    assert probe.published(SetHold) == []
    end_epoch_one(probe)
    assert len(probe.published(SetHold)) == 1
    probe.clear()
    probe.give(TransactionsReady(True))
    probe.later(5_000)
    assert probe.votes() == []


@pytest.mark.parametrize("seed", range(4))
def test_an_old_backup_under_a_living_key_signs_nothing_twice(seed):
    """The chain of three seconds ago and the log of then, held as every restored one is: it comes back and votes."""
    world = begun(World(SeedOptions(seed, load_ms=100, epoch_blocks=(7, 1_000_000)[seed % 2])))
    node = world.nodes[3]
    run(world, 3_000)
    chain, log = list(node.chain), list(node.log.durable)
    run(world, 6_000)
    world.stop(node)
    node.chain, node.log.durable, node.log.held = chain, log, True
    world.revive(node)
    other = world.nodes[0].core.state
    back = (other.epoch.epoch, other.view)
    run(world, 20_000)
    assert node.core.state.hold is None
    assert min(heights(world)) >= max(heights(world)) - 2
    later = [place for place in world.auditor.signed if place[0] == node.key and place[1:3] > back]
    assert len(later) > 20, "it takes part again"


def test_two_processes_with_one_key_fork_nothing():
    report = run_seed(SeedOptions(3, nodes=4, seconds_ms=8_000, twins=1, jitter_ms=40))
    assert report.good, report.text()


# --- 5, 6: what a block is, and timers that differ --------------------------------------------------------------------


def child_of_first(kind, signers):
    """The hash of the block that the leader of view 2 makes on a block certified by these members."""
    probe = Probe(4, me=1)
    probe.start()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    votes = [probe.vote(kind, 1, block_of(first), signer) for signer in signers]
    probe.hear(probe.scheme.assemble(votes, probe.committee))
    probe.pool = {sha256(b"work"): b"work"}
    probe.give(TransactionsReady(True))
    probe.later(1_000)
    (proposed,) = probe.published(SignProposal)
    return proposed.block.hash


def test_no_signature_of_a_quorum_is_in_a_block():
    """Failure 5: quorum data in the hash made two blocks of one."""
    quorums = [(0, 1, 2), (0, 1, 3), (1, 2, 3)]
    assert len({child_of_first(kind, signers) for kind in (NOTARIZE, FINALIZE) for signers in quorums}) == 1


class Skewed(World):
    """Every node believes in another Delta: a half, the whole, the double, in turn."""

    def new_engine(self, key):
        factor = (1, 2, 4)[list(self._keys).index(key) % 3]
        return BftEngine(
            replace(self.parameters, delta_ms=self.parameters.delta_ms * factor // 2), key, CHAIN_ID, self.scheme
        )


@pytest.mark.parametrize("nodes", [4, 7])
def test_timers_of_half_and_double_length_lose_no_liveness(nodes):
    """Failure 6: votes that came after a view was left were forgotten, and rounds drifted apart for ever."""
    for seed in range(3):
        world = begun(Skewed(SeedOptions(seed, nodes=nodes, delay_ms=60, jitter_ms=60, drop_ppm=50_000, load_ms=150)))
        run(world, 20_000)
        assert min(heights(world)) > 30, world.options.text()
        views = [node.core.state.view for node in world.nodes]
        assert max(views) - min(views) <= 2


# --- 9: a pause, not a restart ----------------------------------------------------------------------------------------

MOST_BUFFERED = 500


def freeze(node):
    """SIGSTOP: nothing is handled; what comes is kept as far as a buffer goes."""
    waiting = []

    def keep(event):
        if not isinstance(event, Received) or len(waiting) < MOST_BUFFERED:
            waiting.append(event)

    node.turn = keep
    return waiting


def thaw(node, waiting):
    """SIGCONT: everything is handled at once, by a clock that has gone on."""
    del node.turn
    for event in waiting:
        node.turn(event)


def test_two_of_four_frozen_for_half_an_hour_go_on_within_ten_views():
    world = begun(World(SeedOptions(1, load_ms=30_000)))
    run(world, 10_000)
    frozen = {node: freeze(node) for node in world.nodes[2:]}
    run(world, 10_000 + HALF_HOUR_MS)
    before, view = max(heights(world)), top_view(world)
    for node, waiting in frozen.items():
        thaw(node, waiting)
    run(world, world.now + 3_000)
    assert min(heights(world)) > before
    assert top_view(world) <= view + 10


# --- 14: evidence -----------------------------------------------------------------------------------------------------


def test_evidence_again_on_a_node_that_has_pruned_its_views():
    """Failure 14: evidence of heights that a node no longer holds was fatal, and was accepted more than once."""
    probe = Probe(4, me=3)
    probe.start()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    probe.hear(probe.certificate(FINALIZE, 1, block_of(first)))
    probe.hear(probe.certificate(FINALIZE, 40, sha256(b"far")))
    assert 1 not in probe.state.views
    probe.clear()
    pair = Evidence(probe.vote(FINALIZE, 1, sha256(b"x"), 2), probe.vote(FINALIZE, 1, sha256(b"y"), 2))
    turned = Evidence(pair.second, pair.first)
    for evidence in (pair, pair, turned):
        probe.hear(evidence, peer=1)
    assert [(effect.reason, effect.peer) for effect in probe.effects(Accuse)] == [("two-finalize", None)]
    assert len([effect for effect in probe.effects(Broadcast) if isinstance(effect.message, Evidence)]) == 1
    probe.clear()
    for epoch in (0, 2, 1 << 40):
        votes = [probe.vote(FINALIZE, 1, sha256(name), 2, epoch) for name in (b"x", b"y")]
        probe.hear(Evidence(*votes), peer=1)
    assert probe.effects(Accuse) == [], "evidence of another epoch is nobody's fault, and nothing to act on"


# --- 17: sync that brings nothing -------------------------------------------------------------------------------------


def everything(state):
    """The whole state as text, without the effects of the turn."""
    return {field.name: repr(getattr(state, field.name)) for field in fields(State) if field.name != "out"}


def test_a_sync_that_brings_nothing_is_identity():
    probe = Probe(4, me=3)
    probe.start()
    first = probe.proposal(1)
    probe.hear(first, peer=0)
    final = probe.certificate(FINALIZE, 1, block_of(first))
    probe.hear(final)
    again = Committed(decode_header(first.header), block_of(first), final, None, None)
    before = everything(probe.state)
    for _ in range(3):
        probe.give(again)
        assert everything(probe.state) == before
    probe.now += 100
    probe.hear(probe.proposal(2, first, (final,)), peer=1)
    assert (NOTARIZE, 2) in probe.votes(), "honest leaders are heard as before"
