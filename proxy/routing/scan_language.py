"""In which language something is said, as an ISO 639-1 code; None where that is not plain.

By script where the script tells (Chinese, Japanese, Korean, Greek, Thai, …), else by the commonest
short words of a few languages. The last thing said counts; all that is said only where that is too
short. Two thousand characters are looked at.
"""

import re
from collections import Counter

from proxy.routing.scan import Said

_LOOKED_AT = 2000
_IN_SCRIPT = 200
_MOST_WORDS = 200
_FEWEST_WORDS = 2
_WORD = re.compile(r"[^\W\d_]{2,}")

_SCRIPTS = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x04FF, "ru"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0E00, 0x0E7F, "th"),
    (0x10A0, 0x10FF, "ka"),
    (0x3040, 0x30FF, "ja"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7AF, "ko"),
)
# Letters by which one language of a script is told from its commonest one.
_OWN_LETTERS = {"ru": ("uk", "іїєґІЇЄҐ"), "ar": ("fa", "پچژگ")}

_WORDS_OF = {
    "en": "the of and to is that it for with this are you what how please write in from my an be"
    " which can should about explain me why do does have as on your at or by",
    "de": "der die das und ist nicht ein eine mit für von zu den auf im wie ich sie bitte was kann"
    " wird auch dem des sind mir einen als bei schreibe erkläre warum an werden oder es zwischen",
    "fr": "le les et est des une dans pour que qui pas sur avec du ce vous je en au il comment"
    " pourquoi quelle sont plus moi cette la un mon nous écris explique ne entre",
    "es": "el los las y es una para que con por del en como qué cómo un se no más puedes esta"
    " escribe explica sobre mi su al lo cuál entre",
    "it": "il gli e è una per che con di del della un non come sono questo nel perché scrivi spiega"
    " mi alla dei cosa lo più tra",
    "pt": "o os as e é uma para que com do da em um não como dos das por se mais você escreva"
    " explique ao na no são entre",
    "nl": "de het een en van is dat niet met voor op te zijn hoe wat ik je aan er naar schrijf"
    " waarom ook bij tussen",
    "pl": "i w na z nie się jest że do jak co to dla przez jaki czy proszę napisz od oraz",
    "sv": "och att det som en på är av för med den inte till hur vad ett jag kan mellan",
    "tr": "ve bir bu için ile nas\u0131l ne da de çok gibi nedir olarak bana daha sonra",
}


def _by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for language, words in _WORDS_OF.items():
        for word in dict.fromkeys(words.split()):
            found[word] = (*found.get(word, ()), language)
    return found


_LANGUAGES_OF = _by_word()


def language(said: Said) -> str | None:
    """The language of what was said last."""
    return _language(said.last[-_LOOKED_AT:]) or _language(said.text[-_LOOKED_AT:])


def _language(text: str) -> str | None:
    if not text.isascii() and (found := _by_script(text)) is not None:
        return found
    words = _WORD.findall(text.lower())[-_MOST_WORDS:]
    points = Counter[str]()
    for word in words:
        for each in _LANGUAGES_OF.get(word, ()):
            points[each] += 1
    best = points.most_common(2)
    if not best or best[0][1] < _FEWEST_WORDS or best[0][1] * 10 < len(words):
        return None
    return None if len(best) == 2 and best[0][1] == best[1][1] else best[0][0]


def _by_script(text: str) -> str | None:
    """The language of the script most letters are in, if that is not Latin."""
    points, latin = Counter[str](), 0
    letters = [ord(each) for each in text[-2 * _IN_SCRIPT :] if each.isalpha()]
    for letter in letters:
        if letter < 0x0250:
            latin += 1
            continue
        points[_script(letter)] += 1
    # A syllable or a whole word is one letter there.
    dense = {"zh": 3, "ja": 3, "ko": 3}
    if points["ja"] * 10 > points["zh"]:  # Japanese is written in Chinese characters, too.
        points["ja"] += points.pop("zh", 0)
    if not points:
        return None
    best, count = points.most_common(1)[0]
    if not best or count * dense.get(best, 1) <= latin:
        return None
    other = _OWN_LETTERS.get(best)
    return other[0] if other is not None and any(each in text for each in other[1]) else best


def _script(letter: int) -> str:
    return next((name for low, high, name in _SCRIPTS if low <= letter <= high), "")
