"""How many tokens a message may have, judged by its bytes in bounded time, without a tokenizer.

The only true bound is a token for each byte; it would throw away three quarters of what fits. Here
a lower-case letter or a space counts half a token, any other byte, of whatever script, a whole one.
Words make less of their letters (a quarter in English, a third in German), so this is about twice
the truth for prose, and too high for code, tables, base64 and other scripts too: the tests hold it
against OpenAI's tokenizers. It errs on the high side: some words more are left out, and what is
sent fits. Only noise (random letters, `a1b2c3`) can be more; then the vendor refuses it as before.

Pictures and sound are base64 of which no byte is a word: they count by the piece and by length.
"""

import re
from itertools import islice

PICTURE = 4_800
"""Tokens of a picture: gpt-4o takes 1,445 at most, Claude 4,784. (gpt-4o-mini bills more.)"""

_HALF = bytes(range(ord("a"), ord("z") + 1)) + b" "
_SOUND_BYTES_PER_TOKEN = 64  # Of base64: ten tokens a second, from 750 bytes of sound up.
_MOST_PIECES = 4096  # What stands behind them counts by its bytes.
_PICTURE_PART = re.compile(rb'"(?:image_url|input_image)"\s*[,}]')
_BASE64 = re.compile(
    rb'"(?:(?:image_)?url"\s*:\s*"data:(image)/[a-z0-9.+-]{1,40};base64,|data"\s*:\s*")([^"\\]*+)"'
)


def most_tokens(text: bytes) -> int:
    """Tokens of a message, given as JSON."""
    if b'"type"' not in text:
        return _of_words(text)
    tokens = PICTURE * len(_PICTURE_PART.findall(text))
    words, end = [], 0
    for found in islice(_BASE64.finditer(text), _MOST_PIECES):
        words.append(text[end : found.start(2)])
        end = found.end(2)
        if found[1] is None:
            tokens += (end - found.start(2)) // _SOUND_BYTES_PER_TOKEN
    words.append(text[end:])
    return tokens + _of_words(b"".join(words))


def _of_words(text: bytes) -> int:
    costly = len(text.translate(None, _HALF))
    return costly + (len(text) - costly + 1) // 2
