"""The bench of contract execution: its figures come from work that was really done."""

from __future__ import annotations

from bench.contract_market import MEMBERS, BenchMarket
from bench.contract_speed import Figure, run_contract_bench, table
from bench.loop_programs import LOOPS


def test_every_round_does_the_same_work_on_an_untouched_base() -> None:
    market = BenchMarket.found()
    root = market.base.root
    orders = market.order_round(20)
    assert orders() > 0
    gas = market.order_gas
    assert orders() > 0
    assert (market.order_gas, market.base.root) == (gas, root)
    clearing = market.clearing_round()
    assert clearing.run() > 0
    first = (clearing.gas, clearing.trades)
    assert clearing.run() > 0
    assert (clearing.gas, clearing.trades) == first
    assert clearing.trades >= MEMBERS // 2


def test_the_document_has_a_line_for_every_figure() -> None:
    said: list[str] = []
    document = run_contract_bench(3, said.append)
    assert len(said) == 4
    assert set(document["loops"]) == set(LOOPS)
    for figure in (document["submit_order"], document["match_100x100"], *document["loops"].values()):
        assert 0 < figure["low"] <= figure["ratio"] <= figure["high"]
    lines = table(document)
    assert len(lines) == 3 + len(LOOPS)
    assert all("goal" in line for line in lines[1:])


def test_a_figure_is_the_median_with_its_quartiles() -> None:
    figure = Figure.of([5.0, 1.0, 3.0, 2.0, 4.0], [2e-6, 1e-6])
    assert (figure.low, figure.median, figure.high) == (1.5, 3.0, 4.5)
    assert figure.best_us == 1.0
