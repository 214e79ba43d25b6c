"""A chain of certified blocks for tests: real signatures, real roots, epochs with closing blocks, no execution."""

from ledger.certificates import Certificate, Vote, VoteKind, assemble, vote_bytes
from ledger.codec import encode
from ledger.crypto import DOMAIN_VOTE, ZERO_HASH, Hash, SigningKey
from ledger.merkle import merkle_root
from ledger.objects import Body, Header, extra_root, header_hash
from ledger.validators import Validator, ValidatorSet
from p2p.sync_check import SyncPosition

CHAIN_ID = "dev-sync-00000000000000000000000000000000"


class Committee:
    """Validators and their keys."""

    def __init__(self, size: int, seed: int = 1) -> None:
        self.keys = [SigningKey(bytes([seed, number]) * 16) for number in range(size)]
        self.set = ValidatorSet(tuple(Validator(f"v{i}", key.public) for i, key in enumerate(self.keys)))

    def certify(self, epoch: int, view: int, block_hash: bytes, kind: VoteKind = VoteKind.FINALIZE) -> Certificate:
        message = vote_bytes(CHAIN_ID, self.set.hash, kind, epoch, view, block_hash)
        votes = [
            Vote(kind, epoch, view, block_hash, number, key.sign(DOMAIN_VOTE, message))
            for number, key in enumerate(self.keys)
        ]
        return assemble(votes, self.set)


class CertifiedChain:
    """Implements `ChainSource`. Epoch e has `epoch_length` blocks and committee `committees[e % 2]`.

    Every third block and every boundary block has a finalization; that of an odd epoch's boundary certifies the
    second of two closing blocks.
    """

    def __init__(self, length: int, *, epoch_length: int = 10**9, body: int = 3, size: int = 40, seed: int = 1) -> None:
        self.committees = [Committee(4, seed), Committee(5, seed + 1)]
        self.epoch_length = epoch_length
        self.headers: dict[int, bytes] = {}
        self.bodies: dict[int, bytes] = {}
        self.proofs: dict[int, tuple[Certificate, tuple[bytes, ...]]] = {}
        self.hashes: dict[int, Hash] = {0: Hash(b"\x07" * 32)}
        self.shown = length
        view = 0
        for height in range(1, length + 1):
            epoch = (height - 1) // epoch_length
            boundary = height % epoch_length == 0
            view = view + 1 if (height - 1) % epoch_length else 1
            extra = b"section" if height % 4 == 0 else b""
            body_value = Body(
                1, tuple(b"%d/%d/" % (height, n) + bytes(size) for n in range(height % (body + 1))), extra
            )
            raw = self._header(epoch, view, height, self.hashes[height - 1], body_value, closing=False)
            self.headers[height], self.bodies[height] = raw, encode(body_value)
            self.hashes[height] = header_hash(raw)
            if boundary or height % 3 == 0 or height == length:
                self.proofs[height] = self._proof(epoch, view, height, closing=boundary and epoch % 2 == 1)

    def _header(self, epoch, view, height, parent, body, *, closing):
        validators = self.committee(epoch).set.hash
        return encode(
            Header(
                version=1,
                chain_id=CHAIN_ID,
                epoch=epoch,
                view=view,
                height=height,
                time_ms=1000 * height + view,
                parent=parent,
                parent_view=view - 1,
                closing=closing,
                transactions_root=merkle_root(body.transactions),
                body_size=len(encode(body)),
                state_root=ZERO_HASH,
                receipts_root=ZERO_HASH,
                validators=validators,
                next_validators=validators,
                extra_root=extra_root(body.extra),
                proposer=bytes(32),
            )
        )

    def _proof(self, epoch, view, height, *, closing):
        certified, headers = self.hashes[height], []
        for extra_view in (view + 1, view + 2) if closing else ():
            headers.append(self._header(epoch, extra_view, height, certified, Body(1, ()), closing=True))
            certified, view = header_hash(headers[-1]), extra_view
        return self.committee(epoch).certify(epoch, view, certified), tuple(headers)

    def committee(self, epoch: int) -> Committee:
        return self.committees[epoch % 2]

    def position(self, height: int) -> SyncPosition:
        epoch = height // self.epoch_length
        return SyncPosition(height, self.hashes[height], epoch, self.committee(epoch).set)

    # --- ChainSource --------------------------------------------------------------------------------------------------

    def height(self) -> int:
        return self.shown

    def header_bytes(self, height: int) -> bytes | None:
        return self.headers.get(height)

    def body_bytes(self, height: int) -> bytes | None:
        return self.bodies.get(height)

    def final_by(self, height: int) -> int | None:
        return min((certified for certified in self.proofs if height <= certified), default=None)

    def finalization(self, height: int) -> tuple[Certificate, tuple[bytes, ...]] | None:
        return self.proofs.get(height)
