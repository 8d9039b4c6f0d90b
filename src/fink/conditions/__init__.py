"""The condition language: one line of SQL that says which alerts are wanted, for the stream, the archive and Spark alike.

``real AND age < 5 AND mag < 20 AND NOT (parallax_snr > 5)``

**What can be written.** Columns, named cuts, numbers, texts in single quotes, ``TRUE`` and ``FALSE``; ``= != < <= > >=``,
``BETWEEN``, ``IN``, ``LIKE``, ``IS [NOT] NULL``; ``AND``, ``OR``, ``NOT``; ``+ - * /``; the functions of ``FUNCTIONS``;
and ``%``, of a whole-number column by a whole number.

**Logic is two-valued.** A comparison with something missing is false, ``!=`` too, and ``NOT`` inverts whatever it is given:
``x != 5`` leaves out the alerts without ``x``; ``NOT (x = 5)`` and ``x NOT IN (5)`` keep them.

**Numbers are float64**, and what is not finite is missing: NaN, a division by zero, the logarithm of zero, an overflow.
``least``, ``greatest`` and ``coalesce`` skip what is missing; everything else that takes a missing number gives one.
Whole numbers against whole numbers are exact to 64 bits, so identifiers of 19 digits can be compared; identifiers (``…_id``)
take no arithmetic but ``%``, which is never negative. ``log10`` is right to one unit in the last place.

The text is parsed by sqlglot, and read by a white list into a small typed tree; Polars and SQL are written from that tree only.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from fink.conditions._reading import FUNCTIONS, Reader
from fink.conditions._tree import Node, kind_of
from fink.conditions._writers import CanonicalWriter, PolarsWriter, SqlWriter
from fink.errors import ConditionError, did_you_mean

__all__ = ["FUNCTIONS", "Condition", "evaluate", "parse_condition"]


@dataclass(frozen=True)
class Condition:
    """A checked condition, ready for Polars and for SQL.

    Parameters
    ----------
    text
        the condition as it was written
    columns
        the columns that it reads, named cuts expanded
    """

    text: str
    columns: frozenset[str]
    _tree: Node

    def to_polars(self) -> pl.Expr:
        """Give the condition as a boolean Polars expression that is never null."""
        return self._polars

    @functools.cached_property
    def _polars(self) -> pl.Expr:
        return self._tree.write(PolarsWriter())

    def to_sql(self, dialect: Literal["duckdb", "spark"] = "duckdb") -> str:
        """Give the condition as a boolean SQL expression that is never null; only the quotes around names differ by dialect."""
        return self._tree.write(SqlWriter("`" if dialect == "spark" else '"'))

    def canonical(self) -> str:
        """Give the condition in one form for all spellings of it (spaces, order of AND, cuts by name), to identify plans."""
        return self._tree.write(CanonicalWriter('"'))

    def mask(self, table: pa.Table | pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Say for each row whether the condition holds.

        Parameters
        ----------
        table
            has at least ``columns``

        Returns
        -------
        Booleans (n,).
        """
        mask: np.ndarray[Any, np.dtype[np.bool_]] = evaluate([self], table)[0]
        return mask


def parse_condition(text: str, columns: Mapping[str, pa.DataType], cuts: Mapping[str, str] | None = None) -> Condition:
    """Read a condition and check it against the columns that exist.

    Parameters
    ----------
    text
        what the user wrote
    columns
        the columns that may be used, with their types
    cuts
        named conditions that may be used by name, and may use one another

    Raises
    ------
    ConditionError
        The text does not parse, names what does not exist, compares what cannot be compared, or is too long, deep or costly.
    """
    kinds = {name: kind_of(type_) for name, type_ in columns.items()}
    tree = Reader(text, kinds, cuts or {}).whole()
    return Condition(text, tree.columns, tree)


def evaluate(conditions: Sequence[Condition], table: pa.Table | pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Evaluate many conditions in one pass over a table.

    Returns
    -------
    Booleans (len(conditions), n): one row per condition, in their order.
    """
    needed = sorted(frozenset().union(*(condition.columns for condition in conditions)))
    absent = [name for name in needed if name not in table.schema.names]
    if absent:
        raise ConditionError(f"the table has no column {absent[0]}, which a condition reads{did_you_mean(absent[0], table.schema.names)}")
    masks = np.zeros((len(conditions), table.num_rows), dtype=bool)
    if not masks.size:
        return masks
    frame = pl.DataFrame(pl.from_arrow(table.select(needed)))
    results = frame.lazy().select(condition.to_polars().alias(str(i)) for i, condition in enumerate(conditions)).collect()
    for i, result in enumerate(results.iter_columns()):
        masks[i] = result.to_numpy()
    return masks
