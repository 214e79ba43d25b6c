"""Whom to be linked with. Pure functions.

Up to `mesh_limit` nodes everybody is linked with everybody. Above that a node keeps `min_links` to `max_links`,
validators first; whom, is decided by the hash of both names, so that links spread evenly and the same nodes find
each other again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from p2p.frames import PeerId


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """How many links a node keeps."""

    mesh_limit: int = 16
    min_links: int = 8
    max_links: int = 12


def is_mesh(policy: LinkPolicy, others: int) -> bool:
    """Whether a network of this node and `others` more is a full mesh."""
    return others + 1 <= policy.mesh_limit


def to_dial(
    own: PeerId,
    known: Collection[PeerId],
    linked: Collection[PeerId],
    preference: Callable[[PeerId], int],
    policy: LinkPolicy,
) -> list[PeerId]:
    """The nodes to dial now, the lowest `preference` first. `known` and `linked` do not hold `own`."""
    missing = [node for node in known if node not in linked]
    ranked = sorted(missing, key=lambda node: (preference(node), _rank(own, node)))
    if is_mesh(policy, len(set(known) | set(linked))):
        return ranked
    return ranked[: max(0, policy.min_links - len(linked))]


def admits_link(
    node: PeerId, others: int, linked: Collection[PeerId], is_validator: Callable[[PeerId], bool], policy: LinkPolicy
) -> bool:
    """Whether `node` may have a link too. A newcomer needs one to learn whom else to dial, so twice `max_links` are
    admitted for a while (three times for validators); `to_trim` says who has to leave again."""
    if node in linked or is_mesh(policy, others):
        return True
    return len(linked) < policy.max_links * (3 if is_validator(node) else 2)


def to_trim(
    settled: Sequence[PeerId], others: int, links: int, is_validator: Callable[[PeerId], bool], policy: LinkPolicy
) -> list[PeerId]:
    """Of `settled`, the peers that have had time to learn addresses, oldest first: who has to leave, so that
    `links` sink to `max_links`. The youngest leave first, validators after all others."""
    if is_mesh(policy, others):
        return []
    surplus = max(0, links - policy.max_links)
    youngest = settled[::-1]
    plain = [node for node in youngest if not is_validator(node)]
    return [*plain, *(node for node in youngest if is_validator(node))][:surplus]


def _rank(own: PeerId, node: PeerId) -> bytes:
    return hashlib.sha256(min(own, node) + max(own, node)).digest()
