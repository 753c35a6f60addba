"""Assembled networks."""

from deepnp.models import gan
from deepnp.models.cnn import cnn
from deepnp.models.flow import Coupling, RealNVP
from deepnp.models.mlp import mlp
from deepnp.models.resnet import resnet
from deepnp.models.vae import VAE, negative_elbo

__all__ = ["VAE", "Coupling", "RealNVP", "cnn", "gan", "mlp", "negative_elbo", "resnet"]
