"""Whatever validators send to `committee`, the chain goes on with a committee on which contract and engine agree."""

from __future__ import annotations

from typing import Any

from chain_world import seeded_key
from committee_world import CommitteeWorld, account, possession
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.certificates import VoteKind
from ledger.crypto import address_of
from node.evidence_side import evidence_argument

CommitteeWorld()  # an executor raises the recursion limit, which hypothesis wants to stay as it is
NUMBERS = st.integers(1, 8)
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1 << 70),
    st.binary(max_size=70),
    st.text(max_size=70),
    st.lists(st.integers(), max_size=2),
)


@st.composite
def words(draw: st.DrawFn) -> tuple[str, Any]:
    """Something that a validator may send: sensible, twisted, or garbage."""
    kind = draw(
        st.sampled_from(["propose", "propose", "propose", "vote", "vote", "vote", "evidence", "garbage", "epoch"])
    )
    if kind == "propose":
        return kind, (draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), draw(st.integers(0, 3)))
    if kind == "vote":
        return kind, (draw(st.integers(1, 6)), draw(st.booleans()))
    if kind == "evidence":
        return kind, (draw(NUMBERS), draw(st.integers(1, 4)))
    if kind == "garbage":
        entry = draw(st.sampled_from(["propose", "vote", "evidence", "convict", "turn", "validators"]))
        return kind, (entry, draw(st.lists(ANY, max_size=6)))
    return kind, ()


def spoken(world: CommitteeWorld, by: int, kind: str, given_: Any) -> Any:
    """The transaction of a word, None if it is none."""
    if kind == "propose":
        name, key, proof, speaker, weight = given_
        public = seeded_key(key).public
        return world.transaction(
            account(by),
            "propose",
            f"v{name}",
            public,
            possession(proof),
            bytes(address_of(account(speaker).public)),
            weight,
        )
    if kind == "vote":
        return world.transaction(account(by), "vote", *given_)
    if kind == "evidence":
        number, view = given_
        if f"v{number}" not in world.names():
            return None
        first, second = (world.vote(number, VoteKind.NOTARIZE, view, bytes([one]) * 32) for one in (1, 2))
        return world.transaction(account(by), "evidence", evidence_argument(first, second))
    entry, arguments = given_
    return world.transaction(account(by), entry, *arguments)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, words()), min_size=8, max_size=30))
def test_no_word_of_a_validator_halts_the_chain(said: list[tuple[int, tuple[str, Any]]]) -> None:
    world = CommitteeWorld()
    for by, (kind, given_) in said:
        if kind == "epoch":
            world.next_epoch()
            continue
        transaction = spoken(world, by, kind, given_)
        world.block(*([] if transaction is None else [transaction]))
        if world.commits.epoch.epoch > 1:
            assert world.names()
    world.next_epoch()
    rows: Any = world.ask("validators")
    committee = world.commits.epoch.validators.validators
    assert [(row["name"], row["key"], row["weight"]) for row in rows] == [
        (one.name, one.public_key, one.weight) for one in committee
    ]
    assert len({one.public_key for one in committee}) == len(committee)
