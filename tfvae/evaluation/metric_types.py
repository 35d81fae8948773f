"""What a metric and a value of it are, and the groups in which `tfvae evaluate` prints them."""

from __future__ import annotations

import dataclasses
from typing import Any

NATS, SHARE = "nats per image", "share"
# The titles below which `tfvae evaluate` prints metrics, in this order.
LIKELIHOOD, RATE_DISTORTION, LATENT, SURGERY, HOLES, CODES, SAMPLES = GROUPS = (
    "bound on log p(x)",
    "rate and distortion",
    "latent",
    "ELBO + log n = 1 - 2 - 3 - 4",
    "holes and blur",
    "what codes tell",
    "pictures",
)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One quantity that tfvae measures.

    Args:
        name: the key in JSON. A family such as ``probe[labels]`` is registered by the name before the bracket.
        unit: of the number; "" for numbers without one.
        description: the definition, in one line.
        higher_is_better: whether larger values are better; None where neither direction is better in itself.
        group: the title in `GROUPS` below which `tfvae evaluate` prints it; "": only in JSON, or in the zoo's cards.
        section: the key of the nested dict of the results that holds it; "": it stands at the top.
        member: what stands in the brackets of a family's names, such as FACTOR; "": the metric is no family.
        remark: what `tfvae evaluate` prints behind the number, with names in braces filled in from the results;
            "": the unit.
        tolerance: the relative difference that is allowed when another machine measures the same model. Machines
            round differently; sums of thousands of float32 terms agree to 1e-5.

    Example:
        >>> find_metric("frechet[inception]").higher_is_better
        False
    """

    name: str
    unit: str
    description: str
    higher_is_better: bool | None = None
    group: str = ""
    section: str = ""
    member: str = ""
    remark: str = ""
    tolerance: float = 1e-3


@dataclasses.dataclass(frozen=True)
class MetricValue:
    """The value of one metric for one model.

    Args:
        metric: what was measured.
        name: the key in the results, with the member of a family: ``probe[labels]``.
        value: a number, a list of numbers, a text, or None where the metric does not apply to the data.
        interval: the ends of the 95% confidence interval, in the metric's unit; None where there is none.

    Example:
        >>> read_metric_values({"elbo": -80.0, "elbo_low": -81.0, "elbo_high": -79.0})[0].interval
        (-81.0, -79.0)
    """

    metric: Metric
    name: str
    value: Any
    interval: tuple[float, float] | None = None
