"""The model of the consensus core and what runs it name the same rules."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[2] / "model"
sys.path.insert(0, str(HERE))

import check  # noqa: E402  # a script beside the model, not a package

TEXT = (HERE / "Simplex.tla").read_text(encoding="utf-8")


def test_every_rule_that_a_configuration_leaves_out_is_one_of_the_model() -> None:
    rules = set(re.findall(r'Rule\("([^"]+)"\)', TEXT))
    left_out = {one.without for one in check.CONFIGURATIONS if one.without}
    assert left_out <= rules
    # What is left is not needed for safety; docs/reliability.md says so.
    assert rules - left_out == {"no notarize after nullify", "finalize what was notarized"}


def test_every_invariant_is_stated_in_the_model() -> None:
    for name in (*check.SAFETY, "NoEvidence"):
        assert f"\n{name} ==" in TEXT
    assert {one.broken for one in check.CONFIGURATIONS} <= {*check.SAFETY, ""}


def test_reports_of_tlc_are_read() -> None:
    broken = check.read(
        "Error: Invariant Agreement is violated.\n12979 states generated, 4987 distinct states found, 3", 1
    )
    assert (broken.broken, broken.states) == ("Agreement", 4987)
    whole = check.read(
        "No error has been found.\n100711 states generated, 23983 distinct states found, 0 states left on queue.\n"
        "The depth of the complete state graph search is 13.", 2
    )  # fmt: skip
    assert (whole.broken, whole.states, whole.depth) == ("", 23983, 13)
