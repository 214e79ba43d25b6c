"""The folder of a run: per id figure, data and parameters; one page; the document that `--json` prints."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contracts.library_sources import library_source
from deploy.reproduce.experiment import Claim, Experiment
from deploy.reproduce.layout import drawing
from deploy.reproduce.page import page
from deploy.reproduce.runner import Result
from deploy.reproduce.svg import svg
from deploy.reproduce.verdict import Judged, Spread


def draws_png() -> bool:
    """Whether the library of the extra `figures` is there; without it there is no `figure.png`."""
    return importlib.util.find_spec("PIL") is not None


def write(folder: Path, results: Sequence[Result], document: dict[str, Any]) -> None:
    """Write everything below `folder`, over what an earlier run left of the same ids."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        if result.chart is not None:
            _write_one(folder / result.experiment.id, result)
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(page(results, document), encoding="utf-8")


def _write_one(folder: Path, result: Result) -> None:
    assert result.chart is not None, "the caller looked"
    folder.mkdir(exist_ok=True)
    drawn = drawing(result.chart)
    (folder / "figure.svg").write_text(svg(drawn, alone=True), encoding="utf-8")
    if draws_png():
        from deploy.reproduce.png import png  # an extra: the library may not be installed

        (folder / "figure.png").write_bytes(png(drawn))
    (folder / "data.csv").write_text(data_csv(result), encoding="utf-8")
    (folder / "parameters.json").write_text(json.dumps(parameters(result), indent=1) + "\n", encoding="utf-8")


def data_csv(result: Result) -> str:
    """All rows of all seeds; RFC 4180 with line feeds."""
    experiment = result.experiment
    assert isinstance(experiment, Experiment), "only what was run has rows"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", *experiment.columns))
    for seed, trial in zip(result.seeds, result.trials, strict=True):
        writer.writerows((seed, *row) for row in trial.rows)
    return text.getvalue()


def parameters(result: Result) -> dict[str, Any]:
    """What the run was made with: inputs, seeds, the contracts by the hash of their source, what other inputs gave."""
    experiment, inputs = result.experiment, result.inputs
    assert isinstance(experiment, Experiment), "only what was run has parameters"
    assert inputs is not None, "only what was run has parameters"
    return {
        "id": experiment.id,
        "title": experiment.title,
        "source": experiment.source,
        "method": experiment.method,
        "inputs": {name: value for name, value in inputs.values.items() if name != "others"},
        "inputs_sha256": inputs.digest,
        "seeds": list(result.seeds),
        "contracts": {name: hashlib.sha256(library_source(name).encode()).hexdigest() for name in experiment.contracts},
        "others": [
            {"inputs": dict(changed.values), "figures": [dict(trial.figures) for trial in trials]}
            for changed, trials in result.others
        ],
        "processor_seconds": round(result.seconds, 2),
        "gridchain": version("gridchain"),
        "python": platform.python_version(),
    }


def _value(figures: dict[str, float]) -> Any:
    """A single figure as a number, several by name."""
    rounded = {name: round(value, 6) for name, value in figures.items()}
    return next(iter(rounded.values())) if len(rounded) == 1 else rounded


def _published(claim: Claim) -> Any:
    return claim.published if isinstance(claim.published, str) else _value(dict(claim.published))


def _spread(found: Spread) -> dict[str, float]:
    return {"median": round(found.median, 6), "p5": round(found.low, 6), "p95": round(found.high, 6)}


def claim_row(judged: Judged) -> dict[str, Any]:
    """One claim of an id."""
    claim = judged.claim
    return {
        "claim": claim.name,
        "published": _published(claim),
        "ours": _value(judged.medians),
        "difference": _value(judged.difference) if judged.difference else None,
        "class": str(claim.kind),
        "tolerance": claim.tolerance,
        "verdict": str(judged.verdict),
        "held": judged.held,
        "seeds": judged.seeds,
        "spread": {name: _spread(found) for name, found in judged.ours.items()},
        "band": {name: [round(low, 6), round(high, 6)] for name, (low, high) in judged.band.items()},
        "unit": claim.unit,
        "why": claim.why,
    }


def result_row(result: Result) -> dict[str, Any]:
    """One id: the fields of its headline, its own verdict, and all its claims."""
    experiment = result.experiment
    row: dict[str, Any] = {"id": experiment.id, "title": experiment.title}
    if result.judged:
        headline = claim_row(result.judged[0])
        names = ("published", "ours", "difference", "class", "tolerance", "held", "seeds", "unit")
        row |= {name: headline[name] for name in names}
    else:
        row |= _unrun(experiment)
    notes = [result.note, *(f"{one.claim.name}: {one.claim.why}" for one in result.judged if one.claim.why)]
    row |= {"verdict": str(result.verdict), "note": " ".join(note for note in notes if note)}
    row["claims"] = [claim_row(one) for one in result.judged]
    row["folder"] = experiment.id if result.chart is not None else None
    return row


def _unrun(experiment: Experiment) -> dict[str, Any]:
    claim = experiment.claims[0]
    return {
        "published": _published(claim), "ours": None, "difference": None, "class": str(claim.kind),
        "tolerance": claim.tolerance, "held": 0, "seeds": 0, "unit": "",
    }  # fmt: skip


def document(results: Sequence[Result], seeds: int, seconds: float) -> dict[str, Any]:
    """What `--json` prints."""
    rows = [result_row(result) for result in results]
    verdicts = [row["verdict"] for row in rows]
    return {
        "results": rows,
        "counts": {name: verdicts.count(name) for name in sorted(set(verdicts))},
        "seeds": seeds,
        "seconds": round(seconds, 1),
        "gridchain": version("gridchain"),
        "python": platform.python_version(),
    }
