"""Whether the source still has the files that were published."""

from __future__ import annotations

from collections.abc import Mapping

from genome_pipeline.quality.volume import Finding

_NAMED = 5

Files = Mapping[str, tuple[str | None, int]]
"""Name of each source file -> its content hash, if it has one, and its number of rows."""


def judge_files(published: Files, now: Files, limit: float) -> tuple[Finding, float]:
    """The published files that are gone, in words, and their share of rows; passed if no file is gone.

    A file under another name is not gone. ``limit`` is the greatest share of rows that may be gone.
    """
    contents = {content for content, _ in now.values()} - {None}
    gone = {
        name: rows - now.get(name, (None, 0))[1]
        for name, (content, rows) in published.items()
        if content not in contents and now.get(name, (None, 0))[1] < rows
    }
    rows, lost = sum(count for _, count in published.values()), sum(gone.values())
    if not gone:
        return Finding(True, f"all {len(published):,} files that were published, with {rows:,} rows"), 0.0
    named = [
        f"{name} has {now[name][1]:,} of its {published[name][1]:,} rows left"
        if name in now
        else f"{name} with {count:,} rows is gone"
        for name, count in sorted(gone.items(), key=lambda item: (-item[1], item[0]))
    ]
    more = f"; and {len(named) - _NAMED:,} more files" if len(named) > _NAMED else ""
    share = lost / rows
    words = f"since the last publication {'; '.join(named[:_NAMED])}{more}: {share:.1%} of {rows:,} rows"
    if share > limit:
        words += f", and at most {limit:.0%} may go: put them back, or raise quality.max_removed_share"
    return Finding(False, words), share
