"""Sentences on constraints: since when they are met, and when they are called infeasible."""

import types

import pytest

from tfvae.objectives.geco.constraint_status import describe_constraints
from tfvae.objectives.geco.constraints import parse_constraints
from tfvae.runtime.constraint_band import is_infeasible, met_since


def build_rows(values, lams):
    pairs = zip(values, lams)
    return [{"step": 100 * i, "constraint": c, "lambda": lam} for i, (c, lam) in enumerate(pairs, 1)]


def build_model(text):
    return types.SimpleNamespace(constraints=parse_constraints(text))


@pytest.mark.parametrize(
    "values, since",
    [
        ([5, 1, 0.15, -1, 0.1], 3),  # kappa^2 = 16: the band ends at 0.16
        ([5, -1, 5, -1, -2], 4),  # a relapse starts the count anew
        ([5, 4, 3], None),
        ([-1, -1, 0.17], None),
        ([-1], 1),
    ],
)
def test_met_since(values, since):
    assert met_since(values, 16.0) == since


def test_a_met_constraint_says_since_when():
    (line,) = describe_constraints(build_model("re<=4"), build_rows([8.0, 0.1, -0.08], [2.0, 1.5, 0.9]))
    for part in ("re<=4", "-0.08", "-0.50%", "epoch 2", "step 200", "lambda 0.9", "peak 2"):
        assert part in line


def test_an_infeasible_constraint_is_called_so():
    """The error stalls 25% above the target while lambda grows tenfold."""
    stalled = [4.0 + 0.01 * (20 - i) for i in range(20)]
    growing = [2.0 * 1.12**i for i in range(20)]
    (line,) = describe_constraints(build_model("re<=4"), build_rows(stalled, growing))
    assert "NOT met" in line and "infeasible" in line


def test_a_constraint_on_its_way_is_not_called_infeasible():
    falling = [16.0 * 0.9**i for i in range(20)]
    (line,) = describe_constraints(build_model("re<=4"), build_rows(falling, [2.0 * 1.12**i for i in range(20)]))
    assert "NOT met yet" in line and "infeasible" not in line
    assert not is_infeasible([4.0] * 20, [2.0] * 20, 16.0)  # lambda at rest: nothing has been tried yet


def test_one_line_a_constraint_and_none_without():
    rows = [row | {"constraint_2": -3.0, "lambda_2": 0.5} for row in build_rows([-1.0] * 3, [1.0] * 3)]
    assert [line.partition(":")[0] for line in describe_constraints(build_model("re<=4;kl<=20"), rows)] == [
        "constraint re<=4",
        "constraint kl<=20",
    ]
    assert describe_constraints(types.SimpleNamespace(), rows) == []
