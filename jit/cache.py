"""Numba's cache on disk, made harmless: whatever is wrong with it, the kernel runs.

Where to keep the files is Numba's choice (NUMBA_CACHE_DIR, else beside the source, else the user's cache folder). Each
combination of argument types has one file: a digest, and what the digest is of. A file that is damaged, cut off, of another
source or of another Numba is compiled anew and replaced.
"""

import contextlib
import hashlib
import os
import pickle
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

DIGEST = 32  # bytes of SHA-256


def keep_on_disk(dispatcher, fingerprint: str) -> bool:
    """Let a Numba dispatcher keep its machine code on disk, if there is a place for it; otherwise warn once.

    Returns whether there is one.

    Parameters
    ----------
    dispatcher
        What `numba.njit` returned.
    fingerprint : str
        Of the source that the code is made from: code of another source is not used.
    """
    try:
        dispatcher._cache = _harmless_cache()(dispatcher.py_func, fingerprint)
        return True
    except (RuntimeError, OSError) as error:  # Numba finds no folder that it may write to
        warn_uncached(_reason(error, dispatcher.py_func))
        return False


@cache
def warn_uncached(reason: str) -> None:
    """Say once in a process why kernels are compiled anew in each process."""
    warnings.warn(f"compiled kernels are not kept on disk, so each process compiles them: {reason}", RuntimeWarning, 2)


def _reason(error: Exception, function) -> str:
    """The same words for all kernels that have the same trouble, so that one warning is enough."""
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}"
    return "no folder can be written to; set NUMBA_CACHE_DIR to one that can"


@cache
def _harmless_cache() -> type:
    """The class is made at the first compilation: importing the house does not import Numba."""
    from numba.core.caching import FunctionCache

    class HarmlessCache(FunctionCache):
        def __init__(self, function, fingerprint: str):
            super().__init__(function)
            self._cache_file = CodeFiles(Path(self._cache_path), self._impl.filename_base, fingerprint)

        def load_overload(self, signature, target_context):
            try:
                return super().load_overload(signature, target_context)
            except Exception as error:  # a pickle can fail in any way
                warn_uncached(f"the cache in {self._cache_path} holds damaged files ({type(error).__name__})")
                return None

        def save_overload(self, signature, data) -> None:
            try:
                super().save_overload(signature, data)
            except OSError as error:
                warn_uncached(_reason(error, self._py_func))

    return HarmlessCache


class CodeFiles:
    """Machine code of one function, a file for each combination of argument types. Numba asks for `load`, `save`, `flush`."""

    def __init__(self, folder: Path, base: str, fingerprint: str):
        import numba

        self.folder, self.base = folder, base
        self.source = numba.__version__, fingerprint

    def path(self, key: tuple) -> Path:
        """Where the code for `key` is: argument types, processor, and features."""
        name = hashlib.sha256(f"{self.base} {key!r}".encode()).hexdigest()
        return self.folder / f"{self.base[:80]}.{name[:24]}.code"

    def load(self, key: tuple) -> Any:
        """The code, or None where there is none of this source.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        try:
            blob = self.path(key).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(blob[DIGEST:]).digest() != blob[:DIGEST]:
            raise ValueError("its digest is another")
        source, data = pickle.loads(blob[DIGEST:])
        return pickle.loads(data) if source == self.source else None

    def save(self, key: tuple, data) -> None:
        """Write the code whole or not at all."""
        from numba.core.serialize import dumps

        blob = pickle.dumps((self.source, dumps(data)))
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(blob).digest() + blob)
            os.replace(temporary, self.path(key))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def flush(self) -> None:
        """Forget all code of this function."""
        for path in self.folder.glob(f"{self.base[:80]}.*.code"):
            path.unlink(missing_ok=True)
