"""Exercises show the plain form of a forward pass: what chooses a fast form is left out, and nothing else."""

from textwrap import dedent, indent

import pytest

from deepnp.learn.plain import plain

CHANGED = {
    "a kernel": (
        """
        y = x  # ∂y
        if gpu.rows_run(x):
            return fast(x)
        return y
        """,
        """
        y = x  # ∂y
        return y
        """,
    ),
    "a name that says so": (
        """
        step = recurrent.fastest(step_plain, _step, x, kinds=SINGLE)
        whole = begin is None and scan.pays(x)
        if whole:
            _scan(x)
        for t in range(0 if whole else len(x)):
            step(x, t)
        """,
        """
        for t in range(len(x)):
            step_plain(x, t)
        """,
    ),
    "what only the choice needs": (
        """
        whole = begin is None
        together = whole and scan.pays(x)
        y, dy = (_fast if kernel_runs(x) else _plain)(x)
        if together:
            _scan(x)
        dx = dy * y
        return dx
        """,
        """
        y, dy = (_plain)(x)
        dx = dy * y
        return dx
        """,
    ),
    "a choice within a condition": (
        """
        if finite(_fast(x) if kernel_runs(x) else _plain(x)):
            return x
        """,
        """
        if finite(_plain(x)):
            return x
        """,
    ),
    "a fast form of a cache": (
        """
        if values is not None:
            return _accumulate_fast(x)
        return slow(x)
        """,
        """
        return slow(x)
        """,
    ),
    "a branch of which nothing is left": (
        """
        if mask is None:
            if kernel_runs(x):
                return fast(x)
        return slow(x)
        """,
        """
        return slow(x)
        """,
    ),
}
SAME = """
    if not kernel_runs(x):
        return x
    if x.size == 0:
        return x
    elif running(x):
        y = x if x.ndim else x[None]
    else:
        y = prune(x)
    return y
"""


def function(body: str) -> str:
    return f"def forward(x):\n{indent(dedent(body).strip(), '    ')}"


@pytest.mark.parametrize("kind", CHANGED)
def test_choices_of_fast_forms_are_left_out(kind):
    before, after = map(function, CHANGED[kind])
    assert plain(before) == after


def test_everything_else_stays():
    assert plain(function(SAME)) == function(SAME)
