"""Figure 3 of market C: score control keeps the malicious out where the barred return honest, and cannot otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consensus.simulator.malicious import READINGS, MaliciousOptions, run_malicious
from ledger.errors import ConfigError

PUBLISHED = MaliciousOptions()
SMALL = MaliciousOptions(nodes=30, seats=10)


def test_the_published_figure() -> None:
    honest, for_ever, control = (run_malicious(PUBLISHED, 1, reading) for reading in READINGS)
    assert max(one.queue for one in honest) < 333_333
    assert control[0].queue < 250_000 < 500_000 < control[-1].queue
    assert max(one.queue for one in for_ever[17:]) > 500_000, "22.5 honest members cannot fill half of 50 seats"
    assert not any(one.false_block for one in honest)
    assert any(one.false_block for one in for_ever)


def test_the_first_council_has_fewer_malicious_members_by_score_than_by_lot() -> None:
    options = replace(PUBLISHED, initial=300_000, rounds=1)
    by_score, by_lot = (run_malicious(options, 3, reading)[0] for reading in (READINGS[0], "control"))
    assert by_score.queue < by_lot.queue // 2
    assert by_score.population == by_lot.population


def test_nobody_turns_without_conversion_and_all_at_once_with_certainty() -> None:
    for reading in READINGS:
        calm = run_malicious(replace(SMALL, conversion=0), 5, reading)
        assert {(one.population, one.queue, one.false_block) for one in calm} == {(0, 0, False)}
    first = run_malicious(replace(SMALL, conversion=1_000_000), 5, "control")[0]
    assert (first.population, first.queue, first.false_block) == (1_000_000, 1_000_000, True)


def test_same_seed_same_story() -> None:
    for reading in READINGS:
        assert run_malicious(SMALL, 9, reading) == run_malicious(SMALL, 9, reading)
    assert run_malicious(SMALL, 9, "control") != run_malicious(SMALL, 10, "control")


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        MaliciousOptions(nodes=10, seats=11)
    assert refused.value.code == "BAD_OPTION"
    with pytest.raises(ConfigError):
        run_malicious(SMALL, 1, "another")
