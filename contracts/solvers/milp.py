"""A sparse mixed-integer programme, built row by row and handed to HiGHS. Off chain only: it counts in floats.

HiGHS comes with the extra `gridchain[solvers]`; nothing else in this program needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import inf
from typing import Any

from ledger.errors import GridchainError


class SolverError(GridchainError):
    """The solver is not installed, or found no solution within its limits."""

    code = "SOLVER_FAILED"


def installed() -> bool:
    """Whether HiGHS can be imported."""
    return find_spec("highspy") is not None


UNIT = 1_000.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """Values of the columns, duals of the rows (empty for a mixed-integer programme), objective, and how far it may be
    from the best (ppm of the objective)."""

    values: tuple[float, ...]
    duals: tuple[float, ...]
    objective: float
    gap_ppm: float


class Programme:
    """Maximise over columns with bounds and rows `low <= sum(coefficient * column) <= high`.

    Columns that are not whole are counted in `UNIT`s, rows and objective divided by their largest coefficient, before
    HiGHS sees them: its tolerances are absolute, and money times energy makes numbers of 10^9.
    """

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.bounds: list[tuple[float, float]] = []
        self.whole: list[int] = []
        self.rows: list[tuple[float, float]] = []
        self.starts: list[int] = []
        self.index: list[int] = []
        self.value: list[float] = []

    def column(self, low: float = 0.0, high: float = inf, gain: float = 0.0, whole: bool = False) -> int:
        """Add a column; returns its number."""
        at = len(self.cost)
        self.cost.append(gain)
        self.bounds.append((low, high))
        if whole:
            self.whole.append(at)
        return at

    def row(self, terms: Iterable[tuple[int, float]], low: float = -inf, high: float = inf) -> int:
        """Add a row; each column at most once. Returns its number."""
        self.starts.append(len(self.index))
        for at, coefficient in terms:
            self.index.append(at)
            self.value.append(coefficient)
        self.rows.append((low, high))
        return len(self.rows) - 1

    def solve(self, gap_ppm: float = 0.0, seconds: float = 60.0) -> Found:
        """The best values, a mixed-integer one to within `gap_ppm` of its bound. One thread, so that a problem is
        solved the same way each time unless the clock ends it. Raise `SolverError`."""
        scaled = _Scaled(self)
        status = ""
        for attempt in range(_TRIES):
            solver = _highs()
            solver.setOptionValue("threads", 1)
            solver.setOptionValue("random_seed", attempt)
            solver.setOptionValue("mip_rel_gap", gap_ppm / 1e6)
            solver.setOptionValue("time_limit", seconds)
            solver.passModel(scaled.model())
            solver.run()
            info = solver.getInfo()
            status = str(solver.modelStatusToString(solver.getModelStatus()))
            if info.primal_solution_status == import_module("highspy").SolutionStatus.kSolutionStatusFeasible:
                gap = abs(float(info.mip_gap)) * 1e6 if self.whole else 0.0
                return scaled.found(solver.getSolution(), gap)
            if status in ("Infeasible", "Time limit reached"):
                break
        raise SolverError(
            "the solver found no solution",
            expected="a feasible point",
            found=f"{status} after at most {seconds:g} s",
            fix="give it more time, fewer price levels or shorter windows",
        )


class _Scaled:
    """A programme in the units in which it is solved."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        whole = set(programme.whole)
        self.units = [1.0 if at in whole else UNIT for at in range(len(programme.cost))]
        costs = [abs(cost) * unit for cost, unit in zip(programme.cost, self.units, strict=True)]
        self.objective = 1.0 / (max(costs, default=0.0) or 1.0)
        ends = [*programme.starts[1:], len(programme.index)]
        self.values = [value * self.units[at] for at, value in zip(programme.index, programme.value, strict=True)]
        self.rows: list[float] = []
        for begin, end in zip(programme.starts, ends, strict=True):
            scale = 1.0 / (max((abs(value) for value in self.values[begin:end]), default=0.0) or 1.0)
            self.rows.append(scale)
            self.values[begin:end] = [value * scale for value in self.values[begin:end]]

    def model(self) -> Any:
        """As HiGHS takes it."""
        highspy, numpy = import_module("highspy"), import_module("numpy")
        given, model = self.programme, highspy.HighsLp()
        model.num_col_, model.num_row_ = len(given.cost), len(given.rows)
        model.sense_ = highspy.ObjSense.kMaximize
        pairs = list(zip(given.bounds, self.units, strict=True))
        rows = list(zip(given.rows, self.rows, strict=True))
        model.col_cost_ = numpy.array(
            [cost * unit * self.objective for cost, unit in zip(given.cost, self.units, strict=True)]
        )
        model.col_lower_ = numpy.array([low / unit for (low, _), unit in pairs])
        model.col_upper_ = numpy.array([high / unit for (_, high), unit in pairs])
        model.row_lower_ = numpy.array([low * scale for (low, _), scale in rows])
        model.row_upper_ = numpy.array([high * scale for (_, high), scale in rows])
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = numpy.array([*given.starts, len(given.index)])
        model.a_matrix_.index_ = numpy.array(given.index)
        model.a_matrix_.value_ = numpy.array(self.values)
        if given.whole:
            kinds = [highspy.HighsVarType.kContinuous] * len(given.cost)
            for at in given.whole:
                kinds[at] = highspy.HighsVarType.kInteger
            model.integrality_ = kinds
        return model

    def found(self, solution: Any, gap_ppm: float) -> Found:
        """A solution in the programme's own units."""
        values = tuple(float(value) * unit for value, unit in zip(solution.col_value, self.units, strict=True))
        duals: tuple[float, ...] = ()
        if not self.programme.whole:
            pairs = zip(solution.row_dual, self.rows, strict=True)
            duals = tuple(float(dual) * scale / self.objective for dual, scale in pairs)
        objective = sum(cost * value for cost, value in zip(self.programme.cost, values, strict=True))
        return Found(values, duals, objective, gap_ppm)


def _highs() -> Any:
    if not installed():
        raise SolverError(
            "no solver is installed", expected="highspy", found="none", fix="pip install 'gridchain[solvers]'"
        )
    solver: Any = import_module("highspy").Highs()
    solver.setOptionValue("output_flag", False)
    return solver
