"""What an experiment is: claims of a publication, inputs, a function of a seed that runs deployed contracts, a picture.

Values only; `runner` runs them, `verdict` judges, `files` and `page` show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deploy.reproduce.chart import Chart
from deploy.reproduce.inputs import Inputs
from ledger.errors import GridchainError

Figures = Mapping[str, float]
"""Named numbers that a run gives for one claim: the same names in the same order for every seed. A single one may have
the empty name; then it is shown without one."""

Cell = str | int | float | None


class Kind(StrEnum):
    """Class of a claim, markets specification, section 9."""

    EXACT = "exact"
    SHAPE = "shape"
    CALIBRATED = "calibrated"
    CANNOT = "cannot hold"


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    CALIBRATED = "calibrated"
    CANNOT_HOLD = "cannot hold as written"
    NOT_REPRODUCED = "not reproduced"


class CannotRun(GridchainError):
    """An experiment lacks something on this machine, such as the solver of an extra."""

    code = "CANNOT_RUN"


@dataclass(frozen=True, slots=True)
class Claim:
    """One published statement and the rule that decides it.

    `published`: numbers by the names that `Trial.figures` uses (then differences are shown), or words. `holds` judges
    the figures of one seed, for a calibrated claim their medians; `tolerance` says the same in words. `why`: for a
    claim that cannot hold, the reason; for a calibrated one, what was searched; otherwise a remark or nothing. `unit`
    is shown behind our figures.
    """

    name: str
    published: Figures | str
    kind: Kind
    tolerance: str
    holds: Callable[[Figures], bool]
    why: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one seed gave: figures by the name of the claim, and rows of the CSV file (the frame puts the seed before
    them). `note`: what a reader must know about this run, such as a part that was left out."""

    figures: Mapping[str, Figures]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An id of section 9. The first claim is the headline: its class is the id's class.

    `source`: where the publication says it, in words. `method`: what is run, and on which data, for the page.
    `contracts`: instances of the library that decide the result. `run(inputs, seed)` is pure. `draw(inputs, trials)`
    gets the trials of all seeds in order, at least one. `seeded` False: there is nothing to draw lots for, one run is
    all. `most_seeds` bounds the seeds of a costly one, whatever is asked for.
    """

    id: str
    title: str
    source: str
    method: str
    contracts: tuple[str, ...]
    claims: tuple[Claim, ...]
    columns: tuple[str, ...]
    run: Callable[[Inputs, int], Trial]
    draw: Callable[[Inputs, Sequence[Trial]], Chart]
    seeded: bool = True
    most_seeds: int = 1_000
