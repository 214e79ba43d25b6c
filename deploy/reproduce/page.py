"""The page of a run: one HTML file that loads nothing. Verdicts first, then each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from deploy.reproduce.experiment import Cell, Experiment, Kind, Verdict
from deploy.reproduce.layout import drawing
from deploy.reproduce.page_style import STYLE
from deploy.reproduce.runner import Result
from deploy.reproduce.svg import style, svg
from deploy.reproduce.verdict import Judged, needed

MARKETS: Final = {
    "A": "Market A: wind producer and prosumers",
    "B": "Market B: community virtual power plant",
    "C": "Market C: two-stage double auction",
    "D": "Market D: matching degree",
}
_MARK: Final = {
    Verdict.REPRODUCED: ("good", "✓"),
    Verdict.CALIBRATED: ("fair", "≈"),
    Verdict.CANNOT_HOLD: ("fair", "∅"),
    Verdict.NOT_REPRODUCED: ("bad", "✗"),
}
_MEANING: Final = {
    Verdict.REPRODUCED: "an exact rule or a shape that holds for at least nine of ten seeds",
    Verdict.CALIBRATED: "the number is met with inputs that were searched for it; the band shows what others give",
    Verdict.CANNOT_HOLD: "the published statement contradicts its own rules or numbers; the reason is given",
    Verdict.NOT_REPRODUCED: "we do not get it",
}
_ROWS_SHOWN: Final = 100
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """A number for people: up to four significant digits, thousands apart, a true minus."""
    if 0 < abs(value) < 1e-4:
        digits, _, power = f"{value:.1e}".partition("e")
        text = f"{digits}·10{str(int(power)).translate(_RAISED)}"
    elif value == int(value) and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4g}"
    return text.replace(",", "\u202f").replace("-", "−")


def _unit(judged: Judged) -> str:
    return f" {escape(judged.claim.unit)}" if judged.claim.unit else ""


def _named(figures: Mapping[str, str]) -> str:
    """Figures as HTML, each with its name on a line of its own; a single one without name is alone."""
    if list(figures) == [""]:
        return figures[""]
    return "".join(f'<div class="one"><span>{escape(name)}</span> {text}</div>' for name, text in figures.items())


def _published(judged: Judged) -> str:
    published = judged.claim.published
    if isinstance(published, str):
        return escape(published)
    return _named({name: number(value) + _unit(judged) for name, value in published.items()})


def _ours(judged: Judged, *, ranges: bool = True) -> str:
    found: dict[str, str] = {}
    for name, spread in judged.ours.items():
        text = number(spread.median) + _unit(judged)
        if ranges and judged.seeds > 1 and spread.low != spread.high:
            text += f' <small title="5 % to 95 % of the seeds">{number(spread.low)} … {number(spread.high)}</small>'
        found[name] = text
    return _named(found)


def _difference(judged: Judged) -> str:
    signs = {
        name: ("+" if value > 0 else "") + number(value) + _unit(judged) for name, value in judged.difference.items()
    }
    return _named(signs) if signs else "–"


def _badge(verdict: Verdict) -> str:
    kind, mark = _MARK[verdict]
    return f'<span class="badge {kind}">{mark} {escape(str(verdict))}</span>'


def _held(judged: Judged) -> str:
    return "one run" if judged.seeds == 1 else f"{judged.held} of {judged.seeds}"


def _summary(results: Sequence[Result]) -> str:
    head = (
        "<tr><th>id</th><th>result</th><th>published</th><th>ours</th><th>class</th><th>held</th><th>verdict</th></tr>"
    )
    rows = []
    for market, title in MARKETS.items():
        group = [result for result in results if result.experiment.id.startswith(f"{market}.")]
        if group:
            rows.append(f'<tr class="market"><th colspan="7" scope="rowgroup">{escape(title)}</th></tr>')
            rows += [_summary_row(result) for result in group]
    return f'<div class="wide"><table class="summary"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _searched(judged: Judged) -> str:
    """What a calibrated number says on its face."""
    if judged.claim.kind is not Kind.CALIBRATED:
        return ""
    bands = "; ".join(f"{number(low)} … {number(high)}" for low, high in judged.band.values())
    return f"<div><small>inputs were searched{f'; others give {bands}' if bands else ''}</small></div>"


def _summary_row(result: Result) -> str:
    experiment = result.experiment
    if result.judged:
        first = result.judged[0]
        cells = [
            _published(first),
            _ours(first, ranges=False) + _searched(first),
            escape(str(first.claim.kind)),
            _held(first),
        ]
    else:
        claim = experiment.claims[0]
        shown = (
            claim.published if isinstance(claim.published, str) else ", ".join(map(number, claim.published.values()))
        )
        cells = [escape(shown), "–", escape(str(claim.kind)), "–"]
    more = f" <small>and {len(result.judged) - 1} more</small>" if len(result.judged) > 1 else ""
    link = f'<a href="#{experiment.id}">{experiment.id}</a>'
    columns = [link, escape(experiment.title) + more, *cells, _badge(result.verdict)]
    names = ("id", "result", "published", "ours", "class", "held", "verdict")
    return (
        "<tr>"
        + "".join(f'<td data-name="{name}">{cell}</td>' for name, cell in zip(names, columns, strict=True))
        + "</tr>"
    )


def _claim(judged: Judged) -> str:
    claim = judged.claim
    rows = [("published", _published(judged)), ("ours", _ours(judged))]
    if judged.difference:
        rows.append(("difference", _difference(judged)))
    if judged.band:
        bands = {name: f"{number(low)} … {number(high)}" for name, (low, high) in judged.band.items()}
        rows.append(("band over other inputs", _named(bands)))
    rows += [
        ("rule", escape(claim.tolerance)),
        ("class", escape(str(claim.kind))),
        ("held", f"{_held(judged)}{_wanted(judged)}"),
    ]
    if claim.why:
        rows.append((_WHY[claim.kind], escape(claim.why)))
    cells = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    return f'<div class="claim"><h4>{escape(claim.name)} {_badge(judged.verdict)}</h4><dl>{cells}</dl></div>'


_WHY: Final = {
    Kind.EXACT: "remark",
    Kind.SHAPE: "remark",
    Kind.CALIBRATED: "inputs were searched",
    Kind.CANNOT: "why it cannot hold",
}


def _wanted(judged: Judged) -> str:
    if judged.claim.kind in (Kind.EXACT, Kind.SHAPE) and judged.seeds > 1:
        return f" seeds; {needed(judged.seeds)} are needed"
    return " seeds" if judged.seeds > 1 else ""


def _cell(value: Cell) -> str:
    if isinstance(value, int | float):
        return f'<td class="n">{number(value)}</td>'
    return f"<td>{escape(value or '')}</td>"


def _data(result: Result, experiment: Experiment) -> str:
    rows = [(seed, *row) for seed, trial in zip(result.seeds, result.trials, strict=True) for row in trial.rows]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("seed", *experiment.columns))
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows[:_ROWS_SHOWN])
    rest = f"<p>The first {_ROWS_SHOWN} of {len(rows):,} rows.</p>" if len(rows) > _ROWS_SHOWN else ""
    table = f'<div class="wide"><table class="data"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<details><summary>Data as a table</summary>{rest}{table}</details>"


def _parameter(value: object) -> str:
    """An input; a table of its own is counted only, for it is in the data."""
    tables = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    return f"{len(value)} entries" if isinstance(value, list) and tables else str(value)


def _parameters(result: Result) -> str:
    if result.inputs is None:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_parameter(value))}</td></tr>"
        for name, value in result.inputs.values.items()
        if name != "others"
    )
    seeds = f"{result.seeds[0]} to {result.seeds[-1]}" if len(result.seeds) > 1 else str(result.seeds[0])
    others = "".join(f"<li>{escape(_changes(result, changed.values))}</li>" for changed, _trials in result.others)
    tried = f"<p>Other inputs that were tried, for the band:</p><ul>{others}</ul>" if others else ""
    table = f'<div class="wide"><table class="data">{rows}</table></div>'
    return f"<details><summary>Parameters</summary><p>Seeds {seeds}.</p>{table}{tried}</details>"


def _changes(result: Result, changed: Mapping[str, Any]) -> str:
    assert result.inputs is not None, "others come from inputs"
    own = result.inputs.values
    return ", ".join(f"{name} = {value}" for name, value in changed.items() if own.get(name) != value)


def _section(result: Result) -> str:
    experiment = result.experiment
    title = f'<span class="id">{experiment.id}</span> {escape(experiment.title)} {_badge(result.verdict)}'
    parts = [
        f'<section id="{experiment.id}"><h3>{title}</h3>',
        f'<p class="source">{escape(experiment.source)}</p>',
    ]
    parts.append(f"<p>{escape(experiment.method)}</p>")
    if result.note:
        parts.append(f'<p class="note">{escape(result.note)}</p>')
    if result.chart is not None:
        files = " · ".join(
            f'<a href="{experiment.id}/{name}">{name}</a>'
            for name in ("figure.svg", "figure.png", "data.csv", "parameters.json")
        )
        figure = svg(drawing(result.chart), alone=False)
        parts.append(f'<figure><div class="wide">{figure}</div><figcaption>{files}</figcaption></figure>')
    parts += [_claim(one) for one in result.judged]
    if result.trials:
        parts += [_data(result, experiment), _parameters(result)]
    return "".join([*parts, "</section>"])


def _legend() -> str:
    return "".join(f"<li>{_badge(verdict)} {escape(text)}</li>" for verdict, text in _MEANING.items())


def page(results: Sequence[Result], document: Mapping[str, Any]) -> str:
    """The whole page."""
    counts = ", ".join(f"{count} {name}" for name, count in document["counts"].items())
    sections = []
    for market, title in MARKETS.items():
        group = [result for result in results if result.experiment.id.startswith(f"{market}.")]
        if group:
            sections.append(f"<h2>{escape(title)}</h2>" + "".join(map(_section, group)))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>gridchain: published results reproduced</title><meta name="color-scheme" content="light dark">
<style>{STYLE}{style()}</style></head><body><main>
<header><h1>Published results, by the chain’s own contracts</h1>
<p>Each table and figure of the four market publications, run through the contracts that a gridchain network installs.
{escape(counts)}; {document["seeds"]} seeds; {number(document["seconds"])} s; gridchain
{escape(document["gridchain"])}.</p></header>
{_summary(results)}
<details class="legend"><summary>What the verdicts mean</summary><ul>{_legend()}</ul>
<p>“Ours” is the median over the seeds, with the range from 5 % to 95 % of them beside it. “Held” counts the seeds for
which the rule of the claim holds. Inputs and seeds were committed before the first result, except where the class says
calibrated.</p></details>
{"".join(sections)}
</main></body></html>
"""
