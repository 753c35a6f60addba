"""What all optimizers share: kernels equal plain forms, exact resuming, decay on weights only, clear errors."""

import math

import numpy as np
import pytest

import deepnp
from deepnp import storage
from deepnp.gradcheck import relative_error
from deepnp.layers import Linear, Sequential
from deepnp.optim import SGD, AdaBelief, Adadelta, Adagrad, Adam, Adamax, AdamW, Adan, Lion, Muon, NAdam, RAdam, RMSprop
from deepnp.parameters import Parameter, ParameterVector

ALL = [
    (SGD, {}),
    (SGD, dict(momentum=0.9, dampening=0.2)),
    (SGD, dict(momentum=0.9, nesterov=True)),
    (RMSprop, {}),
    (RMSprop, dict(momentum=0.9)),
    (RMSprop, dict(momentum=0.9, centered=True)),
    (Adagrad, dict(lr_decay=0.1)),
    (Adadelta, {}),
    (Adam, {}),
    (Adam, dict(amsgrad=True)),
    (AdamW, {}),
    (Adamax, {}),
    (NAdam, {}),
    (RAdam, {}),
    (Lion, {}),
    (Adan, {}),
    (AdaBelief, {}),
    (Muon, dict(exclude=("last.weight",))),
]
IDS = [f"{getattr(cls, '__name__', 'AdamW')}-{'-'.join(settings)}" for cls, settings in ALL]
every = pytest.mark.parametrize(("cls", "settings"), ALL, ids=IDS)
SHAPES = {
    "first.weight": (7, 5),
    "first.bias": (7,),
    "norm.weight": (7,),
    "kernel": (2, 3, 2, 2),
    "last.weight": (1, 9),
    "scale": (),
}


def model(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return ParameterVector({name: Parameter(rng.normal(size=shape).astype(dtype)) for name, shape in SHAPES.items()})


def train(vector, optimizer, gradients):
    for g in gradients:
        vector.grad[...] = g
        optimizer.step()
    return vector.data


@every
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_kernel_equals_plain_form(cls, settings, dtype, tolerance, decay, rng):
    start = model(dtype)
    gradients = rng.normal(size=(10, len(start))).astype(dtype)
    fast, plain = model(dtype), model(dtype)
    one, other = (cls(v, weight_decay=decay, **settings) for v in (fast, plain))
    train(fast, one, gradients)
    deepnp.use_kernels(False)
    try:
        train(plain, other, gradients)
    finally:
        deepnp.use_kernels(True)
    assert fast.data.dtype == plain.data.dtype == dtype
    assert relative_error(fast.data, plain.data) < tolerance
    for name, array in one.state_dict().items():  # Adam's kernel takes 1 − β₂ in the array's own precision
        rounded = 1e-4 if type(one) is Adam and dtype == np.float32 and name in "vw" else tolerance
        assert relative_error(array, other.state_dict()[name]) < rounded, name


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_resumes_bit_for_bit(cls, settings, dtype, rng, kernels, tmp_path):
    gradients = rng.normal(size=(20, len(model()))).astype(dtype)
    whole = model(dtype)
    train(whole, cls(whole, weight_decay=0.1, **settings), gradients)
    first = model(dtype)
    optimizer = cls(first, weight_decay=0.1, **settings)
    train(first, optimizer, gradients[:10])
    storage.save_tensors(tmp_path / "half.safetensors", {"theta": first.data, **optimizer.state_dict()})
    tensors, _ = storage.load_tensors(tmp_path / "half.safetensors")
    second = model(dtype, seed=1)
    second.data[...] = tensors.pop("theta")
    resumed = cls(second, weight_decay=0.1, **settings)
    resumed.load_state_dict(tensors)
    train(second, resumed, gradients[10:])
    np.testing.assert_array_equal(whole.data, second.data)
    assert resumed.t == 20


@every
def test_only_weights_decay(cls, settings, kernels):
    vector = model()
    before = {name: p.data.copy() for name, p in vector.named.items()}
    optimizer = cls(vector, lr=1e-4, weight_decay=0.5, **settings)
    vector.zero_grad()
    optimizer.step()
    for name, p in vector.named.items():
        if len(SHAPES[name]) >= 2:
            assert (np.abs(p.data) < np.abs(before[name])).all(), name
        else:
            np.testing.assert_array_equal(p.data, before[name], name)


@every
def test_it_descends_a_bowl(cls, settings, kernels):
    vector = ParameterVector({"last.weight": Parameter(np.array([[3.0, -2.0], [1.0, 4.0]]))})
    optimizer = cls(vector, lr=0.1, **({} if cls is Muon else settings))
    before = float(vector.data @ vector.data)
    for _ in range(300):
        vector.grad[...] = vector.data * [1.0, 2.0, 1.0, 2.0]
        optimizer.step()
    slow = {Adagrad: 0.9, Adadelta: 0.999}  # their steps are made to be small at first, or ever smaller
    assert float(vector.data @ vector.data) < slow.get(cls, 0.2) * before


@every
def test_the_gradient_is_left_as_it_is(cls, settings, rng, kernels):
    vector = model()
    vector.grad[...] = g = rng.normal(size=len(vector))
    cls(vector, weight_decay=0.1, **settings).step()
    np.testing.assert_array_equal(vector.grad, g)


@every
def test_bad_settings(cls, settings):
    for wrong in (dict(lr=-1.0), dict(weight_decay=-1.0), dict(lr=float("nan")), dict(lr=math.inf), dict(lr="0.1"), dict(lr=None)):
        with pytest.raises(ValueError, match=r"expected a finite (lr|weight_decay) >= 0, given (-1\.0|nan|inf|'0.1'|None)"):
            cls(model(), **{**settings, **wrong})


@every
def test_what_is_no_flat_vector(cls, settings):
    for wrong in (Linear(2, 3), Linear(2, 3).parameters(), np.zeros(3, np.float32), None):
        with pytest.raises(TypeError, match=rf"expected a ParameterVector, as net.flat is, given {type(wrong).__name__}"):
            cls(wrong, **settings)


@every
def test_a_state_that_is_none_leaves_the_optimizer_as_it_is(cls, settings):
    """Not finite, or no arrays: as a module's state, it is refused whole."""
    optimizer = cls(model(), **settings)
    optimizer.vector.grad[...] = 1
    optimizer.step()
    before = {name: np.array(array) for name, array in optimizer.state_dict().items()}
    with pytest.raises(TypeError, match="expected arrays by name, given str"):
        optimizer.load_state_dict("optimizer.safetensors")
    for name, array in before.items():
        with pytest.raises(TypeError, match=f'expected "{name}" to be an array, given list'):
            optimizer.load_state_dict({**before, name: [0]})
        if array.dtype.kind == "f":
            with pytest.raises(ValueError, match=f'expected finite values in "{name}"'):
                optimizer.load_state_dict({**before, name: np.full_like(array, np.nan)})
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("cls", "wrong", "message"),
    [
        (SGD, dict(momentum=-0.1), "momentum >= 0, given -0.1"),
        (SGD, dict(dampening=1.5), r"dampening in \[0, 1\], given 1.5"),
        (SGD, dict(dampening=-0.1), r"dampening in \[0, 1\], given -0.1"),
        (SGD, dict(nesterov=True), "momentum > 0 and no dampening with nesterov, given 0.0 and 0.0"),
        (SGD, dict(momentum=0.9, dampening=0.1, nesterov=True), "given 0.9 and 0.1"),
        (Adam, dict(betas=(1.0, 0.9)), r"betas in \[0, 1\), given \(1.0, 0.9\)"),
        (Adam, dict(betas=(-0.1, 0.9)), r"betas in \[0, 1\)"),
        (Adam, dict(eps=-1), "eps >= 0"),
        (RMSprop, dict(rho=1.0), r"rho in \[0, 1\), given 1.0"),
        (RMSprop, dict(momentum=-1), "momentum >= 0"),
        (Adagrad, dict(lr_decay=-1), "lr_decay >= 0"),
        (Adagrad, dict(initial=-1), "initial >= 0"),
        (Adadelta, dict(rho=-0.1), r"rho in \[0, 1\)"),
        (Adamax, dict(betas=(0.9, 1.0)), r"betas in \[0, 1\), given \(0.9, 1.0\)"),
        (NAdam, dict(momentum_decay=-1), "momentum_decay >= 0"),
        (NAdam, dict(betas=(1.0, 0.9)), r"betas in \[0, 1\)"),
        (RAdam, dict(eps=0.0), "eps > 0, given 0.0"),
        (RAdam, dict(betas=(1.0, 0.9)), r"betas in \[0, 1\)"),
        (Lion, dict(betas=(1.0, 0.9)), r"betas in \[0, 1\)"),
        (Adan, dict(betas=(0.9, 0.9)), r"three betas, given \(0.9, 0.9\)"),
        (Adan, dict(betas=(0.9, 0.9, 1.0)), r"betas in \[0, 1\)"),
        (AdaBelief, dict(eps=-1), "eps >= 0"),
        (Muon, dict(momentum=1.0), r"momentum in \[0, 1\), given 1.0"),
        (Muon, dict(iterations=0), "iterations as a positive integer, given 0"),
        (Muon, dict(exclude=("nowhere",)), r"exclude as names among \['first.weight'.*given \('nowhere',\)"),
        (Muon, dict(exclude="kernel"), "exclude as names among"),
        (Muon, dict(adam_lr=-1), "adam_lr >= 0"),
    ],
)
def test_bad_settings_of_its_own(cls, wrong, message):
    with pytest.raises(ValueError, match=f"expected {message}|{message}"):
        cls(model(), **wrong)


def test_a_state_that_does_not_fit():
    optimizer = Adam(model())
    state = {name: array.copy() for name, array in optimizer.state_dict().items()}
    with pytest.raises(KeyError, match=r"state of Adam lacks \['m'\]"):
        optimizer.load_state_dict({k: v for k, v in state.items() if k != "m"})
    with pytest.raises(ValueError, match=r"does not fit Adam: unknown \['w'\]"):
        optimizer.load_state_dict({**state, "w": state["v"]})
    with pytest.raises(ValueError, match=r'expected "v" of shape .*given \(3,\)'):
        optimizer.load_state_dict({**state, "m": state["m"] + 1, "v": np.zeros(3)})
    assert not optimizer.state["m"].any()  # nothing was restored


@every
def test_parameters_that_moved_away(cls, settings):
    from deepnp.layers import Linear

    net = Linear(4, 3)
    settings = {k: v for k, v in settings.items() if k != "exclude"}
    optimizer = cls(net.flat, **settings)
    larger = Sequential(net, Linear(3, 2))
    assert len(larger.flat) > len(optimizer.vector)
    with pytest.raises(RuntimeError, match="moved to another vector"):
        optimizer.step()
    assert optimizer.t == 0


def test_adamw_is_adam_with_its_decay_decoupled():
    optimizer = AdamW(model())
    assert (type(optimizer), optimizer.decoupled, optimizer.weight_decay) == (Adam, True, 0.01)


def test_adam_without_decay_takes_the_vector_whole():
    """Checkpoints and golden runs rest on it: pieces could round differently where one ends inside a SIMD register."""
    calls = []
    optimizer = Adam(model())
    optimizer.formula = lambda vectors, constants: calls.append([len(v) for v in vectors])
    optimizer.step()
    assert calls == [[len(optimizer.vector)] * 4]
