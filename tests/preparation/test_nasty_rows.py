"""120,000 rows of every kind of trouble: members equal to plain Python's, files equal whatever the source is."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from ccexport.preparation.contacts import Prepared
from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source
from tests.kit.spark import lend_to_spark
from tests.kit.stores import empty_postgres
from tests.preparation import oracle
from tests.preparation.counting import files_of_a_run

ROWS = 120_000
FIELDS = {
    "email": "EMail",
    "first_name": "First",
    "phone": "Phone",
    "city": "City",
    "birthday_month": "Month",
    "birthday_day": "Day",
    "anniversary": "Date",
    "cf:amount": "Amount",
    "cf:member": "Member",
    "cf:note": "Note",
}
TYPES = {"amount": "number", "member": "boolean", "note": "text_area"}
MAPPING = parse_mapping([f"{field}={attribute}" for field, attribute in FIELDS.items()])
Row = dict[str, str]

EDGES = ["", "", "", "", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\u3000", "\r\n", "\u2060"]
EMAILS = [
    *["p{n}@example.com"] * 12,
    *["P{half}@Example.com", "p{half}@example.com", "p{n}+x@b.example.co.uk", "o'b.{n}@b.de"],
    *["a.very.long.address.of.somebody.number.{n}@mail.example-company.org", "x" * 70 + "{n}@b.de"],
    *["", "NULL", "p{n}@localhost", "p..{n}@b.de", ".p{n}@b.de", "p{n}.@b.de", "p{n}@b..de"],
    *["p{n}@b.de.", "mailto:p{n}@b.de", '"P" <p{n}@b.de>', "p{n}@b.de; q@b.de", "\u212ap{n}@b.de"],
    *[
        "p\u200b{n}@b.de",
        "p{n}@\u00adb.de",
        "p{n}@[192.0.2.1]",
        "p\u00e4{n}@b.de",
        "p{n}@" + "b" * 64 + ".de",
    ],
]
NAMES = [
    *["Ana", "Zo\u00eb", "O'Brien", "\u041c\u0430\u0440\u0438\u044f", "\u738b", ""] * 3,
    *[
        'A "B", C',
        ",",
        '"',
        "NULL",
        "N/A",
        "\\N",
        "x" * 50,
        "x" * 51,
        "x" * 49 + "e\u0301",
        "e\u0301" * 30,
    ],
    *[
        "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 12,
        "\U0001f1e9\U0001f1ea" * 26,
        "x" * 49 + "\u2764\ufe0f",
    ],
    *[
        "a\nb",
        "a\r\n\tb",
        "a\x7f\x80b",
        "\u2003pad\u2028",
        "\u200bhidden\u200b",
        "'t Hooft",
        '="02138"',
    ],
]
PLAIN = {"Phone": "+1 555 0100", "City": "Lima", "Month": "2", "Day": "29", "Date": "2024-02-29"}
PLAIN |= {"Amount": "1.5", "Member": "true", "Note": ""}
ODD = {
    "Phone": ["5" * 25, "5" * 26, " 5 ", ""],
    "City": ["M\u00fcnchen", "\u00e9" * 51, "Paris, TX", ""],
    "Month": ["02", "13", "0", "Jul", "7.0", "", "11"],
    "Day": ["30", "09", "", "1984-07-09", "\u0663"],
    "Date": ["2/29/2024", "2023-02-29", "2024/2/9", "12-31-1999", "", "tomorrow"],
    "Amount": ["-3", ".5", "1,000", "", "9" * 256, "1e5"],
    "Member": ["YES", "n", "maybe", "", "0"],
    "Note": ["n" * 255, "n" * 256, "two\nlines", '"'],
}


def nasty(count: int) -> list[Row]:
    pick = random.Random(11)

    def edged(value: str) -> str:
        return pick.choice(EDGES) + value + pick.choice(EDGES)

    rows = []
    for n in pick.sample(range(count * 3), count):
        email = pick.choice(EMAILS).format(n=n, half=n // 7)
        row = {"CustomerId": pick.choice(["", "K", "k", "\u00e9", "\U0001f469"]) + f"{n:07}"}
        row |= {"EMail": edged(email), "First": edged(pick.choice(NAMES))}
        row |= {
            name: pick.choice(ODD[name]) if pick.random() < 0.05 else usual
            for name, usual in PLAIN.items()
        }
        rows.append(row)
    return rows


def write_csv(folder: Path, tables: Mapping[str, list[Row]]) -> str:
    folder.mkdir()
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return f"file:{folder}"


def write_parquet(folder: Path, tables: Mapping[str, list[Row]]) -> str:
    folder.mkdir()
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows[::-1]), folder / f"{name}.parquet")
    return f"file:{folder}"


def write_postgres(url: str, tables: Mapping[str, list[Row]]) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        for name, rows in tables.items():
            columns = ", ".join(f'"{column}" text' for column in rows[0])
            connection.execute(text(f'CREATE TABLE "{name}" ({columns})'))
            cursor = connection.connection.cursor()
            with cursor.copy(f'COPY "{name}" FROM STDIN') as copy:  # type: ignore[attr-defined]
                for row in rows:
                    copy.write_row(list(row.values()))
    engine.dispose()
    return url.replace("postgresql+psycopg://", "postgres://")


@pytest.fixture(scope="module")
def tables() -> Mapping[str, list[Row]]:
    rows = nasty(ROWS)
    members = [{"CustomerId": row["CustomerId"], "Segment": "S"} for row in rows]
    members += [dict(member) for member in members[:100]]
    members += [{"CustomerId": row["CustomerId"], "Segment": "T"} for row in rows[::2]]
    return {"Customer": rows, "SegmentMembership": members}


def prepared_from(url: str) -> Prepared:
    with open_source(url) as source:
        return prepare(source, ["S", "T"], MAPPING, TYPES)


def digests(prepared: Prepared) -> list[str]:
    files = files_of_a_run(prepared, MAPPING.fields, max_rows=9_000)
    # In a CSV file a cell without anything in it is none.
    left_out = [row | {"email": row["email"] or None} for row in prepared.rejections.to_pylist()]
    return [hashlib.sha256(each).hexdigest() for each in (*files, repr(left_out).encode())]


@pytest.mark.filterwarnings("ignore")  # PySpark's own, of pandas and of its sockets
def test_members_are_those_of_plain_python_and_files_the_same_whatever_the_source_is(
    tables: Mapping[str, list[Row]], tmp_path: Path, postgres_url: str
) -> None:
    """From CSV and Parquet by DuckDB, from PostgreSQL and from Spark: the same bytes."""
    rows = tables["Customer"]
    expected = oracle.prepare(rows, {row["CustomerId"] for row in rows}, FIELDS, TYPES)
    prepared = prepared_from(write_csv(tmp_path / "csv", tables))
    sent = b"".join(
        file.partition(b"\r\n")[2] for file in files_of_a_run(prepared, MAPPING.fields)
    ).decode()
    members = {values[0]: values for values in csv.reader(io.StringIO(sent, newline=""))}
    assert members == {
        row.email: [row.email, *(value or "" for value in row.values.values())]
        for row in expected
        if row.reason is None
    }
    assert len(members) > ROWS / 3
    cells = {row["CustomerId"]: row["EMail"] or None for row in rows}
    assert prepared.rejections.to_pylist() == [
        {
            "customer_id": row.customer_id,
            "email": cells[row.customer_id],
            "reason": row.reason,
            "sent_instead": row.sent_instead,
        }
        for row in expected
        if row.reason is not None
    ]
    assert prepared.read == ROWS
    assert prepared.truncated == sum(row.truncated for row in expected if row.reason is None)
    found = digests(prepared)
    assert len(found) > 4
    assert digests(prepared_from(write_parquet(tmp_path / "parquet", tables))) == found
    database = write_postgres(empty_postgres(postgres_url), tables)
    assert digests(prepared_from(database)) == found
    assert digests(prepared_from(lend_to_spark(tmp_path / "parquet"))) == found
