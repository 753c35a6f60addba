"""What the examples share: options, the digits, trainings that Ctrl-C ends, pictures of digits."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from deepnp import NonFiniteError, set_num_threads
from deepnp.backend import one_blas_thread
from deepnp.data import load_mnist
from deepnp.storage import save_tensors
from rl.runs.displays import replace_unknown_signs
from rl.runs.interrupt import Interrupt
from rl.runs.run import new_folder
from rl.training.curves import TITLE_SIZE

WRONG = "#b3261e"
TEST_SHARE = 0.2
SPLIT_SEED = 0  # the held-out digits are the same whatever --seed says


def parse(doc: str, steps: int, digits: bool = False, **switches: str) -> argparse.Namespace:
    """The options of an example: steps, seed, threads, out; with `digits` MNIST's folder, too; its own switches, with their help.

    Two threads by default: they share large convolutions and attention, and do without each other
    where another program needs a core. Matrix products of networks as small as these gain nothing
    from a second thread, so each uses one (see `Training`).
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=positive, default=steps, help=f"minibatches to learn from (default {steps:,})")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the initial weights and everything drawn (default 0)")
    parser.add_argument("--threads", type=positive, default=2, help="at once, where that is faster (default 2)")
    parser.add_argument("--out", type=Path, help="folder for what is written (default runs/<name>, runs/<name>-2, …)")
    if digits:
        parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="learn MNIST from its four IDX files in this folder")
    for name, help_text in switches.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=help_text)
    options = parser.parse_args()
    set_num_threads(options.threads)
    return options


def positive(text: str) -> int:
    return _whole(text, 1)


def not_negative(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number >= {least}, given {text}")
    return int(text)


def scikit_learn():
    """scikit-learn's data sets and its splitter."""
    try:
        from sklearn import datasets, model_selection
    except ImportError as error:
        raise ImportError('this example takes its data from scikit-learn: pip install "deepnp-rl[examples]"') from error
    return datasets, model_selection


def load_images(mnist: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images float32 (N, 1, H, W) in [0, 1] and labels (N,), to train and to test: MNIST's, or scikit-learn's 1,797 digits."""
    if mnist is not None:
        return load_mnist(mnist)
    datasets, model_selection = scikit_learn()
    digits = datasets.load_digits()
    images, labels = (digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64)
    split = dict(test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=labels)
    x, test_x, y, test_y = model_selection.train_test_split(images, labels, **split)
    return x, y, test_x, test_y


class Training:
    """Counts steps, prints a line of figures now and then, keeps them for the picture, and stops between two steps on Ctrl-C.

    for step in training:
        …
        training.note(loss=loss)                    # the mean since the last report
        if training.due:
            training.report(accuracy=accuracy)      # as it is now

    Parameters
    ----------
    steps : int
        How many.
    shown : dict of str to str
        Figure -> format with one placeholder, e.g. {"loss": "loss {:.3f}"}.
    reports : int
        How many lines; the last step is always due.
    """

    def __init__(self, steps: int, shown: dict[str, str], reports: int = 20):
        self.steps, self.shown, self.every = steps, shown, max(1, steps // reports)
        self.history: dict[str, list[float]] = {"step": [], **{name: [] for name in shown}}
        self.step, self.due = 0, False
        self._noted: dict[str, list[float]] = {}
        self._start = time.monotonic()

    def __iter__(self) -> Iterator[int]:
        with Interrupt() as interrupt, one_blas_thread():
            while self.step < self.steps:
                stop = interrupt.requested
                self.step += 1
                self.due = stop or self.step % self.every == 0 or self.step == self.steps
                yield self.step
                if stop:
                    print("stopped; what follows is what was learned so far", flush=True)
                    return

    def note(self, **figures: float) -> None:
        """Remember a step's figures until the next report."""
        for name, value in figures.items():
            if not math.isfinite(value):
                raise NonFiniteError(f"{name} is {value} at step {self.step}")
            self._noted.setdefault(name, []).append(value)

    def report(self, **figures: float) -> None:
        """Print a line of the mean of what was noted, and of these figures."""
        figures = {name: sum(values) / len(values) for name, values in self._noted.items()} | figures
        self._noted.clear()
        self.history["step"].append(self.step)
        for name in self.shown:
            self.history[name].append(figures[name])
        text = "   ".join(form.format(figures[name]) for name, form in self.shown.items())
        print(f"{self.step:7,} of {self.steps:,}   {text}   {self.seconds:4.0f} s", flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start


def in_parts(predict: Callable, x, size: int = 1000) -> np.ndarray:
    """`predict` of many rows, `size` at a time."""
    return np.concatenate([predict(x[start : start + size]) for start in range(0, len(x), size)])


def show_tiles(axis, images: np.ndarray, columns: int, title: str, captions: list[str] | None = None) -> None:
    """Draw images (N, 1, H, W), dark on light, row by row; a caption stands above its image, in red if it holds an arrow."""
    rows, (height, width) = -(-len(images) // columns), images.shape[2:]
    above = height // 2 if captions else 1
    picture = np.full((rows * (height + above), columns * (width + 1)), np.nan)
    for i, image in enumerate(images[:, 0]):
        top, left = i // columns * (height + above) + above, i % columns * (width + 1)
        picture[top : top + height, left : left + width] = image
        if captions:
            colour = WRONG if "→" in captions[i] else "0.3"
            axis.text(left + width / 2 - 0.5, top - 0.2 * above, captions[i], ha="center", fontsize=8, color=colour)
    axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title)
    axis.axis("off")


def save(out: Path | None, figure, **networks) -> None:
    """Write picture.png, and the weights of each network beside it.

    They go to `out`, or to a new folder runs/<name of the example>.
    """
    folder = out or new_folder(Path("runs") / Path(sys.argv[0]).stem)
    folder.mkdir(parents=True, exist_ok=True)
    for axis in figure.axes:
        axis.title.set_fontsize(TITLE_SIZE)
    figure.savefig(folder / "picture.png", dpi=110)
    for name, network in networks.items():
        save_tensors(folder / f"{name}.safetensors", network.state_dict())
    names = ", ".join(["picture.png", *(f"{name}.safetensors" for name in networks)])
    print(f"written to {folder}/: {names}", flush=True)


def run(main: Callable[[], None]) -> None:
    """Run an example; what goes wrong outside is told in one line.

    Signs that the terminal lacks are shown as "?".
    """
    replace_unknown_signs()
    try:
        main()
    except (NonFiniteError, ImportError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
