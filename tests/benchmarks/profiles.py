"""Made-up profiles in the source's two files, many of them quickly, the same every time.

11 columns, keys in no order, and what real profiles have: 1 % no address, 1 % no valid one, 2 % in pairs that share
one, 0.5 % long ones, quotes, commas, other scripts, white space around values, line breaks, names that are too long.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

_FIRST = (
    "Ana Björn Chloé José Zoë Ivan Мария 伟 Fatima John Mary Olga Peter Siân Łukasz Noor Emma Liam"
)
_LAST = (
    "Smith|O'Brien|Müller|García|Kowalski|Nguyen|Lee|van der Berg|Rossi|Silva|Hansen|Novák|王|Brown"
)
_TITLES = 'Engineer|Manager, Sales|Director|Analyst|Teacher|Nurse|VP "Growth"|Driver|Consultant|'
_CITIES = "Seattle|München|São Paulo|Paris|London|Springfield|Zürich|Kraków|Oslo|Lima"
_COUNTRIES = "US|Germany|Brazil|France|United Kingdom|Switzerland|Poland|Norway|Peru"
_DOMAINS = "example.com|mail.example.org|example.net|shop.example.co.uk"


def make_profiles(
    folder: Path,
    profiles: int,
    members: int | None = None,
    *,
    untrimmed: bool = False,
    as_csv: bool = True,
) -> None:
    """Write `csv/` and `parquet/` below the folder: everybody in segment All, half of them in Half too.

    With `members`, only so many of the profiles are in a segment; `untrimmed`: 30 % have blanks around their last name.
    Without `as_csv` there is `parquet/` alone.
    """
    connection = duckdb.connect(config={"threads": 2})
    tables = {
        "Customer": _customers(profiles, 30 if untrimmed else 1),
        "SegmentMembership": _memberships(profiles, members or profiles),
    }
    for ending in ("csv", "parquet")[not as_csv :]:
        (folder / ending).mkdir(parents=True, exist_ok=True)
    for name, query in tables.items():
        parquet = folder / "parquet" / f"{name}.parquet"
        connection.execute(f"COPY ({query}) TO '{parquet}' (FORMAT parquet)")
        if as_csv:
            connection.execute(f"COPY (FROM '{parquet}') TO '{folder}/csv/{name}.csv' (HEADER)")
    connection.close()


def _customers(profiles: int, untrimmed_percent: int) -> str:
    return f"""
        SELECT {_key(profiles)} AS "CustomerId",
            CASE h1 % 100 WHEN 0 THEN '' WHEN 1 THEN 'not an address ' || i
                WHEN 2 THEN 'Person' || (i // 2) || '@Example.com' WHEN 3 THEN 'person' || (i // 2) || '@example.com'
                ELSE CASE WHEN h1 % 200 = 104
                    THEN 'a.very.long.address.of.somebody.number.' || i || '@mail.example-company.org'
                    ELSE 'person' || i || '@' || {_pick(_DOMAINS, 2)} END END AS "EMail",
            {_pick(_FIRST.replace(" ", "|"), 3)} || CASE hash(i * 5) % 500
                WHEN 0 THEN repeat(' very long', 6) WHEN 1 THEN chr(10) || 'x' ELSE '' END AS "FirstName",
            {_pick(_LAST, 4)} || CASE WHEN hash(i * 7) % 100 < {untrimmed_percent} THEN ' ' ELSE '' END AS "LastName",
            '+1 ' || (200 + hash(i * 11) % 800) || ' ' || lpad((hash(i * 13) % 10000000)::TEXT, 7, '0') AS "Phone",
            {_pick(_TITLES, 5)} AS "JobTitle", 'Company ' || (hash(i * 17) % 20000) AS "Company",
            (1 + hash(i * 19) % 999) || ' Main Street' AS "Street", {_pick(_CITIES, 6)} AS "City",
            lpad((hash(i * 23) % 100000)::TEXT, 5, '0') AS "Zip", {_pick(_COUNTRIES, 7)} AS "Country"
        FROM (SELECT i, hash(i * 3 + 1) AS h1 FROM range({profiles}) t(i))"""  # noqa: S608  # our own text


def _memberships(profiles: int, members: int) -> str:
    return f"""
        SELECT {_key(profiles)} AS "CustomerId", segment AS "Segment"
        FROM range({members}) t(i), (VALUES ('All'), ('Half')) s(segment)
        WHERE segment = 'All' OR hash(i * 29) % 2 = 0"""  # noqa: S608  # our own text


def _key(profiles: int) -> str:
    return f"(100000000 + (i * 7919) % {profiles})::TEXT"


def _pick(words: str, salt: int) -> str:
    quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in words.split("|"))
    return f"([{quoted}])[1 + (hash(i * 31 + {salt}) % {len(words.split('|'))})::INT]"
