"""Formulas as they stand in docstrings, in Unicode, as MathML.

The layout stays linear: a fraction keeps its slash and a sum its order, so nothing can change its meaning. What is typeset are
indices, exponents, accents, roots and letters. A formula that this file does not understand raises `Unreadable`; the caller then
shows the text as it is.
"""

import re
import unicodedata
from html import escape


class Unreadable(ValueError):
    """A text that is no formula of the kind that this file reads."""


FUNCTIONS = frozenset({
    "ln", "log", "exp", "tanh", "sinh", "cosh", "sech", "sin", "cos", "arctan", "max", "min", "argmax", "sup", "mean", "var", "std",
    "erf", "clip", "softmax", "sign", "diag", "det", "log1p", "expm1", "KL",
})  # fmt: skip
SHORT_WORDS = frozenset({"at", "by", "if", "in", "is", "of", "on", "or", "so", "to", "as", "be", "no", "an", "it"})
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀᵖᵗᵏ⁽⁾", "0123456789+−nTptk()"))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₜₖᵢⱼₙ", "0123456789+−tkijn"))
FENCES = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⌊": "⌋", "⌈": "⌉"}
OPERATORS = set("+−-·/=≈≤≥<>≠←→∈⊙×±…,;:~∝∘*÷!⊗") | {"."}
LARGE = {"Σ": "∑", "Π": "∏", "∫": "∫"}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?:e[-−]?\d+)?)
      | (?P<arrow>->|\+=)
      | (?P<large>[ΣΠ∫])
      | (?P<word>(?:[A-Za-z]\u0302?\u0304?\u0303?\u0307?)+)
      | (?P<letter>[Α-Ωα-ω∂∇∞ℓ½¼½ℝ][\u0302\u0304\u0303\u0307]?)
      | (?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀᵖᵗᵏ⁽⁾]+)
      | (?P<lowered>[₀₁₂₃₄₅₆₇₈₉₊₋ₜₖᵢⱼₙ]+)
      | (?P<prime>[′″]+)
      | (?P<sign>.)""",
    re.VERBOSE,
)
_MARKS = {"\u0302": "^", "\u0304": "¯", "\u0303": "~", "\u0307": "˙"}


def mathml(formula: str) -> str:
    """A formula -> a `<math>` element.

    Raises
    ------
    Unreadable
        Where a sign is unknown or a bracket is not closed.
    """
    body = _Reader(formula).everything()
    return f'<math displaystyle="true" aria-label="{escape(formula.strip())}">{body}</math>'


class _Reader:
    """Reads tokens one after the other; each method returns MathML."""

    def __init__(self, formula: str):
        decomposed = "".join(unicodedata.normalize("NFD", c) if c.isalpha() else c for c in formula.strip())
        self.tokens = [(m.lastgroup, m.group()) for m in _TOKEN.finditer(decomposed)]
        self.at = 0

    def everything(self) -> str:
        parts = self.parts(None)
        if not parts:
            raise Unreadable("empty")
        return "".join(parts)

    def next(self) -> tuple[str | None, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, "")

    def take(self) -> tuple[str | None, str]:
        token = self.next()
        self.at += 1
        return token

    def parts(self, closing: str | None) -> list[str]:
        """Atoms and operators up to a closing bracket, or to the end."""
        parts: list[str] = []
        while True:
            kind, text = self.next()
            if kind is None:
                if closing:
                    raise Unreadable(f"{closing} is missing")
                return parts
            if text == closing:
                self.take()
                return parts
            if kind == "space":
                self.take()
                if parts and _speaks(parts[-1], self.next()):
                    parts.append('<mspace width="0.28em"></mspace>')
            else:
                parts.append(self.scripted())

    def scripted(self) -> str:
        """One atom with its primes, indices and exponents."""
        large = self.next()[0] == "large"
        base, below, above = self.atom(), "", ""
        while True:
            kind, text = self.next()
            if kind == "prime":
                self.take()
                above += f"<mo>{text}</mo>"
            elif kind == "raised":
                self.take()
                above += _reread("".join(SUPERSCRIPTS[c] for c in text))
            elif kind == "lowered":
                self.take()
                below += _reread("".join(SUBSCRIPTS[c] for c in text))
            elif text in ("^", "_"):
                self.take()
                script = self.script()
                below, above = (below + script, above) if text == "_" else (below, above + script)
            else:
                return _with_scripts(base, below, above, large)

    def script(self) -> str:
        """What follows ^ or _: braces, a bracket, or a sign and one atom."""
        kind, text = self.next()
        if text == "{":
            self.take()
            return "".join(self.parts("}"))
        sign = ""
        if text in ("−", "-", "+"):
            self.take()
            sign = "<mo>−</mo>" if text != "+" else "<mo>+</mo>"
            kind, text = self.next()
        if kind == "word":
            self.take()
            return sign + "".join(_letter(c) for c in _letters(text))
        if kind not in ("number", "letter") and text not in ("(", "|", "*", "∞"):
            raise Unreadable(f"{text!r} as an index")
        if text == "*":
            self.take()
            return "<mo>*</mo>"
        return sign + self.atom()

    def atom(self) -> str:
        kind, text = self.take()
        if kind == "number":
            return f"<mn>{text}</mn>"
        if kind == "large":
            return f"<mo>{LARGE[text]}</mo>"
        if kind == "arrow":
            return f"<mo>{'→' if text == '->' else escape(text)}</mo>"
        if kind == "letter":
            return self.differential(text)
        if kind == "word":
            return self.word(text)
        return self.sign(text)

    def differential(self, text: str) -> str:
        """∂ belongs to the letter after it: ∂σ_i is one thing with an index."""
        kind, following = self.next()
        if text == "∂" and kind in ("letter", "word") and len(_letters(following)) == 1:
            self.take()
            return f"<mrow><mi>∂</mi>{_letter(following)}</mrow>"
        return _letter(text)

    def word(self, text: str) -> str:
        letters = _letters(text)
        if text in FUNCTIONS:
            return f'<mi>{text}</mi><mspace width="0.17em"></mspace>' if self.next()[0] == "space" else f"<mi>{text}</mi>"
        if text in SHORT_WORDS or len(letters) > 3 or (len(letters) == 3 and letters[0] not in "dv"):
            return f"<mtext>{escape(text)}</mtext>"
        kind, following = self.next()
        if text in ("d", "v") and kind == "letter" and following not in "∂∇∞½":  # dγ, vβ
            self.take()
            letters = [text, following]
        if len(letters) == 1:
            return _letter(letters[0])
        return "<mrow>" + "".join(_letter(c) for c in letters) + "</mrow>"

    def sign(self, text: str) -> str:
        if text in FENCES:
            inner = "".join(self.parts(FENCES[text]))
            return f'<mrow><mo stretchy="false">{text}</mo>{inner}<mo stretchy="false">{FENCES[text]}</mo></mrow>'
        if text == "√":
            return self.root()
        if text in ("|", "‖"):
            return f'<mo stretchy="false" lspace="0.1em" rspace="0.1em">{text}</mo>'
        if text in OPERATORS:
            return f"<mo>{escape('−' if text == '-' else text)}</mo>"
        raise Unreadable(f"{text!r}")

    def root(self) -> str:
        if self.next()[1] == "(":
            self.take()
            return f"<msqrt>{''.join(self.parts(')'))}</msqrt>"
        kind, text = self.next()
        if kind not in ("number", "letter", "word") or len(_letters(text)) != 1:
            raise Unreadable("a root of what?")
        return f"<msqrt>{self.atom()}</msqrt>"


def _letters(text: str) -> list[str]:
    """A word's letters, each with its accent."""
    return re.findall(r".[\u0300-\u036f]*", text)


def _letter(text: str) -> str:
    if len(text) == 1:
        return f"<mi>{text}</mi>"
    mark = _MARKS.get(text[1])
    if mark is None or len(text) > 2:
        raise Unreadable(f"{text!r}")
    return f'<mover accent="true"><mi>{text[0]}</mi><mo stretchy="false">{mark}</mo></mover>'


def _reread(text: str) -> str:
    """Raised and lowered signs, once they are plain."""
    return "".join(_Reader(text).parts(None)) if text.count("(") == text.count(")") else f"<mtext>{text}</mtext>"


def _with_scripts(base: str, below: str, above: str, large: bool) -> str:
    if not below and not above:
        return base
    parts = [f"<mrow>{part}</mrow>" for part in (base, below, above) if part]
    names = ("munder", "mover", "munderover") if large else ("msub", "msup", "msubsup")
    name = names[2] if below and above else names[0] if below else names[1]
    return f"<{name}>{''.join(parts)}</{name}>"


def _speaks(before: str, token: tuple[str | None, str]) -> bool:
    """Whether a space between two parts stands for a product or between words; operators bring their own space."""
    kind, text = token
    return kind is not None and not before.startswith("<mo>") and text not in OPERATORS and kind != "arrow"
