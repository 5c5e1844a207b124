"""The agent's own copy of the match log, and what it says.

Its bodies are those of the party's own jobs: what it can tell of them, and give back to a matcher
that lost them.
"""

from pathlib import Path

from linkage.agreement.state import State
from linkage.log.checkpoint import Checkpoint
from linkage.log.entry import Entry, parse_entry
from linkage.log.policy import Policy
from linkage.store.log_copy import LogCopy, LogSource

# What parties of an agreement tell each other is part of what the log says to them.
_TOLD = ("rights.", "incident.")


class Mirror:
    """A copy of the log on disk, and what it says.

    Args:
        folder: of the copy.
        trust: the trust file.

    Attributes:
        copy: the copy.
        state: what the log says under its last checkpoint.
        documents: its entries that carry a signed document and count, by index, in their order.
        withheld: entries about rights and incidents without their bodies, by index: of other
            parties' agreements, unless the matcher kept something back.

    Raises:
        SignatureError: the checkpoint on disk is not of a log of the trust file.
        CheckpointError: a file of the copy is damaged.
    """

    def __init__(self, folder: Path, trust: Policy) -> None:
        self.copy = LogCopy(folder, [line.key for line in trust.logs])
        self.documents: dict[int, Entry] = {}
        self.withheld: dict[int, Entry] = {}
        self.state = State()
        for leaf in self.copy.leaves(self.copy.size):
            self._take(parse_entry(leaf))

    @property
    def head(self) -> Checkpoint | None:
        """The last checkpoint that was seen; None before the first."""
        return self.copy.head

    def update(self, source: LogSource) -> State:
        """Fetch what is new, and return what the log says now; raises as `LogCopy.follow`."""
        return self.follow(source.checkpoint(), source)

    def follow(self, note: bytes, source: LogSource) -> State:
        """Move on to a checkpoint, fetching the leaves up to it; raises as `LogCopy.follow`."""
        self.copy.follow(note, source, lambda _logged, entry: self._take(entry))
        return self.state

    def root_at(self, size: int) -> bytes:
        """Return the root of the first entries of the log.

        Args:
            size: how many, at most as many as there are.
        """
        return self.copy.root_at(size)

    def _take(self, entry: Entry) -> None:
        index, told = self.state.size, entry.type.startswith(_TOLD)
        body = self.copy.body(index) if told else None
        if told and body is None:
            self.withheld[index] = entry
        before, self.state = self.state, self.state.after(index, entry, body)
        counts = len(self.state.rejected) == len(before.rejected)
        if counts and entry.body is not None and "env" in entry.body:
            self.documents[index] = entry
