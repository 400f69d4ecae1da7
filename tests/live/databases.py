"""PostgreSQL and MariaDB as real servers of a test: started in folders of their own, killed (-9) and started again at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import psycopg
import pymysql

from ..ports import free_port

PASSWORD = "reader's word"
STARTED_WITHIN_S = 240


def find_postgres() -> str | None:
    """The folder of PostgreSQL's server programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    beside = shutil.which("postgres")
    return str(found[-1].parent) if found else str(Path(beside).parent) if beside else None


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory is in that folder. PostgreSQL's children work in its data, each in a group of its own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


class DatabaseServer(ABC):
    """A server on a loopback port. `query` and `execute` act as its administrator."""

    user: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="esep-database-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def connect(self, database: str = "") -> Any:
        """A connection as the administrator; commits by itself."""

    def _as_owner(self, *command: str) -> list[str]:
        """The command as the server's own user: these servers refuse to run as root."""
        if os.getuid() != 0:
            return list(command)
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *command]

    def start(self) -> None:
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(self._command(), stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + STARTED_WITHIN_S
        while True:
            try:
                self.connect().close()
                return
            except (psycopg.Error, pymysql.Error, OSError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "output").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.1)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            while left := working_in(self.folder):  # children hold its shared memory, with which it does not start again
                for process in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.01)
            self._process = None

    def __enter__(self) -> Self:
        self._prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresServer(DatabaseServer):
    user = "postgres"

    def _prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, self.user)
        command = self._as_owner(f"{find_postgres()}/initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        subprocess.run(command, check=True, capture_output=True)
        (data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
        )

    def _command(self) -> Sequence[str]:
        settings = (
            "-c",
            f"port={self.port}",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "timezone=Europe/Madrid",
        )
        return self._as_owner(f"{find_postgres()}/postgres", "-D", str(self.folder / "data"), *settings)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database or "postgres", autocommit=True, connect_timeout=5
        )


class MariadbServer(DatabaseServer):
    user = "mysql"

    def _prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, self.user)
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db",
             *(["--user=mysql"] if os.getuid() == 0 else [])],
            check=True, capture_output=True,
        )  # fmt: skip

    def _command(self) -> Sequence[str]:
        return [
            shutil.which("mariadbd") or "mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--socket={self.folder / 'data' / 'socket'}", f"--pid-file={self.folder / 'data' / 'pid'}", "--default-time-zone=+03:00",
            *(["--user=mysql"] if os.getuid() == 0 else []),
        ]  # fmt: skip

    def connect(self, database: str = "") -> Any:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database or None, autocommit=True, connect_timeout=5)
