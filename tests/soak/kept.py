"""Processes of the kill rounds: one runs commands of `padan`, one looks persons up.

    kept.py commands                  a JSON list of arguments a line; answers code and output
    kept.py lookups AGENT_TOML OWNER  a JSON object of a person a line; answers answer and number

A process lives until it is killed or its input ends: a round does not wait for one to start.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def answer(*words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def commands() -> None:
    from linkage.cli import main

    for line in sys.stdin:
        sys.argv = ["padan", *json.loads(line)]
        out, words, code = io.StringIO(), io.StringIO(), 0
        with redirect_stdout(out), redirect_stderr(words):
            try:
                main()
            except SystemExit as error:
                code = int(error.code or 0)
        answer(code, out.getvalue(), words.getvalue())


def lookups(settings: str, owner: str) -> None:
    from linkage.agent.counter import open_counter

    with open_counter(Path(settings), owner) as counter:
        for line in sys.stdin:
            found = counter.find(json.loads(line))
            answer(found.answer, found.sequence)


if __name__ == "__main__":
    {"commands": commands, "lookups": lookups}[sys.argv[1]](*sys.argv[2:])
