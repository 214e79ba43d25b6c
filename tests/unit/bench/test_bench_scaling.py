"""Bursts on regions and on one chain of all: simulated with processors, small here; the full run is a command."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from bench.costs import measure_costs
from bench.lines import Interval, Line, crossing, fit, interval
from bench.scaling import MAIN, PARTS, SIDES, VARIANTS, Run, ScalingOptions, bursts, scaling_document, table
from bench.scaling_real import RealBurst, RealOptions, real_document, real_table
from consensus.sharded.discipline import Audit
from consensus.simulator.processor import NS, CpuModel, Job, Lane, Processor, Purpose, length_ns, union_ns
from consensus.simulator.scaling import run_burst
from consensus.simulator.timed_worlds import BurstOptions
from deploy.main import app
from node.cli.output import run_command

SLOW = CpuModel(
    verify_ns=200_000,
    sign_ns=40_000,
    decode_ns=10_000,
    execute_ns=100_000,
    state_ns=50_000,
    clear_ns=30_000,
    commit_ns=5_000,
    turn_ns=20_000,
    message_ns=2_000,
    kib_ns=2_000,
    ticket_ns=3_000,
    transaction_bytes=205,
)
"""A slow node: processors decide, also in small bursts."""


def test_the_core_takes_votes_before_blocks_and_long_work_in_slices() -> None:
    queue: list[tuple[int, int, Any]] = []
    clock = [0]
    core = Processor(lambda: clock[0], lambda delay, act: queue.append((clock[0] + delay, len(queue), act)))
    done: list[tuple[str, int]] = []

    def job(name: str, ms: int) -> Job:
        return Job(Purpose.EXECUTION, lambda: ms * NS, lambda: done.append((name, clock[0])))

    core.put(Lane.LEDGER, job("block", 12))
    core.put(Lane.BACKGROUND, job("audit", 1))
    core.put(Lane.EVENTS, job("vote", 1))
    while queue:
        clock[0], _, act = queue.pop(0)
        act()
    assert done == [("vote", 6), ("block", 13), ("audit", 14)]
    assert core.busy == {Purpose.EXECUTION: 14 * NS}


def test_spans_that_overlap_count_once() -> None:
    assert union_ns([(5, 9), (0, 3), (2, 4), (20, 30)], 1, 25) == [(1, 4), (5, 9), (20, 25)]
    assert length_ns(union_ns([(0, 3), (2, 4)], 0, 10)) == 4


def test_a_burst_is_the_same_again_and_its_parts_add_up() -> None:
    options = BurstOptions(3, SLOW, 120)
    found = run_burst(options)
    assert found == run_burst(options)
    parts = found.verification_ms + found.execution_ms + found.votes_ms + found.global_ms
    assert parts == pytest.approx(found.finality_ms)
    assert found.verification_ms > 0 < found.execution_ms
    assert 0 < found.own_ms < found.finality_ms
    assert found.records >= 3
    assert found.nullified == 0
    # every order is audited once by each centre
    assert found.audit_ms == pytest.approx(120 * SLOW.audit_ns / NS)
    assert 0 < found.audit_queue_ms <= found.audit_ms


def test_audits_of_every_kind_end_and_only_the_assigned_audit_by_assignment() -> None:
    options = BurstOptions(4, SLOW, 60)
    eager = run_burst(replace(options, audit=Audit.EAGER))
    assigned = run_burst(replace(options, audit=Audit.ASSIGNED, round_ms=1_500))
    beside, waits = run_burst(options), run_burst(replace(options, waits=True))
    assert eager.audit_ms == pytest.approx(60 * SLOW.audit_ns / NS)
    assert assigned.audit_ms == pytest.approx(eager.audit_ms / 2)  # two of four centres
    assert eager.audit_late_ms == 0
    assert beside.finality_ms <= waits.finality_ms


def test_regions_rise_less_steeply_than_one_chain_of_all() -> None:
    sizes, slopes = (100, 1_500), {}
    for merged in (False, True):
        times = [run_burst(BurstOptions(5, SLOW, count, merged=merged)).finality_ms for count in sizes]
        slopes[merged] = fit(sizes, times).slope
    # about a third; twelve members verify and execute everything on one side, four a third of it on the other
    assert 0 < slopes[False] < 0.6 * slopes[True]


def test_lines_intervals_and_crossings() -> None:
    assert fit([1, 2, 3], [3.0, 5.0, 7.0]) == Line(1.0, 2.0)
    with pytest.raises(ValueError, match="two different sizes"):
        fit([4, 4], [1.0, 2.0])
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, round(found.low, 2), round(found.high, 2)) == (2.0, -0.48, 4.48)
    assert interval([2.0]).document() == {"mean": 2.0, "interval_95": [None, None]}
    assert Interval(1, 0, 2).apart(Interval(4, 3, 5))
    assert not Interval(1, 0, 3).apart(Interval(4, 3, 5))
    assert crossing(Line(600, 1), Line(100, 3)) == 250
    assert crossing(Line(100, 1), Line(600, 3)) == 0
    assert crossing(Line(100, 3), Line(600, 1)) is None


def invented(options: ScalingOptions) -> list[Run]:
    """Runs whose times are lines: 20 us an order with regions, 80 without."""
    plain = run_burst(BurstOptions(1, SLOW, 20))
    runs = []
    for name, side, one in bursts(options, SLOW):
        slope = 0.02 if side == "sharded" else 0.08
        time = round((700 if side == "sharded" else 600) + one.seed + slope * one.transactions)
        runs.append(Run(name, side, one, replace(plain, finality_ms=time, own_ms=time - 300)))
    return runs


def test_the_document_judges_slopes_with_intervals_and_says_where_the_lines_cross() -> None:
    options = ScalingOptions(3, 4, (1_000, 2_000, 5_000), runs=3, variant_runs=2)
    runs = invented(options)
    document = scaling_document(options, SLOW, runs)
    assert json.loads(json.dumps(document)) == document
    assert (document["slope_ratio"], document["intervals_apart"], document["holds"]) == (0.25, True, True)
    assert document["slope_us"]["sharded"]["mean"] == 20
    assert document["crossing"] == {"same_rule": 1667, "unsharded_without_global_round": 6667}
    assert document["costs_ns"]["verify_ns"] == 200_000
    for side in SIDES:
        assert [row["transactions"] for row in document[side]] == [1_000, 2_000, 5_000]
        assert set(document[side][0]["parts"]) == set(PARTS)
        assert {"audit_ms", "audit_queue_ms", "audit_late_ms", "own_ms"} <= set(document[side][0])
    assert set(document["variants"]) == set(VARIANTS)
    assert len(document["raw"]) == len(runs) == 2 * 3 * (3 + 2 * len(VARIANTS))
    assert {one["variant"] for one in document["raw"]} == {MAIN, *VARIANTS}
    assert "slope ratio 0.250, bound 0.45, intervals apart: holds" in table(document)
    zero = {name: one.model for name, _, one in bursts(options, SLOW)}
    assert zero["no_execution"].run_ns == 0 < zero["no_execution"].verify_ns
    assert zero["no_verification"].verify_ns == 0 < zero["no_verification"].run_ns


def test_bursts_of_real_processes_have_lines_and_no_bound() -> None:
    options = RealOptions(3, 4, (100, 400), runs=2)
    bursts = [
        RealBurst(side, run, count, 900 + run + slope * count, 400.0, 500.0, {"verify": 70.0}, 0.1, 30.0, 5.0)
        for side, slope in (("sharded", 0.5), ("unsharded", 2.0))
        for run in range(2)
        for count in (100, 400)
    ]
    document = real_document(options, bursts)
    assert json.loads(json.dumps(document)) == document
    assert (document["slope_ratio"], document["decides"], "bound" in document) == (0.25, True, False)
    assert document["crossing"] == {"same_rule": 0, "unsharded_without_global_round": None}
    assert [row["finality_ms"]["median"] for row in document["unsharded"]] == [1100.5, 1700.5]
    assert len(document["raw"]) == 8
    lines = real_table(document)
    assert lines[2].split() == ["100", "950", "400", "500", "30", "5", "1100", "400", "500", "30", "5"]
    assert document["limits"] in lines


def test_costs_are_measured_on_what_nodes_run() -> None:
    said: list[str] = []
    found = measure_costs(said.append, rounds=1)
    assert said
    assert min(found.as_dict().values()) > 0
    assert found.verify_ns > found.decode_ns
    assert 150 < found.transaction_bytes < 400


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--transactions", "100,x", "--simulated"), "BAD_OPTION"),
        (("--transactions", "100", "--simulated"), "BAD_OPTION"),
        (("--transactions", "5,100", "--simulated"), "BAD_OPTION"),
    ],
)
def test_sizes_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: str
) -> None:
    line = ["bench", "scaling", *words, "--json"]
    monkeypatch.setattr(sys, "argv", ["gridchain", *line])
    assert run_command(app, line) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
