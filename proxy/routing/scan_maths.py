"""Whether a text contains mathematics: LaTeX, symbols, equations, or the words of an exercise.

Nothing is searched for at every place. A cheap look finds where an operator, a symbol or a telling
word stands, and only what surrounds it is judged, for so many places at most. Decisive signs
suffice alone, two weak ones do so together. In code an equals sign is an assignment, so there
equations and operators say nothing.
"""

import re
from collections.abc import Iterable

from proxy.routing.scan import Said

_DECISIVE = 2
_MOST_PLACES = 20
_BEFORE, _AFTER = 40, 60

_SYMBOL = re.compile("[∑∫∬∮∂∇∏∀∃∈∉⊂⊆\u222a∩∝≡≅⇔]")
_PERHAPS_SYMBOL = re.compile("[√²³ⁿπθ\u00d7÷]")
_IN_FORMULA = re.compile(
    "√[\\d(a-zπ]|(?<![A-Za-z])[a-ln-z][²³ⁿ]|[πθ]\\s?[r/*]|\\d\\s?[\u00d7÷]\\s?\\d"
)
_WEAK_SYMBOL = re.compile("[≤≥≠±∞≈Δπθλσ√]")
_LATEX = re.compile(
    r"\\(?:d?frac|sqrt|sum|int|lim|prod|partial|nabla|infty|cdot|times|mathbb|mathcal|mathrm|alpha"
    r"|beta|theta|lambda|sigma|pi|leq|geq|neq|to|binom|begin\{(?:equation|align|[pbv]?matrix|cases)"
    r"|left[(\[|]|log|sin|cos)(?![a-z])"
)
_DOLLARS = re.compile(r"\$[^$\n]{0,60}(?:[\^_=\\]|[a-z]\s?[-+*/<>])[^$\n]{0,80}\$")

_TERM = (
    r"(?:\d{1,9}(?:[.,]\d{1,9})?)?[a-z](?:\^[\d(a-z]|\([a-z\d]\))?"
    r"|\d{1,9}(?:[.,]\d{1,9})?(?:\^\d{1,9})?"
)
_OPERATOR = re.compile(r"[=^]")
_EQUATION = re.compile(
    rf"(?<![\w.])(?:{_TERM})\s?[-+*/·^]\s?(?:{_TERM})(?:\s?[-+*/·^]\s?(?:{_TERM})){{0,4}}"
    r"\s?=\s?-?[\w(]"
    r"|(?<![\w.])[a-z]\([a-z]\)\s?=\s?-?[\w(]|(?<![\w.])\d{0,9}[a-z]\^[\d(a-z]"
    rf"|(?<![\w.])[a-z]\s?=\s?-?(?:{_TERM})\s?[-+*/·^]\s?(?:{_TERM})"
)
_STEP = re.compile("\\d\\)?\\s?[-+*/\u00d7÷^]\\s?\\(?\\d")
_SEVERAL_STEPS = re.compile(
    r"(?<![\w.:/-])\d{1,12}(?:[.,]\d{1,9})?(?:\s[-+*/\u00d7÷^]\s\d{1,12}(?:[.,]\d{1,9})?){2}|\d\s?\^\s?\d"
    r"|\d\s?[-+*/]\s?\(\s?\d{1,12}\s?[-+*/]|\d\s?[-+*/]\s?\d{1,12}\s?\)\s?[-+*/]\s?[\d(]"
    r"|\(\d{1,12}\s?[-+*/]\s?\d{1,12}\)\s?[-+*/]\s?\("
)
_ONE_STEP = re.compile("(?<![\\w.:/-])\\d{1,12}(?:[.,]\\d{1,9})?\\s[+*/\u00d7÷^]\\s\\(?\\d")

_WORD = re.compile(r"[a-zà-ÿ]{3,}")
_CERTAIN = frozenset(
    (
        *("eigenvalue", "eigenvalues", "eigenvector", "eigenvectors", "eigenwert", "eigenwerte"),
        *("eigenvektor", "eigenvektoren", "stammfunktion", "differentialgleichung", "pgcd"),
    )
)
# By a word that must be there, what must stand around it.
_PHRASES = {
    "solve": re.compile(r"\bsolve for [a-z]\b"),
    "quadratic": re.compile(r"\bquadratic equation"),
    "differential": re.compile(r"\bdifferential equation"),
    "derivative": re.compile(r"\bderivative of (?:the function|f|[a-z]\b|sin|cos|ln|log|\d)"),
    "integral": re.compile(
        r"definite integral|\bintegral of (?:the function|f|[a-z]\b|sin|cos|\d)"
    ),
    "square": re.compile(r"\bsquare root of \d"),
    "determinant": re.compile(r"\bdeterminant of (?:the|this|a) [\w ]{0,12}matrix"),
    "prime": re.compile(r"\bprime factori[sz]ation"),
    "divisor": re.compile(r"\bgreatest common divisor"),
    "induction": re.compile(r"\bprove by induction|\bby mathematical induction"),
    "gleichung": re.compile(r"\b(?:löse|lösen sie) die (?:quadratische )?gleichung"),
    "ableitung": re.compile(r"\bableitung (?:von|der funktion)"),
    "induktion": re.compile(r"\bvollständiger? induktion"),
    "équation": re.compile(
        "\\brésou(?:s|dre|dez) (?:l['\u2019]|cette )équation"
        "|\\béquation (?:différentielle|quadratique|du second degré)"
    ),
    "dérivée": re.compile(r"\bdérivée de (?:la fonction|f|x|sin|cos)"),
    "intégrale": re.compile(r"\bintégrale de\b"),
    "récurrence": re.compile(r"\bpar récurrence\b"),
}
_ASKS_FOR_PROOF = frozenset(
    (
        "prove",
        "show",
        "beweise",
        "beweisen",
        "zeige",
        "démontre",
        "démontrer",
        "démontrez",
        "montre",
    )
)
_OBJECTS = frozenset(
    (
        *("integer", "integers", "prime", "primes", "irrational", "theorem", "lemma", "polynomial"),
        *("polynomials", "matrix", "matrices", "convex", "divisible", "isosceles", "primzahlen"),
        *("primzahl", "teilbar", "entier", "entiers", "premier", "premiers", "irrationnel"),
        *("pythagoras", "pythagorean", "zahlen"),
    )
)
_ASKS_FOR_RESULT = frozenset(
    (
        *(
            "calculate",
            "compute",
            "evaluate",
            "simplify",
            "what",
            "much",
            "berechne",
            "viel",
            "was",
        ),
        *("calcule", "calculer", "calculez", "combien"),
    )
)
_CERTAIN_CHINESE = re.compile(
    "方程|微积分|求导|导数|不定积分|定积分|因式分解|矩阵|特征值|数学归纳法|求极限|勾股定理"
)
_PROOF_CHINESE = re.compile("证明|求证")
_OBJECT_CHINESE = re.compile("无理数|素数|质数|整数")
_RESULT_CHINESE = re.compile("计算|等于多少|是多少")


def contains_maths(said: Said, *, in_code: bool) -> bool:
    """Whether what is said contains mathematics; `in_code` where it contains code, too."""
    text = said.text
    if not text:
        return False
    lowered = text.lower()
    words = frozenset(_WORD.findall(lowered))
    if _formulas(text) or _phrased(lowered, words):
        return True
    foreign = not text.isascii()
    weak = int(not words.isdisjoint(_ASKS_FOR_PROOF) or (foreign and _has(_PROOF_CHINESE, text)))
    weak += not words.isdisjoint(_OBJECTS) or (foreign and _has(_OBJECT_CHINESE, text))
    weak += foreign and _has(_WEAK_SYMBOL, text)
    if not in_code and weak < _DECISIVE:
        asked = not words.isdisjoint(_ASKS_FOR_RESULT) or (foreign and _has(_RESULT_CHINESE, text))
        weak += _calculated(text, asked=asked)
    return weak >= _DECISIVE


def _formulas(text: str) -> bool:
    if "\\" in text and _LATEX.search(text):
        return True
    if text.isascii():
        return False
    return _has(_SYMBOL, text) or any(
        _IN_FORMULA.search(near) for near in _places(_PERHAPS_SYMBOL, text, 2, 3)
    )


def _phrased(lowered: str, words: frozenset[str]) -> bool:
    if not words.isdisjoint(_CERTAIN):
        return True
    if any(_PHRASES[word].search(lowered) for word in words & _PHRASES.keys()):
        return True
    return not lowered.isascii() and _has(_CERTAIN_CHINESE, lowered)


def _calculated(text: str, *, asked: bool) -> int:
    if text.count("$") > 1 and _DOLLARS.search(text):
        return _DECISIVE
    if any(_EQUATION.search(near) for near in _places(_OPERATOR, text, _BEFORE, _AFTER)):
        return _DECISIVE
    one = False
    for near in _places(_STEP, text, _BEFORE, _AFTER):
        if _SEVERAL_STEPS.search(near):
            return _DECISIVE
        one = one or _ONE_STEP.search(near) is not None
    return one + (one and asked)


def _places(what: re.Pattern[str], text: str, before: int, after: int) -> Iterable[str]:
    """What surrounds the first places; they do not overlap much."""
    at = 0
    for _ in range(_MOST_PLACES):
        found = what.search(text, at)
        if found is None:
            return
        start = found.start()
        yield text[max(0, start - before) : start + after]
        at = start + after // 2


def _has(what: re.Pattern[str], text: str) -> bool:
    return what.search(text) is not None
