"""`simulate --replay`: the journal of a run changes nothing in it, tells what mattered, and its picture is sound."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from consensus.simulator import SeedOptions, SimulationOptions, run_seed
from consensus.simulator.campaign import lured
from consensus.simulator.diagram import draw as diagram
from consensus.simulator.journal import record
from consensus.simulator.mutants import MUTANTS
from consensus.simulator.options import draw

SVG = "{http://www.w3.org/2000/svg}"


def broken(mutant: str) -> SeedOptions:
    return replace(lured(mutant, MUTANTS[mutant].seed), mutant=mutant)


@pytest.mark.parametrize("seed", range(2))
def test_recording_changes_nothing(seed: int) -> None:
    options = draw(SimulationOptions(nodes=4, seconds=8), seed)
    assert record(options).report == run_seed(options)


@pytest.mark.parametrize("adversary", ["lying-sync-peer", "id-forger"])
def test_a_published_engine_is_held_to_agreement_alone(adversary: str) -> None:
    """It keeps no log and proves nothing to who catches up: no rule of the core is broken where it has none."""
    options = draw(SimulationOptions(engine="dpos-paper", nodes=10, seconds=5, faults="none", adversary=adversary), 4)
    report = run_seed(options)
    assert report.violations == ()
    assert record(options).report == report


def test_the_part_about_a_broken_invariant() -> None:
    journal = record(broken("nullify-and-finalize"))
    first = journal.report.violations[0]
    assert journal.begin_ms <= first.at_ms <= journal.end_ms
    lines = journal.lines()
    assert any(f"BROKEN {first.invariant}" in line for line in lines)
    before = [m for m in journal.moments if m.at_ms <= first.at_ms and m.node == first.node]
    assert {"nullify", "finalize", "certificate"} <= {moment.kind for moment in before}, "both votes are told"
    assert [moment.at_ms for moment in journal.moments] == sorted(moment.at_ms for moment in journal.moments)
    assert len(journal.knowledge) == 4
    assert "signed in 2: notarize" in journal.knowledge[first.node]
    assert all(journal.begin_ms <= a.sent_ms <= a.arrives_ms <= journal.end_ms for a in journal.arrows)


def test_the_part_about_a_stall_begins_with_the_last_commit() -> None:
    journal = record(broken("leader-of-the-moment"))
    assert journal.report.stalled
    assert any(moment.kind == "commit" for moment in journal.moments)
    assert any(moment.kind == "nullify" for moment in journal.moments)


@pytest.mark.parametrize("mutant", ["nullify-and-finalize", "leader-of-the-moment", "no-hold"])
def test_the_picture_has_every_node_message_and_failure(mutant: str) -> None:
    journal = record(broken(mutant))
    picture = ElementTree.fromstring(diagram(journal))
    texts = [element.text or "" for element in picture.iter(f"{SVG}text")]
    assert {f"node {node}" for node in range(4)} <= set(texts)
    assert len(list(picture.iter(f"{SVG}line"))) >= len(journal.arrows) + 4
    titles = [element.text or "" for element in picture.iter(f"{SVG}title")]
    shown = [m for m in journal.moments if m.kind != "violation" and m.node >= 0]
    assert len(titles) == len(shown)
    if journal.report.violations:
        assert any("BROKEN" in text for text in texts)
    width, height = (int(picture.attrib[name]) for name in ("width", "height"))
    for circle in picture.iter(f"{SVG}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


def test_a_good_run_shows_its_beginning() -> None:
    journal = record(SeedOptions(1, seconds_ms=2_000))
    assert journal.report.good
    assert journal.begin_ms == 0
    assert any(moment.kind == "propose" for moment in journal.moments)
