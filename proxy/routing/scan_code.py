"""Whether a text contains program code: a fenced block of it, or signs that prose does not show.

A line is judged by its first word, which names the pattern it must match; a few signs may stand
anywhere and are looked for by a literal first. Decisive signs suffice alone, two kinds of weak ones
do so together. Data (JSON, YAML, tables) and XML tags that structure a prompt are no code.
"""

import re
from collections.abc import Iterator

from proxy.routing.scan import Said, Seeker, unescaped

_DECISIVE = 2
_MOST_LINES = 300
_LONGEST_LINE = 400
_MOST_FENCES = 16
_MOST_PLACES = 8
_BEFORE, _AFTER = 40, 300
_FENCE = b"```"
_FENCED = 1500

_NAMES = (
    "ada asm assembly awk bash batch c c# c++ clojure cmake cpp cs csharp css cuda cypher dart diff"
    " docker dockerfile elixir elm erlang f# fortran fsharp glsl go golang graphql groovy haskell"
    " hcl html java javascript js jsx julia kotlin kt less lisp lua makefile matlab mysql nginx nim"
    " nix objc objective-c ocaml pascal patch perl php plsql postgresql powershell prisma prolog"
    " protobuf ps1 psql py python python3 r racket rb rs ruby rust sass scala scheme scss sh shell"
    " solidity sparql sql svelte swift tcl terraform tf ts tsql tsx typescript vb vba verilog vhdl"
    " vim vue wasm zig zsh"
)
_LANGUAGES = frozenset(_NAMES.split())

_CALL = r"[\w.:<>~]+\s{0,2}\([^)]{0,200}\)?"
_C_LIKE = re.compile(r"[^.?!]{0,200}[({;=]\s*(?://.*)?$|.{0,200}\)\s*\{")
_ASSIGNED = re.compile(r"\w+\s+(?:[\w$]+|[{\[][\w$ ,:]+[}\]])\s*(?::[^=]{1,60})?=\s*\S")
_BLOCK = re.compile(r"\w+\s*\(.{1,200}\)\s*\{")

# By a line's first word: what makes it a line of code.
_DECISIVE_LINES = {
    "def": re.compile(r"def\s+\w+\s*(?:\(|$)"),
    "async": re.compile(r"async\s+(?:def|fn|function)\s+\w+|async\s*\("),
    "class": re.compile(r"class\s+\w+\s*(?:\([\w., =]*\)\s*:|:\s*$|[\w<>, ]{0,80}\{)"),
    "import": re.compile(
        r"import\s+[\w*{}, $]{1,100}\s+from\s+['\"]|import\s+['\"]\S+['\"]\s*;?\s*$"
        r"|import\s+(?:static\s+)?\w+(?:\.[\w*]+)+;?\s*$|import\s+\w+\s+as\s+\w+\s*$"
    ),
    "from": re.compile(r"from\s+[\w.]+\s+import\s+[\w*(]"),
    "using": re.compile(r"using\s+(?:namespace\s+)?[\w.:]+;"),
    "package": re.compile(r"package\s+[\w.]+;|package\s+\w+\s*$"),
    "function": re.compile(r"function\s*\*?\s*[\w$]*\s*\([^)]{0,200}\)\s*[{:]"),
    "func": re.compile(r"func\s+(?:\([^)]{1,60}\)\s*)?\w+\s*[(\[<]"),
    "fn": re.compile(r"fn\s+\w+\s*[(<]"),
    "pub": re.compile(r"pub\s+(?:async\s+)?(?:fn|struct|enum|mod|use|trait|const)\b"),
    "impl": re.compile(r"impl\b[^.?!]{0,120}\{"),
    "struct": re.compile(r"struct\s+\w+[^.?!]{0,60}\{"),
    "public": _C_LIKE,
    "private": _C_LIKE,
    "protected": _C_LIKE,
    "static": _C_LIKE,
    "export": re.compile(r"export\s+(?:default|const|function|class|async|type|interface)\b"),
    "const": _ASSIGNED,
    "let": _ASSIGNED,
    "var": _ASSIGNED,
    "for": _BLOCK,
    "while": _BLOCK,
    "if": _BLOCK,
    "switch": _BLOCK,
    "}": re.compile(r"\}\s*(?:else|catch|finally|while)\b"),
    "try:": re.compile(r"try:\s*$"),
    "except": re.compile(r"except\b[\w., ()]{0,80}:\s*$"),
    "#include": re.compile(r"#include\s*[<\"]"),
    "#define": re.compile(r"#define\s+\w"),
    "@@": re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@"),
    "<?php": re.compile(r"<\?php"),
    "Traceback": re.compile(r"Traceback \(most recent call last\)"),
    "File": re.compile(r'File "[^"]{1,200}", line \d'),
    "at": re.compile(r"at [\w$.<>]+\([\w$]+\.(?:java|kt|scala|js|ts)\b[:\d]*\)"),
}
_WEAK_LINES = {
    "import": re.compile(r"import\s+\w+(?:\s*,\s*\w+){0,8}\s*$"),
    "return": re.compile(r"return\b[^.?!]{0,200}$"),
    "raise": re.compile(r"raise\s+\w+(?:\(|$)"),
    "print": re.compile(r"print\s*\("),
    "for": re.compile(r"for\s+\w+(?:\s*,\s*\w+)?\s+in\s+[^.?!]{1,80}:\s*$"),
    "while": re.compile(r"while\s+[\w.!=<> ()]{1,80}:\s*$"),
    "if": re.compile(r"if\s+[^?!]{0,120}(?:==|!=|>=|<=|\bnot\b|\bis None\b|\()[^?!]{0,80}:\s*$"),
    "else:": re.compile(r"else:\s*$"),
    "end": re.compile(r"end\s*$"),
    "$": re.compile(r"\$ (?:sudo|npm|pip|git|docker|kubectl|cd|ls|curl|python|make|apt)\b"),
    "//": re.compile(r"//\s?\w"),
    "/*": re.compile(r"/\*"),
}
_ENDING = re.compile(r"\{$|[=(.\[+].*;$|^[)\]}]+[;,]?$|\w\+\+;$|^(?:return|break|continue)\b.*;$")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][\w.\[\]'\"]*\s?(?:[-+*/|&]|:)?=\s?[^=\s]")
_CALL_LINE = re.compile(rf"\s*(?:await\s+)?{_CALL};?\s*$")

# A literal that must be there, and what must stand around it.
_DECISIVE_ANYWHERE = (
    ("SELECT", re.compile(r"\bSELECT\s[^;]{1,300}?\sFROM\s+[\w.\"`\[]")),
    ("select", re.compile(
        r"\bselect\s[^;?!]{1,200}?\sfrom\s+[\w.\"`\[]+(?:\s*;|[^;?!.]{0,150}?\s(?:where\s+[\w.\"]+\s*"
        r"(?:=|<|>|in\b|like\b|is\b)|group by|order by|(?:inner |left |right )?join\s+\w+)\s)"
    )),
    ("INSERT", re.compile(r"\bINSERT\s+INTO\s+[\w.\"`]+")),
    ("CREATE", re.compile(r"\bCREATE\s+(?:OR REPLACE\s+)?(?:TABLE|VIEW|INDEX|FUNCTION)\s")),
    ("UPDATE", re.compile(r"\bUPDATE\s+[\w.\"`]+\s+SET\s+[\w.\"`]+\s*=")),
    ("DELETE", re.compile(r"\bDELETE\s+FROM\s+[\w.\"`]+")),
    ("ALTER", re.compile(r"\bALTER\s+TABLE\s+[\w.\"`]+")),
    ("def ", re.compile(r"\bdef \w+\([^)\n]{0,200}\)\s*(?:->\s*[\w\[\], .|]{1,60})?:")),
    ("function", re.compile(r"\bfunction\s*\*?\s*[\w$]*\s*\([^)\n]{0,200}\)\s*\{")),
    ("=>", re.compile(r"(?:\)|\b\w+)\s*=>\s*(?:\{|\(|[\w.]+\(|\w+\s*[-+*/.])")),
    ("lambda ", re.compile(r"\blambda\s+[\w, *]{1,40}:\s*\S")),
    ("console.", re.compile(r"\bconsole\.(?:log|error|warn)\(")),
    ("System.out", re.compile(r"\bSystem\.out\.print")),
    ("printf(", re.compile(r"\bprintf\(\s*\"")),
    ("std::", re.compile(r"\bstd::\w+")),
    ("</", re.compile(r"</(?:html|head|body|div|span|script|style|table|tr|td|form|button|svg)>")),
    ("#include", re.compile(r"#include\s*[<\"][\w./]+[>\"]")),
    ("#!", re.compile(r"^#!\s?/\w", re.M)),
    ("<!", re.compile(r"<!doctype html", re.I)),
    ("int main", re.compile(r"\bint main\s*\(")),
    ("public static", re.compile(r"\bpublic static \w+")),
    ("for (", re.compile(r"\bfor \([^;)\n]{0,80};[^;)\n]{0,80};")),
)  # fmt: skip
_WEAK_ANYWHERE = (
    ("();", re.compile(r"\w\(\);")),
    ("self.", re.compile(r"\bself\.\w+\s*(?:=|\()")),
    ("this.", re.compile(r"\bthis\.\w+\s*(?:=|\()")),
    ("->", re.compile(r"\w->\w+\(|\)\s*->\s*\w")),
    ("&&", re.compile(r"[\w)]\s*&&\s*[\w(!]")),
    ("!=", re.compile(r"\w\s!==?\s\S")),
    ("==", re.compile(r"\w\s===?\s\S")),
    ("[i]", re.compile(r"\w\[i\]")),
)


def contains_code(said: Said) -> bool:
    """Whether what is said contains program code."""
    return _signs(said.text) >= _DECISIVE or any(
        language in _LANGUAGES or _signs(block) > 0 for language, block in _fenced(said.looked_at)
    )


def _fenced(raw: bytes) -> Iterator[tuple[str, str]]:
    """The named language and the beginning of each fenced block."""
    if b"`" not in raw:
        return
    seeker, at = Seeker(raw), 0
    for _ in range(_MOST_FENCES):
        at = seeker.find(_FENCE, at, len(raw))
        if at < 0:
            return
        end = seeker.find(_FENCE, at + 3, len(raw))
        stop = min(at + _FENCED, end if end >= 0 else len(raw))
        language, _, block = unescaped(raw[at + 3 : stop]).partition("\n")
        yield language.strip().lower(), block
        if end < 0:
            return
        at = end + 3


def _signs(text: str) -> int:
    """At least `_DECISIVE` where the text must be code."""
    if _anywhere(text, _DECISIVE_ANYWHERE):
        return _DECISIVE
    weak = _anywhere(text, _WEAK_ANYWHERE)
    lines = text.split("\n")
    if len(lines) > _MOST_LINES:
        lines = lines[: _MOST_LINES // 2] + lines[-_MOST_LINES // 2 :]
    endings, assigned, called, kinds = 0, 0, 0, set[str]()
    for line in lines:
        found = line[:_LONGEST_LINE].strip()
        if not found:
            continue
        word = found.split(None, 1)[0]
        if (decisive := _DECISIVE_LINES.get(word)) is not None and decisive.match(found):
            return _DECISIVE
        if (sign := _WEAK_LINES.get(word)) is not None and sign.match(found):
            kinds.add(word)
        endings += _ENDING.search(found) is not None
        assigned += "=" in found and _ASSIGNMENT.match(found) is not None
        called += found[-1] in ");" and _CALL_LINE.match(found) is not None
    weak += len(kinds) + (endings > 0) + (endings > 2) + (assigned > 0) + (called > 0)
    return weak


def _anywhere(text: str, signs: tuple[tuple[str, re.Pattern[str]], ...]) -> int:
    return sum(1 for literal, sign in signs if literal in text and _around(text, literal, sign))


def _around(text: str, literal: str, sign: re.Pattern[str]) -> bool:
    at = -1
    for _ in range(_MOST_PLACES):
        at = text.find(literal, at + 1)
        if at < 0:
            return False
        start = max(0, text.rfind("\n", at - _BEFORE, at), at - _BEFORE)
        if sign.search(text, start, at + _AFTER):
            return True
    return False
