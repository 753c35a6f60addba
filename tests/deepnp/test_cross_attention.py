"""Multi-head attention to other sequences: sizes of keys and values, masks, weights, types, shapes."""

import inspect

import numpy as np
import pytest

from deepnp import Embedding, MultiheadAttention, Positions, RotaryPositions, SinusoidalPositions, TransformerEncoderBlock
from deepnp.cases import dot, tupled
from deepnp.gradcheck import TOLERANCE, check_module, relative_error

E, HEADS, L, KEYS, B = 8, 2, 4, 5, 3
SIZES = {
    "one size": dict(),
    "own sizes": dict(kdim=6, vdim=3),
    "own keys": dict(kdim=6),
    "without bias": dict(bias=False),
    "rotary": dict(rotary=True),
    "blocks": dict(block=2, kdim=6, vdim=3),
}


@pytest.fixture(params=SIZES)
def settings(request):
    return SIZES[request.param]


@pytest.fixture
def inputs(settings, rng):
    """Queries, keys and values."""
    sizes = (L, E), (KEYS, settings.get("kdim", E)), (KEYS, settings.get("vdim", E))
    return tuple(rng.normal(size=(B, *size)) for size in sizes)


def masks(rng, kind):
    hidden = rng.random((L, KEYS)) < 0.4
    hidden[:, 0] = False
    return {
        "none": dict(),
        "padding": dict(key_padding_mask=np.arange(KEYS) >= np.array([5, 2, 1])[:, None]),
        "padding scores": dict(key_padding_mask=rng.normal(size=(B, KEYS))),
        "hidden": dict(attn_mask=hidden),
        "scores": dict(attn_mask=rng.normal(size=(L, KEYS))),
        "of every head": dict(attn_mask=rng.normal(size=(B * HEADS, L, KEYS))),
        "of every sample": dict(attn_mask=rng.normal(size=(B, 1, L, KEYS))),
        "both": dict(attn_mask=hidden, key_padding_mask=np.arange(KEYS) >= np.array([5, 2, 1])[:, None]),
    }[kind]


@pytest.fixture(params=["none", "padding", "padding scores", "hidden", "scores", "of every head", "of every sample", "both"])
def mask(request, rng):
    return masks(rng, request.param)


def test_gradients(settings, inputs, mask, rng, kernels):
    layer = MultiheadAttention(E, HEADS, rng=rng, **settings)
    for name, error in check_module(layer, *inputs, **mask).items():
        assert error < TOLERANCE, name


def test_forward_mode_is_the_transpose_of_backward(settings, inputs, mask, rng, kernels):
    layer = MultiheadAttention(E, HEADS, rng=rng, **settings).to(np.float64)
    y = layer(*inputs, **mask)
    dy, vx, v = rng.normal(size=y.shape), tuple(rng.normal(size=x.shape) for x in inputs), rng.normal(size=len(layer.flat))
    dx = layer.backward(dy)
    expected = dot(dx, vx) + dot(layer.flat.grad, v)
    assert abs(dot(layer.jvp(v, vx), dy) - expected) < 1e-10 * max(1, abs(expected))


def test_keys_and_values_of_one_memory(rng, kernels):
    layer = MultiheadAttention(E, HEADS, kdim=6, vdim=6, rng=rng).to(np.float64)
    x, memory = rng.normal(size=(B, L, E)), rng.normal(size=(B, KEYS, 6))
    dy = rng.normal(size=x.shape)
    np.testing.assert_array_equal(layer(x, memory), layer.predict(x, memory, memory))
    dx, dmemory = layer.backward(dy)
    layer(x, memory, memory)
    for given, wanted in zip((dx, dmemory), (lambda a, b, c: (a, b + c))(*layer.backward(dy)), strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-12)


def test_weights_are_the_mean_over_the_heads(rng, kernels):
    layer = MultiheadAttention(E, HEADS, rng=rng)
    x, memory = rng.normal(size=(B, L, E)).astype(np.float32), rng.normal(size=(B, KEYS, E)).astype(np.float32)
    y, weights = layer(x, memory, need_weights=True)
    np.testing.assert_array_equal(y, layer.predict(x, memory))
    np.testing.assert_array_equal(layer.predict(x, memory, need_weights=True)[1], weights)
    assert weights.shape == (B, L, KEYS)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
    assert len(layer.backward(y)) == 2
    with pytest.raises(ValueError, match="expected block=None where weights are needed, given block=2"):
        MultiheadAttention(E, HEADS, block=2)(x, need_weights=True)


def test_other_shapes_of_the_upstream_gradient_are_refused(settings, inputs, rng, kernels):
    for layer in (MultiheadAttention(E, HEADS, rng=rng, **settings), TransformerEncoderBlock(E, HEADS, 5, rng=rng)):
        given = inputs if isinstance(layer, MultiheadAttention) else inputs[:1]
        layer(*(x.astype(np.float32) for x in given))
        for shape in ((L, E), (B, E), (2 * B, L, E), (1, B, L, E), (B, L, E + 1), (1, L, E), (B, 1, E), (B * L, E)):
            with pytest.raises(ValueError, match=r"expected dy.*given"):
                layer.backward(np.zeros(shape, np.float32))


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "longdouble"])
@pytest.mark.parametrize("block", [None, 2])
def test_types_that_no_kernel_takes_go_the_plain_way(dtype, block, rng):
    layer, exact = (MultiheadAttention(E, HEADS, block=block, rng=np.random.default_rng(1)) for _ in range(2))
    exact.to(np.float64)
    x, dy = rng.normal(size=(B, L, E)).astype(dtype), rng.normal(size=(B, L, E)).astype(dtype)
    y, dx = layer(x), layer.backward(dy)
    np.testing.assert_allclose(y.astype(float), exact(x.astype(float)), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(dx.astype(float), exact.backward(dy.astype(float)), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, complex])
def test_what_is_no_float_is_refused(dtype):
    x, memory = np.ones((B, L, E), np.float32), np.ones((B, KEYS, E), dtype)
    for make in (MultiheadAttention, lambda *sizes: TransformerEncoderBlock(*sizes, 4)):
        with pytest.raises(TypeError, match=f"floating-point numbers, given {np.dtype(dtype)}"):
            make(E, HEADS)(x.astype(dtype))
    with pytest.raises(TypeError, match="memory of floating-point numbers"):
        MultiheadAttention(E, HEADS)(x, memory)
    for layer in (SinusoidalPositions(), RotaryPositions()):
        with pytest.raises(TypeError, match="floating-point numbers"):
            layer(memory)


ONES = np.ones((B, L, E), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(ONES, value=ONES), "expected memory where a value is given"),
        (lambda m: m(ONES, ONES, ONES[:, :2]), "as many values as keys, 4, given 2"),
        (lambda m: m(ONES, ONES[..., :6]), r"memory of shape \(B, L, 8\)"),
        (lambda m: m(ONES, attn_mask=np.zeros((L, L + 1), bool)), r"attn_mask of shape \(4, 4\) or one for each head"),
        (lambda m: m(ONES, attn_mask=np.zeros((B, L, L), bool)), r"attn_mask of shape .* given \(3, 4, 4\)"),
        (lambda m: m(ONES, attn_mask=np.zeros((2, 1, L, L), bool)), r"attn_mask of shape .* given \(2, 1, 4, 4\)"),
        (lambda m: m(ONES, key_padding_mask=np.zeros((B, 1), bool)), r"key_padding_mask of shape \(3, 4\), given \(3, 1\)"),
        (lambda m: MultiheadAttention(E, HEADS, kdim=0), "positive kdim, given 0"),
    ],
)
def test_bad_input_is_refused_at_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call(MultiheadAttention(E, HEADS))


def test_names_are_those_of_pytorch():
    own = MultiheadAttention(E, HEADS, kdim=6, vdim=3).state_dict()
    assert [(name, array.shape) for name, array in own.items()] == [
        ("q_proj_weight", (E, E)),
        ("k_proj_weight", (E, 6)),
        ("v_proj_weight", (E, 3)),
        ("in_proj_bias", (3 * E,)),
        ("out_proj.weight", (E, E)),
        ("out_proj.bias", (E,)),
    ]
    assert list(MultiheadAttention(E, HEADS, bias=False).state_dict()) == ["in_proj_weight", "out_proj.weight"]
    assert isinstance(RotaryPositions(), Positions)


POSITIONAL = {  # of construction, of a call: the beginning of PyTorch's
    MultiheadAttention: ("embed_dim num_heads", "x memory value"),  # there query, key, value
    TransformerEncoderBlock: ("embed_dim num_heads feedforward", "x"),
    Embedding: ("num_embeddings embedding_dim padding_idx", "x"),
}


@pytest.mark.parametrize("layer", POSITIONAL)
def test_positions_mean_what_they_mean_in_pytorch(layer):
    for function, names in zip((layer, layer.forward), POSITIONAL[layer], strict=True):
        parameters = inspect.signature(function).parameters.values()
        given = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
        assert given == names.split()


def test_agrees_with_pytorch(settings, inputs, mask, rng, kernels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    settings = {name: value for name, value in settings.items() if name != "rotary"}
    ours = MultiheadAttention(E, HEADS, rng=rng, **settings).to(np.float64)
    settings.pop("block", None)
    theirs = torch.nn.MultiheadAttention(E, HEADS, batch_first=True, dtype=torch.float64, **settings)
    if theirs.in_proj_bias is not None:
        torch.nn.init.normal_(theirs.in_proj_bias)
    ours.load_state_dict({name: value.detach().numpy() for name, value in theirs.state_dict().items()})
    tensors = [torch.from_numpy(x).requires_grad_() for x in inputs]
    given = {name: torch.from_numpy(value) for name, value in mask.items()}
    if mask.get("attn_mask", np.zeros(0)).ndim == 4:  # theirs takes one for each head in three axes
        given["attn_mask"] = given["attn_mask"].expand(B, HEADS, L, KEYS).reshape(B * HEADS, L, KEYS)
    if len(given) == 2:  # theirs warns where the two masks are of two types
        given = {name: torch.zeros(value.shape).double().masked_fill(value, -torch.inf) for name, value in given.items()}
    y_t, weights_t = theirs(*tensors, **given)
    dy = rng.normal(size=y_t.shape)
    y_t.backward(torch.from_numpy(dy))
    assert relative_error(ours(*inputs, **mask), y_t.detach().numpy()) < 1e-9
    for gradient, tensor in zip(tupled(ours.backward(dy)), tensors, strict=True):
        assert relative_error(gradient, tensor.grad.numpy()) < 1e-9
    for name, p in ours.named_parameters():
        assert relative_error(p.grad, dict(theirs.named_parameters())[name].grad.numpy()) < 1e-9, name
    if ours.block is None:
        weights = ours.predict(*inputs, **mask, need_weights=True)[1]
        assert relative_error(weights, weights_t.detach().numpy()) < 1e-9
