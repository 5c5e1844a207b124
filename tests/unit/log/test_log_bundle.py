import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.bundle import (
    body_path,
    build_bundle,
    check_manifest,
    check_path,
    manifest_differences,
    parse_body_path,
)
from linkage.log.tar import from_tar, to_tar

TAR = shutil.which("tar") if sys.platform == "linux" else None
FILES = {"checkpoint": b"c", "tile/0/000.p/1": bytes(32), "bodies/0.json": b"{}"}


def test_a_bundle_lists_its_files() -> None:
    bundle = build_bundle(FILES)
    assert list(bundle) == ["bodies/0.json", "checkpoint", "manifest.json", "tile/0/000.p/1"]
    assert bundle["manifest.json"].startswith(b'{"files":{"bodies/0.json":"44136fa355b3678a')
    check_manifest(bundle)


def test_the_manifest_notices_every_difference() -> None:
    bundle = build_bundle(FILES)
    altered = {**bundle, "checkpoint": b"d", "bodies/1.json": b""}
    del altered["bodies/0.json"]
    assert manifest_differences(altered) == [
        "bodies/0.json is listed and missing",
        "bodies/1.json is not listed",
        "checkpoint has another SHA-256",
    ]
    with pytest.raises(VerificationError, match="another SHA-256"):
        check_manifest(altered)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{}",
        b'{"files":{},"v":2}',
        b'{"files":[],"v":1}',
        b'{"files":{"../x":""},"v":1}',
        b'{"files":{"\x1b[2J":""},"v":1}',
        b'{"files":{}, "v":1}',
    ],
)
def test_malformed_manifests_are_refused(manifest: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        manifest_differences({"manifest.json": manifest})


def test_a_missing_manifest() -> None:
    with pytest.raises(MalformedMessageError, match="no manifest"):
        check_manifest(FILES)


def test_a_manifest_does_not_list_itself() -> None:
    files = {"manifest.json": b'{"files":{"manifest.json":""},"v":1}'}
    assert manifest_differences(files) == ["the manifest lists itself"]


@pytest.mark.parametrize(
    "path",
    ["", "x", "checkpoint/", "bodies/", "bodies/01.json", "bodies/-1.json", "bodies/1.JSON",
     "bodies/٣.json", "tile/0/0", "../checkpoint", "/checkpoint", "manifest.json.tmp"],
)  # fmt: skip
def test_names_that_no_bundle_has(path: str) -> None:
    with pytest.raises(MalformedMessageError):
        check_path(path)
    with pytest.raises(MalformedMessageError):
        build_bundle({**FILES, path: b""})


def test_a_bundle_needs_a_checkpoint_and_makes_its_manifest() -> None:
    for files in ({}, {**FILES, "manifest.json": b""}):
        with pytest.raises(MalformedMessageError):
            build_bundle(files)


def test_paths_of_bodies() -> None:
    assert parse_body_path(body_path(1_000_000)) == 1_000_000


def test_other_programs_read_the_archive() -> None:
    files = build_bundle({**FILES, "tile/entries/x001/x234/067.p/255": b"x" * 1000})
    with tarfile.open(fileobj=io.BytesIO(to_tar(files))) as archive:
        assert archive.getnames() == sorted(files)
        for name, content in files.items():
            member = archive.extractfile(name)
            assert member is not None
            assert member.read() == content


@pytest.mark.skipif(TAR is None, reason="there is no GNU tar")
def test_gnu_tar_writes_the_same_archive(tmp_path: Path) -> None:
    files = build_bundle({**FILES, "tile/entries/x001/x234/067.p/255": b"x" * 1000})
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    form = "--format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 -b1 -c"
    done = subprocess.run(
        [str(TAR), *form.split(), *sorted(files)], cwd=tmp_path, stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == to_tar(files)


def test_an_archive_reads_back() -> None:
    for files in ({}, {"a": b""}, {"a": bytes(511), "b": bytes(512), "c/d": bytes(513)}):
        assert from_tar(to_tar(files)) == files


ONE = to_tar({"a": b"x"})
TWO = to_tar({"a": b"x", "b": b"y"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 512,
        b"\0" * 1536,
        ONE[:-1],
        ONE[:-512],
        ONE[:512],
        ONE[:100],
        ONE + b"\0",
        ONE + bytes(9216),
        b"x" * len(ONE),
        ONE[:1024] + ONE,
        TWO[1024:2048] + TWO[:1024] + TWO[2048:],
        ONE.replace(b"00000000001\0", b"77777777777\0"),
        ONE.replace(b"00000000001\0", b"0000000001\0\0"),
        ONE.replace(b"00000000001\0", b" 0000000001\0"),
        ONE.replace(b"0000644", b"0000755"),
        ONE.replace(b"ustar\x0000", b"ustar  \0"),
        ONE.replace(b"a\0", b"/\0", 1),
        ONE.replace(b"a\0", b"\xe9\0", 1),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_archives_in_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        from_tar(data)


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/./b", "a/../b", "é", "a" * 101]
)
def test_names_that_no_archive_has(name: str) -> None:
    with pytest.raises(MalformedMessageError):
        to_tar({name: b""})
