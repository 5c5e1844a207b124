"""An agent's run in a process of its own, which ends itself by a signal at one stage.

    python stopped_agent.py SETTINGS JOB STAGE SIGNAL EVENTS

Appends each stage that it came to as a line to EVENTS. STAGE is `none`, or one of these.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from in_process import Quiet

from linkage.agent.client import MatcherClient, Progress
from linkage.agent.config import load_agent
from linkage.agent.profile import SourceProfile
from linkage.agent.run import run_job
from linkage.agent.session import Session
from linkage.rpc.channel import open_channel


class Stops(Quiet):
    """A reporter that ends the process when a stage is reached."""

    def __init__(self, stage: str, signal: int, events: Path) -> None:
        self._stage, self._signal, self._events = stage, signal, events

    def _reached(self, stage: str) -> None:
        with self._events.open("a") as file:
            file.write(f"{stage}\n")
        if stage == self._stage:
            os.kill(os.getpid(), self._signal)

    def encoding(self, n_records: int, n_all: int | None = None) -> None:
        del n_all
        self._reached(f"encoding {n_records}")

    def quality(self, profile: SourceProfile) -> None:
        self._reached(f"quality {profile.n_records}")

    def uploading(self, chunk: int, n_chunks: int) -> None:
        del n_chunks
        self._reached(f"uploading {chunk}")

    def answering(self, n_pairs: int) -> None:
        self._reached("answering" if n_pairs else "")

    def waiting(self, progress: Progress) -> None:
        self._reached(progress.state.value)


def main(settings: str, job_id: str, stage: str, signal: str, events: str) -> None:
    session = Session(load_agent(Path(settings)))
    with open_channel(session.config.matcher, session.tls) as channel:
        client = MatcherClient(channel, 30.0, session.requests)
        reporter = Stops(stage, int(signal), Path(events))
        run_job(session, client, job_id, reporter, datetime.now(UTC).date())


if __name__ == "__main__":
    main(*sys.argv[1:])
