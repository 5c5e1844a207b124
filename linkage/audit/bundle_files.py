"""Bundles on disk: a directory, or a tar file, held in memory as a whole."""

import os
from collections.abc import Mapping
from pathlib import Path

from linkage.errors import MalformedMessageError
from linkage.log.bundle import check_path
from linkage.log.tar import from_tar, to_tar


def read_bundle(path: Path) -> dict[str, bytes]:
    """Return the files of the bundle at `path`, by path inside it.

    Empty directories are not seen: they carry nothing.

    Raises:
        MalformedMessageError: a tar file in another form, a name that no bundle
            has, or what is neither file nor directory.
        OSError: it cannot be read.
    """
    return read_directory(path) if path.is_dir() else from_tar(path.read_bytes())


def read_directory(path: Path) -> dict[str, bytes]:
    """Return the files below a directory, by path with `/`.

    Raises:
        MalformedMessageError: a name that no bundle has, or a link or device.
        OSError: something cannot be read.
    """
    files = {}
    folders = [path]
    while folders:
        with os.scandir(folders.pop()) as children:
            for child in children:
                if child.is_dir(follow_symlinks=False):
                    folders.append(Path(child.path))
                    continue
                name = Path(child.path).relative_to(path).as_posix()
                # Before it is opened: a link could lead anywhere, a pipe would wait.
                if not child.is_file(follow_symlinks=False):
                    raise MalformedMessageError("a bundle with something that is not a file")
                check_path(name)
                files[name] = Path(child.path).read_bytes()
    return files


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle as a tar file if `path` ends in `.tar`, else as a new directory.

    Raises:
        MalformedMessageError: a name that no bundle has.
        FileExistsError: the directory is there already: bundles are never mixed.
    """
    if path.suffix == ".tar":
        path.write_bytes(to_tar(files))
        return
    path.mkdir(parents=True)
    for name, data in files.items():
        check_path(name)
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
