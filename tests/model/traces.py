"""Draw random behaviours of the model for the core to replay: `tests/model/traces.py` writes traces.json.

Each trace is a list of steps, one vote a step: [node, kind, view, block, parent view, parent block]; the parent is
that of the block, zeros for a nullify vote. Three honest validators of four, one epoch, in the order in which the core
votes.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from check import HERE, Configuration, fetched

TRACES, VIEWS, DEPTH, SEED = 150, 5, 40, 20_261_121
OUTPUT = HERE / "traces.json"
_VOTE = re.compile(r'<<"(\w+)", 1, (\d+), (\d+)>>')
_PARENT = re.compile(r"<<1, (\d+), (\d+)>> :>\s*<<(\d+), (\d+)>>")


def steps(text: str) -> list[list[object]]:
    """What each state of a trace adds to the votes."""
    found: list[list[object]] = []
    before: set[tuple[str, str, int, int]] = set()
    for state in re.split(r"STATE_\d+ ==", text)[1:]:
        variables = dict(re.findall(r"/\\ (\w+) = (.*?)(?=\n/\\ |\n\n|\Z)", state, re.DOTALL))
        parents = {(int(v), int(b)): (int(w), int(c)) for v, b, w, c in _PARENT.findall(variables["parent"])}
        votes = set()
        for node, cast in re.findall(r"(n\d) :>\s*\{(.*?)\}", variables["sent"], re.DOTALL):
            votes |= {(node, kind, int(view), int(block)) for kind, view, block in _VOTE.findall(cast)}
        for node, kind, view, block in sorted(votes - before):
            found.append([node, kind, view, block, *parents.get((view, block), (0, 0))])
        before = votes
    return found


def main() -> None:
    """Draw, take apart, write."""
    jar = fetched()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "Simplex.tla").write_bytes((HERE / "Simplex.tla").read_bytes())
        (place / "Simplex.cfg").write_text(Configuration("traces", views=VIEWS, in_order=True).text(), encoding="utf-8")
        random = f"file={place / 'trace'},num={TRACES}"
        words = ["-workers", "1", "-simulate", random, "-depth", str(DEPTH), "-seed", str(SEED), "Simplex.tla"]
        subprocess.run(["java", "-cp", str(jar), "tlc2.TLC", *words], cwd=place, check=True, capture_output=True)
        drawn = [steps(path.read_text(encoding="utf-8")) for path in sorted(place.glob("trace*"))]
    OUTPUT.write_text("[\n" + ",\n".join(json.dumps(one) for one in drawn) + "\n]\n", encoding="utf-8")
    print(f"{len(drawn)} traces, {sum(len(one) for one in drawn)} votes")


if __name__ == "__main__":
    main()
