"""Formats of numbers, dates and times, declared once for reading and for guessing."""

from __future__ import annotations

import re
from dataclasses import dataclass

CURRENCY_MARKS = {
    "AUD": ("$", "A$", "AU$"),
    "BRL": ("R$",),
    "CAD": ("$", "C$", "CA$"),
    "CHF": ("Fr.", "SFr."),
    "CNY": ("¥", "元"),
    "CZK": ("Kč",),
    "DKK": ("kr", "kr."),
    "EUR": ("€",),
    "GBP": ("£",),
    "HKD": ("$", "HK$"),
    "ILS": ("₪",),
    "INR": ("₹", "Rs", "Rs."),
    "JPY": ("¥", "円"),
    "KRW": ("₩",),
    "MXN": ("$", "MX$"),
    "NOK": ("kr", "kr."),
    "NZD": ("$", "NZ$"),
    "PLN": ("zł",),
    "RUB": ("₽",),
    "SEK": ("kr", "kr."),
    "SGD": ("$", "S$"),
    "TRY": ("₺", "TL"),
    "UAH": ("₴",),
    "USD": ("$", "US$"),
    "ZAR": ("R",),
}
"""Marks written beside amounts in common currencies, in addition to the ISO code."""

# No-break spaces, narrow and not, and the thin space.
_BLANKS = "\u00a0\u202f\u2009"
_SPELLINGS = {" ": f"[ {_BLANKS}]", "'": "['\u2019]", ".": r"\.", ",": ",", "_": "_"}

POSITIVE_SHAPES = ("0", "+0")
NEGATIVE_SHAPES = ("-0", "\u22120", "0-", "(0)")


@dataclass(frozen=True)
class Formats:
    """How text is read; typed columns (Parquet) are not affected.

    ``date_formats`` are strptime formats tried in turn; without any, dates are ISO 8601. ``time_zone`` is the IANA name
    of the zone whose wall time counts. ``decimal`` and ``thousands`` are the marks in numbers. ``currency`` is the ISO
    code of the currency whose marks may stand beside an amount.
    """

    date_formats: tuple[str, ...] = ()
    time_zone: str = "UTC"
    decimal: str = "."
    thousands: str | None = None
    currency: str = ""

    @property
    def digits(self) -> str:
        """Pattern of an unsigned number. Groups have three digits; all but the last may have two (lakh)."""
        mark = _SPELLINGS[self.decimal]
        whole = "[0-9]+"
        if self.thousands is not None:
            group = _SPELLINGS[self.thousands]
            whole = f"(?:[1-9][0-9]{{0,2}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}|[0-9]+)"
        return f"(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][-+]?[0-9]+)?"

    @property
    def separators(self) -> str | None:
        """Pattern of the thousands mark, None if there is none."""
        return None if self.thousands is None else _SPELLINGS[self.thousands]

    @property
    def surroundings(self) -> str:
        """Pattern of text around a number without a meaning of its own: blanks and currency marks."""
        marks = sorted((self.currency, *CURRENCY_MARKS.get(self.currency, ())), key=len, reverse=True)
        return "|".join([f"[\\s{_BLANKS}]", *(re.escape(mark) for mark in marks if mark)])
