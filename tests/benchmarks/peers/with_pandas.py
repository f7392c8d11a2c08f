"""The script that a team would write with pandas: the same rules, contacts and rejections as plain CSV files.

python with_pandas.py SOURCE_FOLDER OUTPUT_FOLDER: reads Customer and SegmentMembership, .parquet where there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

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
EMAIL = rf"{ATEXT}(?:\.{ATEXT})*@{LABEL}(?:\.{LABEL})+"


def main(source: Path, output: Path) -> None:
    profiles = members(source)
    clean(profiles)
    find_rejections(profiles)
    profiles = mark_duplicates(profiles)
    write(profiles, output)


def members(source: Path) -> pd.DataFrame:
    columns = ["CustomerId", *FIELDS.values()]
    customers = read(source / "Customer", columns)
    memberships = read(source / "SegmentMembership", ["CustomerId", "Segment"])
    chosen = memberships.loc[memberships.Segment.isin(SEGMENTS), ["CustomerId"]].drop_duplicates()
    profiles = customers.merge(chosen, on="CustomerId")
    return profiles.rename(
        columns={"CustomerId": "customer_id"} | {v: k for k, v in FIELDS.items()}
    )


def read(path: Path, columns: list[str]) -> pd.DataFrame:
    if path.with_suffix(".parquet").exists():
        return pd.read_parquet(path.with_suffix(".parquet"), columns=columns)
    return pd.read_csv(path.with_suffix(".csv"), usecols=columns, dtype=str, keep_default_na=False)


def clean(profiles: pd.DataFrame) -> None:
    for field in FIELDS:
        values = profiles[field].fillna("").str.replace(CONTROL, " ", regex=True).str.strip()
        if field in CUT_AT:
            is_long = values.str.len() > CUT_AT[field]
            profiles["truncated"] = profiles.get("truncated", False) | is_long
            values = values.where(~is_long, values.str.slice(0, CUT_AT[field]).str.strip())
        profiles[field] = values
    profiles["email"] = profiles["email"].str.lower()


def find_rejections(profiles: pd.DataFrame) -> None:
    email = profiles["email"]
    too_long = (profiles["phone"].str.len() > 25) | (profiles["zip"].str.len() > 25)
    reason = pd.Series("", index=profiles.index)
    reason = reason.mask(too_long, "value_too_long")
    reason = reason.mask(~email.str.fullmatch(EMAIL), "invalid_email")
    reason = reason.mask(email.str.len() > 80, "email_too_long")
    profiles["reason"] = reason.mask(email == "", "missing_email")


def mark_duplicates(profiles: pd.DataFrame) -> pd.DataFrame:
    profiles = profiles.sort_values("customer_id")
    sendable = profiles.loc[profiles["reason"] == "", ["customer_id", "email"]]
    winners = sendable.drop_duplicates("email").rename(columns={"customer_id": "winner"})
    losers = (
        sendable[sendable.duplicated("email")].merge(winners, on="email").set_index("customer_id")
    )
    is_duplicate = profiles["customer_id"].isin(losers.index)
    profiles["reason"] = profiles["reason"].mask(is_duplicate, "duplicate")
    profiles["sent_instead"] = profiles["customer_id"].map(losers["winner"])
    return profiles


def write(profiles: pd.DataFrame, output: Path) -> None:
    contacts = profiles[profiles["reason"] == ""]
    is_apart = contacts["email"].str.len() > 50
    number = 0
    for part in (contacts[~is_apart], contacts[is_apart]):
        for start in range(0, len(part), ROWS_PER_FILE):
            number += 1
            rows = part.iloc[start : start + ROWS_PER_FILE]
            rows.to_csv(output / f"{number}.csv", columns=list(FIELDS), index=False)
    rejected = profiles[profiles["reason"] != ""]
    columns = ["customer_id", "email", "reason", "sent_instead"]
    rejected.to_csv(output / "rejections.csv", columns=columns, index=False)
    summary = f"{len(profiles)} {len(contacts)} {int(contacts['truncated'].sum())}"
    (output / "summary.txt").write_text(summary)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
