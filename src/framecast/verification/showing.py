"""Numbers and small tables as people write them, for terminals, notebooks and pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Protocol

_WIDTH = 100
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Estimate(Protocol):
    """A value with its 95 % interval, as a `Score` is."""

    @property
    def value(self) -> float: ...

    @property
    def interval(self) -> tuple[float, float] | None: ...


def format_number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits and without exponent; very small ones as 4.6 × 10⁻⁵."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if power < -4:
        return f"{value / 10.0**power:.{max(digits - 2, 0)}f} × 10{str(power).translate(_RAISED)}"  # noqa: RUF001
    return f"{value:,.{max(0, digits - 1 - power)}f}"


def format_score(score: Estimate, places: int | None = None) -> str:
    """A value with its interval, to the second digit of the width of the interval: "0.46 (0.44 to 0.49)"."""
    value, interval = split_score(score, places)
    return f"{value} ({interval})" if interval else value


def split_score(score: Estimate, places: int | None = None) -> tuple[str, str]:
    """A value and its interval as text, to the same decimal (`places`, else that of `decimals`); the interval is empty where
    there is none, or of no width."""
    if score.interval is None or not all(map(math.isfinite, (score.value, *score.interval))):
        return format_number(score.value), ""
    if score.interval[1] == score.interval[0]:
        return format_number(score.value), ""
    places = decimals([score]) if places is None else places
    if places > 6:
        return format_number(score.value, 2), " to ".join(format_number(each, 2) for each in score.interval)
    value, low, high = (_rounded(each, places) for each in (score.value, *score.interval))
    return value, f"{low} to {high}"


def decimals(scores: Sequence[Estimate]) -> int:
    """The decimals of values that are shown together: to the second digit of the width of their intervals, of the median one."""
    intervals = [score.interval for score in scores if score.interval is not None]
    widths = sorted(high - low for low, high in intervals if math.isfinite(high - low) and high > low)
    return 1 - math.floor(math.log10(widths[(len(widths) - 1) // 2])) if widths else 3


def _rounded(value: float, places: int) -> str:
    """A value to so many decimals; none to before the point."""
    text = f"{value:,.{places}f}" if places > 0 else f"{round(value, places):,.0f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def as_text(heading: str, head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, note: str = "") -> str:
    """A heading and a table that fit a terminal; columns that do not fit follow below."""
    lines = [heading]
    columns = [[title, *(cells[k] for _, cells in rows)] for k, title in enumerate(head)]
    names = ["", *(name for name, _ in rows)]
    first = max(map(len, names)) + 2
    while columns:
        widths = [max(map(len, column)) + 2 for column in columns]
        count = max(1, sum(first + sum(widths[: k + 1]) <= _WIDTH for k in range(len(widths))))
        shown, columns = columns[:count], columns[count:]
        for number, name in enumerate(names):
            cells = "".join(f"{column[number]:>{width}}" for column, width in zip(shown, widths, strict=False))
            lines.append(f"{name:<{first}}{cells}".rstrip())
    return "\n".join([*lines, note] if note else lines)


def as_html(heading: str, head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, note: str = "") -> str:
    """The same as HTML."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in rows
    )
    return (
        f"<div><p>{escape(heading)}</p><table><thead><tr><th></th>{titles}</tr></thead><tbody>{body}</tbody></table>"
        f"<p><small>{escape(note)}</small></p></div>"
    )
