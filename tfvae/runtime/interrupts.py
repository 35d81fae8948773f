"""Ctrl-C and SIGTERM as a question that a loop asks: is it time to stop?"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any


class StopSignal:
    """A ``stop=`` for `tfvae.train` that Ctrl-C and SIGTERM make true; a second Ctrl-C stops at once.

    Attributes:
        signal: the number of the signal that came, or None.

    Example:
        >>> with StopSignal() as stop:
        ...     tfvae.train(objective="elbo", dataset="digits", stop=stop)
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            signals = (signal.SIGINT, signal.SIGTERM)
            self._handlers = {number: signal.signal(number, self.remember) for number in signals}
        return self

    def remember(self, number: int, frame: Any) -> None:
        """Note the signal; the next Ctrl-C is Python's own."""
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not print, which this handler may have interrupted.
        os.write(2, b"\ntfvae: saving and stopping; Ctrl-C once more stops at once\n")

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self.signal is not None
