"""A stand-in for CuPy, so that the checks of this folder also run where there is no GPU.

Its arrays compute with NumPy but are as strict as CuPy's: NumPy's functions refuse them, NumPy's arrays do not mix with them, a
sum is an array of no axes. Its module has the names of CuPy only: those below were looked up in CuPy 14, one by one. An operation
that needs another one adds it here, once it has been looked up; a name that CuPy lacks is thus found before anything runs on a GPU.

What it cannot find: wrong results of CuPy's own functions, and anything about speed.
"""

import operator
from types import ModuleType, SimpleNamespace

import numpy as np


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = words("""
    abs add arange array_equal ascontiguousarray asarray bincount broadcast_to clip concatenate copysign copyto cos empty
    empty_like exp expm1 full full_like isfinite log log1p matmul maximum may_share_memory minimum moveaxis ones ones_like sign sin
    sqrt stack take take_along_axis tanh where zeros zeros_like
""")
METHODS = words("all any argmax argmin astype clip conj copy fill max mean min ravel reshape sum swapaxes transpose view")
ATTRIBUTES = words("T dtype flags imag itemsize nbytes ndim real shape size strides")
BINARY = words("add sub mul truediv floordiv mod pow matmul and or xor lshift rshift")
COMPARISONS = words("eq ne lt le gt ge")
NUMBERS = (bool, int, float, complex, np.generic)


class Array:
    """Stands in for `cupy.ndarray`."""

    __array_ufunc__ = None  # NumPy's operators leave it to ours

    def __init__(self, values: np.ndarray):
        self.values = values

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} given an array of the GPU: write array_module(x).{function.__name__}")

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion to a NumPy array: write to_device(x, 'cpu')")

    def __getattr__(self, name):
        if name in METHODS:
            return wrapped(getattr(self.values, name), name)
        if name in ATTRIBUTES:
            return wrap(getattr(self.values, name))
        raise AttributeError(f"cupy.ndarray.{name}: looked up in CuPy? Then add it to this stand-in")

    def get(self) -> np.ndarray:
        return self.values.copy()

    def __getitem__(self, index):
        return wrap(self.values[unwrap(index)], keep=True)

    def __setitem__(self, index, value):
        self.values[unwrap(index)] = unwrap(value)

    def __len__(self):
        return len(self.values)

    def __repr__(self):
        return str(self.values)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self.values)

    def __int__(self):
        return int(self.values)

    def __float__(self):
        return float(self.values)

    def __deepcopy__(self, memo):
        return Array(self.values.copy())

    def __hash__(self):
        return id(self)

    def __neg__(self):
        return wrap(-self.values)

    def __abs__(self):
        return wrap(abs(self.values))

    def __invert__(self):
        return wrap(~self.values)


def unwrap(x):
    """NumPy's array, or a structure of them, from ours; an array that is NumPy's already is one that was not moved."""
    if isinstance(x, Array):
        return x.values
    if isinstance(x, np.ndarray):
        raise TypeError(f"an array of NumPy's, of shape {x.shape}, where one of the GPU belongs")
    return type(x)(map(unwrap, x)) if isinstance(x, tuple | list) else x


def wrap(x, keep=False):
    """Ours from NumPy's; its scalars are CuPy's arrays of no axes."""
    return Array(np.asarray(x)) if keep or isinstance(x, np.ndarray | np.generic) else x


def wrapped(function, name):
    """NumPy's function for our arrays."""

    def call(*args, **kwargs):
        if "initial" in kwargs or ("where" in kwargs and name != "copyto"):
            raise TypeError(f"cupy.{name} takes no {list(kwargs)}")
        if name in ("rfftn", "irfftn") and args[0].size == 0:
            raise ValueError("Invalid number of FFT data points (0) specified.")  # as CuPy says
        return wrap(function(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()}))

    return call


def _operator(name, reflected=False):
    function = getattr(operator, name + "_" if name in ("and", "or") else name)

    def call(self, other):
        if not isinstance(other, (Array, *NUMBERS)):
            raise TypeError(f"unsupported operand of the GPU's {name}: {type(other).__name__}")
        pair = (unwrap(other), self.values) if reflected else (self.values, unwrap(other))
        return wrap(function(*pair))

    return call


def _in_place(name):
    function = getattr(operator, "i" + name)

    def call(self, other):
        function(self.values, unwrap(other))
        return self

    return call


for _name in BINARY:
    setattr(Array, f"__{_name}__", _operator(_name))
    setattr(Array, f"__r{_name}__", _operator(_name, reflected=True))
    setattr(Array, f"__i{_name}__", _in_place(_name))
for _name in COMPARISONS:
    setattr(Array, f"__{_name}__", _operator(_name))


class Library(ModuleType):
    """Stands in for the module `cupy`."""

    inf, pi, nan, ndarray = np.inf, np.pi, np.nan, Array
    cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1))
    linalg = SimpleNamespace(norm=wrapped(np.linalg.norm, "norm"))
    fft = SimpleNamespace(rfftn=wrapped(np.fft.rfftn, "rfftn"), irfftn=wrapped(np.fft.irfftn, "irfftn"))

    def __getattr__(self, name):
        if name not in FUNCTIONS:
            raise AttributeError(f"cupy.{name}: looked up in CuPy? Then add it to this stand-in")
        function = wrapped(getattr(np, name), name)
        if name == "add":
            function.at = wrapped(np.add.at, "at")
        return function

    def asarray(self, x, dtype=None):
        return Array(np.array(unwrap(x) if isinstance(x, Array) else x, dtype))

    def get_array_module(self, *arrays):
        return self if any(isinstance(x, Array) for x in arrays) else np


LIBRARY = Library("cupy")
