"""Source files on this machine."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, combined
from genome_pipeline.sources.file_kinds import (
    SUPPORTED,
    Format,
    folder_named_like_file,
    format_of,
    in_its_partition,
    is_hidden,
    listed,
    opened,
    sheet_names,
    unsupported,
)
from genome_pipeline.sources.rows import Rows
from genome_pipeline.sources.text import unreadable


class LocalFiles:
    """A file, a folder, or the files that match a pattern; see :class:`genome_pipeline.sources.source.Source`."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._path = Path(settings.path)

    def files(self) -> list[SourceFile]:
        """See :meth:`genome_pipeline.sources.source.Source.files`."""
        with _as_source_errors(self._path):
            root, paths = _paths(self._path)
            return [file for path in paths for file in _source_files(root, path)]

    def mark(self) -> str:
        """See :meth:`genome_pipeline.sources.source.Source.mark`."""
        with _as_source_errors(self._path):
            _, paths = _paths(self._path)
            stats = [(path, path.stat()) for path in paths]
        return combined([f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats])

    @contextmanager
    def opened(self, file: SourceFile) -> Iterator[Rows]:
        """See :meth:`genome_pipeline.sources.source.Source.opened`."""
        with opened(file, self._settings) as rows:
            yield rows

    def check_unchanged(self, file: SourceFile) -> None:
        """See :meth:`genome_pipeline.sources.source.Source.check_unchanged`."""
        if _content_hash(file.path, file.name) != file.content_hash:
            raise SourceError(f"{file.name} changed while it was read: run again when it is complete")

    def takes(self, path: Path) -> bool:
        """See :meth:`genome_pipeline.sources.source.Source.takes`."""
        log, target = (Path(place).resolve() for place in (self._path, path))
        if log.is_dir():
            is_inside = target.is_relative_to(log) and format_of(target) is not None
            return is_inside and all("=" in folder for folder in target.relative_to(log).parts[:-1])
        patterns = (str(log), str(log).replace("**/", ""))  # "**" may match no folder at all
        return target == log or any(fnmatch(str(target), pattern) for pattern in patterns)


@contextmanager
def _as_source_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system about a file into :class:`SourceError`."""
    try:
        yield
    except OSError as error:
        raise SourceError(unreadable(Path(error.filename or path), error)) from None


def _paths(path: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the paths of the files."""
    if path.is_dir():
        if format_of(path):
            raise SourceError(folder_named_like_file(path))
        found = sorted(_in_folder(path))
        if not found:
            raise SourceError(f"no supported file in {path}, which holds {_contents(path)}; supported: {SUPPORTED}")
        return path, _checked(found)
    if path.exists():
        return path.parent, _checked([path])
    # A folder that exists is not a pattern, whatever its name.
    there = next(parent for parent in path.parents if parent.is_dir())
    rest = path.relative_to(there).parts
    fixed = next((number for number, part in enumerate(rest) if glob.has_magic(part)), None)
    if fixed is None:
        raise SourceError(f"no file or folder {path}: {_nearest(path)}; correct source.path")
    root, pattern = Path(there, *rest[:fixed]), str(Path(*rest[fixed:]))
    if not root.is_dir():
        raise SourceError(f"no folder {root}: {_nearest(root)}; correct source.path")
    # Path.glob would not find files under a trailing "**".
    matches = (root / match for match in glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    found = sorted(match for match in matches if not is_hidden(match) and (format_of(match) or not match.is_dir()))
    if not found:
        raise SourceError(f"no file matches {pattern!r} in {root}, which holds {_contents(root)}; correct source.path")
    return root, _checked(found)


def _in_folder(folder: Path) -> Iterator[Path]:
    for item in folder.iterdir():
        if "=" in item.name and item.is_dir():
            yield from _in_folder(item)
        elif format_of(item) and not is_hidden(item):
            yield item


def _checked(paths: Iterable[Path]) -> list[Path]:
    for path in paths:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        if shown != str(path):
            raise SourceError(f"the name of {shown} is not UTF-8: rename the file")
        if path.is_dir():
            raise SourceError(folder_named_like_file(path))
        if not path.is_file() and path.exists():
            raise SourceError(f"{path} is not a regular file: name files on disk")
        if format_of(path) is None:
            raise SourceError(unsupported(path))
    return list(paths)


def _source_files(root: Path, path: Path) -> Iterator[SourceFile]:
    name = path.relative_to(root).as_posix()
    content_hash = _content_hash(path, name)
    if format_of(path) is Format.WORKBOOK:
        with path.open("rb") as stream:
            sheets = sheet_names(stream, name)
        for sheet in sheets:
            yield SourceFile(f"{name}#{sheet}", path, sheet, content_hash)
    else:
        yield SourceFile(name, path, None, content_hash)


def _content_hash(path: Path, name: str) -> str:
    try:
        with path.open("rb") as stream:
            return in_its_partition(path, name, hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise SourceError(unreadable(path, error)) from None


def _nearest(path: Path) -> str:
    folder = next((parent for parent in path.parents if parent.is_dir()), Path())
    return f"{folder} holds {_contents(folder)}"


def _contents(folder: Path) -> str:
    return listed(sorted(item.name for item in folder.iterdir()))
