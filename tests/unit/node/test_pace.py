"""What a leader learns of its host, and what it dares to put into a block."""

from __future__ import annotations

from node.blocks import FIRST_GAS_PER_MS, GAS_SAMPLE, PACE_SAMPLE, Pace


def test_before_anything_was_measured_the_budget_is_the_safe_first_value() -> None:
    pace = Pace()
    assert pace.gas_within(500) == 500 * FIRST_GAS_PER_MS
    assert pace.gas_within(0) == GAS_SAMPLE


def test_gas_slows_down_at_once_and_speeds_up_by_quarters() -> None:
    pace = Pace()
    pace.took(1.0, 1, 8_000_000)
    assert pace.gas_within(1_000) == 8_000_000
    pace.took(0.5, 1, 8_000_000)
    assert pace.gas_within(1_000) == 10_000_000
    for _ in range(60):
        pace.took(0.5, 1, 8_000_000)
    assert 15_900_000 < pace.gas_within(1_000) <= 16_000_000


def test_small_blocks_teach_nothing() -> None:
    pace = Pace()
    before = pace.gas_within(500), pace.within(500, 100_000)
    pace.took(60.0, PACE_SAMPLE - 1, GAS_SAMPLE - 1)
    assert (pace.gas_within(500), pace.within(500, 100_000)) == before


def test_a_few_dear_transactions_do_not_change_what_a_usual_one_takes() -> None:
    pace = Pace()
    before = pace.within(500, 100_000)
    pace.took(5.0, 10, 500_000_000)
    assert pace.within(500, 100_000) == before


def test_a_host_that_stood_still_for_a_minute_recovers() -> None:
    pace = Pace()
    pace.took(60.0, 1, GAS_SAMPLE)
    assert pace.gas_within(500) == GAS_SAMPLE
    for _ in range(60):
        gas = pace.gas_within(500)
        pace.took(gas / 100_000_000, 1, gas)
    assert pace.gas_within(500) > 49_000_000
