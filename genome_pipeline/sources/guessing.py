"""Guessing the meaning of an unknown log's columns, and its date and number formats, from names and values.

Each guess says how sure it is; alternatives are listed as doubts, so that nothing is decided silently. Functions take
names and sample values and open nothing.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from genome_pipeline.contracts.formats import CURRENCY_MARKS, NEGATIVE_SHAPES, POSITIVE_SHAPES, Formats
from genome_pipeline.sources.source import Sample

_NAMES = {
    "customer_id": (
        "customerid customeruniqueid customerno customernumber customernum customercode customerkey custid custno"
        " custnum custkey customer clientid clientno clientcode client userid user memberid memberno membernumber"
        " member householdid householdkey household shopperid buyerid buyer accountid accountno accountnumber account"
        " contactid personid visitorid loyaltyid loyaltycard cardid cardno cardnumber kundennummer kundennr kundenr"
        " kundenid kundeid kunde idclient codeclient idcliente cliente codigocliente customeremail emailaddress"
        " buyeremail email"
    ),
    "ordered_at": (
        "orderedat orderdate orderdatetime ordertime ordertimestamp orderpurchasetimestamp ordercreatedat invoicedate"
        " invoicedatetime transactiondate transactiontimestamp transactiondatetime transactiontime transdate"
        " purchasedate purchasedat purchasetimestamp purchasetime saledate salesdate soldat processedat createdat"
        " datecreated paidat datetime timestamp eventtime date day bestelldatum rechnungsdatum belegdatum"
        " auftragsdatum datum datecommande fechapedido fecha"
    ),
    "order_id": (
        "orderid orderno ordernumber ordernum ordercode orderkey order invoiceno invoicenumber invoiceid invoice"
        " basketid basket transactionid transactionno transactionnumber transid transno transaction receiptid"
        " receiptno receiptnumber receipt ticketid ticketno ticket billno billid purchaseid saleid salesid checkoutid"
        " cartid documentno bestellnummer bestellnr auftragsnummer rechnungsnummer rechnungsnr belegnummer belegnr"
        " idcommande numcommande commande idpedido pedido factura"
    ),
    "product_id": (
        "productid productno productcode productkey sku productsku lineitemsku stockcode itemid itemno itemcode"
        " articleid articleno articlenumber artikelnummer artikelnr prodid upc ean gtin asin isbn barcode variantid"
        " materialnumber product item article artikel material productname itemname lineitemname"
    ),
    "category": (
        "category categoryname categoryid categorycode productcategory productcategoryname producttype productgroup"
        " productline itemcategory department departmentname departmentid dept deptid commodity commoditydesc"
        " productfamily warengruppe kategorie categorie categoria rayon"
    ),
    "quantity": (
        "quantity qty quantitysold quantityordered orderquantity orderqty itemquantity lineitemquantity units unitssold"
        " numunits pieces itemcount purchasequantity menge anzahl stuck quantite cantidad"
    ),
    "unit_price": (
        "unitprice priceperunit priceeach itemprice productprice lineitemprice sellingprice salesprice price"
        " einzelpreis stuckpreis preis prixunitaire prix preciounitario precio"
    ),
    "amount": (
        "amount linetotal lineamount netamount salesvalue salesamount saleamount netsales sales revenue netrevenue"
        " turnover extendedprice totalprice totalamount totalsales total subtotal transactionamount orderamount"
        " ordertotal ordervalue purchaseamount spend paymentvalue betrag umsatz gesamtbetrag gesamtpreis nettobetrag"
        " montant importe"
    ),
    "country": ("country countrycode countryname shippingcountry billingcountry customercountry land pays pais"),
    "currency": "currency currencycode wahrung devise moneda",
}
KNOWN_NAMES = {ours: tuple(names.split()) for ours, names in _NAMES.items()}
"""Names common in real logs, without case, accents, blanks and punctuation; the best one first."""

_NUMBERS = ("quantity", "unit_price", "amount")
_NEEDED = ("customer_id", "ordered_at")
# Endings that may follow a known name without changing its meaning.
_ENDINGS = re.compile(r"(?:id|no|nr|code|key|at|utc|gmt|local|time|usd|eur|gbp|value|amount|\d+)+")
# Money other than the price paid for the goods, and days other than that of the order.
_OTHERS = re.compile(r"cost|discount|tax|vat|freight|fee|refund|margin|profit|list|original|birth|deliver|ship|updat")
_CLOSE = 0.93
_MOST = 0.8
_NEARLY_ALL = 0.98
_ENOUGH_VALUES = 30
_ENOUGH_ORDERS = 5


class Sureness(StrEnum):
    """The basis of a guess, the surest first."""

    EXACT_NAME = "known name"
    SIMILAR_NAME = "similar name"
    VALUES = "values only"


@dataclass(frozen=True)
class ColumnGuess:
    """A column of the file that looks like one of our columns."""

    ours: str
    theirs: str
    sureness: Sureness


def guess_columns(
    sample: Sample, known: Mapping[str, str], wanted: Sequence[str], doubts: list[str]
) -> dict[str, ColumnGuess]:
    """The sample's columns by our names; ``known`` are the columns that are mapped already (ours -> theirs).

    Names decide, as far as the values allow it. Values alone decide only for customer and date, if no name matches and
    exactly one column fits.
    """
    found: dict[str, ColumnGuess] = {}
    texts = [written(values) for values in sample.values]
    free = set(range(len(sample.names))) - {
        position for position, name in enumerate(sample.names) if name in known.values()
    }
    for sureness in (Sureness.EXACT_NAME, Sureness.SIMILAR_NAME):
        for ours in (name for name in wanted if name not in known and name not in found):
            position = _by_name(sample, texts, free, ours, sureness, doubts)
            if position is not None:
                free.remove(position)
                found[ours] = ColumnGuess(ours, sample.names[position], sureness)
    for ours in (name for name in _NEEDED if name in wanted and name not in known and name not in found):
        fits = _is_identity if ours == "customer_id" else _is_ordered_at
        fitting = [position for position in sorted(free) if fits(sample.types[position], texts[position])]
        if len(fitting) == 1:
            free.remove(fitting[0])
            found[ours] = ColumnGuess(ours, sample.names[fitting[0]], Sureness.VALUES)
        elif fitting:
            names = _listed(sample.names[position] for position in fitting)
            doubts.append(f"{ours} could be {names}, none of which is named like it")
    return found


def is_written(type_: str) -> bool:
    """Whether the column is text, so that its format has to be known."""
    return type_ == "VARCHAR"


def written(values: Sequence[str | None]) -> list[str]:
    """The values that are not empty, without surrounding blanks."""
    return [value.strip() for value in values if value is not None and value.strip()]


def guess_date_formats(column: str, values: Sequence[str], doubts: list[str]) -> tuple[str, ...]:
    """Strptime formats that read the values, tried in turn; empty if the values are ISO, or if nothing reads them.

    If the order of day and month is ambiguous or changes, the result is empty and a doubt says why.
    """
    if not values or _share(values, _ISO.fullmatch) >= _NEARLY_ALL:
        return ()
    remaining = list(values)
    chosen: list[str] = []
    while len(remaining) > (1 - _NEARLY_ALL) * len(values):
        best = _best_formats(remaining)
        if not best:
            break
        for rival in best[1:]:
            example = next((text for text in remaining if _is_read_otherwise(text, best[0], rival)), None)
            if example is not None:
                doubts.append(
                    f"{column}: day or month first? {example!r} can be read by {_listed((best[0], rival))}; set"
                    " source.date_format to the one that is right"
                )
                return ()
        if _swapped(_day(best[0])) in map(_day, chosen):
            doubts.append(
                f"{column}: some dates are written day first, others month first ({chosen[0]} and {best[0]}); no format"
                " reads both rightly, so repair the log, or split it"
            )
            return ()
        chosen.append(best[0])
        remaining = [text for text in remaining if _parsed(text, best[0]) is None]
    if chosen in ([_ISO_DAY], [_ISO_SECONDS]):
        return ()
    if not chosen:
        doubts.append(f"{column}: no date format reads {values[0]!r}; set source.date_format")
    return tuple(chosen)


def guess_number_format(values: Sequence[str], doubts: list[str]) -> tuple[str, str | None]:
    """Decimal and thousands marks that read most of the values; a doubt if other marks would read other numbers."""
    bare = list(dict.fromkeys(_without_mark(value) for value in values))
    read = {
        formats: [read_number(value, Formats(decimal=formats[0], thousands=formats[1])) for value in bare]
        for formats in _NUMBER_FORMATS
    }
    counts = {formats: sum(number is not None for number in numbers) for formats, numbers in read.items()}
    best = max(_NUMBER_FORMATS, key=lambda formats: counts[formats])
    for other in _NUMBER_FORMATS:
        differing = [
            (value, one, two)
            for value, one, two in zip(bare, read[best], read[other], strict=True)
            if one is not None and two is not None and one != two
        ]
        if differing and counts[other] == counts[best]:
            example, one, two = differing[0]
            doubts.append(
                f"numbers such as {example!r} can be {one} or {two}: {_marks(*best)} is assumed; for the"
                f" other, set {_marks(*other)}"
            )
            break
    return best


def guess_currency(numbers: Sequence[str], named: Sequence[str], doubts: list[str]) -> str:
    """The ISO code of the currency named in its column or marked beside amounts."""
    marks = Counter(mark for text in numbers if (mark := _mark(text)))
    codes = Counter(named)
    if len(codes) > 1 or len(marks) > 1:
        seen = [text for text, _ in (codes if len(codes) > 1 else marks).most_common()]
        doubts.append(
            f"amounts are in several currencies, {_listed(seen)}: they are never converted, so only those in"
            " source.currency are counted, and rows in others quarantined"
        )
    if codes:
        code = codes.most_common(1)[0][0].upper()
        return code if re.fullmatch("[A-Z]{3}", code) else ""
    if not marks:
        return ""
    mark = marks.most_common(1)[0][0]
    users = [code for code, known in CURRENCY_MARKS.items() if mark in known] or [mark]
    code = "USD" if "USD" in users else users[0]
    if len(users) > 1:
        others = ", ".join(other for other in users if other != code)
        doubts.append(
            f"{mark!r} is taken for {code}; it also marks {others}: set source.currency to the one that is right"
        )
    return code


def is_order_total(orders: Sequence[str | None], amounts: Sequence[str | None]) -> bool:
    """Whether the amount is the same on every line of an order; such a total would be counted once per line."""
    lines: dict[str, list[str | None]] = {}
    for order, amount in zip(orders, amounts, strict=True):
        if order is not None:
            lines.setdefault(order, []).append(amount)
    several = [each for each in lines.values() if len(each) > 1]
    alike = [each for each in several if len(set(each) - {None, ""}) == 1]
    return len(several) >= _ENOUGH_ORDERS and len(alike) >= 0.9 * len(several)


def read_number(text: str, formats: Formats) -> Decimal | None:
    """The number, read as :func:`genome_pipeline.transforms.formats.number` reads it."""
    digits = re.search(formats.digits, text)
    shape = re.sub(formats.surroundings, "", re.sub(formats.digits, "0", text))
    if digits is None or shape not in POSITIVE_SHAPES + NEGATIVE_SHAPES:
        return None
    plain = re.sub(formats.separators, "", digits[0]) if formats.separators else digits[0]
    try:
        value = Decimal(plain.replace(formats.decimal, "."))
    except InvalidOperation:
        return None
    return -value if shape in NEGATIVE_SHAPES else value


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether the first line of a file holds values instead of column names."""
    return any(_ISO.fullmatch(name.strip()) or read_number(name.strip(), Formats()) is not None for name in names)


def _by_name(
    sample: Sample,
    texts: Sequence[Sequence[str]],
    free: Iterable[int],
    ours: str,
    sureness: Sureness,
    doubts: list[str],
) -> int | None:
    """The position of the column with the best name whose values fit."""
    named = sorted(
        (rank, position) for position in free if (rank := _rank(sample.names[position], ours, sureness)) is not None
    )
    fitting = sorted(
        (not _comes_back(ours, texts[position]), rank, position)
        for rank, position in named
        if _can_be(ours, sample.types[position], texts[position])
    )
    if not fitting:
        if named and sureness is Sureness.EXACT_NAME:
            name = sample.names[named[0][1]]
            doubts.append(f"column {name!r} is named like {ours}, but its values do not look like it")
        return None
    (never_comes_back, _, best), *others = fitting
    if others:
        names = _listed(sample.names[other] for *_, other in others)
        doubts.append(f"{ours} is taken from {sample.names[best]!r}; it could also be {names}")
    if never_comes_back:
        doubts.append(f"no value of {sample.names[best]!r} comes twice in the sample, as those of a customer should")
    return best


def _rank(name: str, ours: str, sureness: Sureness) -> int | None:
    """The rank of the name in the list of known names; None if it is not in the list."""
    plain = plain_name(name)
    names = KNOWN_NAMES.get(ours, ())
    if sureness is Sureness.EXACT_NAME:
        return names.index(plain) if plain in names else None
    if ours in ("ordered_at", *_NUMBERS) and _OTHERS.search(plain):
        return None
    for rank, known in enumerate(names):
        rest = plain.removeprefix(known)
        if len(known) >= 4 and (
            plain.endswith(known)
            or (rest != plain and _ENDINGS.fullmatch(rest))
            or difflib.SequenceMatcher(None, plain, known).ratio() >= _CLOSE
        ):
            return rank
    return None


def _can_be(ours: str, type_: str, values: Sequence[str]) -> bool:
    """Whether the values allow this meaning; a column without values allows any."""
    if ours == "ordered_at":
        return not values or _is_ordered_at(type_, values)
    if ours in _NUMBERS:
        return not _is_moment(type_) and type_ != "BOOLEAN" and (not values or _share(values, _is_number) >= _MOST)
    return not _is_moment(type_)


def _is_ordered_at(type_: str, values: Sequence[str]) -> bool:
    is_text = is_written(type_) or type_ in ("INTEGER", "BIGINT")
    return _is_moment(type_) or (is_text and bool(values) and _share(values[:200], _is_date) >= _MOST)


def _is_moment(type_: str) -> bool:
    return type_.startswith(("DATE", "TIMESTAMP"))


def _comes_back(ours: str, values: Sequence[str]) -> bool:
    """Whether the values can be customers: among many, at least one occurs more than once."""
    return ours != "customer_id" or len(values) < _ENOUGH_VALUES or len(set(values)) < len(values)


def _is_identity(type_: str, values: Sequence[str]) -> bool:
    """Whether the values look like ids: many different ones, mostly short, some repeated; no measures or dates."""
    distinct = len(set(values))
    return (
        len(values) >= _ENOUGH_VALUES
        and len(values) / 20 <= distinct < len(values)
        and not type_.startswith(("DATE", "TIMESTAMP", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN"))
        and not any(re.fullmatch(r".*\d[.,]\d+", text) for text in values)
        and _share(values[:200], _is_date) < _MOST
    )


def _mark(text: str) -> str:
    """The currency mark beside a number; empty if there is none."""
    rest = re.sub(r"[\d\s.,'\u2019_()+\u2212-]+", " ", text).strip()
    return next((mark for mark in (f"{rest}.", rest) if mark in _CURRENCY_MARKS and mark in text), "")


def _without_mark(text: str) -> str:
    mark = _mark(text)
    return text.replace(mark, "", 1).strip() if mark else text


def _marks(decimal: str, thousands: str | None) -> str:
    return f'decimal = "{decimal}"' + (f' and thousands = "{thousands}"' if thousands else "")


def _is_number(text: str) -> bool:
    bare = _without_mark(text)
    return any(
        read_number(bare, Formats(decimal=decimal, thousands=thousands)) is not None
        for decimal, thousands in _NUMBER_FORMATS
    )


def _is_date(text: str) -> bool:
    return bool(_ISO.fullmatch(text)) or any(_parsed(text, format_) for format_ in _DATE_FORMATS)


def _best_formats(values: Sequence[str]) -> list[str]:
    """The formats that read most of the values; of formats that read them to the same moments, only one."""
    possible = [format_ for format_ in _DATE_FORMATS if any(_parsed(text, format_) for text in values[:20])]
    counts = {format_: sum(_parsed(text, format_) is not None for text in values) for format_ in possible}
    most = max(counts.values(), default=0)
    best: dict[tuple[datetime | None, ...], str] = {}
    for format_ in possible:
        if counts[format_] == most:
            best.setdefault(tuple(_parsed(text, format_) for text in values), format_)
    return list(best.values())


def _parsed(text: str, format_: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, format_)
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _is_read_otherwise(text: str, one: str, other: str) -> bool:
    moments = _parsed(text, one), _parsed(text, other)
    return None not in moments and moments[0] != moments[1]


def _day(format_: str) -> str:
    """The part of the format with day, month and the full year."""
    return format_.split(" ", maxsplit=1)[0].rstrip(",").replace("%y", "%Y")


def _swapped(day: str) -> str:
    return day.replace("%d", "?").replace("%m", "%d").replace("?", "%m")


def plain_name(name: str) -> str:
    """The name without case, accents, blanks and punctuation.

    >>> plain_name("Réf. Client")
    'refclient'
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(mark for mark in decomposed if mark.isascii() and mark.isalnum())


def _share(values: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(bool(test(text)) for text in values) / len(values)


def _listed(items: Iterable[str]) -> str:
    return " or ".join(map(repr, items))


def _date_formats() -> Iterator[str]:
    days = [
        f"{one}{mark}{two}{mark}%{year}" for year in "yY" for mark in "/.-" for one, two in (("%d", "%m"), ("%m", "%d"))
    ]
    days += ["%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d", "%Y.%m.%d", "%d%b%Y"]
    times = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S", " %H:%M:%S.%f"]
    yield from (_ISO_DAY, _ISO_SECONDS, "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S %z", "%Y%m%d%H%M%S")
    yield from (day + time for time in times for day in days)


_ISO = re.compile(
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z| ?UTC|[-+]\d{2}(?::?\d{2})?)?)?"
)
_ISO_DAY, _ISO_SECONDS = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"
_DATE_FORMATS = tuple(_date_formats())
_CURRENCY_MARKS = {mark for code, marks in CURRENCY_MARKS.items() for mark in (code, *marks)}
# If two marks read equally many values, the first wins: three digits after a comma are more likely thousands.
_NUMBER_FORMATS: tuple[tuple[str, str | None], ...] = (
    (".", None),
    (".", ","),
    (",", None),
    (",", "."),
    (",", " "),
    (".", " "),
    (".", "'"),
    (",", "'"),
    (".", "_"),
)
