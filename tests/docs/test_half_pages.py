"""The half pages of docs/algorithms as parts of pages."""

import pytest

from docs.site import half_pages

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
    guide = "# T\n\nbefore\n\n## PPO\n\nhalf\n\n## Other\n\nmore\n"
    rest, halves = half_pages.split(guide, ["PPO"], "docs/algorithms/x.md")
    assert halves == {"PPO": "\nhalf\n\n"}
    assert [word in rest for word in ("before", "half", "## Other", "more")] == [True, False, True, True]


def test_the_facts_of_a_half_page_are_its_first_part():
    assert half_pages.facts(HALF) == "On-policy."


def test_a_missing_half_page_is_named():
    with pytest.raises(ValueError, match=r'a half page for each algorithm in docs/algorithms/x.md, given none titled "## SAC"'):
        half_pages.split("# T\n\n## PPO\n\nhalf\n", ["PPO", "SAC"], "docs/algorithms/x.md")
