"""Inputs of the experiments whose results count as exact or shape are fixed: who changes one must say so here.

A digest may be added for a new experiment. One that is changed after its first result makes the experiment calibrated.
The table of clauses of B.criteria grows with the contracts: its digest says nothing.
"""

from __future__ import annotations

import pytest

from deploy.reproduce.experiment import Experiment, Kind
from deploy.reproduce.inputs import Inputs, inputs_of
from deploy.reproduce.registry import offered
from ledger.errors import InvariantBroken

PINNED = {
    "A.fig10": "053a11409fec2243260755b038f44467e144abd97f2f06df3a6b058da60d6604",
    "A.fig7": "a9c2e93416a93c8b999be3f650d0141aafe4fa83d7bbb0de8c96b320e8408d7a",
    "A.fig8": "35817b49ea003eee3b221e56b56369a0ee9d6dcf62b3403969900e10d34c440b",
    "A.fig9": "47375688998681482011d7566e6790dd651f09a8acfde43823bbc8ac550206d6",
    "B.fig10": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig11": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig12": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig13": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig14": "b9f2c80e3bac737dd20ed48d4cb02be7edd834b578f27fc54b3837cf82472413",
    "B.fig4": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig5": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig6": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig7": "b6ec9ace181cf3907919fc1c855f5b42d23e7d19ee6899bbb9e66192be41e244",
    "B.fig8": "fc7226fae624af316629693505bccffa6749c4748639c4bcfaf630cbe79d2bb8",
    "B.indices": "d9eaf7f0111a6f3bf578656ea2f724f1ea24c62d118fba6eec9676d767146ee5",
    "C.fig3": "fe80b44e8cd5e42fac59520ae7ce67efd2468a3102e3aba3c82ef540188d0501",
    "D.assignment": "d5be7ed099f4ce4769ad25fd547ad599b86e5e671a0f81bae2d625eb88727677",
    "D.fig4": "0357033a2fe95f8300e599f42d3644767fe4bd010f8f71b2dd1d8872c1773bad",
    "D.fig5": "6294ff5d567ceb9715be26eb07e8969165149a55eb3339e6d791cc92e9e5362a",
}


def test_inputs_that_were_committed_first_stay_as_they_are() -> None:
    counted = {
        name
        for name, one in offered().items()
        if isinstance(one, Experiment) and one.claims[0].kind in (Kind.EXACT, Kind.SHAPE) and name != "B.criteria"
    }
    assert {name: inputs_of(name).digest for name in sorted(counted)} == PINNED


def test_inputs_are_read_by_type() -> None:
    found = Inputs("x", {"one": 1, "two": [1, 2], "name": "n", "others": [{"one": 5}]})
    assert (found.whole("one"), found.wholes("two"), found.span("two"), found.text("name")) == (1, (1, 2), (1, 2), "n")
    assert [other.values for other in found.others] == [{"one": 5, "two": [1, 2], "name": "n"}]
    assert found.digest != found.others[0].digest
    for read in (lambda: found.whole("two"), lambda: found.wholes("one"), lambda: inputs_of("no such id")):
        with pytest.raises(InvariantBroken):
            read()
