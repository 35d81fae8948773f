"""`TrainingState`: where a training stands, beside the variables of its model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tfvae.schemas import COUNT, AnyOf, Constant, ListOf, Number, Record, Text

SUMS = ListOf(Number(-math.inf, math.inf, may_be_nan=True))
SAVED_STATE = Record(
    {
        "epoch": COUNT,
        "done": COUNT,
        "sums": AnyOf((Constant((None,)), SUMS), "a list of numbers, or null"),
        "seconds": Number(0),
        "rollbacks": COUNT,
        "mode": Text(),
        "feed": Text(),
    }
)


@dataclasses.dataclass
class TrainingState:
    """Where a training stands; a checkpoint stores it as ``position.json``.

    Args:
        epoch: finished epochs.
        done: steps done in the epoch that is under way.
        sums: of its columns so far, the last of them the count of steps that were finite; None: none yet.
        seconds: of training so far.
        rollbacks: how often it went back to the last good state, at half the learning rate each time.
        mode: how its steps are compiled, see `tfvae.training.engine.Engine`; '': not chosen yet.
        feed: ``resident`` or ``streamed`` images, or ``auto``: not chosen yet.

    Example:
        >>> TrainingState.from_json(TrainingState(epoch=3).to_json()).epoch
        3
    """

    epoch: int = 0
    done: int = 0
    sums: list[float] | None = None
    seconds: float = 0.0
    rollbacks: int = 0
    mode: str = ""
    feed: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON knows it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> TrainingState:
        """Return the state that `to_json` wrote.

        Raises:
            IntegrityError: `values` is something else.
        """
        SAVED_STATE.check(values, "a training's state")
        return cls(**values)
