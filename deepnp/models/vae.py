"""Variational autoencoder (Kingma & Welling 2014).                  B images x, D latent dimensions, μ and s (B, D)

The encoder says where in the latent space an image might lie: q(z|x) = N(μ, σ²), with s = ln σ².
The decoder says what image belongs to a place z: logits of the pixels. Both learn to make the
evidence lower bound large:

    ELBO = E_q ln p(x|z) − KL(q(z|x) ‖ N(0, 1)) ≤ ln p(x)

The loss is −ELBO: reconstruction error **plus** KL. (It is also found printed with + KL in the
bound, which no optimum has.)

Sample     z = μ + σε    σ = e^(s/2)    ε ~ N(0, 1)           the noise is an input, so z has a derivative: reparametrisation
           dμ = dz       ds = ½ σε dz                         ∂σ/∂s = ½ σ
           vz = vμ + ½ σε vs                                  the tangent: the same derivatives, forwards
KL         K = (1/B) ½ Σ (μ² + e^s − s − 1)
           dμ = μ/B      ds = ½ (e^s − 1)/B                   pulls μ to 0 and σ to 1
Loss       L = (1/B) Σ BCE(logits, x) + K                     summed over an image's pixels: ln p(x|z) is that of the whole image
"""

import math

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_upstream
from deepnp.layers.containers import check_modules
from deepnp.losses import bce_with_logits
from deepnp.module import Module


def reparametrise(mean, log_variance, noise) -> tuple[np.ndarray, np.ndarray]:
    """mean, log_variance, noise (B, D) -> z (B, D), cache."""
    spread = array_module(mean).exp(0.5 * log_variance) * noise
    return mean + spread, spread


def reparametrise_backward(dz, cache) -> tuple[np.ndarray, np.ndarray]:
    """dz (B, D) -> dmean, dlog_variance (B, D)."""
    return dz, 0.5 * cache * dz


def reparametrise_jvp(vmean, vlog_variance, cache) -> np.ndarray:
    """Tangents vmean, vlog_variance (B, D) -> tangent of z (B, D)."""
    return vmean + 0.5 * cache * vlog_variance


def gaussian_kl(mean, log_variance) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """KL(N(μ, e^s) ‖ N(0, 1)), the mean over the batch.

    mean, log_variance (B, D) -> value, (dmean, dlog_variance) (B, D).
    """
    if mean.shape != log_variance.shape or mean.size == 0:
        raise ValueError(f"expected mean and log_variance of one shape, not empty, given {mean.shape} and {log_variance.shape}")
    variance, share = array_module(mean).exp(log_variance), 1 / len(mean)
    value = 0.5 * share * (mean * mean + variance - log_variance - 1).sum()
    return float(value), (share * mean, 0.5 * share * (variance - 1))


def negative_elbo(output, x) -> tuple[float, tuple[np.ndarray, ...], dict[str, float]]:
    """The loss: −ELBO, the mean over the batch, in nats an image.

    Parameters
    ----------
    output : (logits, mean, log_variance)
        What `VAE.forward` gave.
    x : array like the logits, in [0, 1]

    Returns
    -------
    value : float
    dy : (dlogits, dmean, dlog_variance)
    info : dict
        The value's two parts: "reconstruction" and "kl".
    """
    logits, mean, log_variance = output
    error, dlogits = bce_with_logits(logits, x)
    pixels = math.prod(x.shape[1:])  # the loss has the mean over all pixels, the bound the sum over an image's
    kl, dlatent = gaussian_kl(mean, log_variance)
    return pixels * error + kl, (pixels * dlogits, *dlatent), {"reconstruction": pixels * error, "kl": kl}


class VAE(Module):
    """An encoder and a decoder with a sample between them.

    Parameters
    ----------
    encoder : Module
        x (B, …) -> (B, 2D): means and log-variances, one beside the other.
    decoder : Module
        z (B, D) -> logits, shaped as x.
    rng : numpy.random.Generator or None
        Source of the noise; None draws fresh entropy.

    Raises
    ------
    ValueError
        In `forward` and `predict`, if the encoder gives an odd number of columns, or the decoder
        another shape than x's.
    """

    def __init__(self, encoder: Module, decoder: Module, rng: np.random.Generator | None = None):
        self.encoder, self.decoder = encoder, decoder
        self.rng = rng or np.random.default_rng()
        check_modules({"encoder": encoder, "decoder": decoder})

    def forward(self, x, noise=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (B, …), noise (B, D) or None, which draws it -> logits (B, …), mean, log_variance (B,
        D).
        """
        mean, log_variance = _halves(self.encoder.forward(x))
        if noise is None:
            noise = array_module(x).asarray(self.rng.standard_normal(mean.shape, np.float32), mean.dtype)
        z, self._cache = reparametrise(mean, log_variance, noise)
        return _checked(self.decoder.forward(z), x), mean, log_variance

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dlogits, dmean, dlog_variance): the two last come on top of what flows back through
        the sample.
        """
        if not isinstance(dy, tuple) or len(dy) != 3:
            raise ValueError(f"expected dy as a tuple (dlogits, dmean, dlog_variance), given {type(dy).__name__}")
        dlogits, dmean, dlog_variance = dy
        for gradient in (dmean, dlog_variance):
            check_upstream(gradient, self.cache.shape)
        through_mean, through_variance = reparametrise_backward(self.decoder.backward(dlogits, params), self.cache)
        latent = array_module(dlogits).concatenate((dmean + through_mean, dlog_variance + through_variance), axis=1)
        return self.encoder.backward(latent, params, inputs)

    def predict(self, x) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `forward`, with each image at its mean: no noise."""
        mean, log_variance = _halves(self.encoder.predict(x))
        return _checked(self.decoder.predict(mean), x), mean, log_variance

    def _tangent(self, v, vx):
        vlatent = self.encoder.tangent(v, vx)
        if vlatent is None:  # only the decoder moves
            return self.decoder.tangent(v, None), None, None
        vmean, vlog_variance = _halves(vlatent)
        return self.decoder.tangent(v, reparametrise_jvp(vmean, vlog_variance, self.cache)), vmean, vlog_variance

    def __repr__(self) -> str:
        return f"VAE({self.encoder!r}, {self.decoder!r})"


def _halves(latent):
    if latent.ndim != 2 or latent.shape[1] % 2:
        raise ValueError(f"expected an encoder that gives (B, 2D), given {latent.shape}")
    return latent[:, : latent.shape[1] // 2], latent[:, latent.shape[1] // 2 :]


def _checked(logits, x):
    if logits.shape != x.shape:
        raise ValueError(f"expected a decoder that gives the shape of x, {x.shape}, given {logits.shape}")
    return logits
