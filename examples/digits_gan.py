"""Two networks against each other, until one of them can draw digits.

    python examples/digits_gan.py                   scikit-learn's digits: 1,437 to learn from
    python examples/digits_gan.py --mnist FOLDER    MNIST, from its four IDX files: slower, and not tried

Prints, for forgeries, how far the nearest digit of the training set is, beside the same for digits that were held out: less
would mean that digits are copied, more that there are none such. And how the forgeries spread over the ten classes, each taken
for what the nearest digit is. Writes picture.png and generator.safetensors to runs/digits_gan/. Ctrl-C ends cleanly.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import Sequential
from deepnp.data import minibatches
from deepnp.models import gan
from deepnp.optim import Adam, linear
from examples.common import Training, load_images, parse, run, save, show_tiles
from rl.training.curves import COLOURS, subplots

BATCH, LATENT, WIDTH, DRAWN = 64, 32, 16, 1000
LR, BETAS = 2e-3, (0.0, 0.999)  # momentum runs on after what the opponent has left behind: β₁ = 0.5 was far slower


def main() -> None:
    options = parse(__doc__, steps=2500, digits=True)
    x, y, test_x, _ = load_images(options.mnist)
    weights, order, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3))
    generator = gan.generator(LATENT, x.shape[1:], WIDTH, weights)
    discriminator = gan.discriminator(x.shape[1:], WIDTH, weights)
    forging, judging = Adam(generator.flat, LR, BETAS), Adam(discriminator.flat, LR, BETAS)
    batches = minibatches(BATCH, x, rng=order)
    print(f"{len(x):,} digits; generator with {len(generator.flat):,} parameters, discriminator with {len(discriminator.flat):,}")

    training = Training(options.steps, {"judge": "discriminator's loss {:.3f}", "forger": "generator's {:.3f}"})
    for step in training:
        (images,) = next(batches)
        forging.lr = judging.lr = linear(LR, 0.0, (step / options.steps - 0.7) / 0.3)
        discriminator.zero_grad()
        judge = gan.discriminator_gradient(generator, discriminator, images, draw(noise, len(images)))
        judging.step()
        generator.zero_grad()
        forger = gan.generator_gradient(generator, discriminator, draw(noise, len(images)))
        forging.step()
        training.note(judge=judge, forger=forger)
        if training.due:
            training.report()

    forgeries = generator.predict(draw(noise, DRAWN))
    picture(options.out, generator, training, x, forgeries)
    distance, nearest = neighbours(forgeries, x)
    held_out, _ = neighbours(test_x[:DRAWN], x)
    counts = np.bincount(y[nearest], minlength=10)
    print(f"nearest training digit: {distance.mean():.2f} from a forgery, {held_out.mean():.2f} from a held-out digit")
    print(f"forgeries of the digits 0 to 9: {' '.join(f'{100 * c / DRAWN:.0f}' for c in counts)} %, in {training.seconds:.0f} s")


def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Noise for so many forgeries."""
    return rng.standard_normal((rows, LATENT), np.float32)


def neighbours(images: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distance from each image to the nearest known one, and which that is."""
    a, b = (part.reshape(len(part), -1).astype(np.float64) for part in (images, known))
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)
    return np.sqrt(np.maximum(squares.min(axis=1), 0)), squares.argmin(axis=1)


def picture(out: Path | None, generator: Sequential, training: Training, x: np.ndarray, forgeries: np.ndarray) -> None:
    """The two losses, digits, and forgeries."""
    figure, (curve, real, fake) = subplots(3)
    for name, label, colour in (("judge", "discriminator", COLOURS[0]), ("forger", "generator", COLOURS[1])):
        curve.plot(training.history["step"], training.history[name], label=label, color=colour, linewidth=2)
    curve.axhline(2 * np.log(2), color="0.5", linewidth=1, linestyle=":", label="2 ln 2: the discriminator guesses")
    curve.set(xlabel="minibatches", title="losses", ylim=(0, None))
    curve.legend(frameon=False)
    show_tiles(real, x[:80], 10, "digits")
    show_tiles(fake, forgeries[:80], 10, "forgeries, not selected")
    save(out, figure, generator=generator)


if __name__ == "__main__":
    run(main)
