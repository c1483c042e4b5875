"""A real PostgreSQL server for tests, started from the programs that are installed on this machine."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_testing.services import require_service
from synapse_testing.waiting import PATIENCE, poll

__all__ = ["PostgresServer", "postgres_server", "postgres_url"]

_DEBIAN = Path("/usr/lib/postgresql")

# A guard waits for the end of standard input, which comes when the process that started it ends, in whatever way.
_GUARDED = """
exec 3<&0
{
    read -r _ <&3; kill -QUIT $$; n=0
    while [ $n -lt 50 ] && kill -0 $$ 2>/dev/null; do n=$((n+1)); sleep 0.1; done
    rm -rf "$0"
} &
exec "$@" 3<&-
"""


class PostgresServer:
    """A PostgreSQL server of this machine, for the length of a ``with`` block.

    Its data lies in a temporary folder, nothing waits for the disk, and it listens on a port of its own of 127.0.0.1.
    It ends with the block, and also when the process that started it is killed.

    Attributes:
        port: Where it listens.
        password: Of its user ``synapse``.

    Example:
        ::

            with PostgresServer() as server:
                engine = sqlalchemy.create_engine(server.new_database())
    """

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_hex(8)
        self._programs = find_programs()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgresServer:
        """Start it.

        Raises:
            FileNotFoundError: PostgreSQL is not installed.
            RuntimeError: It does not start.
        """
        if self._programs is None:
            raise FileNotFoundError(
                f"there is no initdb and no postgres in {_DEBIAN}/*/bin or on PATH; on Debian: "
                "apt-get install postgresql"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="synapse-postgres-"))
        try:
            self._start(self._programs, self._folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """End it, and remove its data."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(PATIENCE)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, with the password, for SQLAlchemy and the driver psycopg."""
        return f"postgresql+psycopg://synapse:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL by psql, and return what it prints.

        Raises:
            RuntimeError: The server refuses it.
        """
        assert self._programs is not None
        return self._run(
            [self._programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
             "-p", str(self.port), "-U", "synapse", "-d", database, "-c", sql],
            env={**os.environ, "PGPASSWORD": self.password},
        )  # fmt: skip

    def _start(self, programs: Path, folder: Path) -> None:
        own = _unprivileged()
        data, password_file = folder / "data", folder / "password"
        password_file.write_text(self.password)
        if own:
            for path in (folder, password_file):
                shutil.chown(path, own["user"], own["group"])
        self._run(
            [programs / "initdb", "-D", data, "-U", "synapse", f"--pwfile={password_file}", "--auth=scram-sha-256",
             "--encoding=UTF8", "--no-locale", "--no-sync"],
            **own,
        )  # fmt: skip
        self.port = _free_port()
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = open(folder / "log", "wb")  # noqa: SIM115 - the server writes to it
        with log:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARDED, folder, programs / "postgres", "-D", data, *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                **own,
            )
        process = self._process
        ready: list[Any] = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        if not poll(lambda: subprocess.run(ready, check=False).returncode == 0 or process.poll() is not None, PATIENCE):
            raise RuntimeError(f"PostgreSQL did not answer within {PATIENCE:g} s: {(folder / 'log').read_text()}")
        if process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")

    def _run(self, command: list[Any], **options: Any) -> str:
        folder = self._folder
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder, **options
        )
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
        return done.stdout.strip()


def find_programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, of the newest version there is; None where there is none."""
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])
    on_path = shutil.which("initdb")
    candidates = [*reversed(versions), *([Path(on_path).parent] if on_path else [])]
    return next((path for path in candidates if all((path / name).exists() for name in ("initdb", "postgres"))), None)


def _unprivileged() -> dict[str, Any]:
    """Return how a program is started by somebody who is not root: PostgreSQL refuses to be."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a server for all tests of the session; without PostgreSQL they are skipped, and fail where ``CI`` is set."""
    if find_programs() is None:
        require_service("PostgreSQL is not installed; on Debian: apt-get install postgresql, or source .ci/services")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the URL of a database of the test's own, with a password in it; afterwards it is dropped."""
    url = postgres_server.new_database()
    yield url
    postgres_server.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
