"""The project's own vectors, written by an implementation that shares no code."""

import json
from pathlib import Path
from typing import Any

import pytest

from linkage import errors
from linkage.log.checkpoint import verify_checkpoint
from linkage.log.entry import format_entry, parse_entry, verify_body
from linkage.log.note import parse_note, verified_signatures
from linkage.log.proof import verify_consistency, verify_inclusion
from linkage.log.vkey import parse_vkey

FILES = sorted((Path(__file__).parents[2] / "vectors" / "log").glob("*.json"))
CASES = [json.loads(path.read_text(encoding="ascii")) for path in FILES]


def check(case: dict[str, Any]) -> None:
    def hashes(name: str) -> list[bytes]:
        return [bytes.fromhex(text) for text in case[name]]

    match case["kind"]:
        case "inclusion":
            leaf, root = bytes.fromhex(case["leaf"]), bytes.fromhex(case["root"])
            verify_inclusion(leaf, case["index"], case["size"], hashes("proof"), root)
        case "consistency":
            old_root, new_root = bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"])
            verify_consistency(case["old"], case["new"], hashes("proof"), old_root, new_root)
        case "checkpoint":
            checkpoint = verify_checkpoint(case["note"].encode(), [parse_vkey(case["vkey"])])
            assert (checkpoint.size, checkpoint.root.hex()) == (case["size"], case["root"])
        case "cosignature":
            note = parse_note(f"{case['text']}\n{case['line']}".encode())
            key = parse_vkey(case["vkey"])
            assert verified_signatures(note, [key]) == {key: case.get("time")}
        case "leaf":
            entry = parse_entry(case["leaf"].encode())
            assert format_entry(entry) == case["leaf"].encode()
            if "body" in case:
                verify_body(entry, bytes.fromhex(case["opening"]), case["body"].encode())


def test_how_many_there_are() -> None:
    assert len(CASES) == 124
    assert sum(case["expect"] == "ok" for case in CASES) == 18


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['desc']}")
def test_vector(case: dict[str, Any]) -> None:
    if case["expect"] == "ok":
        check(case)
    else:
        expected = getattr(errors, case["expect"])
        with pytest.raises(expected) as caught:
            check(case)
        assert type(caught.value) is expected
