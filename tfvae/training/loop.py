"""The epochs of one run: optimise, evaluate, write, save; go back to the last good state when the numbers break."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.config import Config
from tfvae.errors import DivergedError
from tfvae.models.vae import VAE
from tfvae.objectives.geco.constraint_status import describe_constraints, find_unreachable
from tfvae.runtime import replicas
from tfvae.runtime.optimizers import use_averaged_weights
from tfvae.runtime.progress_reporters import SilentReporter
from tfvae.training import checkpoints, compile_modes
from tfvae.training.engine import Engine, epoch_order, place_images
from tfvae.training.replicated_engine import ReplicatedEngine
from tfvae.training.run_folder import Run
from tfvae.training.training_state import TrainingState

CHECKPOINT_SECONDS = 20.0  # at most this much work is lost; the first and the last state are saved always
ROLLBACKS = 3
Watch = Callable[[Run, VAE, int], object]
Split = tuple[np.ndarray, np.ndarray]


class Loop:
    """The epochs of one run; call `prepare`, then `run_epochs`.

    Args:
        run: its folder.
        config: its settings.
        model: compiled.
        training: images [N, H, W, C] and labels [N].
        held_out: as `training`; may be empty.
        reporter: of the progress.
        stop: called after each block of steps; True saves and stops. None: never.
        watch: called with (run, model, epoch) after each epoch, or None.
        strategy: a tf.distribute strategy, under whose scope `model` was built, or None.
        recompile: called with n after the n-th rollback: gives the model a new optimizer at 1/2^n of the learning rate.
    """

    state: TrainingState
    engine: Engine
    images: Any
    held_out_images: Any
    rows: list[dict[str, Any]]
    mode_reason: str

    def __init__(
        self,
        run: Run,
        config: Config,
        model: VAE,
        training: Split,
        held_out: Split,
        reporter: SilentReporter,
        stop: Callable[[], bool] | None,
        watch: Watch | None,
        strategy: tf.distribute.Strategy | None,
        recompile: Callable[[int], None],
    ) -> None:
        self.run, self.config, self.model, self.reporter = run, config, model, reporter
        self.training, self.held_out = training, held_out
        self.stop, self.watch = stop or (lambda: False), watch or (lambda *_: None)
        self.strategy, self.is_chief, self.recompile = strategy, replicas.is_chief(strategy), recompile
        self.steps = len(training[0]) // config.batch_size
        self.saved_at, self.skipped = 0.0, 0
        self.unreachable: set[str] = set()  # constraints of which that was said

    # --- before the first epoch --------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Restore the newest checkpoint, choose how steps are compiled, and place the images."""
        state = checkpoints.restore_newest_checkpoint(self.run.checkpoints_folder, self.model, self.reporter.line)
        self.state = state or TrainingState(feed=self.config.feed)
        if self.state.rollbacks:
            self._restore(self.state.rollbacks)
        self.state.mode, self.mode_reason = self._choose_mode()
        self._make_engine()
        feed = self.state.feed if not self.strategy else "streamed"
        self.images = place_images(self.training[0], feed)
        self.state.feed = "streamed" if isinstance(self.images, np.ndarray) else "resident"
        self.held_out_images = place_images(self.held_out[0], feed) if len(self.held_out[0]) else None
        self.rows = [row for row in self.run.rows if row["epoch"] <= self.state.epoch]
        self.saved_at = time.monotonic()

    def _choose_mode(self) -> tuple[str, str]:
        """Return the mode and why; a resumed run compiles as it did before, so that its bits are the same."""
        if self.strategy:
            return "step" if self.model.jit_compile else "kernels", "one step at a time on every replica"
        if self.state.mode:
            return self.state.mode, "as before"
        total_steps = self.config.epochs * self.steps
        return compile_modes.choose_mode(self.model, self.config.batch_size, total_steps, self.config.xla)

    def _make_engine(self) -> None:
        arguments = self.model, self.config.batch_size, self.state.mode
        self.engine = ReplicatedEngine(*arguments, self.strategy) if self.strategy else Engine(*arguments)

    # --- the epochs --------------------------------------------------------------------------------------------

    def run_epochs(self) -> bool:
        """Train to the last epoch; return False if `stop` ended the training before."""
        self.reporter.line(f"{self.engine.header(self.images)} ({self.mode_reason})")
        self.reporter.line(f"run: {self.run.path}")
        for note in self.model.training_notes(self.config.epochs * self.steps):
            self.reporter.line(note)
        if not self.model.step.numpy():
            self._save()  # what to go back to, from the start
        while self.state.epoch < self.config.epochs:
            try:
                if not self._train_epoch(self.state.epoch + 1):
                    return False
            except DivergedError as error:
                self._roll_back(error)
        self._save()
        for sentence in describe_constraints(self.model, self.rows):
            self.reporter.line(sentence)
        return True

    def _train_epoch(self, epoch: int) -> bool:
        """Run an epoch; return False if it was cut short (and saved)."""
        begun = time.monotonic()
        order = epoch_order(self.config.seed, epoch, len(self.images), self.config.batch_size)
        first_step = self.state.done
        means = self._run_blocks(epoch, order, begun)
        if means is None:
            self._save()
            return False
        row = {
            "epoch": epoch,
            "step": int(self.model.step.numpy()),
            "seconds": round(self.state.seconds, 3),
            **means,
            **{name: float(value) for name, value in self.model.state_logs().items()},
        }
        images_per_second = self._measure_speed(len(order) - first_step, begun, time.monotonic())
        with use_averaged_weights(self.model):
            if self.held_out_images is not None:
                held_out_means = self.engine.evaluate(self.held_out_images, self.held_out[1])
                row |= {f"val_{name}": value for name, value in held_out_means.items()}
            self._finish_epoch(row, images_per_second)
        is_stopped = self._is_asked_to_stop()
        if is_stopped or time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self._save()
        return not is_stopped or epoch == self.config.epochs

    def _measure_speed(self, steps: int, begun: float, ended: float) -> float:
        """Return the images per second of an epoch's steps, without compiling and what was trained in that time.

        Args:
            steps: steps taken.
            begun, ended: when, on the monotonic clock.

        Returns:
            NaN where no step was taken but the one that compiles.
        """
        if self.engine.compiled_at > begun:  # within this epoch
            steps -= self.engine.steps_while_compiling
            begun = self.engine.compiled_at
        return steps * self.config.batch_size / (ended - begun) if steps > 0 and ended > begun else math.nan

    def _run_blocks(self, epoch: int, order: np.ndarray, begun: float) -> dict[str, float] | None:
        """Run what is left of an epoch and return the means of its columns; None: it was asked to stop."""
        seconds, is_first = self.state.seconds, self.engine.compile_seconds is None
        blocks = self.engine.train_blocks(
            self.images, order, done=self.state.done, sums=self.state.sums, labels=self.training[1]
        )
        means: dict[str, float] = {}
        for done, sums, means in blocks:
            if is_first and self.engine.compile_seconds:
                self.reporter.line(f"compiled in {self.engine.compile_seconds:.1f} s")
                is_first = False
            self.state.done, self.state.sums = done, sums
            self.state.seconds = seconds + time.monotonic() - begun
            self._check_skipped_steps(epoch, done, done - int(sums[-1]), is_last=done == len(order))
            self.reporter.block(epoch, self.config.epochs, done, len(order), means)
            if done < len(order) and self._is_asked_to_stop():
                return None
        return means

    def _is_asked_to_stop(self) -> bool:
        """Tell whether this process, or another of the same run, was asked to stop."""
        return replicas.any_process(self.strategy, self.stop()) if self.strategy else self.stop()

    def _check_skipped_steps(self, epoch: int, done: int, skipped: int, is_last: bool) -> None:
        """Report steps that were skipped for numbers that are not finite; give up when most of an epoch's are.

        Within an epoch a few may break before many are done; at its end the share alone decides.
        """
        if skipped > (done // 2 if is_last else max(10, done // 2)):
            raise DivergedError(f"{skipped} of {done} steps of epoch {epoch} skipped for NaN or infinity")
        if skipped > self.skipped:
            self.reporter.line(f"epoch {epoch}: {skipped} of {done} steps skipped, their numbers were not finite")
        self.skipped = skipped

    def _finish_epoch(self, row: dict[str, Any], images_per_second: float) -> None:
        """Write the row of a finished epoch, check it, report it."""
        broken = [name for name, value in row.items() if not np.isfinite(value)]
        if broken:
            raise DivergedError(f"{broken[0]} = {row[broken[0]]} in epoch {row['epoch']}")
        self.state.epoch, self.state.done, self.state.sums = row["epoch"], 0, None
        self.skipped = 0
        self.rows.append(row)
        if self.is_chief:
            self.run.write_rows(self.rows)
        self.reporter.epoch(row, self.config.epochs, images_per_second)
        unreachable = find_unreachable(self.model, self.rows, self.config.epochs)
        for text in unreachable.keys() - self.unreachable:
            self.reporter.line(unreachable[text])
        self.unreachable |= unreachable.keys()
        if self.is_chief:
            self.watch(self.run, self.model, row["epoch"])

    # --- checkpoints -------------------------------------------------------------------------------------------

    def _roll_back(self, error: DivergedError) -> None:
        """Go on from the last good state at half the learning rate, since the same steps would break again."""
        count = self.state.rollbacks + 1
        if count > ROLLBACKS:
            raise DivergedError(
                f"Expected finite numbers. Received: {error}, after {ROLLBACKS} returns to the last good state. That "
                f"checkpoint is in {self.run.checkpoints_folder}; lower --learning-rate or set --clip-norm 1."
            ) from error
        self.state = self._restore(count) or TrainingState(feed=self.config.feed)
        self.state.rollbacks = count
        self._make_engine()
        self.rows, self.skipped = [row for row in self.rows if row["epoch"] <= self.state.epoch], 0
        self.reporter.line(
            f"{error}: back to step {int(self.model.step.numpy())} at {0.5**count:g} of the learning rate "
            f"(return {count} of at most {ROLLBACKS})"
        )

    def _restore(self, count: int) -> TrainingState | None:
        """Restore the newest good checkpoint, into an optimizer with the learning rate of the `count`-th rollback."""
        self.recompile(count)
        return checkpoints.restore_newest_checkpoint(self.run.checkpoints_folder, self.model, self.reporter.line)

    def _save(self) -> None:
        if self.is_chief:
            checkpoints.save_checkpoint(self.run.checkpoints_folder, self.model, self.state)
        self.saved_at = time.monotonic()
