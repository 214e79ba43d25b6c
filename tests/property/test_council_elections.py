"""Elections and bars of `dpos` under any history: never an empty council, never a name twice, equal on every node."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from consensus.council import (
    Bar,
    Cause,
    Council,
    CouncilRules,
    bar,
    decode_council,
    encode_council,
    next_council,
    note_ready,
)
from ledger.errors import DecodeError
from ledger.validators import Validator, ValidatorSet


def story(seed: int) -> list[Council]:
    """Twelve epochs of lost turns, reports, evidence, missing readiness, ballots for anybody."""
    draw = random.Random(seed)
    count = draw.randrange(4, 14)
    keys = [bytes([draw.randrange(256)]) * 31 + bytes([number]) for number in range(count)]
    members = tuple(Validator(f"v{number}", key) for number, key in enumerate(keys))
    rules = CouncilRules(draw.randrange(4, 12), tuple(sorted(keys))[: draw.randrange(1, 5)], draw.randrange(1, 5))
    council = next_council(Council(0, (), ready=dict.fromkeys(keys, 0)), rules, members, {}, {})
    seen = [council]
    for _ in range(12):
        for key in draw.sample(keys, draw.randrange(count + 1)):
            council = note_ready(council, key)
        for key in draw.sample(keys, draw.randrange(count + 1)):
            cause = draw.choice(list(Cause))
            left = {Cause.TURN: 1, Cause.INVALID: rules.bar_elections, Cause.EQUIVOCATION: 0}[cause]
            council = bar(council, Bar(key, cause, council.epoch, draw.randrange(1, 20), left))
        scores = {key: draw.randrange(4) for key in draw.sample(keys, draw.randrange(count + 1))}
        ballots = {key: tuple(draw.choices(keys, k=draw.randrange(6))) for key in keys if draw.random() < 0.4}
        shuffled = tuple(draw.sample(members, count))
        elected = next_council(council, rules, members, scores, ballots)
        assert next_council(council, rules, shuffled, dict(reversed(scores.items())), ballots) == elected
        check(council, elected, rules, keys)
        council = elected
        seen.append(council)
    return seen


def check(before: Council, after: Council, rules: CouncilRules, keys: list[bytes]) -> None:
    queue = [member.public_key for member in after.queue]
    assert ValidatorSet(after.queue).total_weight == len(queue) == len(set(queue))
    assert set(queue) <= set(keys)
    assert 1 <= len(queue) <= rules.seats
    able = {key for key in keys if before.ready.get(key, -1) >= before.epoch - 1} - before.barred()
    assert len(queue) >= min(rules.least, rules.seats, len(rules.floor_set))
    if len(able) >= min(rules.least, len(keys)):
        assert set(queue) <= able, "nobody is lifted while enough are eligible"
    assert len(queue) >= min(rules.seats, len(able))
    for one in after.bars:
        assert one.left < rules.bar_elections or one.cause is Cause.EQUIVOCATION
        assert (one.left == 0) == (one.cause is Cause.EQUIVOCATION)
    forever = {one.member for one in before.bars if one.cause is Cause.EQUIVOCATION}
    assert forever == {one.member for one in after.bars if one.cause is Cause.EQUIVOCATION}


@pytest.mark.parametrize("seed", range(60))
def test_any_history_leaves_a_council(seed: int) -> None:
    print("seed", seed)
    councils = story(seed)
    assert councils == story(seed)
    for council in councils:
        assert decode_council(encode_council(council)) == council


def test_a_council_has_one_encoding() -> None:
    council = story(1)[-1]
    raw = encode_council(council)
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        try:
            found = decode_council(changed)
        except DecodeError:
            continue
        assert encode_council(found) == changed
    bars = tuple(reversed(council.bars))
    assert len(bars) > 1
    with pytest.raises(DecodeError):
        decode_council(encode_council(replace(council, bars=bars)))
