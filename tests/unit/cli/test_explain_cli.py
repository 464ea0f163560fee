"""`llm-proxy explain`: what it prints of the example configuration, and how it refuses."""

import io
from pathlib import Path

import pytest

from proxy.base.jsonio import dumps, loads
from proxy.cli.main import main
from tests.guard.source_tree import ROOT

Printed = tuple[int, str, str]
EXAMPLE = str(ROOT / "config.example.yaml")


@pytest.fixture(autouse=True)
def no_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(capsys: pytest.CaptureFixture[str], *words: str, config: str = EXAMPLE) -> Printed:
    code = main(("explain", "--config", config, *words))
    said = capsys.readouterr()
    return code, said.out, said.err


def request(folder: Path, **members: object) -> str:
    file = folder / "request.json"
    file.write_bytes(dumps({"messages": [{"role": "user", "content": "Hello"}], **members}))
    return str(file)


def test_it_works_at_once_on_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--key", "demo")
    assert code == 0
    assert "no request was given" in err
    assert "decided by usual: use chat-small" in out
    assert "  1  demo/demo-1  chat-small" in out


def test_a_request_of_a_file_is_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, "-f", request(tmp_path, model="chat-large"), "--key", "demo")
    assert (code, err) == (0, "")
    assert "model    chat-large, internal" in out
    assert "✗ demo/demo-1: it is tried before" in out


def test_stdin_and_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b'{"model":"openai/gpt-4o","messages":[]}'))
    monkeypatch.setattr("sys.stdin", stdin)
    code, out, _ = run(capsys, "-f", "-", "--json")
    assert code == 0
    told = loads(out)
    assert told["object"] == "explanation"
    assert told["refusal"]["status"] == 404
    assert told["model"]["configured"] == "openai/*"


def test_wishes_are_headers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = request(tmp_path, model="chat-small")
    _, out, _ = run(capsys, "-f", file, "--header", "X-LLM-Proxy-Residency: cloud")
    assert "refused  by `plan`: 400 no_target_meets_request" in out
    assert "cloud is wished, the provider is local" in out


def test_what_a_caller_wrote_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = request(tmp_path, model="chat-small", user="\u202ea")
    _, out, _ = run(capsys, "-f", file, "--header", "x-llm-proxy-tags: a,b")
    assert "labels: tags a, b" in out
    assert "\u202e" not in out and "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--key", "dmo"), "did you mean `demo`"),
        (("--header", "no sign"), "--header must be"),
        (("-f", EXAMPLE, "--path", "/v1/files"), "no operation that names a model"),
        (("--with", EXAMPLE), "--with goes with --replay"),
        (("--replay", "24h", "--key", "demo"), "no request"),
        (("--replay", "soon"), "must be a time"),
    ],
)
def test_bad_usage_says_what_to_do(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert why in err


def test_a_file_that_is_not_there_is_no_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "-f", "/no/such/request.json")
    assert (code, "No such file" in err) == (1, True)


def test_who_asks_must_be_said_where_there_are_several(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "keys: [{name: a, key: sk-aaaaaaaaaaaaaaaa}, {name: b, key: sk-bbbbbbbbbbbbbbbb}]\n"
        "providers: {demo: {kind: demo}}\n"
        "models: {chat: {targets: [{provider: demo, model: demo-1}]}}\n"
    )
    code, _, err = run(capsys, config=str(file))
    assert (code, "there are a, b" in err) == (2, True)
    code, out, _ = run(capsys, "--key", "b", config=str(file))
    assert (code, "caller   key b" in out) == (0, True)
    assert "rules    none were looked at" in out


def test_check_tells_rules_chains_and_shares(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "auth: none\n"
        "providers: {demo: {kind: demo}}\n"
        "agents: {bot: {model: small}}\n"
        "rules:\n"
        "  - {name: later, use: small}\n"
        "  - name: first\n"
        "    priority: 3\n"
        "    when: {model: [auto], content_tokens: {min: 9}}\n"
        "    use: big\n"
        "models:\n"
        "  small: {targets: [{provider: demo, model: a}]}\n"
        "  big:\n"
        "    fallback: {models: [small]}\n"
        "    retry: {attempts: 3}\n"
        "    hedge: {after: 2s}\n"
        "    rescue: [restart]\n"
        "    targets:\n"
        "      - {provider: demo, model: a, weight: 3}\n"
        "      - {provider: demo, model: b}\n"
        "      - {provider: demo, model: c, tier: 2}\n"
    )
    assert main(("check", str(file))) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("rules, the first that holds decides")
    assert lines[place + 1 : place + 4] == [
        "  first, priority 3: model auto, content_tokens min 9 → big",
        "  later: everything → small",
        "  agent bot, where no rule says another: small",
    ]
    assert "  big → demo/a tier 1 75 %" in lines
    assert "  big → demo/c tier 2" in lines
    (chain,) = [line for line in lines if line.startswith("  big: →")]
    for words in ("small on timeout", "3 tries", "longer than 2 s", "5 %", "rescued by restart"):
        assert words in chain
    assert not any(line.startswith("  small: weighted") for line in lines)
