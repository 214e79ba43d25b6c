"""C.fig3: the share of malicious agents in an elected council, with and without score control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consensus.simulator.malicious import READINGS, MaliciousOptions, run_malicious
from deploy.reproduce.chart import Band, Chart, Level, Line, Panel
from deploy.reproduce.experiment import Claim, Experiment, Figures, Kind, Trial
from deploy.reproduce.inputs import Inputs

_HALF: Final = 50.0
_COLOURS: Final = {"returns-honest": 2, "for-ever": 4, "control": 7}
_NAMES: Final = {
    "returns-honest": "control, the barred return honest",
    "for-ever": "control, turned for ever",
    "control": "no control",
}


def _options(inputs: Inputs, initial: int) -> MaliciousOptions:
    return MaliciousOptions(
        inputs.whole("nodes"),
        inputs.whole("seats"),
        inputs.whole("rounds"),
        inputs.whole("conversion_ppm"),
        initial,
        inputs.whole("bar_elections"),
        inputs.whole("alpha_ppm"),
        inputs.span("trade_wh"),
        inputs.whole("honest_off_ppm"),
        inputs.span("malicious_ppm"),
    )


def run_share(inputs: Inputs, seed: int) -> Trial:
    """All readings from nobody malicious, and the two that the first-round claim compares from the initial share."""
    rows: list[tuple[str | int | float, ...]] = []
    queues: dict[tuple[str, int], list[float]] = {}
    initial = inputs.whole("initial_ppm")
    for begun, reading in (*((0, reading) for reading in READINGS), (initial, READINGS[0]), (initial, READINGS[-1])):
        found = run_malicious(_options(inputs, begun), seed, reading)
        queues[reading, begun] = [one.queue / 10_000 for one in found]
        for number, one in enumerate(found, 1):
            rows.append((reading, begun, number, one.population / 10_000, one.queue / 10_000, int(one.false_block)))
    honest, for_ever, control = (queues[reading, 0] for reading in READINGS)
    return Trial(
        {
            "never above one half": {
                "greatest with control": max(honest),
                "mean with control": sum(honest) / len(honest),
                "without, first round": control[0],
                "without, last round": control[-1],
            },
            "first round": {"with control": queues[READINGS[0], initial][0], "without": queues["control", initial][0]},
            "never above one half, turned for ever": {"greatest": max(for_ever), "last round": for_ever[-1]},
        },
        rows,
    )


def _below_half(found: Figures) -> bool:
    return found["greatest with control"] <= _HALF < found["without, last round"]


def _lower(found: Figures) -> bool:
    return found["with control"] < found["without"]


def _below_half_for_ever(found: Figures) -> bool:
    return found["greatest"] <= _HALF


def draw_share(inputs: Inputs, trials: Sequence[Trial]) -> Chart:
    """Queue and population by round: median of the seeds, and 5 to 95 % of them."""
    rounds = [float(number) for number in range(1, inputs.whole("rounds") + 1)]
    panels = []
    for title, column in (("malicious in the queue", 4), ("malicious in the population", 3)):
        marks: list[Band | Line | Level] = []
        for at, reading in enumerate(READINGS):
            rows = range(at * len(rounds), (at + 1) * len(rounds))
            ranked = [sorted(float(trial.rows[row][column] or 0) for trial in trials) for row in rows]
            low, middle, high = ([_at(found, percent) for found in ranked] for percent in (5, 50, 95))
            colour = _COLOURS[reading]
            marks += [Band("", rounds, low, high, colour), Line(_NAMES[reading], rounds, middle, colour)]
        marks += [Level("one half", _HALF), Level("one third", 100 / 3)]
        panels.append(Panel(title, "round", "share, %", tuple(marks), zero=True))
    return Chart("Malicious agents under score control", tuple(panels))


def _at(ranked: Sequence[float], percent: int) -> float:
    """Nearest rank."""
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


MALICIOUS: Final = Experiment(
    id="C.fig3",
    title="Share of malicious agents in the council",
    source="System C, figure 3: 150 nodes, 50 seats, 24 rounds, 10 % turn malicious.",
    method=(
        "The rules that nodes elect by (scores from trades, votes by score, bars), and the published round: in each "
        "round honest members turn with a chance of 10 %, a council is elected, all malicious agents announce one "
        "false digest, and who deviates from the digest of more than half is barred from three elections. Malicious "
        "members deliver 30 to 70 % of what they trade, honest ones are off by up to 5 %; neither is published. "
        "Without control the council is drawn by lot and nobody is barred. The publication does not say whether a "
        "barred member comes back honest or is lost for ever: both are run, and drawn against one half (the "
        "published rule) and one third (what a Byzantine quorum bears). A seed is one story."
    ),
    contracts=(),
    claims=(
        Claim(
            "never above one half",
            "with control never above 50 %; without it the share grows",
            Kind.SHAPE,
            "a barred member returns honest: greatest share with control at most 50 %, last share without above 50 %",
            _below_half,
            unit="%",
        ),
        Claim(
            "first round",
            "the control group begins above the improved one",
            Kind.SHAPE,
            "with 30 % malicious before the first round, its council has a lower share with control than without",
            _lower,
            unit="%",
        ),
        Claim(
            "never above one half, turned for ever",
            "with control never above 50 %",
            Kind.CANNOT,
            "greatest share with control at most 50 %",
            _below_half_for_ever,
            "If every member may turn and turning is for ever, fewer than 25 of 150 are honest from round 18 on "
            "(150 x 0.9^18 = 22.5): half of 50 seats cannot be filled with honest agents, whatever the algorithm.",
            unit="%",
        ),
    ),
    columns=("reading", "initial_ppm", "round", "population_percent", "queue_percent", "false_block"),
    run=run_share,
    draw=draw_share,
)
