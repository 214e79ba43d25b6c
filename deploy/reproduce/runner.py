"""Runs experiments: each (id, inputs, seed) is a job of its own, in worker processes, and judges what they gave."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.reproduce.chart import Chart
from deploy.reproduce.experiment import CannotRun, Experiment, Trial, Verdict
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.registry import experiment_of
from deploy.reproduce.verdict import Judged, judge, overall
from ledger.errors import GridchainError
from node.lifeline import die_with

_NOTES: Final = 3
_OTHER_SEEDS: Final = 3
"""Seeds on which each of the other inputs is run."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run. `other` -1: on the experiment's own inputs, else the position among the others."""

    id: str
    other: int
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of a run, as words that cross to another process."""

    code: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a job gave, and its processor time in seconds."""

    job: Job
    outcome: Trial | Failure
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """An id with all that is shown of it. Without `judged` it could not be run: `note` says why."""

    experiment: Experiment
    verdict: Verdict
    note: str = ""
    inputs: Inputs | None = None
    seeds: tuple[int, ...] = ()
    judged: tuple[Judged, ...] = ()
    trials: tuple[Trial, ...] = ()
    others: tuple[tuple[Inputs, tuple[Trial, ...]], ...] = ()
    chart: Chart | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class _Open:
    """The jobs of an id that are not all done."""

    left: int
    done: dict[Job, Done] = field(default_factory=dict)


def seeds_of(experiment: Experiment, count: int) -> tuple[int, ...]:
    """The first `count` seeds of an experiment."""
    first = inputs_of(experiment.id).values.get("first_seed", 1)
    return tuple(range(first, first + (min(count, experiment.most_seeds) if experiment.seeded else 1)))


def jobs_of(experiment: Experiment, count: int) -> list[Job]:
    """All runs that an experiment needs for `count` seeds."""
    seeds = seeds_of(experiment, count)
    own = [Job(experiment.id, -1, seed) for seed in seeds]
    others = range(len(inputs_of(experiment.id).others))
    return own + [Job(experiment.id, other, seed) for other in others for seed in seeds[:_OTHER_SEEDS]]


def perform(job: Job) -> Done:
    """Run one job. A refusal of the program is its outcome."""
    experiment = experiment_of(job.id)
    inputs = inputs_of(job.id) if job.other < 0 else inputs_of(job.id).others[job.other]
    begun = time.process_time()
    outcome: Trial | Failure
    try:
        outcome = experiment.run(inputs, job.seed)
    except GridchainError as error:
        outcome = Failure(error.code, f"{error.message} (expected {error.expected}, found {error.found})", error.fix)
    return Done(job, outcome, time.process_time() - begun)


def _begin(parent: int) -> None:
    """A worker ends with its parent, however that ends, and at Ctrl-C without words of its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with(parent)


def _performed(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    if processes <= 1 or len(jobs) <= 1:
        yield from map(perform, jobs)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(processes, len(jobs))
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        waiting: list[Future[Done]] = [pool.submit(perform, job) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool:
            raise CannotRun(
                "a worker process ended in the middle of an experiment",
                expected="enough memory",
                found=f"{workers} processes",
                fix="use fewer: --jobs 1",
            ) from None
        except BaseException:
            # Ctrl-C does not wait for an experiment that has begun.
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def run(ids: Iterable[str], seeds: int, processes: int, tell: Callable[[int, int, Result | None], Any]) -> list[Result]:
    """Run these ids on so many seeds; results in the order of `ids`. `tell(done, jobs, result)` is called after each
    job, with the result when it was an id's last."""
    names = list(ids)
    experiments = {name: experiment_of(name) for name in names}
    jobs = [job for experiment in experiments.values() for job in jobs_of(experiment, seeds)]
    found: dict[str, Result] = {}
    pending = {name: _Open(len(jobs_of(experiment, seeds))) for name, experiment in experiments.items()}
    for count, done in enumerate(_performed(jobs, processes), 1):
        name = done.job.id
        pending[name].done[done.job] = done
        pending[name].left -= 1
        if pending[name].left == 0:
            found[name] = _result(experiments[name], seeds, pending[name].done)
        tell(count, len(jobs), found.get(name))
    return [found[name] for name in names]


def _result(experiment: Experiment, count: int, done: dict[Job, Done]) -> Result:
    inputs, seeds = inputs_of(experiment.id), seeds_of(experiment, count)
    seconds = sum(one.seconds for one in done.values())
    for job in jobs_of(experiment, count):
        failure = done[job].outcome
        if isinstance(failure, Failure):
            note = f"could not be run: {failure.code}: {failure.message}. {failure.fix}"
            return Result(experiment, Verdict.NOT_REPRODUCED, note, inputs, seeds, seconds=seconds)
    trials = [(job, one.outcome) for job in jobs_of(experiment, count) if isinstance((one := done[job]).outcome, Trial)]
    own = tuple(trial for job, trial in trials if job.other < 0 and isinstance(trial, Trial))
    others = tuple(
        (changed, tuple(trial for job, trial in trials if job.other == place and isinstance(trial, Trial)))
        for place, changed in enumerate(inputs.others)
    )
    elsewhere = [trial for _changed, group in others for trial in group]
    judged = tuple(judge(claim, own, elsewhere) for claim in experiment.claims)
    return Result(
        experiment, overall(judged), _noted(own), inputs, seeds, judged, own, others,
        experiment.draw(inputs, own), seconds,
    )  # fmt: skip


def _noted(trials: Sequence[Trial]) -> str:
    """What the runs noted, each thing once; of many the first three."""
    notes = list(dict.fromkeys(trial.note for trial in trials if trial.note))
    more = f"; and {len(notes) - _NOTES} more" if len(notes) > _NOTES else ""
    return "; ".join(notes[:_NOTES]) + more
