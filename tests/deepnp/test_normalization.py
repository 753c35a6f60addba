"""Normalisation layers: statistics that run, what inference takes, corners of the variance, state, clear errors."""

import copy

import numpy as np
import pytest

from deepnp import Linear, Sequential
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers.batch_normalization import BatchNorm1d, BatchNorm2d, BatchRenorm1d
from deepnp.layers.normalization import GroupNorm, InstanceNorm1d, InstanceNorm2d, L2Norm, LayerNorm, RMSNorm
from deepnp.ops.normalization import batch_norm, batch_renorm

F64 = np.float64
RUNNING = ["running_mean", "running_var", "num_batches_tracked"]
LAYERS = {  # how to make it, with affine or without; the shape of its input
    "layer": (lambda affine: LayerNorm(6, elementwise_affine=affine, dtype=F64), (5, 6)),
    "rms": (lambda affine: RMSNorm(6, elementwise_affine=affine, dtype=F64), (5, 6)),
    "group": (lambda affine: GroupNorm(3, 6, affine=affine, dtype=F64), (5, 6)),
    "group 2d": (lambda affine: GroupNorm(3, 6, affine=affine, dtype=F64), (2, 6, 3, 2)),
    "instance 1d": (lambda affine: InstanceNorm1d(4, affine=affine, dtype=F64), (3, 4, 5)),
    "instance 2d": (lambda affine: InstanceNorm2d(4, affine=affine, dtype=F64), (3, 4, 2, 3)),
    "batch 1d": (lambda affine: BatchNorm1d(4, affine=affine, dtype=F64), (7, 4)),
    "batch 1d with length": (lambda affine: BatchNorm1d(4, affine=affine, dtype=F64), (3, 4, 5)),
    "batch 2d": (lambda affine: BatchNorm2d(4, affine=affine, dtype=F64), (3, 4, 2, 3)),
    "batch renorm": (lambda affine: BatchRenorm1d(4, affine=affine, r_max=1, d_max=0, dtype=F64), (7, 4)),
}
EVERY = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)


def randomised(layer, rng):
    for p in layer.parameters():
        p.data[...] = rng.normal(size=p.shape)
    return layer


@EVERY
def test_gradients_with_and_without_affine(make, shape, rng, kernels):
    for affine in (True, False):
        layer, x, dy = randomised(make(affine), rng), rng.normal(size=shape), rng.normal(size=shape)
        for p in layer.parameters():
            p.grad[...] = 1
        layer(x)
        dx = layer.backward(dy)

        def projected(v, layer=layer, dy=dy):
            return float((dy * layer.forward(v)).sum())

        assert relative_error(dx, numerical_gradient(projected, x)) < TOLERANCE
        for p in layer.parameters():

            def of_parameter(value, p=p, projected=projected, x=x):
                before, p.data = p.data, value
                out = projected(x)
                p.data = before
                return out

            assert relative_error(p.grad - 1, numerical_gradient(of_parameter, p.data.copy())) < TOLERANCE


@EVERY
def test_without_affine_is_scale_one_and_shift_zero(make, shape, rng):
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    with_affine, without = make(True), make(False)
    assert with_affine.parameters()
    assert without.parameters() == []
    assert not {"weight", "bias"} & set(without.state_dict())
    np.testing.assert_array_equal(without(x), with_affine(x))
    np.testing.assert_array_equal(without.backward(dy), with_affine.backward(dy))
    np.testing.assert_array_equal(without.predict(x), with_affine.predict(x))


@EVERY
def test_either_side_of_backward_can_be_skipped(make, shape, rng):
    layer, x, dy = make(True), rng.normal(size=shape), rng.normal(size=shape)
    layer(x)
    dx = layer.backward(dy, params=False)
    assert not any(p.grad.any() for p in layer.parameters())
    assert layer.backward(dy, inputs=False) is None
    assert all(p.grad.any() for p in layer.parameters())
    np.testing.assert_array_equal(layer.backward(dy), dx)


@EVERY
def test_predict_leaves_the_layer_as_it_is(make, shape, rng):
    layer, x, dy = make(True), rng.normal(size=shape), rng.normal(size=shape)
    layer(x)
    dx = layer.backward(dy, params=False)
    before = copy.deepcopy(layer.state_dict())
    layer.predict(rng.normal(size=shape))
    np.testing.assert_array_equal(layer.backward(dy, params=False), dx)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@EVERY
def test_an_empty_batch_moves_nothing(make, shape, rng, kernels):
    layer = make(True)
    layer(rng.normal(size=shape))
    before = copy.deepcopy(layer.state_dict())
    x = np.zeros((0, *shape[1:]))
    assert layer(x).shape == layer.backward(x).shape == layer.predict(x).shape == x.shape
    assert not any(p.grad.any() for p in layer.parameters())
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@EVERY
def test_float32_stays_float32_and_near_float64(make, shape, rng, kernels):
    x, dy = rng.normal(size=shape) + 3, rng.normal(size=shape)
    exact, single = make(True), make(True).to(np.float32)
    pairs = [(single(x.astype(np.float32)), exact(x))]
    pairs.append((single.backward(dy.astype(np.float32)), exact.backward(dy)))
    pairs.append((single.predict(x.astype(np.float32)), exact.predict(x)))
    for given, expected in pairs:
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, expected, rtol=2e-5, atol=2e-5)
    assert all(v.dtype == np.float32 for name, v in single.state_dict().items() if name != "num_batches_tracked")


@pytest.mark.parametrize("name", ["layer", "rms", "group", "group 2d", "instance 1d", "instance 2d"])
def test_layers_without_statistics_predict_what_they_train_on(name, rng):
    make, shape = LAYERS[name]
    layer, x = make(True), rng.normal(size=shape)
    np.testing.assert_array_equal(layer.predict(x), layer(x))


def test_names_and_shapes_in_state_dict_are_pytorchs():
    affine = ["weight", "bias"]
    assert list(BatchNorm1d(3).state_dict()) == list(BatchNorm2d(3).state_dict()) == affine + RUNNING
    assert list(BatchRenorm1d(3).state_dict()) == affine + RUNNING
    assert list(BatchNorm2d(3, affine=False).state_dict()) == RUNNING
    assert list(LayerNorm(3).state_dict()) == list(GroupNorm(1, 3).state_dict()) == affine
    assert list(RMSNorm(3).state_dict()) == ["weight"]
    assert list(InstanceNorm2d(3).state_dict()) == []
    counter = BatchNorm1d(3).state_dict()["num_batches_tracked"]
    assert counter.shape == ()
    assert counter.dtype == np.int64


def test_state_makes_inference_the_same(rng):
    a, b = (Sequential(Linear(3, 4, rng=rng), BatchNorm1d(4)) for _ in range(2))
    for _ in range(3):
        a(rng.normal(size=(8, 3)).astype(np.float32))
    b.load_state_dict({name: value.copy() for name, value in a.state_dict().items()})
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(a.predict(x), b.predict(x))
    assert b.state_dict()["1.num_batches_tracked"] == 3


def test_a_deep_copy_has_running_statistics_of_its_own(rng):
    layer = BatchNorm1d(3, dtype=F64)
    twin = copy.deepcopy(layer)
    layer(rng.normal(size=(8, 3)))
    assert not twin.running_mean.data.any()
    assert twin.num_batches_tracked.data == 0


class TestBatchNorm:
    @pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
    def test_running_statistics_keep_the_share_momentum(self, shape, rng, kernels):
        layer, mean, variance = BatchNorm1d(3, momentum=0.7, dtype=F64), np.zeros(3), np.ones(3)
        for step in range(1, 4):
            x = 2 * rng.normal(size=shape) + 1
            layer(x)
            channels = x.swapaxes(0, 1).reshape(3, -1)
            mean = 0.7 * mean + 0.3 * channels.mean(axis=1)
            variance = 0.7 * variance + 0.3 * channels.var(axis=1, ddof=1)
            np.testing.assert_allclose(layer.running_mean.data, mean, rtol=1e-12)
            np.testing.assert_allclose(layer.running_var.data, variance, rtol=1e-12)
            assert layer.num_batches_tracked.data == step

    def test_momentum_is_by_default_what_pytorch_calls_a_tenth(self, rng):
        layer, x = BatchNorm2d(2, dtype=F64), rng.normal(size=(3, 2, 4, 4))
        layer(x)
        np.testing.assert_allclose(layer.running_mean.data, 0.1 * x.mean(axis=(0, 2, 3)), rtol=1e-12)

    @pytest.mark.parametrize("shape", [(6, 3), (2, 3, 5), (2, 3, 4, 5)])
    def test_inference_takes_the_running_statistics(self, shape, rng, kernels):
        layer = randomised((BatchNorm2d if len(shape) == 4 else BatchNorm1d)(3, eps=0.1, dtype=F64), rng)
        layer.running_mean.data[...], layer.running_var.data[...] = [1.0, -2.0, 3.0], [0.5, 2.0, 0.0]
        x = rng.normal(size=shape)
        g, b, m, v = (a.reshape(3, *[1] * (x.ndim - 2)) for a in list(layer.state_dict().values())[:4])
        np.testing.assert_allclose(layer.predict(x), g * (x - m) / np.sqrt(v + 0.1) + b, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
    def test_frozen_it_is_inference_with_a_gradient(self, shape, rng, kernels):
        layer = BatchNorm1d(3, dtype=np.float64)
        layer.forward(rng.normal(2, 3, (20, 3)))
        layer.weight.data[...], layer.bias.data[...] = rng.normal(size=(2, 3))
        layer.frozen = True
        x, dy, before = rng.normal(size=shape), rng.normal(size=shape), layer.running_var.data.copy()
        np.testing.assert_array_equal(layer.forward(x), layer.predict(x))
        layer.zero_grad()
        dx = layer.backward(dy)
        assert relative_error(dx, numerical_gradient(lambda v: float((dy * layer.predict(v)).sum()), x)) < TOLERANCE
        theta, given = layer.flat.data.copy(), layer.flat.grad.copy()
        v, vx = rng.normal(size=theta.size), rng.normal(size=shape)
        assert (dy * layer.jvp(v, vx)).sum() == pytest.approx(given @ v + (dx * vx).sum(), rel=1e-10)

        def of_parameters(v):
            layer.flat.data[...] = v
            return float((dy * layer.predict(x)).sum())

        assert relative_error(given, numerical_gradient(of_parameters, theta)) < TOLERANCE
        np.testing.assert_array_equal(layer.running_var.data, before)

    def test_training_normalises_with_the_batch_alone(self, rng, kernels):
        layer, x = BatchNorm1d(3, eps=1e-12, dtype=F64), rng.normal(size=(50, 3))
        layer.running_mean.data[...], layer.running_var.data[...] = 100, 100
        y = layer(x)
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-9)

    def test_places_are_more_of_the_batch(self, rng, kernels):
        x, dy = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
        maps, flat = BatchNorm2d(3, dtype=F64), BatchNorm1d(3, dtype=F64)

        def rows(a):
            return a.transpose(0, 2, 3, 1).reshape(-1, 3)

        np.testing.assert_allclose(rows(maps(x)), flat(rows(x)), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(rows(maps.backward(dy)), flat.backward(rows(dy)), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(maps.weight.grad, flat.weight.grad, rtol=1e-11)

    @pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1)])
    def test_one_value_for_each_channel(self, shape, rng, kernels):
        layer, x = randomised(BatchNorm1d(3, dtype=F64), rng), rng.normal(size=shape)
        y = layer(x)
        np.testing.assert_array_equal(y.ravel(), layer.bias.data)
        np.testing.assert_array_equal(layer.backward(np.ones(x.shape)), 0)
        np.testing.assert_array_equal(layer.weight.grad, 0)
        np.testing.assert_allclose(layer.running_mean.data, 0.1 * x.ravel(), rtol=1e-12)
        np.testing.assert_array_equal(layer.running_var.data, 1)  # one value says nothing about it

    @pytest.mark.parametrize("shape", [(8, 1), (8, 2), (4, 2, 3), (2, 2, 2, 3)])
    @pytest.mark.parametrize("spread", [1e-4, 0.0])
    def test_gradient_near_no_variance_at_all(self, shape, spread, rng, kernels):
        x, dy = 0.5 + spread * rng.normal(size=shape), rng.normal(size=shape)
        gamma, beta = rng.normal(size=shape[1]), rng.normal(size=shape[1])
        dx, _, _ = batch_norm.backward(dy, batch_norm.forward(x, gamma, beta)[1])

        def projected(v):
            return float((dy * batch_norm.forward(v, gamma, beta)[0]).sum())

        assert relative_error(dx, numerical_gradient(projected, x, step=1e-6)) < TOLERANCE

    @pytest.mark.parametrize("shape", [(256, 3), (16, 3, 16)])
    def test_a_mean_far_from_zero_costs_few_digits(self, shape, rng, kernels):
        x = (1000 + rng.normal(size=shape)).astype(np.float32)
        exact = batch_norm.forward(x.astype(F64), np.ones(3), np.zeros(3))[0]
        given = batch_norm.forward(x, np.ones(3, np.float32), np.zeros(3, np.float32))[0]
        np.testing.assert_allclose(given, exact, atol=1e-3)

    def test_through_a_network(self, rng, kernels):
        net = Sequential(Linear(3, 5, rng=rng), BatchNorm1d(5), Linear(5, 2, rng=rng)).to(F64)
        x, dy = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
        net(x)
        net.zero_grad()
        net.backward(dy)
        analytic, theta = net.flat.grad.copy(), net.flat.data

        def projected(value):
            before = theta.copy()
            theta[...] = value
            out = float((dy * net(x)).sum())
            theta[...] = before
            return out

        assert relative_error(analytic, numerical_gradient(projected, theta.copy())) < TOLERANCE
        np.testing.assert_allclose(net[0].bias.grad, 0, atol=1e-12)  # the mean takes a bias before it away again


class TestBatchRenorm:
    def test_inside_the_limits_training_sees_what_inference_saw(self, rng, kernels):
        layer = randomised(BatchRenorm1d(3, r_max=10, d_max=10, dtype=F64), rng)
        layer.running_mean.data[...], layer.running_var.data[...] = [0.5, -0.5, 0.0], [2.0, 1.0, 0.5]
        for shape in ((9, 3), (4, 3, 2)):
            x = rng.normal(size=shape)
            before = layer.predict(x)
            np.testing.assert_allclose(layer(x), before, rtol=1e-10, atol=1e-12)

    def test_limits(self):
        mean, variance = np.array([3.0, -3.0, 0.1]), np.array([16.0, 1 / 16, 1.0])
        r, d = batch_renorm.correction(mean, variance, np.zeros(3), np.ones(3), r_max=2.0, d_max=1.5, eps=1e-12)
        np.testing.assert_allclose(r, [2, 0.5, 1], rtol=1e-9)
        np.testing.assert_allclose(d, [1.5, -1.5, 0.1], rtol=1e-9)

    def test_without_room_it_is_batch_normalisation(self, rng, kernels):
        renorm, norm = BatchRenorm1d(3, momentum=0.9, r_max=1, d_max=0, dtype=F64), BatchNorm1d(3, dtype=F64)
        for _ in range(3):
            x, dy = 3 * rng.normal(size=(6, 3)) + 1, rng.normal(size=(6, 3))
            np.testing.assert_allclose(renorm(x), norm(x), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(renorm.backward(dy), norm.backward(dy), rtol=1e-12, atol=1e-14)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            np.testing.assert_allclose(renorm.state_dict()[name], norm.state_dict()[name], rtol=1e-12)

    def test_warm_up_counts_batches(self, rng):
        renorm, norm = BatchRenorm1d(3, momentum=0.9, warmup=2, dtype=F64), BatchNorm1d(3, dtype=F64)
        same = []
        for _ in range(3):
            x = 3 * rng.normal(size=(6, 3)) + 1
            same.append(np.allclose(renorm(x), norm(x)))
        assert same == [True, True, False]

    def test_backward_holds_the_corrections_constant(self, rng, kernels):
        layer, x, dy = BatchRenorm1d(3, dtype=F64), 2 * rng.normal(size=(6, 3)) + 1, rng.normal(size=(6, 3))
        r, d = batch_renorm.correction(x.mean(axis=0), x.var(axis=0), np.zeros(3), np.ones(3), 3.0, 5.0)
        assert (np.abs(r - 1) > 0.05).all()
        layer(x)
        dx = layer.backward(dy)

        def projected(v):
            return float((dy * batch_renorm.forward(v, np.ones(3), np.zeros(3), r, d)[0]).sum())

        assert relative_error(dx, numerical_gradient(projected, x)) < TOLERANCE


class TestOthers:
    def test_one_group_of_flat_features_is_layer_norm(self, rng, kernels):
        x, dy = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))
        group, layer = GroupNorm(1, 6, dtype=F64), LayerNorm(6, dtype=F64)
        np.testing.assert_allclose(group(x), layer(x), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(group.backward(dy), layer.backward(dy), rtol=1e-12, atol=1e-14)

    def test_an_instance_is_a_channel_of_a_row(self, rng, kernels):
        y = InstanceNorm2d(3, eps=1e-12, dtype=F64)(5 + 3 * rng.normal(size=(2, 3, 4, 4)))
        np.testing.assert_allclose(y.mean(axis=(2, 3)), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axis=(2, 3)), 1, rtol=1e-9)

    def test_rows_do_not_meet(self, rng, kernels):
        x = rng.normal(size=(4, 6, 5))
        for layer in (LayerNorm(5, dtype=F64), RMSNorm(5, dtype=F64), GroupNorm(2, 6, dtype=F64), InstanceNorm1d(6, dtype=F64)):
            np.testing.assert_allclose(layer(x)[2:3], layer(x[2:3]), rtol=1e-12)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rms_norm_takes_the_machine_epsilon(self, dtype, kernels):
        eps = float(np.finfo(dtype).eps)
        y = RMSNorm(2, dtype=dtype)(np.full((1, 2), eps**0.5, dtype))
        np.testing.assert_allclose(y, 0.5**0.5, rtol=1e-6)
        np.testing.assert_allclose(RMSNorm(2, eps=3.0, dtype=dtype)(np.ones((1, 2), dtype)), 0.5, rtol=1e-6)

    def test_a_row_of_zeros_stays_finite(self, kernels):
        x = np.zeros((2, 4), np.float32)
        for layer in (LayerNorm(4), RMSNorm(4), GroupNorm(2, 4), BatchNorm1d(4), BatchRenorm1d(4)):
            np.testing.assert_array_equal(layer(x), 0)
            assert np.isfinite(layer.backward(np.ones_like(x))).all()


def test_layers_show_themselves():
    assert repr(BatchNorm1d(3)) == "BatchNorm1d(3)"
    assert repr(BatchNorm2d(3)) == "BatchNorm2d(3)"
    assert repr(BatchRenorm1d(3)) == "BatchRenorm1d(3)"
    assert repr(RMSNorm(3)) == "RMSNorm(3)"
    assert repr(GroupNorm(2, 4)) == "GroupNorm(2, 4)"


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm1d(0), "num_features >= 1 and eps > 0, given 0"),
        (lambda: BatchNorm1d(2.5), "num_features >= 1"),
        (lambda: BatchNorm2d(3, eps=0), "eps > 0, given 3 and 0"),
        (lambda: BatchNorm1d(3, momentum=1.0), r"share kept, in \[0, 1\), given 1.0"),
        (lambda: BatchRenorm1d(3, momentum=-0.1), "share kept"),
        (lambda: BatchRenorm1d(3, r_max=0.5), "r_max >= 1"),
        (lambda: BatchRenorm1d(3, d_max=-1), "d_max >= 0"),
        (lambda: RMSNorm(3, eps=0), "eps > 0"),
        (lambda: LayerNorm(3, eps=-1), "eps > 0"),
        (lambda: GroupNorm(3, 4), "divide 4 channels, given 3"),
        (lambda: GroupNorm(0, 4), "divide 4 channels, given 0"),
        (lambda: GroupNorm(1, 0), "num_channels >= 1"),
        (lambda: BatchNorm1d(3)(zeros(5, 4)), r"\(B, C\) or \(B, C, L\) with C = 3, given \(5, 4\)"),
        (lambda: BatchNorm1d(3).predict(zeros(5)), r"with C = 3, given \(5,\)"),
        (lambda: BatchNorm1d(3)(zeros(5, 3, 2, 2)), r"or \(B, C, L\) with C = 3, given \(5, 3, 2, 2\)"),
        (lambda: BatchNorm2d(3)(zeros(5, 3)), r"\(B, C, H, W\) with C = 3, given \(5, 3\)"),
        (lambda: BatchRenorm1d(3)(zeros(5, 4)), "with C = 3"),
        (lambda: BatchRenorm1d(3).predict(zeros(5, 4)), "with C = 3"),
        (lambda: L2Norm(3)(zeros(5, 4)), r"shape \(…, 3\), given \(5, 4\)"),
        (lambda: L2Norm(2.5), "features >= 1"),
        (lambda: L2Norm(3, eps=0), "eps > 0"),
        (lambda: RMSNorm(3)(zeros(5, 4)), r"shape \(…, 3\), given \(5, 4\)"),
        (lambda: GroupNorm(2, 4)(zeros(5, 3)), r"\(B, C, …\) with C = 4, given \(5, 3\)"),
        (lambda: GroupNorm(4, 4)(zeros(5, 4)), r"at least 2 values in each of 4 groups, given input of shape \(5, 4\)"),
        (lambda: InstanceNorm1d(4)(zeros(5, 4, 1)), "at least 2 values"),
        (lambda: InstanceNorm1d(4)(zeros(5, 4, 2, 2)), r"\(B, C, L\) with C = 4, given \(5, 4, 2, 2\)"),
        (lambda: InstanceNorm2d(4)(zeros(5, 4, 2)), r"\(B, C, H, W\) with C = 4"),
    ],
)
def test_bad_input_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
