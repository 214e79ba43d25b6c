"""The networks that `bench tps` and `bench engines` measure: one founded for each engine, measured, taken away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.tps import TpsOptions, run_tps
from bench.tps_sharded import CENTRES, run_tps_sharded
from contracts.library_sources import AuctionMode
from deploy.founding import make_network
from deploy.founding_shards import default_regions
from deploy.layout import default_names
from deploy.network import NetworkPlan, RegionPlan
from ledger.errors import ConfigError

ENGINES: Final = ("solo", "bft", "dpos", "sharded")
SHARDS: Final = 3
MEMBERS: Final = 4


@dataclass(frozen=True, slots=True)
class BenchNetwork:
    """What is founded. `regions` are of `sharded`, whose `validators` are its centres."""

    engine: str
    validators: int
    regions: tuple[RegionPlan, ...] = ()

    @classmethod
    def of(cls, engine: str, validators: int | None, shards: int | None, members: int | None) -> BenchNetwork:
        """The network of an engine. Raise `ConfigError` for one that there is not."""
        if engine not in ENGINES:
            raise ConfigError(
                "no such engine", code="GENESIS_ENGINE", expected=" or ".join(ENGINES), found=engine, fix="choose one"
            )
        if engine == "solo" and validators not in (None, 1):
            raise ConfigError(
                "solo has one validator",
                code="BAD_OPTION",
                expected="--validators 1",
                found=validators,
                fix="use --engine bft for more",
            )
        if engine == "sharded" and validators is not None:
            raise ConfigError(
                "sharded counts its nodes by regions",
                code="BAD_OPTION",
                expected="--shards and --members",
                found=f"--validators {validators}",
                fix="--shards 3 --members 4",
            )
        if engine == "sharded":
            return cls(engine, CENTRES, default_regions(shards or SHARDS, members or MEMBERS))
        if (shards, members) != (None, None):
            raise ConfigError(
                "only sharded has regions",
                code="BAD_OPTION",
                expected="neither --shards nor --members",
                found=f"--engine {engine}, --shards {shards}, --members {members}",
                fix="--engine sharded, or leave them away",
            )
        return cls(engine, validators or (1 if engine == "solo" else 4))

    @property
    def nodes(self) -> int:
        """Node processes."""
        return self.validators + sum(len(region.members) for region in self.regions)

    def plan(self, directory: Path) -> NetworkPlan:
        """Of an order in clear, which is one transaction."""
        return NetworkPlan(
            directory=directory,
            chain_name=f"bench-{self.engine}",
            engine=self.engine,
            names=tuple(default_names(self.validators)),
            regions=self.regions,
            mode=AuctionMode(sealed=False),
        )


@dataclass(frozen=True, slots=True)
class Measuring:
    """How long, or with how many transactions; see `TpsOptions`. `keep`: leave the network's directory."""

    seconds: float
    warmup: float
    transactions: int | None
    senders: int
    seed: int
    keep: bool = False


async def measured(network: BenchNetwork, how: Measuring, say: Callable[[str], None]) -> dict[str, Any]:
    """Found a network, measure it, take it away; the document of `bench tps`."""
    directory = Path(tempfile.mkdtemp(prefix="gridchain-bench-"))
    span = (how.seconds, how.warmup, how.transactions, how.senders)
    options = TpsOptions(network.engine, network.nodes, *span, directory, how.seed)
    try:
        layout = make_network(network.plan(directory / "network"))
        if network.regions:
            return await run_tps_sharded(layout, network.regions, options, say)
        return await run_tps(layout, options, say)
    finally:
        if how.keep:
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
