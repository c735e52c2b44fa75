r"""Reading ids and names: one rule, for the columns of a log and for an id that a person types.

A name is what is visible of it. Characters that show nothing (NUL and other controls, byte order marks, zero-width and
direction marks) are removed. Blanks of any kind become plain ones, and those around the name are removed. Accents are
composed (Unicode NFC). A whole number written as 17850.0, as in workbooks and columns of doubles, becomes 17850. Case
and leading zeros are kept.
"""

from __future__ import annotations

import re
import unicodedata

UNSEEN = "[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
"""Controls and zero-width marks, except the joiners U+200C and U+200D, which change the characters beside them."""

BLANK = "[\\t\\n\\v\\f\\r\\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Blanks other than the plain one."""

AROUND = "^[ \u200c\u200d]+|[ \u200c\u200d]+$"
"""Characters removed around a name: blanks, and joiners that join nothing."""

WHOLE = "^(0|[1-9][0-9]*)\\.0$"
"""A whole number, the captured group, written as a float."""

# Valid in both Python's regular expressions and RE2, which DuckDB uses.


def as_name(text: str) -> str:
    """The name that ``text`` is read as; empty if nothing of it is visible.

    >>> as_name(" 17850.0"), as_name("007")
    ('17850', '007')
    """
    composed = unicodedata.normalize("NFC", re.sub(UNSEEN, "", text))
    return re.sub(WHOLE, r"\1", re.sub(AROUND, "", re.sub(BLANK, " ", composed)))
