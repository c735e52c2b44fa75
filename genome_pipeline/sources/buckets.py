"""Files in buckets, through fsspec: listed with their version marks, and copied to this machine while they are read.

Credentials are those that the store's own package finds in the environment.
"""

from __future__ import annotations

import glob
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import fsspec
from fsspec import AbstractFileSystem

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, SourceUnreachable, combined
from genome_pipeline.sources.file_kinds import (
    SUPPORTED,
    Format,
    format_of,
    in_its_partition,
    is_hidden,
    listed,
    opened,
    sheet_names,
    unsupported,
)
from genome_pipeline.sources.parquet import partition_folders
from genome_pipeline.sources.rows import Rows

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "azure": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
# Every store's package has its own exceptions; only the words in them are common.
_REFUSED = re.compile(r"credential|anonymous caller|unauthori|authenticat|forbidden|access ?denied", re.IGNORECASE)


@dataclass(frozen=True)
class _Listing:
    """The files that a URL names, sorted by name, and whether the URL is a folder (which may hold other files)."""

    is_folder: bool
    files: list[SourceFile]


class Bucket:
    """A file, a folder or a pattern in a bucket; see :class:`genome_pipeline.sources.source.Source`."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def files(self) -> list[SourceFile]:
        """See :meth:`genome_pipeline.sources.source.Source.files`."""
        return _in_bucket(self._settings.path)

    def mark(self) -> str:
        """See :meth:`genome_pipeline.sources.source.Source.mark`."""
        return combined([f"{file.name} {file.content_hash}" for file in self.files()])

    @contextmanager
    def opened(self, file: SourceFile) -> Iterator[Rows]:
        """See :meth:`genome_pipeline.sources.source.Source.opened`; reads a copy on this machine."""
        with _copied(file, self._settings.path) as copy, opened(copy, self._settings) as rows:
            yield rows

    def check_unchanged(self, file: SourceFile) -> None:
        """Nothing to check: the copy that was read is complete, and nobody writes to it."""

    def takes(self, path: Path) -> bool:
        """False: the path is on this machine, the source is not."""
        return False


def _listing(url: str) -> _Listing:
    """The files that the URL of a file, a folder or a pattern names.

    A folder gives the files directly in it and in its ``key=value`` folders. Raises :class:`SourceError` for a
    store that cannot be reached, refuses access, or has no such file.
    """
    with store_errors(url):
        system, path = file_system(url)
        # Without this, a long-lived process would see the bucket as it was at the first listing.
        system.invalidate_cache()
        try:
            info = system.info(path)
        except FileNotFoundError:
            if not glob.has_magic(path):
                raise
            parts = path.split("/")
            fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
            root = "/".join(parts[:fixed])
            # The folder itself may be what is missing.
            system.info(root)
            return _Listing(False, _source_files(system, root, system.glob(path, detail=True).values()))
        if info["type"] == "directory":
            return _Listing(True, _source_files(system, path, _in_folder(system, path)))
        return _Listing(False, _source_files(system, path.rpartition("/")[0], [info]))


@contextmanager
def _opened(file: SourceFile, url: str) -> Iterator[BinaryIO]:
    """The file's bytes, for reading parts of them without a copy; ``url`` is the URL of the source."""
    with store_errors(_shown(file, url)):
        system, _ = file_system(url)
        with system.open(file.key, "rb") as stream:
            yield stream


@contextmanager
def _copied(file: SourceFile, url: str) -> Iterator[SourceFile]:
    """The file with a temporary copy as its path; ``url`` is the URL of the source.

    Raises :class:`SourceError` for a file that cannot be fetched completely.
    """
    key = str(file.key)
    with tempfile.TemporaryDirectory(prefix="genome-source-") as folder:
        path = Path(folder, *partition_folders(PurePosixPath(key)), file.path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with store_errors(_shown(file, url)):
            system, _ = file_system(url)
            size = system.size(key)
            system.get_file(key, str(path))
        if size is not None and path.stat().st_size != size:
            raise SourceUnreachable(
                f"{_shown(file, url)} came over with {path.stat().st_size:,} of {size:,} bytes: it was replaced, or the"
                " connection was lost; run again"
            )
        yield replace(file, path=path)


def file_system(url: str, setting: str = "source.path", **options: Any) -> tuple[AbstractFileSystem, str]:
    """The file system for a URL in a setting, and the path in it; ``options`` are passed to fsspec.

    Raises :class:`SourceError` for a store that is unknown or needs a package that is not installed.
    """
    protocol = url.partition("://")[0]
    try:
        system, path = fsspec.url_to_fs(url, **options)
    except ImportError:
        extra = _EXTRAS.get(protocol)
        package = f"'genome-pipeline[{extra}]'" if extra else f"the package that brings {protocol}:// to fsspec"
        raise SourceError(f"{setting} = {url!r} needs a package that is not installed: pip install {package}") from None
    except ValueError as error:
        if "not known" not in str(error):
            raise
        raise SourceError(
            f"{setting} = {url!r}: {protocol}:// is not known; use s3://, gs://, az:// or postgresql://, or a path on"
            " this machine"
        ) from None
    return system, path


def _in_folder(system: AbstractFileSystem, folder: str) -> Iterator[dict[str, Any]]:
    for item in system.ls(folder, detail=True):
        if item["type"] != "directory":
            yield item
        elif "=" in item["name"].rstrip("/").rpartition("/")[2]:
            yield from _in_folder(system, item["name"])


def _source_files(system: AbstractFileSystem, root: str, found: Iterable[dict[str, Any]]) -> list[SourceFile]:
    files = []
    for info in found:
        if info["type"] == "directory":
            continue
        key = info["name"]
        name = key.removeprefix(root).lstrip("/")
        # The mark of S3 identifies the content; marks of other stores identify a version of this one file.
        mark = info.get("ETag") or f"{name} {info.get('etag') or system.checksum(key)}"
        content_hash = f"{mark} {info['size']}".replace('"', "")
        files.append(SourceFile(name, Path(PurePosixPath(key).name), None, content_hash, key))
    return sorted(files, key=lambda file: file.name)


def _shown(file: SourceFile, url: str) -> str:
    return f"{url.partition('://')[0]}://{str(file.key).lstrip('/')}"


@contextmanager
def store_errors(url: str, setting: str = "source.path") -> Iterator[None]:
    """Turn exceptions of the store's package into :class:`SourceError`; ``setting`` names the URL, to read or write."""
    done = "read" if setting == "source.path" else "written"
    try:
        yield
    except ConfigError:
        raise
    except FileNotFoundError:
        raise SourceError(f"{url} is not there: correct the bucket or the key in {setting}") from None
    except Exception as error:
        # A signed URL is a credential and must not be repeated.
        reason = re.sub(r"\?\S*", "", next(iter(str(error).splitlines()), "")) or type(error).__name__
        if isinstance(error, PermissionError) or _REFUSED.search(f"{type(error).__name__} {error}"):
            variables = _VARIABLES.get(_EXTRAS.get(url.partition("://")[0], ""), "the store's own variables")
            allowed = "list and read" if done == "read" else "list, read, write and delete in"
            raise SourceError(
                f"{url} may not be {done} ({reason}): give credentials that may {allowed} it, in the environment"
                f" ({variables})"
            ) from None
        raise SourceUnreachable(f"{url} was not {done} ({reason}): check the connection and run again") from None


def fixed_part(url: str) -> str:
    """The folder or file that the URL of a source names, up to the first part that is a pattern, without a last "/"."""
    parts = url.split("/")
    return "/".join(itertools.takewhile(lambda part: not glob.has_magic(part), parts)).rstrip("/")


def _in_bucket(url: str) -> list[SourceFile]:
    listing = _listing(url)
    found = [file for file in listing.files if not is_hidden(file.path)]
    if listing.is_folder:
        found = [file for file in found if format_of(file.path)]
    if not found and listing.is_folder:
        holds = listed([file.name for file in listing.files])
        raise SourceError(f"no supported file in {url}, which holds {holds}; supported: {SUPPORTED}")
    if not found:
        raise SourceError(f"no file matches {url}: correct source.path")
    return [sheet for file in found for sheet in _sheets(file, url)]


def _sheets(file: SourceFile, url: str) -> list[SourceFile]:
    if format_of(file.path) is None:
        raise SourceError(unsupported(file.name))
    if format_of(file.path) is not Format.WORKBOOK:
        return [replace(file, content_hash=in_its_partition(file.path, file.name, file.content_hash))]
    with _opened(file, url) as stream:
        names = sheet_names(stream, file.name)
    return [replace(file, name=f"{file.name}#{name}", sheet=name) for name in names]
