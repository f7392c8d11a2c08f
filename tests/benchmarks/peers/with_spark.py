"""The same work as a team would write it with PySpark: contacts and rejections as plain CSV files, the row limit alone.

python with_spark.py SOURCE_FOLDER OUTPUT_FOLDER: reads Customer.parquet and SegmentMembership.parquet.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

MASTER, MEMORY = "local[2]", "4g"
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
CONTROL = r"[\x00-\x1f\x7f-\x9f]+"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ATEXT = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
EMAIL = rf"^{ATEXT}(?:\.{ATEXT})*@{LABEL}(?:\.{LABEL})+$"


def main(source: Path, output: Path) -> None:
    session = session_over(source)
    profiles = marked(checked(cleaned(members(session, source)))).persist()
    write(profiles, output)
    session.stop()


def session_over(source: Path) -> SparkSession:
    builder = SparkSession.builder.appName("benchmark").config("spark.master", MASTER)
    for name, value in (
        ("spark.driver.memory", MEMORY),
        ("spark.ui.enabled", "false"),
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.sql.shuffle.partitions", "8"),
        ("spark.sql.warehouse.dir", str(source / "warehouse")),
        ("spark.local.dir", str(source.parent)),
    ):
        builder = builder.config(name, value)
    return builder.getOrCreate()


def members(session: SparkSession, source: Path) -> DataFrame:
    memberships = session.read.parquet(str(source / "SegmentMembership.parquet"))
    customers = session.read.parquet(str(source / "Customer.parquet"))
    chosen = memberships.filter(F.col("Segment").isin(SEGMENTS))
    return customers.join(chosen, "CustomerId", "left_semi").select(
        F.col("CustomerId").alias("customer_id"),
        *(F.coalesce(F.col(name), F.lit("")).alias(field) for field, name in FIELDS.items()),
    )


def cleaned(profiles: DataFrame) -> DataFrame:
    values = {field: F.trim(F.regexp_replace(field, CONTROL, " ")) for field in FIELDS}
    values["email"] = F.lower(values["email"])
    return profiles.withColumns(values)


def checked(profiles: DataFrame) -> DataFrame:
    email = F.col("email")
    is_long = {field: F.length(field) > most for field, most in CUT_AT.items()}
    reason = (
        F.when(email == "", "missing_email")
        .when(F.length(email) > 80, "email_too_long")
        .when(~email.rlike(EMAIL), "invalid_email")
        .when((F.length("phone") > 25) | (F.length("zip") > 25), "value_too_long")
    )
    cuts = {field: _cut(field, most) for field, most in CUT_AT.items()}
    return profiles.withColumns(
        {"reason": reason, "truncated": F.greatest(*is_long.values()), **cuts}
    )


def _cut(field: str, most: int) -> Column:
    return F.when(F.length(field) > most, F.trim(F.substring(field, 1, most))).otherwise(
        F.col(field)
    )


def marked(profiles: DataFrame) -> DataFrame:
    among = Window.partitionBy("email", F.col("reason").isNull())
    winner = F.when(F.col("reason").isNull(), F.min("customer_id").over(among))
    is_duplicate = winner.isNotNull() & (winner != F.col("customer_id"))
    return profiles.withColumns(
        {
            "reason": F.when(is_duplicate, "duplicate").otherwise(F.col("reason")),
            "sent_instead": F.when(is_duplicate, winner),
        }
    )


def write(profiles: DataFrame, output: Path) -> None:
    contacts = profiles.filter(F.col("reason").isNull()).orderBy("customer_id")
    by_rows = {"header": "true", "maxRecordsPerFile": str(ROWS_PER_FILE)}
    contacts.select(*FIELDS).write.options(**by_rows).csv(str(output / "contacts"))
    rejected = profiles.filter(F.col("reason").isNotNull()).orderBy("customer_id")
    rejected.select("customer_id", "email", "reason", "sent_instead").write.options(**by_rows).csv(
        str(output / "rejections")
    )
    is_sent = F.col("reason").isNull()
    [row] = profiles.agg(
        F.count("*"), F.count_if(is_sent), F.count_if(is_sent & F.col("truncated"))
    ).collect()
    (output / "summary.txt").write_text(f"{row[0]} {row[1]} {row[2]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
