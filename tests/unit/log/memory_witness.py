"""What a witness needs, in memory."""

import threading
from collections.abc import Sequence

from linkage.log.proof import GetNode
from linkage.log.tree import root_of
from linkage.log.witness import Evidence, WitnessState


class MemoryStore:
    """A store in memory that compares and swaps; `pause` lets tests come in between."""

    def __init__(self) -> None:
        self.states: dict[str, WitnessState] = {}
        self.kept: list[Evidence] = []
        self.lock = threading.Lock()
        self.pause: threading.Barrier | None = None

    def read(self, origin: str) -> WitnessState:
        state = self.states.get(origin, WitnessState())
        if self.pause is not None:
            self.pause.wait()
        return state

    def replace(self, origin: str, old: WitnessState, new: WitnessState) -> bool:
        self.pause = None
        with self.lock:
            if self.states.get(origin, WitnessState()) != old:
                return False
            self.states[origin] = new
            return True

    def keep(self, origin: str, evidence: Evidence) -> None:
        del origin
        self.kept.append(evidence)


def nodes_of(leaves: Sequence[bytes]) -> GetNode:
    """The nodes of the tree over leaf hashes, for proofs."""
    return lambda height, at: root_of(leaves[at << height : (at + 1) << height])
