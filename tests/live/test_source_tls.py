"""Encrypted connections: what `tls` says, with servers that want it and users who may not log in without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.sources.mysql import MysqlConnection
from connectors.sources.sql import Select, SqlSource
from connectors.sources.sql_text import DatabaseAddress
from pipeline.capture.seen import SeenRows
from pipeline.model.errors import SourceError

from ..integration.test_console_serving import certificate
from .databases import PASSWORD, MariadbServer

pytestmark = pytest.mark.live
SELECT = Select(
    "SELECT 'A1' AS allocation_id, 'a' AS account, 'BTC' AS asset, '2026-10-01' AS allocated_at, 1 AS amount, 5 AS seq", "seq", False, 0
)


class TlsServer(MariadbServer):
    """With a certificate that it signed itself, for localhost."""

    def _prepare(self) -> None:
        super()._prepare()
        certificate(self.folder)
        for name in ("console.crt", "console.key"):
            (self.folder / name).chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(self.folder / name, self.user)

    def _command(self) -> Sequence[str]:
        return [*super()._command(), f"--ssl-cert={self.folder / 'console.crt'}", f"--ssl-key={self.folder / 'console.key'}"]


@pytest.fixture
def server() -> Iterator[TlsServer]:
    if shutil.which("mariadbd") is None:
        pytest.skip("no MariaDB server: install it (on Debian: apt-get install mariadb-server)")
    with TlsServer() as found:
        yield found


def test_a_user_who_must_use_tls_logs_in_with_it_and_off_is_off(server: TlsServer, tmp_path: Path) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE pool")
        cursor.execute("CREATE USER esep@'127.0.0.1' IDENTIFIED BY %s REQUIRE SSL", [PASSWORD])
        cursor.execute("GRANT SELECT ON pool.* TO esep@'127.0.0.1'")
    ours = str(shutil.copy(server.folder / "console.crt", tmp_path))
    for tls, ca_file, refusal in (
        ("prefer", None, ""),
        ("verify", ours, ""),
        ("verify", None, "certificate verify failed"),
        ("off", None, "Access denied"),
    ):
        address = DatabaseAddress("books", "localhost", server.port, "pool", "esep", SecretStr(PASSWORD), 10, tls, ca_file)
        source = SqlSource(MysqlConnection(address), {"allocations": SELECT})
        try:
            if refusal:
                with pytest.raises(SourceError, match=refusal):
                    source.look(SeenRows(), 0)
            else:
                assert list(source.look(SeenRows(), 0).tables["allocations"].rows) == ["A1"]
        finally:
            source.close()
