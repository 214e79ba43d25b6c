"""Who of a process speaks to the global chain by itself: couriers of records, accusers, attesters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from consensus.sharded.discipline import Audit
from ledger.crypto import SigningKey
from ledger.engine_settings import GLOBAL
from ledger.genesis import Genesis
from node.parts import Parts
from node.shards.accuser import Accuser, Court
from node.shards.attester import Attester, Bench
from node.shards.courier import Courier, Posts
from node.shards.global_side import GlobalSide
from node.shards.region_side import RegionSide
from node.speaker import Voice

ShardSpeaker: TypeAlias = Courier | Accuser | Attester


@dataclass(frozen=True, slots=True)
class Stand:
    """One chain of a process. `key`: its vote there, None where it only follows. `lie_about`: see `Posts`."""

    key: SigningKey | None
    genesis: Genesis
    parts: Parts
    lie_about: int = 0


def speakers_of(
    stands: Sequence[Stand], centres: Stand, voter: SigningKey | None, account: SigningKey | None
) -> Iterator[ShardSpeaker]:
    """All of them. `stands`: every running chain, `centres`: the global one among them; `voter`: the process's vote,
    `account`: what it speaks by."""
    for stand in stands:
        if isinstance(stand.parts.side, RegionSide):
            rules = stand.parts.side.rules
            yield _accuser(stand, (rules.region, rules.region_epoch), centres, _voice(centres, voter, account))
            voice = _voice(centres, stand.key, account)
            if voice is not None:
                yield _courier(stand, stand.parts.side, centres, voice)
        elif isinstance(stand.parts.side, GlobalSide):
            yield _accuser(stand, (GLOBAL, 1), centres, _voice(centres, voter, account))
            voice = _voice(stand, stand.key, account)
            if voice is not None and stand.parts.side.rules.rules.audit is Audit.ASSIGNED:
                parts = stand.parts
                thread, sign = parts.ledger_thread.run, parts.signer.statement
                yield Attester(Bench(parts.chain, parts.state, stand.parts.side, thread, sign, voice, parts.log))


def _voice(centres: Stand, voter: SigningKey | None, account: SigningKey | None) -> Voice | None:
    if voter is None or account is None:
        return None
    return Voice(voter.public, account, centres.genesis.chain_id, centres.parts.ingress.submit)


def _courier(stand: Stand, side: RegionSide, centres: Stand, voice: Voice) -> Courier:
    """What publishes a region's records."""
    parts = stand.parts
    return Courier(
        Posts(
            own=parts.chain,
            centres=centres.parts.state,
            side=side,
            on_ledger=parts.ledger_thread.run,
            sign=parts.publisher.sign_record,
            voice=voice,
            log=parts.log,
            metrics=parts.metrics,
            lie_about=stand.lie_about,
        )
    )


def _accuser(stand: Stand, court: tuple[str, int], centres: Stand, voice: Voice | None) -> Accuser:
    """What brings evidence of a chain, or has it in the log where this node has nothing to speak by. `court`: the
    region and its epoch."""
    seats = centres.genesis.validator_set
    order = dict.fromkeys(one.public_key for one in (*stand.genesis.validator_set.validators, *seats.validators))
    accuser = Accuser(
        Court(
            region=court[0],
            epoch=court[1],
            seats=seats,
            centres=centres.parts.state,
            voice=voice,
            speakers=tuple(order),
            log=stand.parts.log,
            doubles=stand.parts.side.doubles if isinstance(stand.parts.side, GlobalSide) else None,
        )
    )
    stand.parts.passed.to = accuser
    return accuser
