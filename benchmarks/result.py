"""What a benchmark gives: figures, the goals they are compared with, and a table for people."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

Figure = float | str
AT_MOST = "_at_most"


@dataclass(frozen=True)
class Result:
    """The outcome of one benchmark.

    Parameters
    ----------
    name
        That of the benchmark's file.
    figures
        What was measured, by name.
    goal
        What was to be reached: a figure's name gives the least that it may be, ``<figure>_at_most`` the most.
    table
        The same for people, as text.
    holds
        Whether every goal is met.
    """

    name: str
    figures: Mapping[str, Figure]
    goal: Mapping[str, float]
    table: str
    holds: bool = field(default=True)

    @classmethod
    def of(cls, name: str, figures: Mapping[str, Figure], goal: Mapping[str, float], table: str) -> Result:
        """Compare the figures with the goals; each goal that is missed is stated below the table."""
        missed = shortfalls(figures, goal)
        return cls(name, figures, goal, "\n".join([table.rstrip(), *missed]), not missed)


def shortfalls(figures: Mapping[str, Figure], goal: Mapping[str, float]) -> list[str]:
    """Give a sentence for each goal that the figures miss.

    Raises
    ------
    KeyError
        If a goal is set for something that was not measured, or is not a number.
    """
    missed = []
    for key, wanted in goal.items():
        name = key.removesuffix(AT_MOST)
        reached = figures.get(name)
        if not isinstance(reached, int | float):
            raise KeyError(f"there is a goal for {name}, but no such number among the figures: {', '.join(figures)}")
        most = key.endswith(AT_MOST)
        if not (reached <= wanted if most else reached >= wanted):
            missed.append(f"MISSED: {name} is {reached:,.4g}; the goal is {'at most' if most else 'at least'} {wanted:,.4g}")
    return missed


def cpu_seconds(work: Callable[[], object], repeat: int = 5) -> float:
    """Give the median processor time of a piece of work in this process [s], after one run that is not counted."""
    work()
    spent = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def table_text(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Draw a table as plain text: the first column to the left, the numbers to the right."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:,.4g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    console = Console(width=140, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()
