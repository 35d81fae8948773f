"""The epochs of one run: learn, measure, write, save; go back to the last good state when the numbers break."""

import time

import numpy as np

from tfvae.errors import DivergedError
from tfvae.objectives.geco.constraint_status import describe_constraints
from tfvae.runtime import replicas
from tfvae.runtime.optimizers import use_averaged_weights
from tfvae.training import checkpoints, compile_modes
from tfvae.training.engine import Engine, epoch_order, place_images
from tfvae.training.replicated_engine import ReplicatedEngine

CHECKPOINT_SECONDS = 20.0  # at most this much work is lost; the first and the last state are saved always
ROLLBACKS = 3


class Loop:
    """The epochs of one run.

    Args:
        training, held_out: images [N, H, W, C] and labels [N] each; `held_out` may be empty.
        stop, watch: see `tfvae.training.trainer.train`.
        strategy: a tf.distribute strategy, under whose scope `model` was built, or None.
        recompile: called with n after the n-th rollback: gives the model a new optimizer at 1/2^n of the learning rate.
    """

    def __init__(self, run, config, model, training, held_out, reporter, stop, watch, strategy, recompile):
        self.run, self.config, self.model, self.reporter = run, config, model, reporter
        self.stop, self.watch = stop or (lambda: False), watch or (lambda *_: None)
        self.strategy, self.chief, self.recompile = strategy, replicas.is_chief(strategy), recompile
        (images, self.labels), (held_out, self.held_out_labels) = training, held_out
        self.steps = len(images) // config.batch_size
        self.position = checkpoints.restore_newest_checkpoint(run.path / "checkpoints", model, reporter.line) or {
            "epoch": 0, "done": 0, "sums": None, "seconds": 0.0, "rollbacks": 0, "mode": "", "feed": config.feed,
        }  # fmt: skip
        if self.position["rollbacks"]:
            self.restore(self.position["rollbacks"])
        mode, self.how = self.choose_mode()
        self.position["mode"] = mode
        self.make_engine()
        feed = self.position["feed"] if not strategy else "streamed"
        self.images = place_images(images, feed)
        self.position["feed"] = "streamed" if isinstance(self.images, np.ndarray) else "resident"
        self.held_out = place_images(held_out, feed) if len(held_out) else None
        self.rows = [row for row in run.rows if row["epoch"] <= self.position["epoch"]]
        self.saved, self.skipped = time.monotonic(), 0

    def choose_mode(self):
        """(mode, how it was decided): a resumed run compiles as it did before, so that its bits are the same."""
        if self.strategy:
            return "step" if self.model.jit_compile else "kernels", "one step at a time on every replica"
        if self.position["mode"]:
            return self.position["mode"], "as before"
        return compile_modes.choose_mode(
            self.model, self.config.batch_size, self.config.epochs * self.steps, self.config.xla
        )

    def make_engine(self):
        args = self.model, self.config.batch_size, self.position["mode"]
        self.engine = ReplicatedEngine(*args, self.strategy) if self.strategy else Engine(*args)

    def run_epochs(self):
        """True if the last epoch was reached, False if `stop` ended it."""
        self.reporter.line(f"{self.engine.header(self.images)} ({self.how})")
        self.reporter.line(f"run: {self.run.path}")
        if not self.model.step.numpy():
            self.save()  # what to go back to, from the start
        while self.position["epoch"] < self.config.epochs:
            try:
                if not self.train_epoch(self.position["epoch"] + 1):
                    return False
            except DivergedError as error:
                self.roll_back(error)
        self.save()
        for line in describe_constraints(self.model, self.rows):
            self.reporter.line(line)
        return True

    def train_epoch(self, epoch):
        """Run an epoch; False if it was cut short (and saved)."""
        begun = time.monotonic()
        order = epoch_order(self.config.seed, epoch, len(self.images), self.config.batch_size)
        first, seconds = self.position["done"], self.position["seconds"]
        new = self.engine.compile_seconds is None
        place = {"done": self.position["done"], "sums": self.position["sums"]}
        blocks = self.engine.train_blocks(self.images, order, **place, labels=self.labels)
        for done, sums, means in blocks:
            if new and self.engine.compile_seconds:
                self.reporter.line(f"compiled in {self.engine.compile_seconds:.1f} s")
                new = False
            self.position |= {"done": done, "sums": sums, "seconds": seconds + time.monotonic() - begun}
            self.check_skipped_steps(epoch, done, done - int(sums[-1]))
            self.reporter.block(epoch, self.config.epochs, done, len(order), means)
            if done < len(order) and self.asked_to_stop():
                self.save()
                return False
        row = {
            "epoch": epoch,
            "step": int(self.model.step.numpy()),
            "seconds": round(self.position["seconds"], 3),
        }
        row |= means | {name: float(value) for name, value in self.model.state_logs().items()}
        speed = (len(order) - first) * self.config.batch_size / (time.monotonic() - begun)
        with use_averaged_weights(self.model):
            if self.held_out is not None:
                found = self.engine.evaluate(self.held_out, self.held_out_labels)
                row |= {f"val_{name}": value for name, value in found.items()}
            self.finish_epoch(row, speed)
        stopped = self.asked_to_stop()
        if stopped or time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()
        return not stopped or epoch == self.config.epochs

    def asked_to_stop(self):
        """Whether this process, or another of the same run, was asked to stop."""
        return replicas.any_process(self.strategy, self.stop()) if self.strategy else self.stop()

    def check_skipped_steps(self, epoch, done, skipped):
        """Say that steps were skipped for numbers that are not finite; give up when most of an epoch's are."""
        if skipped > max(10, done // 2):
            raise DivergedError(f"{skipped} of {done} steps of epoch {epoch} skipped for NaN or infinity")
        if skipped > self.skipped:
            self.reporter.line(f"epoch {epoch}: {skipped} of {done} steps skipped, their numbers were not finite")
        self.skipped = skipped

    def finish_epoch(self, row, speed):
        """Write the row, check it, show it."""
        broken = [name for name, value in row.items() if not np.isfinite(value)]
        if broken:
            raise DivergedError(f"{broken[0]} = {row[broken[0]]} in epoch {row['epoch']}")
        self.position |= {"epoch": row["epoch"], "done": 0, "sums": None}
        self.skipped = 0
        self.rows.append(row)
        if self.chief:
            self.run.write_rows(self.rows)
        self.reporter.epoch(row, self.config.epochs, speed)
        if self.chief:
            self.watch(self.run, self.model, row["epoch"])

    def roll_back(self, error):
        """Go on from the last good state at half the learning rate, since the same steps would break again."""
        count = self.position["rollbacks"] + 1
        if count > ROLLBACKS:
            raise DivergedError(
                f"Expected finite numbers. Received: {error}, after {ROLLBACKS} returns to the last good state. That "
                f"checkpoint is in {self.run.path / 'checkpoints'}; lower --learning-rate or set --clip-norm 1."
            ) from error
        self.position = self.restore(count) | {"rollbacks": count}
        self.make_engine()
        self.rows, self.skipped = [row for row in self.rows if row["epoch"] <= self.position["epoch"]], 0
        self.reporter.line(
            f"{error}: back to step {int(self.model.step.numpy())} at {0.5**count:g} of the learning rate "
            f"(return {count} of at most {ROLLBACKS})"
        )

    def restore(self, count):
        """The newest good checkpoint, into an optimizer with the learning rate of the `count`-th rollback."""
        self.recompile(count)
        return checkpoints.restore_newest_checkpoint(self.run.path / "checkpoints", self.model, self.reporter.line)

    def save(self):
        if self.chief:
            checkpoints.save_checkpoint(self.run.path / "checkpoints", self.model, self.position)
        self.saved = time.monotonic()
