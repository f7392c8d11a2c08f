"""The same work with lazy Polars, its streaming engine where it can: contacts and rejections as plain CSV files.

python with_polars.py SOURCE_FOLDER OUTPUT_FOLDER: reads Customer and SegmentMembership, .parquet where there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

ROWS_PER_FILE = 39_999
SEGMENTS = ["All", "Half"]
FIELDS = {
    "email": "EMail",
    "first_name": "FirstName",
    "last_name": "LastName",
    "phone": "Phone",
    "job_title": "JobTitle",
    "company_name": "Company",
    "street": "Street",
    "city": "City",
    "zip": "Zip",
    "country": "Country",
}
CUT_AT = {
    "first_name": 50,
    "last_name": 50,
    "job_title": 50,
    "company_name": 50,
    "street": 255,
    "city": 50,
    "country": 50,
}
CONTROL = r"[\x00-\x1f\x7f-\x{9f}]+"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ATEXT = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
EMAIL = rf"^{ATEXT}(?:\.{ATEXT})*@{LABEL}(?:\.{LABEL})+$"


def main(source: Path, output: Path) -> None:
    profiles = marked(checked(cleaned(members(source)))).collect(engine=ENGINE)
    write(profiles, output)


def members(source: Path) -> pl.LazyFrame:
    memberships = read(source / "SegmentMembership").filter(pl.col("Segment").is_in(SEGMENTS))
    members = read(source / "Customer").join(memberships, on="CustomerId", how="semi")
    return members.select(
        pl.col("CustomerId").alias("customer_id"),
        *(pl.col(attribute).fill_null("").alias(field) for field, attribute in FIELDS.items()),
    )


def read(path: Path) -> pl.LazyFrame:
    if path.with_suffix(".parquet").exists():
        return pl.scan_parquet(path.with_suffix(".parquet"))
    return pl.scan_csv(path.with_suffix(".csv"), infer_schema=False)


def cleaned(profiles: pl.LazyFrame) -> pl.LazyFrame:
    values = {
        field: pl.col(field).str.replace_all(CONTROL, " ").str.strip_chars() for field in FIELDS
    }
    values["email"] = values["email"].str.to_lowercase()
    return profiles.with_columns(**values)


def checked(profiles: pl.LazyFrame) -> pl.LazyFrame:
    email = pl.col("email")
    is_too_long = (pl.col("phone").str.len_chars() > 25) | (pl.col("zip").str.len_chars() > 25)
    is_long = {field: pl.col(field).str.len_chars() > most for field, most in CUT_AT.items()}
    return profiles.with_columns(
        reason=pl.when(email == "")
        .then(pl.lit("missing_email"))
        .when(email.str.len_chars() > 80)
        .then(pl.lit("email_too_long"))
        .when(~email.str.contains(EMAIL))
        .then(pl.lit("invalid_email"))
        .when(is_too_long)
        .then(pl.lit("value_too_long")),
        truncated=pl.any_horizontal(is_long.values()),
        **{
            field: pl.when(is_long[field])
            .then(pl.col(field).str.head(most).str.strip_chars())
            .otherwise(pl.col(field))
            for field, most in CUT_AT.items()
        },
    )


def marked(profiles: pl.LazyFrame) -> pl.LazyFrame:
    sendable = profiles.filter(pl.col("reason").is_null())
    winners = (
        sendable.group_by("email")
        .agg(pl.col("customer_id").min().alias("winner"), pl.len().alias("profiles"))
        .filter(pl.col("profiles") > 1)
        .select("email", "winner")
    )
    is_duplicate = (
        pl.col("reason").is_null()
        & pl.col("winner").is_not_null()
        & (pl.col("winner") != pl.col("customer_id"))
    )
    return (
        profiles.join(winners, on="email", how="left")
        .with_columns(
            reason=pl.when(is_duplicate).then(pl.lit("duplicate")).otherwise(pl.col("reason")),
            sent_instead=pl.when(is_duplicate).then(pl.col("winner")),
        )
        .drop("winner")
        .sort("customer_id")
    )


def write(profiles: pl.DataFrame, output: Path) -> None:
    contacts = profiles.filter(pl.col("reason").is_null())
    is_apart = contacts["email"].str.len_chars() > 50
    number = 0
    for part in (contacts.filter(~is_apart), contacts.filter(is_apart)):
        for rows in part.select(list(FIELDS)).iter_slices(ROWS_PER_FILE):
            number += 1
            rows.write_csv(output / f"{number}.csv")
    rejected = profiles.filter(pl.col("reason").is_not_null())
    rejected.select("customer_id", "email", "reason", "sent_instead").write_csv(
        output / "rejections.csv"
    )
    summary = f"{len(profiles)} {len(contacts)} {int(contacts['truncated'].sum())}"
    (output / "summary.txt").write_text(summary)


ENGINE = sys.argv[3] if len(sys.argv) > 3 else "streaming"

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
