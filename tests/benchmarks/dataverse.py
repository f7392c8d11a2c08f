"""Dataverse: requests, memory and time of reading and preparing a segment of everybody, with trouble in the middle.

python -m tests.benchmarks.dataverse [--profiles 1000000] [--output FILE.json]

The stand-in makes its rows while they are asked for, in this process, and takes most of the time; the reader is a
process of its own, whose peak is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import machine, report, run_program
from tests.kit.dataverse import BROKEN, Fault, Organization, Table, running

FAULTS = {5: Fault(429, "1"), 12: Fault(503, "1"), 17: Fault(BROKEN)}
MAPPING = ("email=msdynci_email", "first_name=msdynci_firstname", "last_name=msdynci_lastname")


def main() -> None:
    arguments = _arguments()
    if arguments.read:
        _read(arguments.read, arguments.profiles)
        return
    profiles = arguments.profiles
    tables = {
        "msdynci_customerprofiles": Table(profiles, _person),
        "msdynci_segmentmemberships": Table(profiles, _member),
    }
    with running(Organization(tables, faults=dict(FAULTS))) as organization:
        command = [sys.executable, "-m", "tests.benchmarks.dataverse", "--read", organization.url]
        measured = run_program([*command, "--profiles", str(profiles)], organization.environment())
    document: dict[str, Any] = {
        "benchmark": "dataverse",
        "machine": machine(),
        "profiles": profiles,
        "requests": len(organization.asked) - len(FAULTS),
        "asked_again": len(FAULTS),
        "peak_mb": round(measured.peak_mb),
        "reader_processor_seconds": round(measured.processor_seconds, 1),
        "wall_seconds": round(measured.wall_seconds, 1),
    }
    report(document, arguments.output)


def _read(url: str, profiles: int) -> None:
    from ccexport.preparation.mapping import parse_mapping
    from ccexport.preparation.prepare import prepare
    from ccexport.segments.source import open_source

    with (
        tempfile.TemporaryDirectory() as folder,
        open_source(f"dataverse:{url}", copies_in=Path(folder), fresh=True) as source,
    ):
        source.check_segments(["News"])
        prepared = prepare(source, ["News"], parse_mapping(MAPPING), {})
        source.strangers(["News"], found=prepared.read)
        if len(prepared.contacts) != profiles:
            raise RuntimeError(f"{len(prepared.contacts):,} contacts of {profiles:,} profiles")


def _person(number: int) -> dict[str, Any]:
    return {
        "msdynci_customerid": f"{number:032x}",
        "msdynci_email": f"person{number}@example.com",
        "msdynci_firstname": f"First {number % 977}",
        "msdynci_lastname": f"Last {number % 3331}",
        "msdynci_city": f"City {number % 100}",
        "msdynci_postalcode": f"{number % 99_999:05}",
        "msdynci_telephone": f"+49{number:09}",
        "createdon": "2026-01-01T10:00:00Z",
        "statecode": 0,
    }


def _member(number: int) -> dict[str, Any]:
    return {
        "msdynci_customerid": f"{number:032x}",
        "msdynci_segments": json.dumps({"Segments": ["News", "All"] if number % 2 else ["News"]}),
        "msdynci_segmentmembershiptype": "Customer",
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
