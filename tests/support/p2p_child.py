"""A network in a process of its own, for tests that kill it: `p2p_child.py DIRECTORY NAME SEED`."""

import asyncio
import sys
from pathlib import Path

from p2p_world import Recorder, now_ms, settings_of

from p2p.certificates import NodeIdentity
from p2p.network import Network


async def main(directory: str, name: str, seed: str) -> None:
    place = Path(directory)
    identity = NodeIdentity.load(place / f"{name}.key", place / f"{name}.crt", [place / "bureau.ca.crt"])
    async with Network.open(settings_of(name, seeds=(seed,)), identity, Recorder(), now_ms):
        sys.stdout.write("open\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
