"""Export folders of Customer Insights, written for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AT = "https://acct.dfs.core.windows.net/ci/CustomerInsights_abcd1234/Lake"
CUSTOMER = ("CustomerId", "EMail", "FirstName")
MEMBERSHIP = ("CustomerId", "SegmentProvider", "SegmentMembershipType", "Segments")
Partition = tuple[str, str | bytes]


def entity(
    name: str, columns: tuple[str, ...], partitions: list[Partition], **settings: Any
) -> tuple[dict[str, Any], list[Partition]]:
    """An entity of model.json, and its files by their path below the export's folder."""
    wanted = [
        {"name": f"{name}_{n}", "location": f"{AT}/{path}"}
        | ({"fileFormatSettings": {"$type": "CsvFormatSettings"} | settings} if settings else {})
        for n, (path, _) in enumerate(partitions, start=1)
    ]
    attributes = [{"name": column, "dataType": "string", "pbi:x": 1} for column in columns]
    found = {"$type": "LocalEntity", "name": name, "attributes": attributes, "partitions": wanted}
    return found, partitions


def put(folder: Path, *entities: tuple[dict[str, Any], list[Partition]], **root: Any) -> Path:
    folder.mkdir(exist_ok=True)
    document = {"name": "CustomerInsights", "version": "1.0"} | root
    document["entities"] = [each for each, _ in entities]
    (folder / "model.json").write_text(json.dumps(document))
    for _, partitions in entities:
        for path, content in partitions:
            file = folder / path.replace("%20", " ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def customers(*rows: str, path: str = "Customer/2026/08/24/1433/Customer_1.csv") -> Any:
    return entity("Customer", CUSTOMER, [(path, "\n".join(rows) + "\n")])


def segments(key: str, *names: str, kind: str = "Customer") -> str:
    text = json.dumps({"Segments": list(names)}).replace('"', '""')
    return f'"{key}","CustomerInsights","{kind}","{text}"\n'


def memberships(*rows: str) -> Any:
    return entity(
        "SegmentMembership", MEMBERSHIP, [("SegmentMembership/2026/M_1.csv", "".join(rows))]
    )
