"""Rules of the shell removed on purpose: what the engine's own simulator cannot notice, because it has no shell.

Data as in `consensus.simulator.mutants`; functions are named by their full path.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from consensus.simulator.mutants import Lure, Mutant, Patch, patched, patches_of
from consensus.simulator.options import SimulationOptions
from node.simulation.options import NodeSeed, draw_nodes

SECONDS: Final = 8
_CRASHES: Final[Lure] = {"crash_mtbf_ms": 2_500, "restart_ms": 200, "cut_at_write": True}
_AWAY: Final[Lure] = {"wiped": 1, "sync_liar": True, "interval_ms": 100, "load_ms": 50}
_FULL: Final[Lure] = {"full_ms": 3_000}
_LOSS: Final[Lure] = {"drop_ppm": 200_000, "reset_ms": 300, "load_ms": 100}

SHELL_MUTANTS: Final[dict[str, Mutant]] = {
    "released-before-the-sync": Mutant(
        "rule 0: signed bytes leave only when durable",
        (
            Patch(
                "node.publisher.Publisher.take",
                "self._put(_Append(tuple(entries), tuple(messages)))",
                "self._put(_Append(tuple(entries), tuple(messages))); [self._release(one) for one in messages]",
            ),
        ),
    ),
    "log-not-synced": Mutant("the sync of the log", (Patch("node.wal.Wal.append", "file.sync()", "pass"),)),
    "directory-not-synced": Mutant(
        "a new segment's name is durable before it is used",
        (Patch("node.wal.Wal._begin_segment", "self._disk.sync_directory(self._directory)", "pass"),),
        {"load_ms": 10},
    ),
    "log-not-read": Mutant(
        "own votes after a restart",
        (
            Patch("node.wal._recovery", "votes.append(decode(Vote, entry.payload))", "pass"),
            Patch("node.wal._recovery", "proposals.append(decode(Proposal, entry.payload))", "pass"),
        ),
        _CRASHES,
    ),
    "commit-in-two-batches": Mutant(
        "a commit is one batch",
        (
            Patch(
                "ledger.chain.ChainStore.append",
                "_put_head(batch, blocks[-1].block)",
                "self._store.write(batch, sync=True); batch = Batch(); _put_head(batch, blocks[-1].block)",
            ),
        ),
    ),
    "certificates-not-verified": Mutant(
        "catching up verifies certificates",
        (
            Patch(
                "p2p.sync_check.check_range",
                "check_certificate(certificate, chain_id, position.validators)",
                "pass",
            ),
        ),
        _AWAY,
        seed=3,
    ),
    "no-room-asked": Mutant(
        "no write on a full disk",
        (Patch("node.store_guard.GuardedStore.write", "self._check_room()", "pass"),),
        _FULL,
        seed=2,
    ),
    "full-log-given-up": Mutant(
        "a disk that refuses a write is asked again",
        (Patch("node.publisher.Publisher.run", "await asyncio.sleep(RETRY_S)", "break"),),
        _FULL,
    ),
    "forgets-on-reconnect": Mutant(
        "what was accepted waits until it is in a block, whoever comes or goes",
        (
            Patch(
                "node.peers.Peers.on_peer_down",
                "self.gossip.peer_down(peer)",
                "self.gossip.peer_down(peer); self._mempool.prune(self._mempool.oldest(INTRODUCED))",
            ),
        ),
        _LOSS,
    ),
    "epoch-not-told": Mutant(
        "the signer learns of an epoch before the engine",
        (Patch("node.blocks.Blocks._publish", "self._surfaces.begin_epoch(outcome.event.next_epoch)", "pass"),),
        {"epoch_blocks": 4, "load_ms": 100},
    ),
    "missing-log-votes": Mutant(
        "who has lost its log is held",
        (Patch("node.wal.Wal._recover", "if not paths:", "if False:"),),
        {"wiped": 1, "nodes": 4},
        seed=4,
    ),
    "never-catches-up": Mutant(
        "who was away catches up",
        (Patch("node.catchup.Catchup.run", "await self._follow()", "pass"),),
        {"crash_mtbf_ms": 4_000, "restart_ms": 6_000, "interval_ms": 100, "load_ms": 50},
        seed=3,
    ),
    "executed-into-the-store": Mutant(
        "what is judged and not final changes no row",
        (
            Patch(
                "node.application.Application.check",
                "self._candidates[block_hash] = candidate",
                "self._candidates[block_hash] = candidate; from ledger.store import Batch; early = Batch(); "
                "early.extend(candidate.overlay.delta().rows()); self._base._rows.write(early, sync=True)",
            ),
        ),
    ),
    "commit-waits-for-abort": Mutant(
        "a decision does not wait for the blocks that are given up with it",
        (
            Patch(
                "node.blocks.Blocks._publish",
                "self._surfaces.post(outcome.event)",
                "self._surfaces.post(outcome.event)\n        await asyncio.sleep(0.02)\n"
                "        while self._jobs: await asyncio.sleep(0.01)",
            ),
        ),
        {"followers": True},
    ),
    "commit-waits-for-readers": Mutant(
        "a follower that does not read holds up nothing",
        (
            Patch(
                "node.blocks.Blocks._publish",
                "self._surfaces.committed(outcome)",
                "self._surfaces.committed(outcome)\n    feeds = self._surfaces.committed.__self__._feeds._feeds\n"
                "    while any(len(feed._blocks) == feed._blocks.maxlen for feed in feeds): await asyncio.sleep(0.01)",
            ),
        ),
        {"followers": True, "interval_ms": 100, "load_ms": 50},
        seed=1,
    ),
}


def lured(name: str, seed: int) -> NodeSeed:
    """The options of a seed for a mutant and for its control: the swarm's, and the mutant's lure."""
    plain = draw_nodes(SimulationOptions(nodes=4, seconds=SECONDS), seed)
    calm = replace(plain, skewed=0, wiped=0, sync_liar=False)
    return replace(calm, **SHELL_MUTANTS[name].lure)  # type: ignore[arg-type]  # values of these fields


@contextmanager
def mutated_shell(name: str) -> Iterator[None]:
    """Run with a rule missing; the empty name is the true shell. Raise as `consensus.simulator.mutants.mutated`."""
    with patched(name, patches_of(name, SHELL_MUTANTS)):
        yield
