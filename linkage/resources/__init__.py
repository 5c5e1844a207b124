"""The one door to the lists and tables that ship inside the package.

Core modules open no file: they ask here, by name. A table's digest is part of a
resolved linkage schema, so two agencies with different tables notice it.
"""

import hashlib
from importlib.resources import files


def read_resource(name: str) -> bytes:
    """Return the bytes of the resource `name`, a file of this folder.

    Raises:
        FileNotFoundError: there is no such resource: a bug, or a broken installation.
    """
    return (files(__name__) / name).read_bytes()


def resource_digest(name: str) -> str:
    """Return the SHA-256 of the resource `name` as lower-case hex."""
    return hashlib.sha256(read_resource(name)).hexdigest()
