"""D.fig5: the published rounds, and bursts on our own chain; small ones here."""

from __future__ import annotations

from statistics import fmean

from deploy.reproduce.chart import Line
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.market_d_time import TIME, draw_time, published_time, run_time

GIVEN = inputs_of("D.fig5")
QUICK = Inputs("D.fig5", {**GIVEN.values, "sizes": [50, 900], "phases": 1, "repeats": 3})


def mean(shards: int, transactions: int) -> float:
    """Of forty runs."""
    return fmean(published_time(GIVEN, 1, run, shards, transactions) for run in range(40))


def test_the_published_rounds_take_what_their_parameters_say() -> None:
    # quickest of 12 puzzles and eleven broadcasts: 20 + 20 / 13 + 11 * 10
    assert abs(mean(1, 50) - 131.5) < 8
    assert abs(mean(1, 100) - 263) < 16
    # the slowest of three shards of four, which tell two others once
    assert 75 < mean(3, 50) < 95
    assert 330 < mean(3, 800) < 400
    assert published_time(GIVEN, 2, 0, 3, 100) == published_time(GIVEN, 2, 0, 3, 100)


def test_a_seed_has_both_panels_and_a_figure_for_each_claim() -> None:
    trial = run_time(QUICK, 1)
    assert list(trial.figures) == [claim.name for claim in TIME.claims]
    assert TIME.claims[0].holds(trial.figures["unsharded takes longer"])
    assert [row[:2] for row in trial.rows[-2:]] == [("ours", 50), ("ours", 900)]
    assert len(trial.rows[0]) == len(TIME.columns)
    _, _, sharded, unsharded, own = trial.rows[-1]
    assert own < unsharded
    assert sharded < unsharded
    chart = draw_time(QUICK, [trial])
    assert [sum(isinstance(mark, Line) for mark in panel.marks) for panel in chart.panels] == [2, 3]
