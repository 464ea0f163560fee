"""The estimate is no lower than what tokenizers count, for anything that people write."""

import base64
import random

import pytest

from proxy.base.jsonio import dumps
from proxy.usage.tokens.encodings import Encodings
from proxy.wire.fitting_estimate import PICTURE, most_tokens

NOISE = random.Random(5).randbytes(1500)
TEXTS = {
    "English": "The quick brown fox can't jump over 13 lazy dogs; it's tired. " * 20,
    "short words": "I am so as to be in it or at a b c x y z q. " * 20,
    "German": "Der Vertrag über die Rechtsschutzversicherungsgesellschaft enthält nichts. " * 20,
    "Finnish": "epäjärjestelmällistyttämättömyydellänsäkäänköhän kolmivaihekilowattituntimittari "
    * 9,
    "Polish": "chrząszcz brzmi w trzcinie w Szczebrzeszynie źdźbło " * 20,
    "Welsh": "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch cwrw cwm " * 20,
    "capitals": "THE QUICK BROWN FOX JUMPS. ERR_CONNECTION_REFUSED " * 20,
    "code": "def _walk(self, at: int) -> tuple[int, None]:\n    return {x[1:]: not y ** 2}\n" * 20,
    "minified": "function a(b,c){return b<c?-1:b>c?1:0}var d=[3,1,2].sort(a);" * 20,
    "table": "0.1234,5.6789,-17.5e3,NaN\n" * 60,
    "JSON": dumps([{"id": at, "name": f"user{at}", "tags": ["a"]} for at in range(50)]).decode(),
    "base64": base64.b64encode(NOISE).decode(),
    "hexadecimal": NOISE.hex(),
    "Chinese": "人工智能正在改变我们的生活方式。机器学习模型可以理解语言。" * 20,
    "Japanese": "東京は日本の首都であり、カタカナとひらがな。" * 20,
    "Arabic": "الذكاء الاصطناعي هو فرع من علوم الحاسوب. " * 20,
    "Thai": "ปัญญาประดิษฐ์คือความฉลาดที่แสดงโดยเครื่องจักร" * 20,
    "Amharic": "ሰው ሰራሽ የማሰብ ችሎታ ማሽኖች" * 20,
    "Vietnamese": "Trí tuệ nhân tạo đang thay đổi cách chúng ta sống. " * 20,
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈🇩🇪🫠" * 20,
    "blank": " \n\t\r\n" * 100,
}


@pytest.fixture(scope="module")
def encodings() -> Encodings:
    return Encodings()


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_is_no_less_than_a_tokenizer_counts(
    encodings: Encodings, text: str, encoding: str
) -> None:
    true = len(encodings.get(encoding).encode_ordinary(text))
    assert most_tokens(dumps({"role": "user", "content": text})) >= true
    units = text.encode("utf-16-be").hex()
    escaped = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
    assert most_tokens(b'{"role":"user","content":"%b"}' % escaped.encode()) >= true


def test_prose_is_not_counted_by_its_bytes() -> None:
    text = TEXTS["English"].encode()
    assert most_tokens(text) < 0.65 * len(text)


def part(**members: object) -> bytes:
    return dumps({"role": "user", "content": [{"type": "text", "text": "hi"}, members]})


def test_pictures_count_by_the_piece() -> None:
    data = "data:image/png;base64," + "A" * 100_000
    bare = most_tokens(part(type="text", text=""))
    for picture in (
        part(type="image_url", image_url={"url": data, "detail": "low"}),
        part(type="input_image", image_url=data),
        part(type="image_url", image_url={"url": "http://host/picture.png"}),
    ):
        assert bare + PICTURE - 20 <= most_tokens(picture) <= bare + PICTURE + 100


def test_sound_counts_by_its_length() -> None:
    sound = part(type="input_audio", input_audio={"data": "A" * 64_000, "format": "mp3"})
    assert 1000 <= most_tokens(sound) <= 1100


def test_words_are_not_taken_for_pictures() -> None:
    text = 'say "url": "data:image/png;base64,' + "WORD" * 1000 + '" and "data" : "' + "W" * 999
    assert most_tokens(part(type="text", text=text)) > 4999


def test_files_count_in_full() -> None:
    file = part(type="file", file={"file_data": "data:application/pdf;base64," + "QQ" * 5000})
    assert most_tokens(file) > 9999
