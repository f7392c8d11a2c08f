# ruff: noqa: RUF001  # names in many scripts hold letters that look alike
"""An invented shop's unified customer profiles and their segments, to try everything out without anybody's data.

Nobody here exists: every address lies in a domain reserved for examples (RFC 2606), every phone number in a range
kept free for fiction or in none that exists. The dirt is that of real sources, at their rates, so that a run has
something to reject, to cut and to clean. The same seed gives the same bytes everywhere: of numpy only the
uniform numbers of PCG64 are used, because the streams of its other draws may change from release to release.

`python -m ccexport.sample FOLDER --profiles N` writes it; `data/sample` was made this way.
"""

from __future__ import annotations

import argparse
import csv
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ccexport.errors import SetupError, UsageError

OPTED_OUT = "unsubscribed@example.com"  # at the local stand-in this person has opted out from birth
SEGMENTS = (
    "Newsletter subscribers",
    "Spring buyers",
    "Loyalty gold",
    "Lapsed 12 months",
    "Northern stores",
    "Birthday this month",
)
MAX_PROFILES = 50_000_000  # a CustomerId has eight digits, and members without a profile need some

_CHUNK_ROWS = 131_072  # in memory at once, a row group of Parquet; another number, other profiles
_OPTED_OUT_ROW = 41
_UNKNOWN_DAY = -1_000_000
_BIRTHDAY_MONTH = 1  # the shop refreshed its segments in January
_CUSTOMER_COLUMNS = (
    *("CustomerId", "FirstName", "LastName", "EMail", "Phone", "Street", "PostalCode", "City"),
    *("Country", "BirthDate", "Company", "JobTitle", "LoyaltyTier", "Language", "CreatedOn"),
)
_TABLES = {"Customer": _CUSTOMER_COLUMNS, "SegmentMembership": ("CustomerId", "Segment")}

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Booleans = npt.NDArray[np.bool_]
_Change = Callable[[pa.Array], pa.Array]
_Dirt = Mapping[str, tuple[float, _Change]]


def write_sample(
    folder: Path,
    profiles: int = 5_000,
    *,
    seed: int = 2021,
    format: Literal["csv", "parquet"] = "csv",
) -> None:
    """Write `Customer` and `SegmentMembership` into the folder, replacing earlier ones; each appears complete.

    The smaller sample of a seed need not be the beginning of the larger. CSV is UTF-8 without BOM, lines end in LF,
    and a missing value is an empty field. Raises `UsageError` where the number is out of range or Parquet tables in
    the folder would be read in place of the CSV, and `SetupError` where the folder cannot be written.
    """
    _refuse_unusable(folder, profiles, seed, format)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".sample-") as unfinished:
            _write_tables(Path(unfinished), profiles, seed, format)
            for name in _TABLES:
                (Path(unfinished) / f"{name}.{format}").replace(folder / f"{name}.{format}")
    except OSError as error:
        raise SetupError(
            f'The sample cannot be written into "{folder}" ({error.strerror or error}). Choose another folder.'
        ) from error


def _refuse_unusable(folder: Path, profiles: int, seed: int, format: str) -> None:
    if not 1 <= profiles <= MAX_PROFILES:
        raise UsageError(
            f"A sample has 1 to {MAX_PROFILES:,} profiles, not {profiles:,}. Ask for another number."
        )
    if seed < 0:
        raise UsageError(f"A seed is 0 or more, not {seed}. Choose another.")
    if format == "csv" and any((folder / f"{name}.parquet").exists() for name in _TABLES):
        raise UsageError(
            f'The folder "{folder}" holds Parquet tables, which are read before CSV. Choose another folder.'
        )


def _write_tables(folder: Path, profiles: int, seed: int, format: str) -> None:
    with (
        _open_table(folder / f"Customer.{format}") as write_customers,
        _open_table(folder / f"SegmentMembership.{format}") as write_memberships,
    ):
        for customers, memberships in _chunks(profiles, seed):
            write_customers(customers)
            write_memberships(memberships)


@contextmanager
def _open_table(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    columns = _TABLES[path.stem]
    if path.suffix == ".parquet":
        schema = pa.schema([(name, pa.string()) for name in columns])
        with pq.ParquetWriter(path, schema) as parquet:
            yield parquet.write_table
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(columns)
        yield lambda rows: lines.writerows(zip(*(c.to_pylist() for c in rows.columns), strict=True))


def _chunks(profiles: int, seed: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Customers and memberships of so many profiles at a time."""
    dice = _Dice(seed)
    for start in range(0, profiles, _CHUNK_ROWS):
        numbers = np.arange(start, min(start + _CHUNK_ROWS, profiles), dtype=np.int64)
        customers, segments = _profiles(dice, numbers)
        memberships = [_members(customers["CustomerId"], segments)]
        if numbers[-1] == profiles - 1:
            memberships.append(_strangers(profiles))
        yield customers, pa.concat_tables(memberships)


class _Dice:
    """The draws, each made of uniform numbers alone."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, count: int) -> _Floats:
        """Numbers from 0 up to but without 1."""
        return self._generator.random(count)

    def below(self, limit: int, count: int) -> _Integers:
        return (self.uniform(count) * limit).astype(np.int64)

    def weighted(self, weights: Sequence[float], count: int) -> _Integers:
        """Indices by weight; the last gets what the others leave of 1."""
        borders = np.cumsum(np.array(weights[:-1], dtype=np.float64))
        return np.searchsorted(borders, self.uniform(count), side="right").astype(np.int64)

    def shuffled(self, count: int) -> _Integers:
        """The numbers from 0 to count - 1 in some order."""
        return np.argsort(self.uniform(count), kind="stable").astype(np.int64)

    def soiled(self, values: pa.Array, dirt: _Dirt, where: _Booleans | None = None) -> pa.Array:
        """The values, each with one kind of dirt at most, at that kind's rate; `where` tells who may have any."""
        borders = np.cumsum(np.array([rate for rate, _ in dirt.values()], dtype=np.float64))
        kinds = np.searchsorted(borders, self.uniform(len(values)), side="right")
        for number, (_, change) in enumerate(dirt.values()):
            chosen = (kinds == number) if where is None else (kinds == number) & where
            if chosen.any():
                mask = pa.array(chosen)
                values = pc.replace_with_mask(values, mask, change(values.filter(mask)))
        return values

    def filled(self, patterns: Sequence[str], chosen: _Integers) -> pa.Array:
        """The chosen patterns, with two digits in the place of ##."""
        parts = [pattern.partition("##") for pattern in patterns]
        digits = pa.array(self.below(90, len(chosen)) + 10).cast(pa.string())
        return _joined(
            _taken([p[0] for p in parts], chosen), digits, _taken([p[2] for p in parts], chosen)
        )


def _profiles(dice: _Dice, numbers: _Integers) -> tuple[pa.Table, dict[str, _Booleans]]:
    """The customers of these numbers, and by segment who of them is in it."""
    count = len(numbers)
    person, is_again = _people(dice, count)
    country = dice.weighted([c.weight for c in _COUNTRIES], count)[person]
    city = _CITIES.pick(country, dice.uniform(count))
    tier = dice.weighted([0.12, 0.22, 0.36, 0.30], count)
    birth_day = dice.below(66 * 365, count) - 30 * 365  # days since 1970: 1940 to 2005
    birth_day[dice.uniform(count) < 0.15] = _UNKNOWN_DAY
    is_opted_out = (numbers == min(_OPTED_OUT_ROW, numbers[-1])) & (numbers[0] == 0)
    names = _names_and_email(dice, country, person, is_again, numbers)
    names["EMail"] = pc.if_else(pa.array(is_opted_out), OPTED_OUT, names["EMail"])
    columns = {
        "CustomerId": _customer_ids(numbers),
        **names,
        **_address(dice, country, city),
        "BirthDate": _iso_dates(birth_day),
        **_work(dice, count),
        "LoyaltyTier": _taken(["Gold", "Silver", "Bronze", None], tier),
        "Language": _taken([c.language for c in _COUNTRIES], country),
        "CreatedOn": _iso_dates(dice.below(14 * 365, count) + 15_341),  # 2012 to 2025
    }
    members = (
        (dice.uniform(count) < 0.60) | is_opted_out,
        dice.uniform(count) < 0.31,
        tier == 0,
        dice.uniform(count) < 0.22,
        np.isin(city, _NORTHERN),
        (birth_day != _UNKNOWN_DAY) & (_months(birth_day) == _BIRTHDAY_MONTH),
    )
    return pa.table(columns).select(_CUSTOMER_COLUMNS), dict(zip(SEGMENTS, members, strict=True))


def _people(dice: _Dice, count: int) -> tuple[_Integers, _Booleans]:
    """Which person each row is about, and whether that person has a row already: 2 to 4 rows of some."""
    order = dice.shuffled(count)
    twice = count // 60
    first_rows = order[:twice]
    again = np.concatenate([first_rows, first_rows[: twice // 3], first_rows[: twice // 10]])
    person = np.arange(count, dtype=np.int64)
    is_again = np.zeros(count, dtype=np.bool_)
    rows = order[twice : twice + len(again)]
    person[rows], is_again[rows] = again, True
    return person, is_again


def _names_and_email(
    dice: _Dice, country: _Integers, person: _Integers, is_again: _Booleans, numbers: _Integers
) -> dict[str, pa.Array]:
    """Names and address as the person has them; dirt and spelling are the row's own."""
    count = len(numbers)
    first = _FIRST_NAMES.pick(country, dice.uniform(count)[person])
    last = _LAST_NAMES.pick(country, dice.uniform(count)[person])
    emails = _joined(
        _taken([_slug(name) for name in _FIRST_NAMES.words], first),
        _taken([".", "_", ""], dice.weighted([0.7, 0.1, 0.2], count)[person]),
        _taken([_slug(name) for name in _LAST_NAMES.words], last),
        pa.array(numbers[person]).cast(pa.string()),
        _taken(_DOMAINS, dice.weighted([0.45, 0.2, 0.15, 0.1, 0.1], count)[person]),
    )
    emails = dice.soiled(emails, _SPELLED_AGAIN, where=is_again)
    return {
        "FirstName": dice.soiled(_taken(_spelled(_FIRST_NAMES), first), _FIRST_NAME_DIRT),
        "LastName": dice.soiled(_taken(_spelled(_LAST_NAMES), last), _LAST_NAME_DIRT),
        "EMail": dice.soiled(emails, _EMAIL_DIRT),
    }


def _address(dice: _Dice, country: _Integers, city: _Integers) -> dict[str, pa.Array]:
    street = _STREETS.pick(country, dice.uniform(len(country)))
    phones = dice.filled([c.phone for c in _COUNTRIES], country)
    postal_codes = dice.filled([c.postal for c in _COUNTRIES], country)
    return {
        "Phone": dice.soiled(phones, _PHONE_DIRT),
        "Street": dice.soiled(dice.filled(_STREETS.words, street), _STREET_DIRT),
        "PostalCode": dice.soiled(postal_codes, _GAPS),
        "City": dice.soiled(_taken(_CITIES.words, city), _CITY_DIRT),
        "Country": dice.soiled(_taken([c.name for c in _COUNTRIES], country), _GAPS),
    }


def _work(dice: _Dice, count: int) -> dict[str, pa.Array]:
    companies = _taken(_COMPANIES, dice.below(len(_COMPANIES), count))
    jobs = _taken(_JOBS, dice.below(len(_JOBS), count))
    return {
        "Company": dice.soiled(companies, _COMPANY_DIRT),
        "JobTitle": dice.soiled(jobs, _JOB_DIRT),
    }


def _members(customer_ids: pa.ChunkedArray, segments: Mapping[str, _Booleans]) -> pa.Table:
    ids = [customer_ids.filter(pa.array(is_member)) for is_member in segments.values()]
    sizes = [len(members) for members in ids]
    names = _taken(list(segments), np.repeat(np.arange(len(sizes)), sizes))
    return pa.table(
        {"CustomerId": pa.concat_arrays([i.combine_chunks() for i in ids]), "Segment": names}
    )


def _strangers(profiles: int) -> pa.Table:
    """Memberships left behind by profiles that were deleted or merged."""
    ids = _customer_ids(np.arange(profiles, profiles + len(SEGMENTS), dtype=np.int64))
    return pa.table({"CustomerId": ids, "Segment": list(SEGMENTS)})


def _customer_ids(numbers: _Integers) -> pa.Array:
    """Unique, and in no order: the factor shares no divisor with the power of ten."""
    scattered = (numbers + 1) * 61_803_399 % 10**8
    return _joined(pa.scalar("C"), pc.utf8_lpad(pa.array(scattered).cast(pa.string()), 8, "0"))


def _iso_dates(days: _Integers) -> pa.Array:
    """YYYY-MM-DD of days since 1970, missing where the day is unknown."""
    dates = pa.array(days.astype(np.int32), mask=days == _UNKNOWN_DAY)
    return dates.cast(pa.date32()).cast(pa.string())


def _months(days: _Integers) -> _Integers:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def _taken(words: Sequence[str | None], chosen: _Integers) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(chosen))


def _joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


# ---- dirt: what a person, a form or an old system does to one value


def _missing(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), pa.string())


def _always(text: str) -> _Change:
    return lambda values: pa.array([text] * len(values), pa.string())


def _around(before: str, after: str) -> _Change:
    return lambda values: _joined(pa.scalar(before), values, pa.scalar(after))


def _replaced(pattern: str, replacement: str) -> _Change:
    """Change the first place where the pattern (RE2) is found."""
    return lambda values: pc.replace_substring_regex(
        values, pattern, replacement, max_replacements=1
    )


def _each(change: Callable[[str], str]) -> _Change:
    return lambda values: pa.array([change(value) for value in values.to_pylist()], pa.string())


def _decomposed(name: str) -> str:
    """Accents as characters of their own, as macOS writes file names."""
    return unicodedata.normalize("NFD", name)


# Below, a kind of dirt is a line and a country a block.
# fmt: off
_LONG_DOMAIN = "@members.newsletter.high-street-shop.example"  # makes 51 to 80 characters of usual names
_NAME_OF_90 = "María de los Ángeles Guadalupe Fernanda Antonia de la Santísima Trinidad Ruiz y Picasso II"
_EMAIL_DIRT: _Dirt = {
    "missing": (0.030, _missing),
    "blank": (0.004, _always("   ")),
    "no @": (0.003, _replaced("@", ".")),
    "two @": (0.002, _replaced("@", "@@")),
    "no dot in the domain": (0.002, _replaced("@.*", "@example")),
    "space inside": (0.003, _replaced("@", " @")),
    "trailing dot": (0.002, _around("", ".")),
    "double dot": (0.002, _replaced("@", "..shop@")),
    "dot before @": (0.001, _replaced("@", ".@")),
    "not ASCII": (0.003, _around("é", "")),
    "upper case": (0.030, pc.ascii_upper),
    "padded": (0.015, _around(" ", "  ")),
    "tab": (0.002, _around("\t", "")),
    "line break": (0.002, _around("", "\n")),
    "apostrophe": (0.003, _around("o'", "")),  # allowed
    "tag": (0.010, _replaced("@", "+shop@")),  # allowed
    "formula": (0.001, _around("=1+", "")),  # allowed as well
    "51 to 80 characters": (0.006, _replaced("@.*", f"+shop{_LONG_DOMAIN}")),
    "over 80 characters": (0.002, _replaced("@.*", f"+{'every.offer.' * 4}please{_LONG_DOMAIN}")),
}
_SPELLED_AGAIN: _Dirt = {
    "upper case": (0.35, pc.ascii_upper),
    "capital": (0.35, pc.ascii_capitalize),
    "padded": (0.10, _around(" ", "")),
}
_NAME_DIRT: _Dirt = {
    "missing": (0.012, _missing),
    "blank": (0.002, _always("  ")),
    "padded": (0.015, _around(" ", "  ")),
    "upper case": (0.030, _each(str.upper)),
    "lower case": (0.020, _each(str.lower)),
    "decomposed": (0.010, _each(_decomposed)),
    "formula": (0.0012, _always("=1+1")),
    "markup": (0.001, _around("<b>", "</b>")),
    "tab": (0.001, _around("", "\tJr")),
}
_FIRST_NAME_DIRT: _Dirt = {
    **_NAME_DIRT,
    "nickname": (0.004, _around("", ' "Buddy"')),
    "emoji": (0.002, _around("", " 🌻")),
    "line break": (0.004, _around("", "\nMarie")),
    "too long": (0.0015, _always(_NAME_OF_90)),
    "other formula": (0.0008, _always("@SUM(1+1)*cmd")),
}
_LAST_NAME_DIRT: _Dirt = {
    **_NAME_DIRT,
    "title": (0.004, _around("", ", Jr.")),
    "placeholder": (0.002, _always("NULL")),
    "line break": (0.002, _around("", "\r\n(née Smith)")),
    "too long": (0.0015, _around("", f"-{_NAME_OF_90}")),
    "other formula": (0.0008, _always("-2+3")),
}
_GAPS: _Dirt = {"missing": (0.05, _missing)}
_CITY_DIRT: _Dirt = {**_GAPS, "upper case": (0.02, _each(str.upper)), "padded": (0.01, _around("", " "))}
_PHONE_DIRT: _Dirt = {
    "missing": (0.20, _missing),
    "with an extension": (0.002, _around("", " ext. 12, ask for the desk")),  # longer than 25
    "not known": (0.003, _always("-")),
}
_STREET_DIRT: _Dirt = {
    "missing": (0.10, _missing),
    "flat": (0.03, _around("", ", Flat 3")),
    "two lines": (0.01, _around("c/o Reception\n", "")),
}
_COMPANY_DIRT: _Dirt = {"missing": (0.70, _missing), "formula": (0.0008, _always('=HYPERLINK("https://shop.example")'))}
_JOB_DIRT: _Dirt = {"missing": (0.60, _missing), "two lines": (0.003, _around("", "\r\nand deputy"))}


# ---- words


@dataclass(frozen=True)
class _Country:
    """A share of the customers; words are divided by |, and a colon leads to a name's spelling in addresses."""

    weight: float
    name: str
    language: str
    phone: str
    postal: str
    streets: str
    cities: str
    first_names: str
    last_names: str


_COUNTRIES = (
    _Country(
        0.30, "United States", "en-US", "+1 202 555 01##", "021##",
        "## Elm Street|## Main St|## Old Mill Road, Apt 4|## Oak Ave #2",
        "Boston|Duluth|Portland|St. Paul|Tucson|New Orleans",
        "Mary|James|Linda|Robert|Ashley|Mary-Jo|DeShawn|Latoya|Chloe|Zoë|Michael|Sue Ellen",
        "Smith|Johnson|Williams|O'Brien|McDonald|Washington|Lee|D'Angelo|Van Buren|Jones|St. John|Garcia-Lopez",
    ),
    _Country(
        0.14, "United Kingdom", "en-GB", "+44 20 7946 09##", "LS## 4QP",
        "## High Street|## King's Road|The Old Vicarage, ## Church Ln",
        "Leeds|Newcastle upon Tyne|Glasgow|London|Bristol|Bath",
        "Olivia|Harry|Amelia|George|Siân|Priya|Mohammed|Fiona|Rhys|Anne-Marie",
        "Taylor|Brown|Patel|Khan|Evans|MacLeod|Ní Dhomhnaill|Featherstonehaugh|Singh|Wright",
    ),
    _Country(
        0.05, "Ireland", "en-IE", "+353 20 912 01##", "D## X4P2", "## O'Connell Street|## St. Stephen's Green",
        "Dublin|Cork|Letterkenny|Galway", "Aoife|Seán|Niamh|Ciarán|Síle|Pádraig",
        "O'Neill|O'Connor|Murphy|Ó Súilleabháin|Byrne|Fitzgerald",
    ),
    _Country(
        0.10, "Spain", "es-ES", "+34 000 555 01##", "280##",
        "Calle Mayor, ##|Avenida de la Constitución, ##|Plaza de España, ##",
        "Madrid|Sevilla|A Coruña|Málaga", "José|María|Begoña|Iñaki|Ángel|Núria|Jesús|María José",
        "García|Muñoz|De la Cruz|Ibáñez|Peña|Ortiz|Fernández-Villaverde|Gómez",
    ),
    _Country(
        0.04, "Brazil", "pt-BR", "+55 00 5550 01##", "013##-000", "Rua das Flores, ##|Av. São João, ##",
        "São Paulo|Belém|Florianópolis", "João|Conceição|Luís|Ana Júlia|Antônio|Inês",
        "da Silva|Gonçalves|Araújo|dos Santos|Simões",
    ),
    _Country(
        0.09, "France", "fr-FR", "+33 1 99 00 17 ##", "750##",
        "##, rue de l'Église|##, avenue Victor-Hugo|##, quai d'Orsay",
        "Paris|Lille|Nîmes|Besançon", "François|Chloé|Jean-Pierre|Hélène|Gaël|Loïc|Maëlle|Benoît",
        "Dupont|L'Hôpital|d'Artagnan|Lefèvre|Müller-Châtelain|Œuvrard|Garçon|Roux",
    ),
    _Country(
        0.09, "Germany", "de-DE", "+49 30 23125 1##", "010##", "Hauptstraße ##|An der Mühle ##|Bahnhofstr. ## a",
        "Dresden|Kiel|Köln|München", "Jürgen|Käthe|Björn|Anneliese|Günther|Sören|Ulrike|Hans-Jörg",
        "Müller|Weiß|Schröder|von der Heide|Groß|Schäfer|Meyer-Lüdenscheidt|Kühn",
    ),
    _Country(
        0.04, "Sweden", "sv-SE", "+46 8 465 004 ##", "114 ##",
        "Storgatan ##|Södra vägen ##", "Stockholm|Umeå|Malmö|Kiruna",
        "Åsa|Örjan|Linnéa|Håkan|Bjørn", "Ångström|Sjöberg|Lindqvist|Øster|Håkansson",
    ),
    _Country(
        0.03, "Poland", "pl-PL", "+48 000 555 01##", "00-9##",
        "ul. Długa ##|al. Jana Pawła II ##", "Warszawa|Łódź|Gdańsk",
        "Łukasz|Małgorzata|Zbigniew|Żaneta|Agnieszka", "Wałęsa|Kowalczyk|Dąbrowska|Brzęczyszczykiewicz|Żółć",
    ),
    _Country(
        0.02, "Türkiye", "tr-TR", "+90 000 555 01 ##", "340##", "İstiklal Cd. ##|Atatürk Blv. ##", "İstanbul|İzmir",
        "İbrahim|Ayşe|Çağla|Işıl|Oğuz", "Yılmaz|Öztürk|Şahin|Gündoğdu",
    ),
    _Country(
        0.02, "Greece", "el-GR", "+30 000 555 01##", "105 ##", "Οδός Ερμού ##|Λεωφόρος Συγγρού ##", "Αθήνα|Θεσσαλονίκη",
        "Ελένη:eleni|Γιώργος:giorgos|Κωνσταντίνα:konstantina|Νίκος:nikos",
        "Παπαδοπούλου:papadopoulou|Παππάς:pappas|Οικονόμου:oikonomou",
    ),
    _Country(
        0.025, "Ukraine", "uk-UA", "+380 00 555 01##", "010##",
        "вул. Хрещатик, ##|просп. Миру, ##", "Київ|Львів|Чернігів",
        "Олена:olena|Юрій:yurii|Наталія:nataliia|Їжак:yizhak|Андрій:andrii",
        "Шевченко:shevchenko|Коваленко:kovalenko|Лук'яненко:lukianenko|Щербак:shcherbak",
    ),
    _Country(
        0.015, "Egypt", "ar-EG", "+20 00 5550 01##", "115##", "## شارع التحرير|## شارع الهرم", "القاهرة|الإسكندرية",
        "محمد:mohamed|فاطمة:fatma|أحمد:ahmed|نور الهدى:nour", "عبد الرحمن:abdelrahman|حسن:hassan|السيد:elsayed",
    ),
    _Country(
        0.01, "Israel", "he-IL", "+972 0 555 01##", "61020##", "רחוב דיזנגוף ##|שדרות רוטשילד ##", "תל אביב|חיפה",
        "נועה:noa|דוד:david|יעל:yael", "כהן:cohen|לוי:levi|בן־דוד:bendavid",
    ),
    _Country(
        0.015, "China", "zh-CN", "+86 000 555 01##", "1000##", "长安街##号|南京路##号", "北京|哈尔滨",
        "伟:wei|秀英:xiuying|芳:fang|𠮷:ji", "王:wang|李:li|张:zhang|欧阳:ouyang",
    ),
    _Country(
        0.01, "Japan", "ja-JP", "+81 0 5550 01##", "100-00##", "千代田区丸の内1-##|みなと通り##", "東京|札幌",
        "さくら:sakura|健太:kenta|ユウキ:yuki", "佐藤:sato|髙橋:takahashi|渡邉:watanabe",
    ),
    _Country(
        0.005, "South Korea", "ko-KR", "+82 0 555 01##", "045##", "세종대로 ##|강남대로 ##", "서울|춘천",
        "민준:minjun|서연:seoyeon|지우:jiwoo", "김:kim|이:lee|박:park|남궁:namgung",
    ),
)
_NORTHERN_CITIES = (
    "Duluth", "Newcastle upon Tyne", "Glasgow", "Letterkenny", "A Coruña", "Lille", "Kiel",
    "Umeå", "Kiruna", "Gdańsk", "Чернігів", "哈尔滨", "札幌", "춘천",
)
_DOMAINS = ("@example.com", "@example.org", "@example.net", "@mail.example", "@post.shop.example")
_COMPANIES = (
    "Contoso & Sons", "Müller, Weiß und Söhne KG", 'Café "Zur Mühle"', "Northwind Traders, Inc.", "Łódź Sp. z o.o.",
    "O'Brien's Garden Centre", "Acme", "Fabrikam", "株式会社さくら", "Smith | Jones; Partners", "50% Off Ltd",
    "self-employed",
)
_JOBS = (
    "Buyer", "Head of Sales, EMEA", "Teacher", "Store manager", "Développeuse", "Geschäftsführer", "CEO", "Nurse",
    "Senior vice president for customer relations, loyalty and partner programmes",
)
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "ı": "i", "œ": "oe", "æ": "ae"})
# fmt: on


class _Words:
    """The words of one kind, country after country."""

    def __init__(self, lists: Sequence[str]) -> None:
        parted = [words.split("|") for words in lists]
        self.words = [word for words in parted for word in words]
        self._counts = np.array([len(words) for words in parted], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts

    def pick(self, country: _Integers, uniform: _Floats) -> _Integers:
        """Indices into `words`, each in the part of its country."""
        return self._starts[country] + (uniform * self._counts[country]).astype(np.int64)


def _spelled(names: _Words) -> list[str]:
    return [name.partition(":")[0] for name in names.words]


def _slug(name: str) -> str:
    """A name as it stands in an address: a-z alone."""
    plain = unicodedata.normalize(
        "NFKD", (name.partition(":")[2] or name).lower().translate(_LETTERS)
    )
    return "".join(letter for letter in plain if "a" <= letter <= "z")


_FIRST_NAMES = _Words([c.first_names for c in _COUNTRIES])
_LAST_NAMES = _Words([c.last_names for c in _COUNTRIES])
_CITIES = _Words([c.cities for c in _COUNTRIES])
_STREETS = _Words([c.streets for c in _COUNTRIES])
_NORTHERN = [i for i, city in enumerate(_CITIES.words) if city in _NORTHERN_CITIES]


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m ccexport.sample`: 0 done, 1 not written, 2 filled in wrongly; one line says why."""
    parser = argparse.ArgumentParser(
        prog="python -m ccexport.sample", description="Write sample data."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--profiles", type=int, default=5_000, metavar="N")
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    chosen = parser.parse_args(arguments)
    try:
        write_sample(chosen.folder, chosen.profiles, seed=chosen.seed, format=chosen.format)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
