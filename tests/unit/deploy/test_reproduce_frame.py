"""The frame of `gridchain reproduce`: which ids there are, how a verdict comes about, what is written."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from deploy.reproduce.chart import Band, Bars, Chart, Level, Line, Panel, Points
from deploy.reproduce.experiment import Claim, Kind, Trial, Verdict
from deploy.reproduce.files import claim_row, document, write
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.layout import Words, drawing, ticks, written
from deploy.reproduce.page import number
from deploy.reproduce.registry import IDS, chosen, experiment_of, offered
from deploy.reproduce.runner import Result, jobs_of, run
from deploy.reproduce.svg import svg
from deploy.reproduce.verdict import judge, needed, overall
from ledger.errors import ConfigError

ENGINE = {"C.fig3", "D.fig5"}
"""Ids that the engines' rules decide, no contract."""

SPECIFIED = """A.fig3 A.fig4 A.fig5 A.fig7 A.fig8 A.fig9 A.fig10 A.table2 B.fig4 B.fig5 B.fig6 B.fig7 B.fig8 B.fig9
B.fig10 B.fig11 B.fig12 B.fig13 B.fig14 B.fig15 B.indices B.criteria C.trade C.fig3 D.fig4 D.fig5 D.assignment"""


def claim(kind: Kind, published: object = "words", least: float = 0.5) -> Claim:
    return Claim("it", published, kind, "at least", lambda found: found["x"] >= least, "because")


def trials(*values: float) -> list[Trial]:
    return [Trial({"it": {"x": value}}, [(place, value)]) for place, value in enumerate(values)]


def test_every_id_of_the_specification_is_offered() -> None:
    assert list(IDS) == SPECIFIED.split()
    assert list(offered()) == list(IDS)


def test_each_experiment_says_what_it_is() -> None:
    for name, one in offered().items():
        assert one.title, name
        assert one.claims, name
        assert one.contracts or name in ENGINE, name
        assert inputs_of(name).values, name
        for found in one.claims:
            assert found.tolerance, name
            assert found.why or found.kind in (Kind.EXACT, Kind.SHAPE), f"{name}: {found.name} says no reason"
        names = [found.name for found in one.claims]
        assert len(set(names)) == len(names), name


def test_names_of_the_command_line() -> None:
    assert chosen(["all"]) == list(IDS)
    assert chosen(["D", "C.trade", "D.fig4"]) == ["C.trade", "D.fig4", "D.fig5", "D.assignment"]
    with pytest.raises(ConfigError, match="no such experiment") as failed:
        chosen(["D.fig44"])
    assert failed.value.code == "NO_EXPERIMENT"
    assert "D.fig4" in failed.value.fix


@pytest.mark.parametrize(("seeds", "wanted"), [(20, 18), (10, 9), (1, 1), (2, 2), (5, 5), (19, 18), (100, 90)])
def test_nine_tenths_of_the_seeds_are_needed(seeds: int, wanted: int) -> None:
    assert needed(seeds) == wanted


@pytest.mark.parametrize("kind", [Kind.EXACT, Kind.SHAPE])
def test_exact_and_shape_hold_for_eighteen_of_twenty(kind: Kind) -> None:
    enough = judge(claim(kind), trials(*[1.0] * 18, 0.0, 0.0))
    assert (enough.verdict, enough.held, enough.seeds) == (Verdict.REPRODUCED, 18, 20)
    short = judge(claim(kind), trials(*[1.0] * 17, 0.0, 0.0, 0.0))
    assert (short.verdict, short.held) == (Verdict.NOT_REPRODUCED, 17)


def test_a_calibrated_claim_is_judged_on_the_median_and_never_reproduced() -> None:
    hit = judge(claim(Kind.CALIBRATED), trials(0.0, 0.6, 0.7), trials(0.1, 0.9))
    assert hit.verdict is Verdict.CALIBRATED
    assert hit.held == 2
    assert hit.band == {"x": (0.1, 0.9)}
    assert judge(claim(Kind.CALIBRATED), trials(0.0, 0.1, 0.7)).verdict is Verdict.NOT_REPRODUCED


def test_what_cannot_hold_is_run_all_the_same() -> None:
    assert judge(claim(Kind.CANNOT), trials(0.0, 0.0)).verdict is Verdict.CANNOT_HOLD
    assert judge(claim(Kind.CANNOT), trials(1.0, 1.0)).verdict is Verdict.REPRODUCED


def test_the_headline_decides_unless_a_claim_fails() -> None:
    good, bad = judge(claim(Kind.SHAPE), trials(1.0)), judge(claim(Kind.EXACT), trials(0.0))
    cannot = judge(claim(Kind.CANNOT), trials(0.0))
    assert overall([good, cannot]) is Verdict.REPRODUCED
    assert overall([cannot, good]) is Verdict.CANNOT_HOLD
    assert overall([good, bad]) is Verdict.NOT_REPRODUCED


def test_the_row_of_a_claim() -> None:
    row = claim_row(judge(claim(Kind.SHAPE, {"x": 0.75}), trials(*[1.0] * 20)))
    assert (row["published"], row["ours"], row["difference"]) == (0.75, 1.0, 0.25)
    assert (row["class"], row["verdict"], row["held"], row["seeds"]) == ("shape", "reproduced", 20, 20)
    assert row["spread"] == {"x": {"median": 1.0, "p5": 1.0, "p95": 1.0}}


CHART = Chart(
    'Prices < "limits" & others',
    (
        Panel("one", "hour", "kWh", (
            Band("5 % to 95 %", [0, 1, 2], [1, 1, 1], [3, 4, 5], 1),
            Line("mean", [0, 1, 2], [2, 2.5, 3], 1, dotted=True),
            Line("step", [0, 1, 2], [1, 3, 2], 2, dashed=True, stepped=True),
            Level("limit", 4.5), Points("runs", [1], [2], 3),
        )),
        Panel("two", "store", "gas", (Bars("ours", [0, 1], [-3, 5], 0), Bars("theirs", [0, 1], [2, 4], 1)), ("a", "b")),
    ),
)  # fmt: skip


@pytest.mark.parametrize("alone", [True, False])
def test_a_chart_as_svg_is_well_formed_and_loads_nothing(alone: bool) -> None:
    text = svg(drawing(CHART), alone=alone)
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == CHART.title
    assert ("<style>" in text) == alone
    assert not re.search(r"href|url\(|@import|<script", text)
    inside = [float(found) for found in re.findall(r"(?:cx|x)=\"([-\d.]+)\"", text)]
    assert all(0 <= x <= drawing(CHART).width for x in inside)


def test_a_flat_or_empty_panel_is_drawn() -> None:
    flat = Chart("flat", (Panel("", "x", "y", (Line("same", [1, 2], [7, 7]),)), Panel("", "x", "y", ())))
    ElementTree.fromstring(svg(drawing(flat), alone=True))


def test_a_chart_as_png() -> None:
    from PIL import Image

    from deploy.reproduce.png import png

    drawn = drawing(CHART)
    from io import BytesIO

    image = Image.open(BytesIO(png(drawn)))
    assert image.size == (drawn.width * 2, drawn.height * 2)
    assert image.getpixel((2, 2)) == (255, 255, 255)
    assert len(image.getcolors(1 << 20)) > 20


def test_ticks_are_round_and_told_apart() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert written(ticks(0, 1)) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert written([-5, 5000, 10000]) == ["−5", "5000", "10 000"]
    legend = [stroke.text for stroke in drawing(CHART).strokes if isinstance(stroke, Words)]
    assert {"5 % to 95 %", "limit", "theirs", "a", "gas"} <= set(legend)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (-0.25, "−0.25"), (1234567.0, "1\u202f234\u202f567"), (16.66666, "16.67"), (2e-7, "2.0·10⁻⁷")],
)
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text


class Reader(HTMLParser):
    """Tags that are opened and not closed, ids, links, and everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in {"meta", "polyline", "polygon", "circle", "rect"}:
            self.open.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.loads += [found[name] for name in ("src", "srcset", "data") if name in found]
        assert tag not in {"script", "link", "iframe"}

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def unrun() -> Result:
    """An id whose program was refused."""
    return Result(experiment_of("D.fig5"), Verdict.NOT_REPRODUCED, "no solver here")


def result(name: str = "D.fig4") -> Result:
    one = experiment_of(name)
    rows = [(1, 0.4, 0.2, 0.3, 0.3), (2, None, 0.3, "a,b", 0.4)]
    found = Claim("it", {"x": 0.5}, Kind.CALIBRATED, "at <least> half", lambda got: got["x"] > 0.5, "searched", "%")
    runs = (Trial({"it": {"x": 0.75}}, rows), Trial({"it": {"x": 1.25}}, rows))
    others = ((Inputs(name, {"first_seed": 1, "price": 3}), runs[:1]),)
    judged = (judge(found, runs, runs[:1]),)
    return Result(one, Verdict.CALIBRATED, "left <out>", inputs_of(name), (1, 2), judged, runs, others, CHART, 1.5)


def test_the_folder_of_a_run(tmp_path) -> None:
    results = [result(), unrun()]
    shown = document(results, 2, 1.0)
    write(tmp_path, results, shown)
    page = (tmp_path / "index.html").read_text()
    reader = Reader(page)
    assert reader.open == []
    assert reader.loads == []
    assert {"D.fig4", "D.fig5"} <= set(reader.ids)
    for link in reader.links:
        assert link[1:] in reader.ids if link.startswith("#") else (tmp_path / link).is_file(), link
    assert page.index("<table") < page.index("<svg")
    assert "prefers-color-scheme: dark" in page
    assert "at &lt;least&gt; half" in page
    assert "left &lt;out&gt;" in page
    with (tmp_path / "D.fig4" / "data.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["seed", "cycle", "provider 1", "provider 2", "provider 3", "provider 4"]
    assert rows[2] == ["1", "2", "", "0.3", "a,b", "0.4"]
    assert len(rows) == 5
    told = json.loads((tmp_path / "D.fig4" / "parameters.json").read_text())
    assert told["seeds"] == [1, 2]
    assert told["inputs"]["cycles"] == 10
    assert len(told["contracts"]["matching"]) == 64
    assert json.loads((tmp_path / "results.json").read_text()) == shown


def test_the_document() -> None:
    shown = document([result(), unrun()], 2, 1.0)
    first, second = shown["results"]
    assert (first["id"], first["published"], first["ours"], first["difference"]) == ("D.fig4", 0.5, 1.0, 0.5)
    assert (first["class"], first["tolerance"], first["verdict"]) == ("calibrated", "at <least> half", "calibrated")
    assert (first["held"], first["seeds"]) == (2, 2)
    assert first["claims"][0]["band"] == {"x": [0.75, 0.75]}
    assert "searched" in first["note"]
    assert (second["id"], second["ours"], second["note"]) == ("D.fig5", None, "no solver here")
    assert second["verdict"] == "not reproduced"
    assert shown["counts"] == {"calibrated": 1, "not reproduced": 1}


def test_the_cheapest_id_runs_through_the_contracts() -> None:
    seen = []
    found = run(["D.fig4"], 1, 1, lambda done, jobs, one: seen.append((done, jobs, one is not None)))
    assert [one.experiment.id for one in found] == ["D.fig4"]
    assert [one.verdict for one in found] == [Verdict.REPRODUCED]
    assert seen == [(1, 1, True)]
    assert len(found[0].trials[0].rows) == 10
    assert [one.verdict for one in found[0].judged][1:] == [Verdict.REPRODUCED, Verdict.CANNOT_HOLD]


def test_others_are_run_on_three_seeds_at_most() -> None:
    for one in offered().values():
        own = [job for job in jobs_of(one, 20) if job.other < 0]
        assert len(own) == (min(20, one.most_seeds) if one.seeded else 1)
        assert len(jobs_of(one, 20)) - len(own) <= 3 * len(inputs_of(one.id).others)


def test_the_font_of_pictures_has_what_is_written() -> None:
    from deploy.reproduce.png import _shown

    for text, shown in (("−5 ≤ x", "-5 <= x"), ("kWh 0.5 %", "kWh 0.5 %"), ("10\u202f000", "10 000"), ("\u4e2d", "?")):
        assert "".join(map(_shown, text)) in (shown, text)
    assert _shown("−") == "-"
    assert _shown("\u4e2d") == "?"


def test_steps_hold_their_last_value_and_bars_stand_at_whole_numbers() -> None:
    steps = Panel("", "hour", "kWh", (Line("", [0, 1, 2], [1, 3, 2], stepped=True),))
    bars = Panel("", "seed", "%", (Bars("", [1, 2], [1, 3]),))
    words = [stroke.text for stroke in drawing(Chart("", (steps,))).strokes if isinstance(stroke, Words)]
    assert "3.0" in words
    words = [stroke.text for stroke in drawing(Chart("", (bars,))).strokes if isinstance(stroke, Words)]
    assert "0.5" not in words
    assert {"1", "2"} <= set(words)
