"""Consensus of market D: `d.shard` on the pure functions of the published rules."""

from __future__ import annotations

from typing import Any, Final

from consensus.published_shards import EpochRoots, published_epochs
from node.conformance.fields import ByName, Choice, Either, Form, Id, Integer, Many, OrNull, Row, Via
from node.conformance.mechanism import Mechanism

_PUBLISHED: Final = ("published", "records", "claimed", "roots")
_TRUE: Final = ("true", "true_roots", "truth", "roots")
"""Names of the two parts; `roots` is what is published, beside a name of that it is the truth."""
_ROOTS: Final = ByName(OrNull(Id()))


def _by_part(parts: dict[str, Any]) -> EpochRoots:
    """{"published": {shard: root}, "true": {shard: root}}, whatever the two are called."""
    rest = dict(parts)
    published = _first(rest, _PUBLISHED)
    return _roots(published, _first(rest, _TRUE))


def _first(parts: dict[str, Any], names: tuple[str, ...]) -> dict[str, str | None]:
    """The part that has one of the names, taken out."""
    for name in names:
        if parts.get(name) is not None:
            return dict(parts.pop(name))
    return {}


def _by_shard(shards: dict[str, dict[str, Any]]) -> EpochRoots:
    """{shard: {"published": root, "true": root}}."""
    return _roots(
        {shard: row.get("published") for shard, row in shards.items()},
        {shard: row.get("true") for shard, row in shards.items()},
    )


def _roots(published: dict[str, str | None], true: dict[str, str | None]) -> EpochRoots:
    return EpochRoots(
        {shard: root for shard, root in published.items() if root is not None},
        {shard: root for shard, root in true.items() if root is not None},
    )


_TRUTHFUL: Final = Via(_ROOTS, lambda published: _roots(published, {}), _ROOTS)
_PARTS: Final[dict[str, Form]] = {name: OrNull(_ROOTS) for name in (*_PUBLISHED, *_TRUE)}
_PROXIES: Final = Either((ByName(OrNull(Id()), sparse=True), Many(OrNull(Id()))))
"""Of each shard, or the list in the order of the shards."""
_PAIR: Final[dict[str, Form]] = {"published": OrNull(Id()), "true": OrNull(Id())}
_EPOCH: Final = Choice(
    (
        Via(Row(_PARTS, frozenset(_PARTS), closed=True), _by_part, _ROOTS),
        Via(ByName(Row(_PAIR, frozenset(_PAIR), closed=True)), _by_shard, _ROOTS),
        _TRUTHFUL,
    )
)


def _shard(case: dict[str, Any]) -> dict[str, Any]:
    done = published_epochs(case["shards"], case["epochs"], case["genesis_hash"], case["penalty_epochs"])
    return {
        "epochs": [
            {
                "epoch": epoch.epoch,
                "proxies": (dict(epoch.proxies), list(epoch.proxies.values())),
                "barred": list(epoch.barred),
                "entered": [{"shard": shard, "root": root} for shard, root in epoch.entered],
                "fixes": [{"shard": shard, "wrong": wrong, "true": true} for shard, wrong, true in epoch.fixes],
                "hash": epoch.hash,
            }
            for epoch in done
        ]
    }


MECHANISMS: Final = (
    Mechanism(
        "d.shard",
        Row(
            {
                "shards": ByName(Many(Id())),
                "epochs": Many(_EPOCH),
                "genesis_hash": Id(),
                "penalty_epochs": Integer(0, 10**6),
            }
        ),
        Row(
            {
                "epochs": Many(
                    Row(
                        {
                            "epoch": Integer(),
                            "proxies": _PROXIES,
                            "barred": Many(Id()),
                            "entered": Many(Row({"shard": Id(), "root": Id()})),
                            "fixes": Many(Row({"shard": Id(), "wrong": Id(), "true": Id()})),
                            "hash": Id(),
                        }
                    )
                )
            }
        ),
        _shard,
        whole="epochs",
    ),
)
