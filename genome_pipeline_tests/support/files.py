"""What stands in the files of a home."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def files_with(folder: Path, text: str) -> list[str]:
    """Files in which the bytes of the text stand, also those of each array in a NumPy archive."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                content += b"".join(array.tobytes() for array in arrays.values())
        if any(text.encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-32-le")):
            found.append(str(path.relative_to(folder)))
    return found
