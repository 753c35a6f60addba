"""Formulas of docstrings as MathML: nothing is lost, and what is not understood is left as text."""

import inspect
import re
import unicodedata

import pytest

from deepnp.ops import find
from docs.site import derivations
from docs.site.formulas import SUBSCRIPTS, SUPERSCRIPTS, Unreadable, mathml

OPERATIONS = find()
ALIKE = {"∑": "Σ", "∏": "Π", "-": "−", "\u0302": "^", "\u0304": "¯", "\u0303": "~"} | SUPERSCRIPTS | SUBSCRIPTS


def inner(formula: str) -> str:
    return re.sub(r"</?math[^>]*>", "", mathml(formula))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("x_i", "<msub><mrow><mi>x</mi></mrow><mrow><mi>i</mi></mrow></msub>"),
        ("e^{−x}", "<msup><mrow><mi>e</mi></mrow><mrow><mo>−</mo><mi>x</mi></mrow></msup>"),
        ("e^−x", "<msup><mrow><mi>e</mi></mrow><mrow><mo>−</mo><mi>x</mi></mrow></msup>"),
        ("Wᵀ", "<msup><mrow><mi>W</mi></mrow><mrow><mi>T</mi></mrow></msup>"),
        ("x̂", '<mover accent="true"><mi>x</mi><mo stretchy="false">^</mo></mover>'),
        ("Σ_b", "<munder><mrow><mo>∑</mo></mrow><mrow><mi>b</mi></mrow></munder>"),
        ("√d", "<msqrt><mi>d</mi></msqrt>"),
        ("1/C", "<mn>1</mn><mo>/</mo><mi>C</mi>"),
        ("elsewhere", "<mtext>elsewhere</mtext>"),
        ("a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
    ],
)
def test_a_formula_is_typeset(formula, expected):
    assert inner(formula) == expected


def test_an_index_belongs_to_the_whole_gradient():
    assert inner("dγ_c") == inner("dγ").join(["<msub><mrow>", "</mrow><mrow><mi>c</mi></mrow></msub>"])


@pytest.mark.parametrize("text", ["", "(x", "x)", "x_", "x^=", "√=", "{a", "‰"])
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(Unreadable):
        mathml(text)


def formulas(name: str) -> list[str]:
    body = derivations.split(inspect.getdoc(OPERATIONS[name])).body
    segments = [s.strip() for line in body.splitlines() for s in re.split(r" {2,}", line)]
    return [s for s in segments if s and derivations.reads_as_formula(s)]


def characters(text: str) -> list[str]:
    plain = unicodedata.normalize("NFD", re.sub(r"[\s_^{}]", "", text))
    return sorted(c for sign in plain for c in ALIKE.get(sign, sign) if c not in "^{}√")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_sign_of_a_derivation_is_lost(name):
    for formula in formulas(name):
        typeset = re.sub(r"<[^>]+>", "", inner(formula)).replace("&lt;", "<").replace("&gt;", ">")
        roots = 2 * len(re.findall(r"√\(", formula))  # a root's bar stands for its brackets
        missing = characters(formula)
        for bracket in "()" * (roots // 2):
            missing.remove(bracket)
        assert characters(typeset) == missing, formula


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"convolution.zero_pad"}))  # which is three sentences
def test_every_derivation_has_typeset_lines(name):
    assert "<math" in derivations.html(derivations.split(inspect.getdoc(OPERATIONS[name])).body)


def test_a_sentence_is_no_formula():
    assert not derivations.reads_as_formula("because 1 − y = e^−x/(1 + e^−x): the output is all that backward needs")
    assert derivations.reads_as_formula("y = λx for x > 0, λα(e^x − 1) elsewhere")


def test_spaces_before_a_sign_of_equality_only_align_it():
    assert derivations.html("Forward    y_i   = x_i").count("<math") == 1


def test_formulas_of_a_remark_are_typeset_and_its_words_are_text():
    remark = "σ² = mean_c (x − μ)² + ε, so 2σ ∂σ/∂x_c = 2(x_c − μ)/C"
    assert not derivations.reads_as_formula(remark)
    first, second = derivations.prose(remark).split(", so ")
    assert first.startswith("<math")
    assert second.startswith("<math")
