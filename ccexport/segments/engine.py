"""The engine that reads files: DuckDB in memory, on as many threads as there are.

It keeps everything in memory: it has no folder for temporary files, because they would hold profiles in the clear
(the DuckDB of the wheel encrypts them only with an extension that is not part of it).
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from ccexport.segments.csv_heading import Heading
from ccexport.segments.trouble import BLANK_KEY

# A quarter of DuckDB's own choice: as fast, and each thread has several.
_CSV_BUFFER_BYTES = 8_000_000


def connect(threads: int | None, memory_limit_mb: int) -> Backend:
    """An engine of its own in memory, with nothing in it."""
    # Arrow's own pool keeps what is freed; the system's gives it back.
    pa.set_memory_pool(pa.system_memory_pool())
    options: dict[str, object] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "temp_directory": "",
        "preserve_insertion_order": False,  # the order of a result is asked for where it matters
        # The tables are always joined in the order written: profiles stream past the smaller side. A guess at the
        # number of lines of a CSV file would turn that round, and keep the profiles in memory.
        "disabled_optimizers": "join_order,build_side_probe_side",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads:
        options["threads"] = threads
    return ibis.duckdb.connect(":memory:", **options)


def read_csv(
    paths: Sequence[str], heading: Heading, *, header: bool = True, quote: str = '"'
) -> str:
    """SQL that reads CSV files of one heading, by that alone: nothing is guessed, and no row is passed over."""
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in heading.columns)
    skip = f", skip={heading.skip}" if heading.skip else ""
    packed = ", compression='gzip'" if any(path.endswith(".gz") for path in paths) else ""
    escape = quote or '""'
    return (
        f"read_csv({_list(paths)}, auto_detect=false, header={str(header).lower()}, columns={{{types}}}, "
        f"delim={literal(heading.delimiter)}, quote={literal(quote)}, escape={literal(escape if quote else '')}, "
        f"nullstr='', strict_mode=true, buffer_size={_CSV_BUFFER_BYTES}{skip}{packed})"
    )


def read_parquet(paths: Sequence[str], *, alike: bool = False) -> str:
    """SQL that reads Parquet files, columns by their names. Unless all are `alike`, all are opened at once."""
    together = ", union_by_name=true" if len(paths) > 1 and not alike else ""
    return f"read_parquet({_list(paths)}, binary_as_string=true, hive_partitioning=false{together})"


def shown_columns(columns: Sequence[str], key: str | None) -> str:
    """SQL that shows columns; a blank key raises where a query meets it."""
    if key is None:
        return ", ".join(map(identifier, columns))
    quoted = identifier(key)
    checked = f"CASE WHEN trim({quoted}) <> '' THEN {quoted} ELSE error({literal(BLANK_KEY)}) END AS {quoted}"
    return ", ".join(checked if column == key else identifier(column) for column in columns)


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _list(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return literal(paths[0])
    return "[" + ", ".join(map(literal, paths)) + "]"


def json_names(text: ir.StringValue) -> ir.ArrayValue:
    """The names in `{"Segments": ["A"]}` or `["A"]`; null where the text is neither. For DuckDB."""
    kind = _json_valid(text).ifelse(_json_type(text, "$"), ibis.null("string"))
    inside = (kind == "OBJECT").ifelse(_json_type(text, "$.Segments"), ibis.null("string"))
    nothing = ibis.null("array<string>")
    return ibis.cases(
        (kind == "ARRAY", _json_texts(text, "$[*]")),
        (inside == "ARRAY", _json_texts(text, "$.Segments[*]")),
        else_=nothing,
    )


@ibis.udf.scalar.builtin(name="json_valid")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _json_valid(text: str) -> bool:
    raise NotImplementedError("the engine's function, of which this is the signature alone")


@ibis.udf.scalar.builtin(name="json_type")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _json_type(text: str, path: str) -> str:
    raise NotImplementedError("the engine's function, of which this is the signature alone")


@ibis.udf.scalar.builtin(name="json_extract_string")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _json_texts(text: str, path: str) -> dt.Array[dt.String]:
    raise NotImplementedError("the engine's function, of which this is the signature alone")
