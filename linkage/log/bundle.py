"""The bundle: everything an auditor needs of one log, as named bytes.

    checkpoint              the signed head
    tile/...                hash tiles and entry bundles of exactly that size
    bodies/<index>.json     what a confidential leaf committed to, with the opening
    manifest.json           the SHA-256 of every other file

As files of a directory, or as the archive of `linkage.log.tar`. Whether the
content belongs together is for the verifier to say; this module knows names and
the manifest.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.canonical import Json, format_json, parse_decimal, parse_json_object
from linkage.log.tiles import parse_tile_path

CHECKPOINT = "checkpoint"
MANIFEST = "manifest.json"
VERSION = 1
_BODY = re.compile(r"bodies/([0-9]+)\.json")


def body_path(index: int) -> str:
    """Return the path of the body of leaf `index`."""
    return f"bodies/{index}.json"


def parse_body_path(path: str) -> int:
    """Return the leaf index in the path of a body.

    Raises:
        MalformedMessageError: not such a path, or a second spelling of one.
    """
    match = _BODY.fullmatch(path)
    if match is None:
        raise MalformedMessageError("not the path of a body")
    return parse_decimal(match[1])


def check_path(path: str) -> None:
    """Check that a bundle may have a file of this path.

    Raises:
        MalformedMessageError: it may not.
    """
    if path in (CHECKPOINT, MANIFEST):
        return
    if path.startswith("bodies/"):
        parse_body_path(path)
    else:
        parse_tile_path(path)


def build_bundle(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `files` with their manifest, by path in sorted order.

    Args:
        files: checkpoint, tiles and bodies, by path.

    Raises:
        MalformedMessageError: no checkpoint, a manifest already, or a file that
            does not belong into a bundle.
    """
    for path in files:
        check_path(path)
    if CHECKPOINT not in files or MANIFEST in files:
        raise MalformedMessageError("a bundle is made of a checkpoint, tiles and bodies")
    return dict(sorted([*files.items(), (MANIFEST, format_manifest(files))]))


def format_manifest(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of `files`, which do not include it."""
    digests: dict[str, Json] = {path: sha256(files[path]).hexdigest() for path in files}
    return format_json({"v": VERSION, "files": digests})


def manifest_differences(files: Mapping[str, bytes]) -> list[str]:
    """Return a sentence for each file that the manifest among `files` does not describe.

    Raises:
        MalformedMessageError: there is no manifest, it does not parse, or it lists a
            name that no bundle has.
    """
    if MANIFEST not in files:
        raise MalformedMessageError(f"there is no {MANIFEST}")
    fields = parse_json_object(files[MANIFEST], frozenset({"v", "files"}))
    listed = fields["files"]
    if fields["v"] != VERSION or isinstance(fields["v"], bool) or not isinstance(listed, dict):
        raise MalformedMessageError("a manifest of unknown version, or without files")
    for path in listed:
        # A name from a hostile manifest must not reach a report unchecked.
        check_path(path)
    differences = []
    for path in sorted((files.keys() | listed.keys()) - {MANIFEST}):
        if path not in files:
            differences.append(f"{path} is listed and missing")
        elif path not in listed:
            differences.append(f"{path} is not listed")
        elif sha256(files[path]).hexdigest() != listed[path]:
            differences.append(f"{path} has another SHA-256")
    if MANIFEST in listed:
        differences.append("the manifest lists itself")
    return differences


def check_manifest(files: Mapping[str, bytes]) -> None:
    """Check that the manifest among `files` describes exactly the others.

    Raises:
        MalformedMessageError: there is no manifest, or it does not parse.
        VerificationError: a file is altered, missing or not listed.
    """
    differences = manifest_differences(files)
    if differences:
        raise VerificationError("; ".join(differences))
