"""The global chain of market D as published (items 2 to 5 of section 7 of the market specification): proxies of shards
publish records, and a wrong one is corrected an epoch later.

For conformance cases and the simulator only; no node decides by it: whoever publishes a wrong record has it in the
chain for an epoch. Ids and roots are text, hashes are lower-case hexadecimal SHA-256 of UTF-8 text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ledger.crypto import sha256


@dataclass(frozen=True, slots=True)
class EpochRoots:
    """What happened in the shards: `published` by the proxies (a shard may be absent), `true` as the members signed it;
    a shard that is not in `true` published the truth."""

    published: Mapping[str, str]
    true: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GlobalEpoch:
    """One header: `entered` (shard, root) in shard order, `fixes` (shard, wrong, true root) of the epoch before."""

    epoch: int
    proxies: Mapping[str, str | None]
    barred: tuple[str, ...]
    entered: tuple[tuple[str, str], ...]
    fixes: tuple[tuple[str, str, str], ...]
    hash: str


def proxy_of(previous: str, shard: str, epoch: int, members: Sequence[str], barred: Collection[str]) -> str | None:
    """The member that is not barred with the smallest hash of `prev|s|e|member`; None if all are barred."""
    free = [member for member in members if member not in barred]
    return min(free, key=lambda member: (digest(previous, shard, str(epoch), member), to_bytes(member)), default=None)


def published_epochs(
    shards: Mapping[str, Sequence[str]], epochs: Sequence[EpochRoots], genesis_hash: str, penalty_epochs: int
) -> list[GlobalEpoch]:
    """The headers of `epochs`, the first one epoch 0. A proxy whose record of epoch e is wrong is barred for e+1 to
    e+`penalty_epochs`."""
    order = sorted(shards, key=to_bytes)
    barred_until: dict[str, int] = {}
    done: list[GlobalEpoch] = []
    previous = genesis_hash
    for epoch, roots in enumerate(epochs):
        fixes = _fixes(done[-1], epochs[epoch - 1]) if done else ()
        for shard, _wrong, _true in fixes:
            proxy = done[-1].proxies[shard]
            assert proxy is not None, "who entered a record was the proxy"
            barred_until[proxy] = max(barred_until.get(proxy, 0), epoch - 1 + penalty_epochs)
        barred = tuple(sorted((name for name, until in barred_until.items() if until >= epoch), key=to_bytes))
        proxies = {shard: proxy_of(previous, shard, epoch, shards[shard], barred) for shard in order}
        entered = tuple(
            (shard, roots.published[shard])
            for shard in order
            if shard in roots.published and proxies[shard] is not None
        )
        corrections = (f"fix:{shard}:{true}" for shard, _wrong, true in fixes)
        previous = digest(previous, str(epoch), *(f"{shard}:{root}" for shard, root in entered), *corrections)
        done.append(GlobalEpoch(epoch, proxies, barred, entered, fixes, previous))
    return done


def _fixes(before: GlobalEpoch, roots: EpochRoots) -> tuple[tuple[str, str, str], ...]:
    """Records of the epoch before that are not the shard's true root."""
    return tuple(
        (shard, root, roots.true[shard]) for shard, root in before.entered if roots.true.get(shard, root) != root
    )


def digest(*parts: str) -> str:
    """SHA-256 of the parts joined by `|`, hexadecimal."""
    return sha256(to_bytes("|".join(parts))).hex()


def to_bytes(text: str) -> bytes:
    """UTF-8, as ids compare."""
    return text.encode("utf-8", "surrogatepass")
