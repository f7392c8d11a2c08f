"""The script that a team would write with pandas: keep last night's CSV, and send who is new or has another line.

python diff_with_pandas.py SOURCE_FOLDER KEPT_FOLDER: reads Customer and SegmentMembership, compares with KEPT_FOLDER's
`last.csv`, writes `changed.csv` and `left.csv` beside it, and keeps tonight's contacts as `last.csv`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

FIELDS = {"email": "EMail", "first_name": "FirstName", "last_name": "LastName"}
CONTROL = r"[\x00-\x1f\x7f-\x9f]+"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ATEXT = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
EMAIL = rf"{ATEXT}(?:\.{ATEXT})*@{LABEL}(?:\.{LABEL})+"
MOST_CHARACTERS = {"first_name": 50, "last_name": 50}


def main(source: Path, kept: Path) -> None:
    tonight = contacts(source)
    last = kept / "last.csv"
    before = (
        pd.read_csv(last, dtype=str, keep_default_na=False)
        if last.exists()
        else pd.DataFrame(columns=list(FIELDS), dtype=str)
    )
    both = tonight.merge(before, on="email", how="outer", indicator=True, suffixes=("", "_before"))
    is_other = pd.Series(False, index=both.index)
    for field in MOST_CHARACTERS:
        is_other |= both[field] != both[f"{field}_before"]
    goes = both[(both["_merge"] != "right_only") & is_other]
    goes.to_csv(kept / "changed.csv", columns=list(FIELDS), index=False)
    both[both["_merge"] == "right_only"].to_csv(kept / "left.csv", columns=["email"], index=False)
    tonight.to_csv(last, index=False)


def contacts(source: Path) -> pd.DataFrame:
    customers = pd.read_parquet(
        source / "Customer.parquet", columns=["CustomerId", *FIELDS.values()]
    )
    members = pd.read_parquet(source / "SegmentMembership.parquet")
    chosen = members.loc[members.Segment == "All", ["CustomerId"]].drop_duplicates()
    found = customers.merge(chosen, on="CustomerId").sort_values("CustomerId")
    found = found.rename(columns={name: field for field, name in FIELDS.items()})
    for field in FIELDS:
        found[field] = found[field].fillna("").str.replace(CONTROL, " ", regex=True).str.strip()
    for field, most in MOST_CHARACTERS.items():
        found[field] = found[field].str.slice(0, most).str.strip()
    found["email"] = found["email"].str.lower()
    is_good = found["email"].str.fullmatch(EMAIL) & (found["email"].str.len() <= 80)
    return found[is_good].drop_duplicates("email")[list(FIELDS)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
