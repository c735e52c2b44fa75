"""Copying all published tables to a folder in a bucket, as Parquet, a file for each snapshot (`genome export --to`)."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fsspec import AbstractFileSystem

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.export import write_rows
from genome_pipeline.published.reader import Published, file_version
from genome_pipeline.published.slices import Slices, slices_of
from genome_pipeline.settings import SourceKind, SourceSettings
from genome_pipeline.settings.section import refuse_query
from genome_pipeline.sources.buckets import file_system, fixed_part, store_errors
from genome_pipeline.sql import identifier

RECORD = "_genome.json"
"""The file, in the folder, that says what is there; engines leave out a name that begins so."""


def export_to_bucket(published_path: Path, url: str, source: SourceSettings) -> dict[str, int]:
    """Bring every table and view of the published file to the folder ``url`` of a bucket; name -> rows there.

    A table is a folder: ``customer_genome_history/as_of=2024-01-01/customer_genome_history.parquet`` if it has
    snapshots or periods, ``customer_genome/customer_genome.parquet`` if not; the column in a folder's name is not in
    its files. Only files whose rows have changed are sent. ``_genome.json`` says what is there, and while files are
    being sent that it ``is_complete`` is false. Raises :class:`ConfigError` if nothing is published, if ``url`` is
    where ``source`` has its files, and for a store that cannot be reached or refuses.
    """
    try:
        refuse_query("--to", url)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    folder = url.rstrip("/")
    if source.kind is SourceKind.BUCKET and f"{folder}/".startswith(f"{fixed_part(source.path)}/"):
        raise ConfigError(f"--to {url} is where source.path takes files from: name another folder")
    with store_errors(folder, "--to"):
        system, root = file_system(folder, "--to")
        while True:
            version = file_version(published_path)
            with Published(published_path) as published:
                tables = [slices_of(published.connection, name) for name in published.names()]
                _Folder(system, root).bring(published, tables)
            # If customers were forgotten meanwhile, they must not stay in the bucket.
            if file_version(published_path) == version:
                return {slices.name: slices.row_count for slices in tables}


class _Folder:
    """The folder in the bucket, and the record of its files."""

    def __init__(self, system: AbstractFileSystem, root: str) -> None:
        self._system, self._root = system, root

    def bring(self, published: Published, tables: list[Slices]) -> None:
        """Send the files that have changed, then remove those that are no longer wanted."""
        known = self._recorded()
        wanted = {
            _key(slices, key): {"fingerprint": fingerprint, "row_count": count}
            for slices in tables
            for key, (fingerprint, count) in slices.found.items()
        }
        there = self._there()
        current = {key for key, facts in wanted.items() if known.get(key) == facts and key in there}
        facts: dict[str, Any] = {"as_of": str(published.latest()), "is_complete": len(current) == len(wanted)}
        if not facts["is_complete"] or known.keys() != wanted.keys():
            # If it breaks off here, the next export sends these files again, and still knows of those to remove.
            unsure = {key: wanted[key] if key in current else None for key in sorted({*known, *wanted})}
            self._record({**facts, "is_complete": False, "files": unsure})
            with TemporaryDirectory(prefix="genome-export-") as name:
                for slices in tables:
                    for value in slices.found:
                        if (key := _key(slices, value)) not in current:
                            self._send(published, slices, value, Path(name) / "rows.parquet", key)
            for key in known.keys() - wanted.keys():
                if key in there:
                    self._system.rm_file(f"{self._root}/{key}")
        self._record({**facts, "is_complete": True, "files": wanted})

    def _send(self, published: Published, slices: Slices, value: str, path: Path, key: str) -> None:
        query, values = f"SELECT * FROM {identifier(slices.name)}", list[Any]()
        if slices.column is not None:
            column = identifier(slices.column)
            query = f"SELECT * EXCLUDE ({column}) FROM {identifier(slices.name)} WHERE {column} = ?::DATE"
            values = [value]
        write_rows(published.connection, query, values, path)
        self._system.put_file(str(path), f"{self._root}/{key}")

    def _recorded(self) -> dict[str, Any]:
        try:
            content = json.loads(self._system.cat_file(f"{self._root}/{RECORD}"))
            files = content["files"]
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError):
            files = None
        if not isinstance(files, dict):
            raise ConfigError(f"--to has a {RECORD} that `genome export` did not write: name another folder")
        return files

    def _record(self, facts: dict[str, Any]) -> None:
        self._system.pipe_file(f"{self._root}/{RECORD}", json.dumps(facts, indent=1).encode())

    def _there(self) -> set[str]:
        """The files in the folder, named from it on."""
        self._system.invalidate_cache()
        try:
            found = self._system.find(self._root)
        except FileNotFoundError:
            return set()
        return {str(path).removeprefix(self._root).lstrip("/") for path in found}


def _key(slices: Slices, value: str) -> str:
    parts = [slices.name, *([f"{slices.column}={value}"] if slices.column else []), f"{slices.name}.parquet"]
    return "/".join(parts)
