"""Verifies an audit log by its documented format alone: verify.py FOLDER HEADS PUBLIC_KEY

Prints "sound RECORDS COVERED" and ends with 0, or prints what is wrong and ends with 6.
"""
import base64
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def damaged(what):
    print(what)
    sys.exit(6)


folder, heads_file, public_key = sys.argv[1:]
key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
digests, prev = {}, "0" * 64
for file in sorted(pathlib.Path(folder).glob("audit.*.jsonl")):
    for line in file.read_bytes().splitlines():
        record = json.loads(line)
        if canonical(record) != line or record["prev"] != prev or record["seq"] != len(digests) + 1:
            damaged(f"record {len(digests) + 1}")
        prev = hashlib.sha256(line).hexdigest()
        digests[record["seq"]] = prev
covered = 0
for line in pathlib.Path(heads_file).read_bytes().splitlines():
    head = json.loads(line)
    text = b"acople audit head 1\n" + canonical({**head, "sig": ""})
    try:
        key.verify(base64.b64decode(head["sig"]), text)
    except InvalidSignature:
        damaged(f"signature of head {head['seq']}")
    if digests.get(head["seq"]) != head["hash"]:
        damaged(f"head {head['seq']}")
    covered = max(covered, head["seq"])
print("sound", len(digests), covered)
