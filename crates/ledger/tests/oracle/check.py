"""Verifies a ledger with an independent implementation of the C2SP formats, aics-tlog from PyPI.

    python check.py LEDGER PROOFS OUT

LEDGER is the folder of a ledger. PROOFS has `.tlog-proof` files, older checkpoints named `SIZE.checkpoint`, and
for each of these our consistency proof in `SIZE.consistency`, one base64 hash a line. OUT is an empty folder: the
other implementation writes the same entries to it as tiles and a checkpoint, so that the caller can compare the
files byte for byte. To sign the checkpoint it reads the secret key from LEDGER/key.
"""

import base64
import sys
from pathlib import Path

import aics_tlog as tlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def checkpoint(path, key):
    note = tlog.parse_note(path.read_bytes())
    result = tlog.verify_checkpoint(note, key, expected_origin=key.name)
    assert result.ok and result.log_ok, f"{path}: {result.error}"
    return result.size, result.root


def main(ledger, proofs, out):
    key = tlog.parse_vkey((ledger / "vkey").read_text().removesuffix("\n"))
    assert tlog.format_vkey(key) + "\n" == (ledger / "vkey").read_text()
    size, root = checkpoint(ledger / "checkpoint", key)

    reader = tlog.FileSystemTileReader(ledger)
    audit = tlog.audit_tiles(reader, size, root)
    verified = tlog.VerifiedTileReader(reader, size, root)
    entries = [verified.entry(index) for index in range(size)]

    found = 0
    for path in sorted(proofs.glob("*.tlog-proof")):
        head, _, note = path.read_text().partition("\n\n")
        first, index, *hashes = head.split("\n")
        assert first == "c2sp.org/tlog-proof@v1", first
        index = int(index.removeprefix("index "))
        hashes = [base64.b64decode(line, validate=True) for line in hashes]
        (out / "note").write_text(note)
        its_size, its_root = checkpoint(out / "note", key)
        assert tlog.verify_leaf_inclusion(entries[index], index, its_size, hashes, its_root), path
        assert hashes == tlog.inclusion_proof_from_tiles(verified, index, its_size, size), path
        found += 1

    for path in sorted(proofs.glob("*.checkpoint")):
        old_size, old_root = checkpoint(path, key)
        lines = path.with_suffix(".consistency").read_text().split()
        hashes = [base64.b64decode(line, validate=True) for line in lines]
        assert tlog.verify_consistency(old_size, size, old_root, root, hashes), path
        assert hashes == tlog.consistency_proof_from_tiles(verified, old_size, size), path
        found += 1

    (out / "note").unlink(missing_ok=True)
    tlog.TileWriter(entries).write_to(out)
    signer = Ed25519PrivateKey.from_private_bytes((ledger / "key").read_bytes())
    head = tlog.Checkpoint(origin=key.name, size=size, root=root)
    line = tlog.sign_checkpoint(head, signer, key.name)
    (out / "checkpoint").write_bytes(line.to_bytes())
    print(f"{size} entries, {audit.tiles} tiles, {audit.bundles} bundles, {found} proofs: all good")


main(*map(Path, sys.argv[1:]))
