"""Read handwritten digits with a small residual network.

    python examples/digits_resnet.py                   scikit-learn's digits: 1,437 to learn from, 360 to test on
    python examples/digits_resnet.py --mnist FOLDER    MNIST, from its four IDX files

Three stages of one residual block with batch normalisation (deepnp/models/resnet.py), learned as in digits_cnn.py.
Writes picture.png and network.safetensors to runs/digits_resnet/. Ctrl-C ends cleanly.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from deepnp.models import resnet
from examples.common import run
from examples.digits_cnn import CLASSES, learn


def main() -> None:
    learn(__doc__, 500, lambda image, rng: resnet(image[0], CLASSES, rng=rng))


if __name__ == "__main__":
    run(main)
