"""Attention layers: their gradients in every mode, masks, PyTorch's weights, errors."""

import copy

import numpy as np
import pytest

from deepnp import Sequential
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers.activation import Tanh
from deepnp.layers.attention import MultiheadAttention
from deepnp.layers.regularization import Dropout
from deepnp.layers.transformer import TransformerEncoderBlock


@pytest.fixture(params=[None, 2], ids=["whole", "blocks"])
def block(request):
    return request.param


def padded(rng, batch, length):
    """Padding at the end of each sequence, of which the first has none."""
    lengths = np.array([length, *rng.integers(1, length, batch - 1)])
    return np.arange(length) >= lengths[:, None]


def parameters_gradient(net, projected):
    """The numerical gradient of projected() by the flat vector, which it moves and puts back."""
    theta = net.flat.data

    def moved(values):
        before = theta.copy()
        theta[...] = values
        value = projected()
        theta[...] = before
        return value

    return numerical_gradient(moved, theta.copy())


def disturb(net, rng):
    """Away from zero biases and γ = 1."""
    net.flat.data[...] += 0.1 * rng.normal(size=len(net.flat))


class TestMultiheadAttention:
    def test_names_and_shapes_are_those_of_pytorch(self):
        shapes = {name: array.shape for name, array in MultiheadAttention(8, 2).state_dict().items()}
        assert shapes == {"in_proj_weight": (24, 8), "in_proj_bias": (24,), "out_proj.weight": (8, 8), "out_proj.bias": (8,)}

    @pytest.mark.parametrize("settings", [dict(), dict(causal=True), dict(rotary=True)], ids=["plain", "causal", "rotary"])
    def test_self_attention_gradients(self, settings, block, rng, kernels):
        layer = MultiheadAttention(8, 2, block=block, rng=rng, **settings).to(np.float64)
        disturb(layer, rng)
        x, dy, padding = rng.normal(size=(3, 5, 8)), rng.normal(size=(3, 5, 8)), padded(rng, 3, 5)
        layer.forward(x, key_padding_mask=padding)
        dx = layer.backward(dy)
        assert (
            relative_error(dx, numerical_gradient(lambda v: float((dy * layer.predict(v, key_padding_mask=padding)).sum()), x))
            < TOLERANCE
        )
        expected = parameters_gradient(layer, lambda: float((dy * layer.predict(x, key_padding_mask=padding)).sum()))
        assert relative_error(layer.flat.grad, expected) < TOLERANCE

    @pytest.mark.parametrize("rotary", [False, True])
    def test_cross_attention_gradients(self, rotary, block, rng, kernels):
        layer = MultiheadAttention(6, 3, block=block, rotary=rotary, rng=rng).to(np.float64)
        disturb(layer, rng)
        x, memory, dy = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 3, 6))
        padding = padded(rng, 2, 5)

        def projected(x=x, memory=memory):
            return float((dy * layer.predict(x, memory, key_padding_mask=padding)).sum())

        np.testing.assert_array_equal(
            layer.forward(x, memory, key_padding_mask=padding), layer.predict(x, memory, key_padding_mask=padding)
        )
        dx, dmemory = layer.backward(dy)
        assert relative_error(dx, numerical_gradient(lambda v: projected(x=v), x)) < TOLERANCE
        assert relative_error(dmemory, numerical_gradient(lambda v: projected(memory=v), memory)) < TOLERANCE
        assert relative_error(layer.flat.grad, parameters_gradient(layer, projected)) < TOLERANCE

    def test_self_attention_is_cross_attention_to_oneself(self, rng, kernels):
        layer = MultiheadAttention(8, 4, rng=rng).to(np.float64)
        x, dy = rng.normal(size=(2, 5, 8)), rng.normal(size=(2, 5, 8))
        y, dx = layer(x), layer.backward(dy)
        np.testing.assert_allclose(layer.forward(x, x), y, rtol=1e-12)
        np.testing.assert_allclose(sum(layer.backward(dy)), dx, rtol=1e-11, atol=1e-13)

    def test_padding_equals_a_shorter_sequence(self, block, rng, kernels):
        layer = MultiheadAttention(8, 2, block=block, rng=rng)
        x = rng.normal(size=(1, 6, 8)).astype(np.float32)
        y = layer.predict(x, key_padding_mask=np.arange(6)[None] >= 4)
        np.testing.assert_allclose(y[:, :4], layer.predict(x[:, :4]), rtol=1e-5, atol=1e-6)

    def test_causal_does_not_see_the_future(self, block, rng, kernels):
        layer = MultiheadAttention(8, 2, causal=True, block=block, rng=rng)
        x = rng.normal(size=(2, 6, 8)).astype(np.float32)
        y = layer.predict(x)
        x[:, 4:] += 1
        after = layer.predict(x)
        np.testing.assert_array_equal(after[:, :4], y[:, :4])
        assert (after[:, 4:] != y[:, 4:]).any()

    def test_rotary_sees_distances_only(self, rng):
        layer = MultiheadAttention(8, 2, rotary=True, rng=rng).to(np.float64)
        x = rng.normal(size=(1, 7, 8))
        x[:, :2] = x[:, 5:] = 0
        x[:, 3] = rng.normal(size=8)
        first = np.arange(7)[None] < 1
        shifted, hidden = np.roll(x, 1, axis=1), np.arange(7)[None] >= 6
        np.testing.assert_allclose(
            layer.predict(shifted, key_padding_mask=first)[:, 1:], layer.predict(x, key_padding_mask=hidden)[:, :-1], rtol=1e-12
        )
        assert not np.allclose(layer.predict(x[:, ::-1]), layer.predict(x)[:, ::-1])

    def test_without_rotary_order_does_not_matter(self, rng):
        layer = MultiheadAttention(8, 2, rng=rng).to(np.float64)
        x = rng.normal(size=(1, 7, 8))
        np.testing.assert_allclose(layer.predict(x[:, ::-1]), layer.predict(x)[:, ::-1], rtol=1e-12)

    def test_a_sequence_of_padding_gives_the_bias(self, block, rng, kernels):
        layer = MultiheadAttention(8, 2, block=block, rng=rng)
        disturb(layer, rng)
        x, padding = rng.normal(size=(2, 5, 8)).astype(np.float32), np.array([[False] * 5, [True] * 5])
        y = layer.forward(x, key_padding_mask=padding)
        np.testing.assert_array_equal(y[1], np.broadcast_to(layer.out_proj.bias.data, (5, 8)))
        dx = layer.backward(np.ones_like(y))
        assert not dx[1].any()
        assert dx[0].all()

    def test_params_and_inputs_can_be_skipped(self, block, rng):
        layer = MultiheadAttention(8, 2, block=block, rng=rng)
        x, memory, dy = (rng.normal(size=(2, 5, 8)).astype(np.float32) for _ in range(3))
        layer.zero_grad()
        layer(x)
        dx = layer.backward(dy, params=False)
        assert not layer.flat.grad.any()
        assert layer.backward(dy, inputs=False) is None
        once = layer.flat.grad.copy()
        assert all(p.grad.any() for p in layer.parameters())
        np.testing.assert_array_equal(layer.backward(dy), dx)
        np.testing.assert_allclose(layer.flat.grad, 2 * once, rtol=1e-6)
        layer.forward(x, memory)
        assert layer.backward(dy, inputs=False) is None

    def test_predict_keeps_the_cache(self, block, rng):
        layer = MultiheadAttention(8, 2, block=block, rng=rng)
        x, dy = rng.normal(size=(2, 5, 8)).astype(np.float32), rng.normal(size=(2, 5, 8)).astype(np.float32)
        y, dx = layer(x), layer.backward(dy)
        np.testing.assert_array_equal(layer.predict(x), y)
        layer.predict(x[:1, :3])
        np.testing.assert_array_equal(layer.backward(dy), dx)

    def test_threads_do_not_change_the_result(self, block, rng):
        import deepnp

        layer = MultiheadAttention(64, 4, block=16 if block else None, rng=rng)
        x, dy = rng.normal(size=(32, 40, 64)).astype(np.float32), rng.normal(size=(32, 40, 64)).astype(np.float32)
        before, results = deepnp.get_num_threads(), []
        for threads in (1, 3):
            deepnp.set_num_threads(threads)
            layer.zero_grad()
            results.append((layer(x), layer.backward(dy), layer.flat.grad.copy()))
        deepnp.set_num_threads(before)
        for one, three in zip(*results, strict=True):
            np.testing.assert_allclose(three, one, rtol=1e-4, atol=1e-4)

    def test_empty_batch(self, block, kernels):
        layer = MultiheadAttention(8, 2, block=block)
        y = layer(np.zeros((0, 5, 8), np.float32))
        layer.zero_grad()
        assert layer.backward(y).shape == y.shape == (0, 5, 8)
        assert not layer.flat.grad.any()
        memory = np.zeros((0, 3, 8), np.float32)
        dx, dmemory = layer.backward(layer.forward(y, memory))
        assert (dx.shape, dmemory.shape) == ((0, 5, 8), (0, 3, 8))

    def test_fits_into_sequential_and_copies(self, rng):
        net = Sequential(MultiheadAttention(8, 2, block=2, rng=rng), Tanh())
        x = rng.normal(size=(2, 5, 8)).astype(np.float32)
        y = net(x)
        assert net.backward(y).shape == x.shape
        np.testing.assert_array_equal(copy.deepcopy(net)(x), y)

    def test_same_seed_same_weights(self):
        a, b = (MultiheadAttention(8, 2, rng=np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(a.flat.data, b.flat.data)

    def test_shows_itself(self):
        assert repr(MultiheadAttention(8, 2)) == "MultiheadAttention(8, 2)"
        assert repr(MultiheadAttention(8, 2, causal=True, block=64)) == "MultiheadAttention(8, 2, causal=True, block=64)"


class TestEncoderBlock:
    @pytest.mark.parametrize("norm_first", [True, False])
    @pytest.mark.parametrize("activation", [Tanh, None])
    def test_gradients(self, norm_first, activation, rng, kernels):
        kind = {} if activation is None else dict(activation=activation)
        layer = TransformerEncoderBlock(6, 2, 10, norm_first=norm_first, rng=rng, **kind).to(np.float64)
        disturb(layer, rng)
        x, dy, padding = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 4, 6)), padded(rng, 2, 4)

        def projected(v=x):
            return float((dy * layer.predict(v, key_padding_mask=padding)).sum())

        np.testing.assert_array_equal(layer.forward(x, key_padding_mask=padding), layer.predict(x, key_padding_mask=padding))
        layer.zero_grad()
        dx = layer.backward(dy)
        assert relative_error(dx, numerical_gradient(projected, x)) < TOLERANCE
        expected = parameters_gradient(layer, projected)
        for name, p in layer.named_parameters():
            assert relative_error(p.grad, layer.flat.views(expected)[name]) < TOLERANCE, name

    @pytest.mark.parametrize("norm_first", [True, False])
    def test_params_and_inputs_can_be_skipped(self, norm_first, rng):
        layer = TransformerEncoderBlock(6, 2, 10, norm_first=norm_first, rng=rng)
        x, dy = rng.normal(size=(2, 4, 6)).astype(np.float32), rng.normal(size=(2, 4, 6)).astype(np.float32)
        layer.zero_grad()
        layer(x)
        dx = layer.backward(dy, params=False)
        assert not layer.flat.grad.any()
        assert layer.backward(dy, inputs=False) is None
        assert all(p.grad.any() for p in layer.parameters())
        np.testing.assert_array_equal(layer.backward(dy), dx)

    @pytest.mark.parametrize("norm_first", [True, False])
    def test_dropout_acts_in_training_only_and_its_gradient_is_right(self, norm_first, rng, kernels):
        layer = TransformerEncoderBlock(6, 2, 10, activation=Tanh, norm_first=norm_first, dropout=0.4, rng=rng).to(np.float64)
        x, dy = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 4, 6))
        state = rng.bit_generator.state

        def train(v=x):
            rng.bit_generator.state = state
            return layer.forward(v)

        y = train()
        assert not np.allclose(layer.forward(x), y)
        assert not np.allclose(layer.predict(x), y)
        np.testing.assert_array_equal(layer.predict(x), layer.predict(x))
        np.testing.assert_array_equal(train(), y)
        layer.zero_grad()
        dx = layer.backward(dy)
        given = layer.flat.grad.copy()
        assert relative_error(dx, numerical_gradient(lambda v: float((dy * train(v)).sum()), x)) < TOLERANCE
        assert relative_error(given, parameters_gradient(layer, lambda: float((dy * train()).sum()))) < TOLERANCE

    def test_dropout_at_its_three_places(self, rng):
        layer = TransformerEncoderBlock(6, 2, 10, dropout=0.5, rng=rng)
        dropouts = [layer._drop, *(step for step in layer._steps if isinstance(step, Dropout))]
        assert len({id(drop) for drop in dropouts}) == 3
        assert isinstance(layer._steps[-1], Dropout)

    def test_causal_and_padding_reach_the_attention(self, rng):
        layer = TransformerEncoderBlock(6, 2, 10, causal=True, rng=rng)
        x = rng.normal(size=(1, 5, 6)).astype(np.float32)
        y = layer.predict(x)
        moved = x.copy()
        moved[:, 3] += 1
        np.testing.assert_array_equal(layer.predict(moved)[:, :3], y[:, :3])
        padding = np.arange(5)[None] == 3
        np.testing.assert_array_equal(
            layer.predict(moved, key_padding_mask=padding)[:, 4], layer.predict(x, key_padding_mask=padding)[:, 4]
        )

    def test_empty_batch(self):
        layer = TransformerEncoderBlock(6, 2, 10)
        y = layer(np.zeros((0, 4, 6), np.float32))
        layer.zero_grad()
        assert layer.backward(y).shape == y.shape == (0, 4, 6)
        assert not layer.flat.grad.any()

    def test_copies_and_shows_itself(self, rng):
        layer = TransformerEncoderBlock(6, 2, 10, rng=rng)
        x = rng.normal(size=(2, 4, 6)).astype(np.float32)
        y, twin = layer(x), copy.deepcopy(layer)
        np.testing.assert_array_equal(twin(x), y)
        twin.linear1.weight.data[...] = 0
        twin.linear2.weight.data[...] = 0
        assert (twin.predict(x) != y).any()
        np.testing.assert_array_equal(layer.predict(x), y)
        assert repr(layer) == "TransformerEncoderBlock(6, 2, 10)"


BAD = [
    (lambda: MultiheadAttention(10, 3), "multiple of num_heads, given 10 and 3"),
    (lambda: MultiheadAttention(0, 1), "positive embed_dim, given 0"),
    (lambda: MultiheadAttention(8, 0), "positive num_heads, given 0"),
    (lambda: MultiheadAttention(8, 2, block=0), "positive block, given 0"),
    (lambda: MultiheadAttention(6, 2, rotary=True), "even embed_dim / num_heads .* given 3"),
    (lambda: MultiheadAttention(8, 2)(zeros(5, 8)), r"x of shape \(B, L, 8\) with L >= 1, given \(5, 8\)"),
    (lambda: MultiheadAttention(8, 2)(zeros(2, 5, 7)), r"x of shape \(B, L, 8\) with L >= 1, given \(2, 5, 7\)"),
    (lambda: MultiheadAttention(8, 2)(zeros(2, 0, 8)), r"x of shape \(B, L, 8\) with L >= 1, given \(2, 0, 8\)"),
    (lambda: MultiheadAttention(8, 2).predict(zeros(2, 5, 8), zeros(2, 0, 8)), r"memory of shape .* given \(2, 0, 8\)"),
    (lambda: MultiheadAttention(8, 2).forward(zeros(2, 5, 8), zeros(3, 5, 8)), "batch size of x, 2, given 3"),
    (lambda: MultiheadAttention(8, 2).forward(zeros(2, 5, 8), key_padding_mask=zeros(2, 4) > 0), r"shape \(2, 5\), given \(2, 4\)"),
    (
        lambda: MultiheadAttention(8, 2).forward(zeros(2, 5, 8), zeros(2, 4, 8), key_padding_mask=zeros(2, 5) > 0),
        r"shape \(2, 4\), given \(2, 5\)",
    ),
    (lambda: TransformerEncoderBlock(8, 2, 0), "positive feedforward, given 0"),
    (lambda: TransformerEncoderBlock(8, 3, 4), "multiple of num_heads"),
    (lambda: TransformerEncoderBlock(8, 2, 4, dropout=1.0), r"p in \[0, 1\), given 1.0"),
    (lambda: TransformerEncoderBlock(8, 2, 4)(zeros(2, 5, 7)), r"given \(2, 5, 7\)"),
]


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_input_is_refused_at_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_padding_of_integers_is_refused():
    with pytest.raises(TypeError, match=r"key_padding_mask of Booleans, .* given int64"):
        MultiheadAttention(8, 2).forward(zeros(2, 5, 8), key_padding_mask=zeros(2, 5).astype(int))


def torch_tensor(x):
    import torch

    return torch.from_numpy(x).requires_grad_(True)


@pytest.mark.parametrize("case", ["self", "cross", "causal", "padding"])
def test_weights_of_pytorch_load_and_agree(case, block, rng, kernels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(theirs.in_proj_bias)
    ours = MultiheadAttention(12, 3, causal=case == "causal", block=block).to(np.float64)
    ours.load_state_dict({name: value.detach().numpy() for name, value in theirs.state_dict().items()})
    x, dy = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 5, 12))
    memory = rng.normal(size=(2, 7, 12)) if case == "cross" else None
    padding = padded(rng, 2, 5) if case == "padding" else None
    x_t = torch_tensor(x)
    memory_t = x_t if memory is None else torch_tensor(memory)
    masks = dict(key_padding_mask=None if padding is None else torch.from_numpy(padding))
    if case == "causal":
        masks["attn_mask"] = torch.ones(5, 5, dtype=torch.bool).triu(1)
    y_t, _ = theirs(x_t, memory_t, memory_t, need_weights=False, **masks)
    y_t.backward(torch.from_numpy(dy))
    assert relative_error(ours.forward(x, memory, key_padding_mask=padding), y_t.detach().numpy()) < 1e-9
    ours.zero_grad()
    dx = ours.backward(dy)
    gradients = [(dx, x_t)] if memory is None else list(zip(dx, (x_t, memory_t), strict=True))
    assert all(relative_error(given, tensor.grad.numpy()) < 1e-9 for given, tensor in gradients)
    for name, p in ours.named_parameters():
        assert relative_error(p.grad, dict(theirs.named_parameters())[name].grad.numpy()) < 1e-9, name


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder_block_agrees_with_pytorch(norm_first, rng, kernels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=torch.float64)
    ours = TransformerEncoderBlock(12, 3, 20, norm_first=norm_first).to(np.float64)
    ours.load_state_dict({name: value.detach().numpy() for name, value in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x, dy, padding = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 5, 12)), padded(rng, 2, 5)
    x_t = torch_tensor(x)
    y_t = theirs(x_t, src_key_padding_mask=torch.from_numpy(padding))
    y_t.backward(torch.from_numpy(dy))
    assert relative_error(ours.forward(x, key_padding_mask=padding), y_t.detach().numpy()) < 1e-9
    ours.zero_grad()
    assert relative_error(ours.backward(dy), x_t.grad.numpy()) < 1e-9
    for name, p in ours.named_parameters():
        assert relative_error(p.grad, dict(theirs.named_parameters())[name].grad.numpy()) < 1e-9, name
