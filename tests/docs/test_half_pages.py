"""The half pages of docs/algorithms.md as parts of pages."""

import pytest

from docs.site import algorithms, half_pages
from docs.site.links import ROOT

HALF = """**Facts.** On-policy.

**Equations.** With λ,

    "td"      δ_t = r_t + γV(s_{t+1})      λ = 0

or

    python -m benchmarks.importance

```text
repeat
    θ ← **Facts.** no heading
```

**Deviations.** None. **Figures:** elsewhere.
"""


def test_parts_have_headings():
    text = half_pages.headed(HALF)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Facts",
        "## Equations",
        "## Pseudocode",
        "## Deviations",
    ]
    assert "    θ ← **Facts.** no heading" in text


def test_equations_are_typeset_and_commands_are_not():
    text = half_pages.headed(HALF)
    assert text.count("<math") == 2
    assert '<td class="reason">&quot;td&quot;</td>' in text
    assert "\n    python -m benchmarks.importance\n" in text


def test_words_with_an_index_are_typeset():
    text = half_pages.headed("**Facts.** π_old, `a_b` and [a_c](x_y.md), in batch_size and **β_KL**.\n\n    lr_a\n")
    assert text.count("<math") == 2
    assert "`a_b` and [a_c](x_y.md), in batch_size" in text
    assert "    lr_a\n" in text


def test_what_stands_around_half_pages_is_kept():
    guide = "# T\n\nbefore\n\n## PPO\n\nhalf\n\n# Tables\n\nafter\n\n## Other\n\nmore\n"
    rest, halves = half_pages.split(guide, ["PPO"])
    assert halves == {"PPO": "\nhalf\n"}
    assert [word in rest for word in ("before", "half", "# Tables", "after", "## Other")] == [True, False, True, True, True]


def test_what_is_said_of_half_pages_is_said_of_pages():
    rest, _ = half_pages.split(f"{half_pages.TITLE} the same parts.\n\n## PPO\n\nhalf\n", ["PPO"])
    assert rest == "# A page for each algorithm\n\nEvery page has the same parts.\n\n"
    assert half_pages.TITLE in (ROOT / algorithms.GUIDE).read_text()


def test_a_missing_half_page_is_named():
    with pytest.raises(ValueError, match=r'a half page for each algorithm in docs/algorithms.md, given none titled "## SAC"'):
        half_pages.split("# T\n\n## PPO\n\nhalf\n", ["PPO", "SAC"])
