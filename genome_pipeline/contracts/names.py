r"""How ids and names are taken: one rule, for the columns of a log and for an id that a person types.

A name is what is seen of it. Characters that show nothing (NUL and other controls, byte order marks, zero-width and
direction marks) are left out; a blank of any kind is a plain one, and those around the name are left out; accents are
composed (Unicode NFC); and a whole number written as 17850.0 is 17850, as workbooks and columns of doubles have it.
Case counts, and so do leading zeros.
"""

from __future__ import annotations

import re
import unicodedata

UNSEEN = "[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
"""Controls and marks without a width; not the joiners of U+200C and U+200D, which change what is beside them."""

BLANK = "[\\t\\n\\v\\f\\r\\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Blanks other than the plain one."""

AROUND = "^[ \u200c\u200d]+|[ \u200c\u200d]+$"
"""What may stand around a name: blanks, and joiners that join nothing."""

WHOLE = "^(0|[1-9][0-9]*)\\.0$"
"""A whole number, the group, written as a float."""

# Each is of Python's dialect and of RE2's, which DuckDB has.


def as_name(text: str) -> str:
    """The name that ``text`` is taken for; empty where nothing is seen of it.

    >>> as_name(" 17850.0"), as_name("007")
    ('17850', '007')
    """
    composed = unicodedata.normalize("NFC", re.sub(UNSEEN, "", text))
    return re.sub(WHOLE, r"\1", re.sub(AROUND, "", re.sub(BLANK, " ", composed)))
