"""The life of contracts: artifacts, instances, upgrades. This is the interface only: what stands behind each entry is
part of the runtime (contracts/lifecycle.py, contracts/migration.py), because no contract may write another's code.

Every export is for the instance `governance` alone, which decides who deploys and what is voted. Views are for all.
"""

Deployed = event(
    "Deployed",
    indexed=("artifact", "deployer"),
    artifact=Address,
    deployer=Address,
    source_hash=Address,
    abi_hash=Address,
    language=str,
    calls=list[str],
    roles=str,
)
StatusChanged = event("StatusChanged", indexed=("artifact",), artifact=Address, status=str)
Instantiated = event("Instantiated", indexed=("instance",), instance=str, artifact=Address, creator=Address)
UpgradePlanned = event("UpgradePlanned", indexed=("instance",), instance=str, artifact=Address, height=u64)
UpgradeDropped = event("UpgradeDropped", indexed=("instance",), instance=str, artifact=Address, code=str)
MigrationStarted = event("MigrationStarted", indexed=("instance",), instance=str, artifact=Address, version=u64)
MigrationStalled = event("MigrationStalled", indexed=("instance",), instance=str, code=str, line=u64)
MigrationUndone = event("MigrationUndone", indexed=("instance",), instance=str, version=u64)
Upgraded = event("Upgraded", indexed=("instance",), instance=str, artifact=Address, version=u64)
Frozen = event("Frozen", indexed=("instance",), instance=str)
Resumed = event("Resumed", indexed=("instance",), instance=str)
RolledBack = event("RolledBack", indexed=("instance",), instance=str, artifact=Address, version=u64)


@export
def store(source: bytes, calls: list[str], roles: str, language: str, deployer: Address) -> Address:
    """Check a source, keep it as a pending artifact, return its hash."""


@export
def approve(artifact: Address) -> None:
    """Let an artifact be instantiated and upgraded to."""


@export
def revoke(artifact: Address) -> None:
    """Take that back; instances that run it go on."""


@export
def instantiate(artifact: Address, name: str, arguments: list, creator: Address) -> None:
    """Make an instance of an approved artifact and run its @init with `creator` as sender."""


@export
def upgrade(instance: str, artifact: Address, height: u64, window: u64) -> None:
    """At the beginning of block `height` the instance runs the artifact; `window` blocks long it can be taken back."""


@export
def cancel(instance: str) -> None:
    """Forget an upgrade that waits for its height."""


@export
def freeze(instance: str) -> None:
    """No calls and no scheduled calls; views go on."""


@export
def resume(instance: str) -> None:
    """End a freeze; scheduled calls that came due meanwhile run now."""


@export
def rollback(instance: str) -> None:
    """Run the artifact before the last upgrade again, if storage was not rewritten since."""


@export
def retry(instance: str) -> None:
    """Go on with a stalled migration where it stands."""


@export
def abort(instance: str) -> None:
    """Undo a migration that runs or stalled: storage and code are as before it."""


@export(scheduled=True)
def migrate_batch(due: u64, instance: str, version: u64) -> None:
    """One batch of a migration; called by the chain."""


@export(scheduled=True)
def undo_batch(due: u64, instance: str, version: u64) -> None:
    """One batch of undoing a migration; called by the chain."""


@export(scheduled=True)
def clean_batch(due: u64, instance: str, version: u64) -> None:
    """Drop old values that a finished migration kept; called by the chain."""


@export(scheduled=True)
def wake_batch(due: u64, instance: str) -> None:
    """Put scheduled calls that waited for an instance back into the queue; called by the chain."""


@export(scheduled=True)
def activate(due: u64, instance: str) -> None:
    """An upgrade's height has come; called by the chain."""


@view
def quorum(weight: u64) -> u64:
    """The weight that decides among voters of that total weight: the one rule of this chain."""


@view
def artifact(hash: Address) -> dict | None:
    """An artifact: source_hash, language, calls, roles, status, abi_hash, deployer, height, migrates, layout, entries."""


@view
def artifacts(after: bytes, limit: u64) -> list:
    """Artifacts by hash, above `after` (empty: from the first)."""


@view
def source(hash: Address) -> bytes | None:
    """The source of an artifact."""


@view
def instance(name: str) -> dict | None:
    """An instance: artifact, source_hash, language, version, calls, roles, status, upgrade, previous."""


@view
def instances(after: str, limit: u64) -> list:
    """Instances by length of name, then name, behind `after` (empty: from the first)."""


@view
def check_upgrade(instance: str, artifact: Address, height: u64) -> None:
    """Fails with the code for which `upgrade` would be refused."""


@view
def diff(instance: str, artifact: Address) -> dict:
    """What an upgrade would change: storage, entries, calls, roles; `refused`: the code for which it is, or empty."""
