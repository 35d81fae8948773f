"""The results of `evaluate` as readable text, and the registry of metrics as a table of the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfvae.evaluation.metric_types import GROUPS, Metric, MetricValue
from tfvae.evaluation.metrics import METRICS
from tfvae.runtime.tables import format_cell, format_markdown, format_table, wrap_text

MAX_NUMBERS_OF_LIST = 8


def is_interval_end(name: str) -> bool:
    """Return whether a key such as ``probe[labels]_low`` names the end of an interval of a family's member."""
    return name.endswith(("]_low", "]_high"))


def read_metric_values(results: Mapping[str, Any]) -> list[MetricValue]:
    """Return the values of all registered metrics in the results, in the registry's order.

    Args:
        results: the dict that `evaluate` returns, or the JSON object of ``tfvae evaluate --json``.
    """
    metric_values = []
    for metric in METRICS:
        values = results.get(metric.section, {}) if metric.section else results
        for name in values:
            if name.partition("[")[0] == metric.name and not is_interval_end(name):
                low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
                interval = None if low is None or high is None else (low, high)
                metric_values.append(MetricValue(metric, name, values[name], interval))
    return metric_values


def format_value(value: Any, remark: str) -> tuple[str, str]:
    """Return a value and its remark as texts.

    Words and lists, which would widen the column of numbers, stand in the column of remarks.
    """
    if isinstance(value, list):
        numbers = " ".join(f"{number:.3g}" for number in value[:MAX_NUMBERS_OF_LIST])
        return "", f"{numbers}{' ...' if len(value) > MAX_NUMBERS_OF_LIST else ''} {remark}"
    if isinstance(value, str):
        return "", value
    return f"{value:.6g}" if isinstance(value, float) else format_cell(value), remark


def format_interval(interval: tuple[float, float] | None) -> str:
    """Return an interval as the text '-1.2 to 3.4', or "" where there is none."""
    return "" if interval is None else f"{interval[0]:.5g} to {interval[1]:.5g}"


def format_metric_value(metric_value: MetricValue, results: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return the row (name, value, interval, remark) of one metric."""
    remark = (metric_value.metric.remark or metric_value.metric.unit).format_map(results)
    value, remark = format_value(metric_value.value, remark)
    return "  " + metric_value.name, value, format_interval(metric_value.interval), remark


def format_constraint(constraint: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return the row of one of GECO's constraints: whether it is met, and by how much it is violated."""
    met = "met" if constraint["met"] else "NOT met"
    return f"  {constraint['text']}", met, "", f"violation {constraint['violation']:+.4g}"


def format_metrics(results: Mapping[str, Any], width: int | None = None) -> str:
    """Return the text that `tfvae evaluate` prints: aligned columns below a sentence that says what was measured.

    Args:
        results: the dict that `evaluate` returns.
        width: how many letters a line may have; None: any number.

    Example:
        >>> print(format_metrics(tfvae.evaluate("runs/latest")))  # doctest: +SKIP
    """
    origin = (
        f"{results['dataset']}, {results['split']} split" if "dataset" in results else f"the {results['split']} split"
    )
    head = (
        f"{results['run']}: {results['images']} images of {origin}, K={results['samples']}; "
        f"95% intervals; {results['seconds']} s"
    )
    head = head if width is None else "\n".join(wrap_text(head, width))
    metric_values, rows = read_metric_values(results), []
    for group in GROUPS:
        if members := [metric_value for metric_value in metric_values if metric_value.metric.group == group]:
            rows += [(group, "", "", ""), *(format_metric_value(member, results) for member in members)]
    if results["constraints"]:
        rows += [("constraints", "", "", ""), *map(format_constraint, results["constraints"])]
    return head + "\n" + format_table(rows, width)


def format_metric_reference() -> str:
    """Return the table of all metrics that `tfvae evaluate` prints, in Markdown: what the documentation shows."""
    rows = [["name", "unit", "better", "definition"]]
    rows += [format_reference_row(metric) for group in GROUPS for metric in METRICS if metric.group == group]
    return format_markdown(rows)


def format_reference_row(metric: Metric) -> list[str]:
    """Return the row (name, unit, which direction is better, definition) of one metric."""
    better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
    name = f"{metric.section}.{metric.name}" if metric.section else metric.name
    name += f"[{metric.member}]" if metric.member else ""
    return [f"`{name}`", metric.unit.replace("*", "\\*"), better, metric.description.replace("*", "\\*")]
