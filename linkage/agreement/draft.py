"""Drafts of agreements for the processes of citizenship services, with places to fill in."""

from linkage.agreement.articles import Process
from linkage.resources import read_resource


def draft(process: Process) -> str:
    """Return the TOML draft of a process; `parse_draft` refuses it until it is filled in."""
    parts = (f"agreements/{process.lower()}.toml", "agreements/common.toml")
    return "".join(read_resource(name).decode() for name in parts)
