"""Assembled networks: their shapes, what they refuse, and every derivative written in them against its numerical one."""

import math

import numpy as np
import pytest

from deepnp import BatchNorm2d, Conv2d, Flatten, LeakyReLU, Linear, ReLU, Reshape, Residual, Sequential, Sigmoid, Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.losses import cross_entropy
from deepnp.models import VAE, cnn, gan, mlp, negative_elbo, resnet
from deepnp.models.vae import gaussian_kl, reparametrise, reparametrise_backward


def gradient_of_parameters(network, loss) -> np.ndarray:
    """The numerical gradient of loss(), which reads the network's parameters, with regard to all of them."""
    theta = network.flat.data.copy()

    def moved(values):
        network.flat.data[...] = values
        return loss()

    gradient = numerical_gradient(moved, theta)
    network.flat.data[...] = theta
    return gradient


class TestClassifiers:
    NETWORKS = {
        "cnn": lambda rng: cnn((2, 5, 4), 3, channels=(3, 4), hidden=6, dropout=0.0, rng=rng),
        "resnet": lambda rng: resnet(2, 3, channels=(2, 3), blocks=2, rng=rng),
    }

    @pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
    def test_gradients(self, make, rng, kernels):
        network = make(rng).to(np.float64)
        x, labels = rng.normal(size=(4, 2, 5, 4)), rng.integers(3, size=4)
        _, dlogits = cross_entropy(network.forward(x), labels)
        network.zero_grad()
        dx = network.backward(dlogits)
        given = network.flat.grad.copy()
        assert relative_error(dx, numerical_gradient(lambda v: cross_entropy(network.forward(v), labels)[0], x)) < TOLERANCE
        numerical = gradient_of_parameters(network, lambda: cross_entropy(network.forward(x), labels)[0])
        assert relative_error(given, numerical) < TOLERANCE

    @pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
    def test_shapes_and_seeds(self, make):
        x = np.random.default_rng(1).normal(size=(5, 2, 5, 4)).astype(np.float32)
        first, second = (make(np.random.default_rng(0)) for _ in range(2))
        assert first.forward(x).shape == (5, 3)
        assert first.predict(x[:0]).shape == (0, 3)
        assert first.flat.data.dtype == np.float32
        np.testing.assert_array_equal(first.flat.data, second.flat.data)

    def test_the_cnn_drops_in_training_only(self, rng):
        network = cnn((1, 8, 8), 3, dropout=0.5, rng=rng)
        x = rng.normal(size=(2, 1, 8, 8)).astype(np.float32)
        assert (network.forward(x) != network.forward(x)).any()
        np.testing.assert_array_equal(network.predict(x), network.predict(x))

    def test_resnet_20_has_its_size(self):
        """0.27 million parameters (He et al., table 6); the projections add 2,560 and 192 to the paper's option A."""
        network = resnet(3, 10, blocks=3)
        weights = sum(math.prod(p.shape) for name, p in network.named_parameters())
        assert weights == 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)
        blocks = [module for module in vars(network).values() if isinstance(module, Residual)]
        assert len(blocks) == 9
        projected = [i for i, block in enumerate(blocks) if isinstance(block.skip, Sequential)]
        assert projected == [3, 6]
        assert network.predict(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 10)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: cnn((8, 8), 3), r"shape of an image, \(C, H, W\), given \(8, 8\)"),
            (lambda: cnn((1, 0, 8), 3), r"given \(1, 0, 8\)"),
            (lambda: cnn((1, 8, 3), 3), r"can be halved for each, given \[32, 64\], \(1, 8, 3\)"),
            (lambda: cnn((1, 8, 8), 3, channels=()), "at least one stage"),
            (lambda: cnn((1, 8, 8), 3, dropout=1.0), r"p in \[0, 1\), given 1.0"),
            (lambda: resnet(1, 3, channels=()), r"given channels \[\]"),
            (lambda: resnet(1, 3, blocks=0), "given channels .* and 0 blocks"),
        ],
    )
    def test_bad_arguments_are_refused(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()


def small_vae(rng, latent=3):
    encoder = Sequential(Flatten(), Linear(6, 5, rng=rng), Tanh(), Linear(5, 2 * latent, rng=rng))
    decoder = Sequential(Linear(latent, 5, rng=rng), Tanh(), Linear(5, 6, rng=rng), Reshape((1, 2, 3)))
    return VAE(encoder, decoder, rng)


class TestVAE:
    def test_reparametrisation(self, rng):
        mean, log_variance, noise, dz = rng.normal(size=(4, 5, 3))
        z, cache = reparametrise(mean, log_variance, noise)
        np.testing.assert_allclose(z, mean + np.sqrt(np.exp(log_variance)) * noise, rtol=1e-12)
        dmean, ds = reparametrise_backward(dz, cache)

        def loss(m, s):
            return float((dz * reparametrise(m, s, noise)[0]).sum())

        assert relative_error(dmean, numerical_gradient(lambda v: loss(v, log_variance), mean)) < 1e-8
        assert relative_error(ds, numerical_gradient(lambda v: loss(mean, v), log_variance)) < 1e-8

    def test_the_samples_have_that_mean_and_variance(self, rng):
        z, _ = reparametrise(np.full((100_000, 1), 2.0), np.full((100_000, 1), np.log(9.0)), rng.normal(size=(100_000, 1)))
        assert abs(z.mean() - 2) < 0.03
        assert abs(z.var() - 9) < 0.15

    def test_kl_gradients(self, rng):
        mean, log_variance = rng.normal(size=(2, 5, 3))
        _, (dmean, ds) = gaussian_kl(mean, log_variance)
        assert relative_error(dmean, numerical_gradient(lambda v: gaussian_kl(v, log_variance)[0], mean)) < 1e-8
        assert relative_error(ds, numerical_gradient(lambda v: gaussian_kl(mean, v)[0], log_variance)) < 1e-8

    def test_kl_is_the_integral(self):
        """∫ q ln(q/p), by adding up."""
        mean, variance = 0.7, 0.4
        z = np.linspace(-8, 8, 200_001)
        q, p = (np.exp(-((z - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v) for m, v in ((mean, variance), (0, 1)))
        integral = (q * np.log(np.maximum(q, 1e-300) / p)).sum() * (z[1] - z[0])
        assert gaussian_kl(np.array([[mean]]), np.log(np.array([[variance]])))[0] == pytest.approx(integral, rel=1e-9)
        assert gaussian_kl(np.zeros((4, 2)), np.zeros((4, 2)))[0] == 0

    def test_the_loss_is_the_sum_over_an_image_and_the_mean_over_images(self, rng):
        x, logits = rng.uniform(size=(4, 1, 2, 3)), rng.normal(size=(4, 1, 2, 3))
        mean, s = rng.normal(size=(2, 4, 5))
        p = 1 / (1 + np.exp(-logits))
        error = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum() / 4
        kl = 0.5 * (mean**2 + np.exp(s) - s - 1).sum() / 4
        value, _, info = negative_elbo((logits, mean, s), x)
        assert value == pytest.approx(error + kl, rel=1e-12)
        assert info == pytest.approx({"reconstruction": error, "kl": kl}, rel=1e-12)

    def test_gradients_of_the_whole(self, rng, kernels):
        """The bound with regard to the image and to every weight: through the sample, and through the KL beside it."""
        network = small_vae(rng).to(np.float64)
        x, noise = rng.uniform(0.1, 0.9, size=(4, 1, 2, 3)), rng.normal(size=(4, 3))
        _, dy, _ = negative_elbo(network.forward(x, noise), x)
        network.zero_grad()
        dx = network.backward(dy)
        given = network.flat.grad.copy()
        numerical = gradient_of_parameters(network, lambda: negative_elbo(network.forward(x, noise), x)[0])
        assert relative_error(given, numerical) < TOLERANCE
        # x is also the target: only what flows through the encoder is backward's
        assert relative_error(dx, numerical_gradient(lambda v: negative_elbo(network.forward(v, noise), x)[0], x)) < TOLERANCE

    def test_the_bound_is_a_bound(self, rng):
        """−ELBO is never below −ln p(x), here integrated over a latent space of one dimension."""
        network = small_vae(rng, latent=1).to(np.float64)
        x = rng.integers(2, size=(1, 1, 2, 3)).astype(np.float64)
        z = np.linspace(-8, 8, 4001)[:, None]
        logits = network.decoder.predict(z)
        likelihood = np.exp((x * logits - np.logaddexp(0, logits)).sum(axis=(1, 2, 3)))
        evidence = (likelihood * np.exp(-0.5 * z[:, 0] ** 2)).sum() / np.sqrt(2 * np.pi) * (z[1, 0] - z[0, 0])
        many = np.repeat(x, 20_000, axis=0)
        bound = negative_elbo(network.forward(many, rng.normal(size=(20_000, 1))), many)[0]
        assert bound > -np.log(evidence)

    def test_predict_leaves_out_the_noise(self, rng):
        network = small_vae(rng)
        x = rng.uniform(size=(4, 1, 2, 3)).astype(np.float32)
        logits, mean, log_variance = network.predict(x)
        for given, expected in zip(network.forward(x, np.zeros((4, 3), np.float32)), (logits, mean, log_variance), strict=True):
            np.testing.assert_allclose(given, expected, rtol=1e-5)
        assert (network.forward(x)[0] != network.forward(x)[0]).any()
        assert network.forward(x)[0].dtype == np.float32

    def test_params_and_inputs_can_be_skipped(self, rng):
        network = small_vae(rng)
        x = rng.uniform(size=(4, 1, 2, 3)).astype(np.float32)
        _, dy, _ = negative_elbo(network.forward(x), x)
        network.zero_grad()
        dx = network.backward(dy, params=False)
        assert not network.flat.grad.any()
        assert network.backward(dy, inputs=False) is None
        assert all(p.grad.any() for p in network.parameters())
        np.testing.assert_array_equal(network.backward(dy), dx)

    def test_empty_batch(self, rng):
        network = small_vae(rng)
        output = network.forward(np.zeros((0, 1, 2, 3), np.float32))
        assert [part.shape for part in output] == [(0, 1, 2, 3), (0, 3), (0, 3)]
        network.zero_grad()
        assert network.backward(output).shape == (0, 1, 2, 3)
        assert not network.flat.grad.any()

    def test_what_does_not_fit_is_refused(self, rng):
        x = np.zeros((2, 6), np.float32)
        with pytest.raises(ValueError, match=r"encoder that gives \(B, 2D\), given \(2, 5\)"):
            VAE(Linear(6, 5), Linear(2, 6)).forward(x)
        with pytest.raises(ValueError, match=r"shape of x, \(2, 6\), given \(2, 7\)"):
            VAE(Linear(6, 4), Linear(2, 7)).predict(x)
        with pytest.raises(ValueError, match=r"one shape, not empty, given \(0, 2\)"):
            gaussian_kl(x[:0, :2], x[:0, :2])


def small_gan(rng):
    """As `gan` builds them, but small, and with a discriminator whose weights are its own: a power iteration moves on each call."""
    makes = Sequential(
        Linear(3, 2 * 2 * 2, rng=rng), Reshape((2, 2, 2)), BatchNorm2d(2), ReLU(), Conv2d(2, 1, 3, padding=1, rng=rng), Sigmoid()
    )
    judges = Sequential(Conv2d(1, 3, 2, rng=rng), LeakyReLU(0.2), Flatten(), Linear(3, 1, rng=rng))
    return makes.to(np.float64), judges.to(np.float64)


class TestGAN:
    def test_gradients(self, rng, kernels):
        generator, discriminator = small_gan(rng)
        x, noise = rng.uniform(size=(5, 1, 2, 2)), rng.normal(size=(5, 3))
        for own, other, loss in (
            (discriminator, generator, lambda: gan.discriminator_gradient(generator, discriminator, x, noise)),
            (generator, discriminator, lambda: gan.generator_gradient(generator, discriminator, noise)),
        ):
            generator.zero_grad()
            discriminator.zero_grad()
            loss()
            given = own.flat.grad.copy()
            assert given.any()
            assert not other.flat.grad.any()
            assert relative_error(given, gradient_of_parameters(own, loss)) < TOLERANCE

    def test_values(self, rng):
        """s(u) = ln(1 + e^u) of the logits, as the derivation has it."""
        generator, discriminator = small_gan(rng)
        x, noise = rng.uniform(size=(5, 1, 2, 2)), rng.normal(size=(5, 3))
        real, fake = discriminator.predict(x), discriminator.predict(generator.forward(noise))
        judge = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
        assert gan.discriminator_gradient(generator, discriminator, x, noise) == pytest.approx(judge, rel=1e-12)
        assert gan.generator_gradient(generator, discriminator, noise) == pytest.approx(np.log1p(np.exp(-fake)).mean(), rel=1e-12)

    def test_gradients_add_up(self, rng):
        generator, discriminator = small_gan(rng)
        noise = rng.normal(size=(5, 3))
        generator.zero_grad()
        gan.generator_gradient(generator, discriminator, noise)
        once = generator.flat.grad.copy()
        gan.generator_gradient(generator, discriminator, noise)
        np.testing.assert_allclose(generator.flat.grad, 2 * once, rtol=1e-12)

    def test_the_networks(self, rng):
        generator, discriminator = gan.generator(6, (3, 8, 12), 4, rng), gan.discriminator((3, 8, 12), 4, rng)
        images = generator.forward(rng.normal(size=(7, 6)).astype(np.float32))
        assert images.shape == (7, 3, 8, 12)
        assert images.min() >= 0
        assert images.max() <= 1
        assert discriminator.forward(images).shape == (7, 1)
        twin = gan.generator(6, (3, 8, 12), 4, np.random.default_rng(0))
        np.testing.assert_array_equal(twin.flat.data, gan.generator(6, (3, 8, 12), 4, np.random.default_rng(0)).flat.data)

    def test_the_discriminator_is_not_steep(self, rng):
        """Spectral norm 1 in each layer; a convolution's operator may exceed its matrix's norm, by at most √taps."""
        discriminator = gan.discriminator((1, 8, 8), 4, rng)
        x = rng.uniform(size=(2, 1, 8, 8)).astype(np.float32)
        before = discriminator.forward(x)
        for p in discriminator.parameters():
            if p.data.ndim > 1:
                p.data *= 100
        np.testing.assert_allclose(discriminator.forward(x), before, rtol=1e-2, atol=1e-3)

    def test_what_does_not_fit_is_refused(self, rng):
        generator, discriminator = small_gan(rng)
        with pytest.raises(ValueError, match=r"given \(5, 1, 2, 2\) and \(4, 1, 2, 2\)"):
            gan.discriminator_gradient(generator, discriminator, np.zeros((5, 1, 2, 2)), np.zeros((4, 3)))
        for make in (lambda: gan.generator(3, (1, 8, 6)), lambda: gan.discriminator((1, 10, 8))):
            with pytest.raises(ValueError, match="divisible by 4"):
                make()


def test_mlp_is_one_of_them(rng):
    assert mlp([4, 8, 2], rng=rng).predict(np.zeros((3, 4), np.float32)).shape == (3, 2)
