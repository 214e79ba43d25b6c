"""A long run of the differential oracle, in chunks that can be taken up again.

    python tests/oracle/campaign.py FROM TO [JOURNAL]

Runs the programs FROM .. TO-1 in chunks of 200 and prints what each did. With a journal (a file of finished chunks, one
a line) finished chunks are not run again. Differing programs are made small, printed and kept for ever in
`regressions.jsonl`; then the exit code is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK = 200


def chunks(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of seeds."""
    for begin in range(first, end, CHUNK):
        yield begin, min(begin + CHUNK, end)


def run_chunk(begin: int, end: int, say: Callable[[str], None], tries: int = 1_500) -> list[str]:
    """Run programs and tell the result; what differed. `tries`: how long each is made small."""
    from oracle.compare import Different, Tally, check_seed

    tally, differed = Tally(), []
    for seed in range(begin, end):
        try:
            check_seed(seed, tally, tries)
        except Different as error:
            differed.append(str(error))
            say(str(error))
    say(f"seeds {begin} to {end - 1}: {tally.text()}; {len(differed)} differed")
    return differed


def campaign(first: int, end: int, journal: Path | None, say: Callable[[str], None]) -> int:
    """Run what the journal does not have; how many programs differed."""
    done = set(journal.read_text(encoding="utf-8").splitlines()) if journal is not None and journal.exists() else set()
    differed = 0
    for begin, until in chunks(first, end):
        name = f"{begin}-{until - 1}"
        if name in done:
            continue
        found = len(run_chunk(begin, until, say))
        differed += found
        if journal is not None and not found:
            with journal.open("a", encoding="utf-8") as file:
                file.write(name + "\n")
    return differed


def main() -> int:
    """The command."""
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "tests"), str(root / "tests" / "support")]
    first, end = int(sys.argv[1]), int(sys.argv[2])
    journal = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    return 1 if campaign(first, end, journal, lambda text: print(text, flush=True)) else 0


if __name__ == "__main__":
    sys.exit(main())
