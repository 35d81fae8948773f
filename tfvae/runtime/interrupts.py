"""Ctrl-C and SIGTERM as a question that a loop asks: is it time to stop?"""

import os
import signal
import threading


class StopSignal:
    """A ``stop=`` that Ctrl-C and SIGTERM make true; a second Ctrl-C stops at once."""

    def __init__(self):
        self.signal = None
        self.before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {s: signal.signal(s, self.note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def note(self, number, frame):
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not print, which this handler may have interrupted.
        os.write(2, b"\ntfvae: saving and stopping; Ctrl-C once more stops at once\n")

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self.signal is not None
