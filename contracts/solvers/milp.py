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


@dataclass(frozen=True, slots=True)
class Found:
    """Values of the columns, duals of the rows (empty for a mixed-integer programme), objective, and how far it may be
    from the best (ppm of the objective)."""

    values: tuple[float, ...]
    duals: tuple[float, ...]
    objective: float
    gap_ppm: float


class Programme:
    """Maximise over columns with bounds and rows `low <= sum(coefficient * column) <= high`."""

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
        solver = _highs()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("mip_rel_gap", gap_ppm / 1e6)
        solver.setOptionValue("time_limit", seconds)
        solver.passModel(self._model())
        solver.run()
        status = solver.getModelStatus()
        info = solver.getInfo()
        if info.primal_solution_status != import_module("highspy").SolutionStatus.kSolutionStatusFeasible:
            raise SolverError(
                "the solver found no solution",
                expected="a feasible point",
                found=f"{solver.modelStatusToString(status)} after at most {seconds:g} s",
                fix="give it more time, fewer price levels or shorter windows",
            )
        found = solver.getSolution()
        gap = abs(float(info.mip_gap)) * 1e6 if self.whole else 0.0
        duals = () if self.whole else tuple(float(value) for value in found.row_dual)
        values = tuple(float(value) for value in found.col_value)
        return Found(values, duals, float(info.objective_function_value), gap)

    def _model(self) -> Any:
        highspy, numpy = import_module("highspy"), import_module("numpy")
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.cost), len(self.rows)
        model.sense_ = highspy.ObjSense.kMaximize
        model.col_cost_ = numpy.array(self.cost)
        model.col_lower_ = numpy.array([low for low, _ in self.bounds])
        model.col_upper_ = numpy.array([high for _, high in self.bounds])
        model.row_lower_ = numpy.array([low for low, _ in self.rows])
        model.row_upper_ = numpy.array([high for _, high in self.rows])
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = numpy.array([*self.starts, len(self.index)])
        model.a_matrix_.index_ = numpy.array(self.index)
        model.a_matrix_.value_ = numpy.array(self.value)
        if self.whole:
            kinds = [highspy.HighsVarType.kContinuous] * len(self.cost)
            for at in self.whole:
                kinds[at] = highspy.HighsVarType.kInteger
            model.integrality_ = kinds
        return model


def _highs() -> Any:
    if not installed():
        raise SolverError(
            "no solver is installed", expected="highspy", found="none", fix="pip install 'gridchain[solvers]'"
        )
    solver: Any = import_module("highspy").Highs()
    solver.setOptionValue("output_flag", False)
    return solver
