"""Experiments of market A: one seed of each holds, the band is computed, a missing solver is said."""

from __future__ import annotations

import pytest

from contracts.solvers.milp import installed
from deploy.reproduce import market_a_table
from deploy.reproduce.experiment import CannotRun, Experiment, Kind
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.market_a import EXPERIMENTS
from deploy.reproduce.wind_days import HOURS, wind_day

QUICK = [one for one in EXPERIMENTS if one.id != "A.table2"]


@pytest.mark.parametrize("experiment", QUICK, ids=lambda one: str(one.id))
def test_a_seed_of_each_experiment_gives_what_the_claims_say(experiment: Experiment) -> None:
    inputs = inputs_of(experiment.id)
    trial = experiment.run(inputs, 1)
    for claim in experiment.claims:
        assert claim.holds(trial.figures[claim.name]) is not (claim.kind is Kind.CANNOT), claim.name
    assert {len(row) for row in trial.rows} == {len(experiment.columns)}
    assert experiment.draw(inputs, [trial, trial]).panels


@pytest.mark.skipif(not installed(), reason="highspy is not installed (extra: solvers)")
def test_the_table_gains_for_both_sides_and_its_parts_make_the_gain() -> None:
    inputs = inputs_of("A.table2")
    small = Inputs("A.table2", {**inputs.values, "prosumers": 6})
    trial = market_a_table.TABLE.run(small, 1)
    for claim in market_a_table.TABLE.claims[1:]:
        assert claim.holds(trial.figures[claim.name]), (claim.name, trial.figures)
    gain = sum(trial.figures["gain"].values())
    assert gain == pytest.approx(trial.figures["table"]["revenue, %"], abs=0.01)
    assert len(inputs.others) >= 4


def test_a_missing_solver_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_a_table, "installed", lambda: False)
    with pytest.raises(CannotRun, match=r"gridchain\[solvers\]"):
        market_a_table.TABLE.run(inputs_of("A.table2"), 1)


def test_days_are_those_of_the_data_with_forecasts_within_the_error() -> None:
    inputs = inputs_of("A.fig3")
    days = [wind_day(inputs, seed) for seed in range(1, 21)]
    assert len({(day.profile, day.date) for day in days}) > 10
    for day in days:
        assert len(day.actual) == HOURS
        for forecast, actual in zip(day.forecast, day.actual, strict=True):
            assert abs(forecast - actual) * 1_000_000 <= actual * inputs.whole("error_ppm") + 1_000_000
