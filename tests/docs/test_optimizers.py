"""Pages of optimizers: every one has a page, and steps by hand are the library's."""

import inspect
import pkgutil

import numpy as np
import pytest

import deepnp.optim
from docs.site import by_hand, optimizers

OPTIMIZERS = [module for module in optimizers.MODULES if optimizers.optimizer_of(module)]


def test_every_module_has_a_page():
    assert sorted(optimizers.MODULES) == sorted(info.name for info in pkgutil.iter_modules(deepnp.optim.__path__))


def test_every_optimizer_has_a_page():
    classes = {c for c in vars(deepnp.optim).values() if isinstance(c, type)} - {deepnp.optim.Optimizer}
    assert {optimizers.optimizer_of(module) for module in OPTIMIZERS} == classes


@pytest.mark.parametrize("module", OPTIMIZERS)
def test_steps_by_hand_are_the_library_s(module):
    steps, reached = optimizers.worked(module)
    begin = optimizers.BEGIN.get(module, 1.0)
    assert np.abs(reached[0] - begin).max() > 1e-4  # it moves
    for step, theta in zip(steps, reached, strict=True):
        np.testing.assert_allclose(np.reshape(step["θ"], theta.shape), theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("module", OPTIMIZERS)
def test_steps_by_hand_do_without_the_library(module):
    assert "deepnp" not in inspect.getsource(getattr(by_hand, module))


@pytest.mark.parametrize("module", OPTIMIZERS)
def test_a_path_goes_down(module):
    lr = optimizers.PATH_LR.get(module, 0.15)
    places = optimizers.path(module, **{**optimizers.SETTINGS.get(module, {}), "lr": lr})
    heights = 0.5 * (places**2 * optimizers.CURVATURES).sum(axis=1)
    assert len(places) == optimizers.PATH + 1
    assert heights[-1] < heights[0]


@pytest.mark.parametrize("module", optimizers.MODULES)
def test_the_code_that_is_shown_is_the_plain_form(module):
    shown = optimizers.code(module)
    assert shown
    assert "ordered_kernel" not in shown
    compile(shown, module, "exec")
