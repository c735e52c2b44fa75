"""A PostgreSQL server of the test's own, started and stopped by it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import pytest

PASSWORD = "p@ss/w:rd"


@dataclass(frozen=True)
class Server:
    """Where it listens; the user is ``genome``, the database ``shop``."""

    port: int

    @property
    def url(self) -> str:
        return f"postgresql://genome@127.0.0.1:{self.port}/shop"

    def connect(self, database: str = "shop") -> Any:
        address = f"host=127.0.0.1 port={self.port} user=genome dbname={database} password={PASSWORD}"
        return postgresql.connect(address, autocommit=True)

    def run(self, *statements: str, database: str = "shop") -> None:
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@contextmanager
def running_server() -> Iterator[Server]:
    """A new, empty server on a free port of the loopback; the test is skipped where none is installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb and postgres are not installed")
    # It refuses to run as root, and its user cannot reach pytest's own folders.
    account: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="genome-postgres-") as folder:
        password = Path(folder, "password")
        password.write_text(PASSWORD)
        if account:
            for path in (Path(folder), password):
                shutil.chown(path, account["user"], account["group"])
        data = Path(folder, "data")
        initdb: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "genome",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
        ]
        options = ["--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*initdb, *options], check=True, capture_output=True, cwd=folder, **account)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = [f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", "-cfsync=off"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder, **account
            )
        try:
            server = Server(port)
            _wait(server, process, Path(folder, "log"))
            server.run("CREATE DATABASE shop", database="postgres")
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _binaries() -> Path | None:
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            server.connect("postgres").close()
        except postgresql.Error:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
