"""Several hosts on one machine: the network that is made, the walls that are judged, what is asked.

Making namespaces needs root, so the run itself is no test; what it is made of is.
"""

import argparse
import asyncio
import os
from pathlib import Path

import pytest

from bench import answers
from bench.children import ChildFailed
from bench.hosts import configuration, network, vendor
from bench.hosts.__main__ import sizes
from bench.hosts.configuration import CALL_COSTS, CALLS_PAID, LIMIT
from bench.hosts.network import LOAD, STORE, VENDOR, Network
from bench.hosts.run import Size, Wall, Window
from bench.hosts.show import as_json, fitted, table
from bench.targets import KEY
from proxy.base.jsonio import loads
from proxy.config.load import load

SHARED = configuration.Shared(
    "postgresql://llm_proxy:none@10.251.0.2:5432/llm_proxy",
    "redis://10.251.0.2:6379",
    "http://10.251.0.3:9000",
)


def test_every_role_has_an_address_of_its_own() -> None:
    made = Network(4)
    assert made.roles == (STORE, VENDOR, LOAD, "host1", "host2", "host3", "host4")
    assert len({made.address(role) for role in made.roles}) == len(made.roles)


def test_all_that_is_made_lies_in_namespaces_of_ours() -> None:
    made = Network(2)
    commands = list(made.commands())
    added = {command[2] for command in commands if command[:2] == ["netns", "add"]}
    assert network.owners(added) == dict.fromkeys(added, os.getpid())
    assert added == {made.name(role) for role in (*made.roles, "switch")}
    rest = [command for command in commands if command[:2] != ["netns", "add"]]
    assert all(command[0] == "-n" and command[1] in added for command in rest)
    cables = [command for command in rest if "veth" in command]
    assert {command[-1] for command in cables} == added - {made.name("switch")}


def test_only_namespaces_of_such_a_run_are_known() -> None:
    names = ["llm-hosts-17-host1", "llm-hosts--host1", "other-17-host1", "llm-hosts-x-store"]
    assert network.owners(names) == {"llm-hosts-17-host1": 17}


def test_without_root_it_says_so() -> None:
    with pytest.raises(ChildFailed, match="need root"):
        network.refuse_where_impossible(user=1000)


def test_without_ip_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChildFailed, match="iproute2"):
        network.refuse_where_impossible(user=0)


@pytest.mark.parametrize(("text", "found"), [("3", [3]), ("2..4", [2, 3, 4]), ("1..1", [1])])
def test_sizes_are_a_number_or_a_range(text: str, found: list[int]) -> None:
    assert sizes(text) == found


@pytest.mark.parametrize("text", ["0", "4..2", "1..99", "two", "1..2..3", ""])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        sizes(text)


def test_hosts_differ_by_address_and_folder_alone(tmp_path: Path) -> None:
    found = []
    for number in (11, 12):
        file = tmp_path / f"{number}.yaml"
        host, data = f"10.251.0.{number}", tmp_path / str(number)
        text = configuration.text(host, SHARED, data)
        file.write_text(text)
        settings = load(file, env={}).settings
        assert str(settings.listen) == f"{host}:{configuration.PORT}"
        assert settings.workers == 1
        assert {key.key.reveal() for key in settings.keys} >= {KEY, configuration.POOR_KEY}
        found.append(text.replace(host, "HOST").replace(str(data), "DATA"))
    assert found[0] == found[1]


def test_a_call_costs_what_the_vendor_says_it_used() -> None:
    used = loads(answers.CHAT_BODY)["usage"]
    text = configuration.text("10.251.0.11", SHARED, Path("data"))
    assert "price: {input: 0.5, output: 2}" in text
    assert used["prompt_tokens"] * 500 + used["completion_tokens"] * 2000 == CALL_COSTS
    assert configuration.BUDGET == CALLS_PAID * CALL_COSTS


def _limit(clients: int, vendors: int, recorded: int) -> Wall:
    return Wall("requests a minute", 900, LIMIT, clients, vendors, recorded)


def _budget(calls: int, spent: int, in_redis: int) -> Wall:
    amount = configuration.BUDGET
    return Wall("budget", 900, CALLS_PAID, calls, calls, calls, spent, in_redis, amount)


def test_a_limit_is_passed_by_whoever_counts_more() -> None:
    assert _limit(LIMIT, LIMIT, LIMIT).overrun == 0
    assert _limit(LIMIT, LIMIT, LIMIT).agreed
    assert _limit(LIMIT, LIMIT + 2, LIMIT).overrun == 2
    assert not _limit(LIMIT, LIMIT - 1, LIMIT).agreed


def test_a_budget_is_passed_by_what_the_vendor_is_owed_too() -> None:
    most = CALLS_PAID * CALL_COSTS
    assert _budget(CALLS_PAID, most, most).overrun == 0
    assert _budget(CALLS_PAID + 1, most, most).overrun == CALL_COSTS
    assert _budget(10, 10, most + 5).overrun == 5
    assert not _budget(10, 10, 11).agreed


def _size(*walls: Wall, rows: int = 7, ids: int = 7) -> Size:
    return Size(2, walls=list(walls), answers=7, rows=rows, ids=ids)


def test_a_size_is_good_when_all_agree() -> None:
    assert _size(_limit(LIMIT, LIMIT, LIMIT)).good
    assert not _size(_limit(LIMIT + 1, LIMIT + 1, LIMIT + 1)).good
    assert not _size(rows=8).good
    assert not _size(rows=6, ids=6).good
    wrong, late = _size(), _size()
    wrong.wrong["status_500"] = 1
    late.unheard = 3
    assert not wrong.good
    assert late.good


def _window(hosts: int, rate: float, machine: float = 0.1) -> Window:
    cores = {
        "workers": 0.01 * hosts + 0.0004 * rate,
        "controls": 0.02 * hosts + 0.0001 * rate,
        "supervisors": 0.0,
        "redis": 0.002 * hosts + 0.0001 * rate,
        "postgres": 0.003 * hosts + 0.00002 * rate,
    }
    return Window(rate, rate, int(rate * 4), 4.0, cores, machine, 0.0)  # type: ignore[arg-type]


def _sizes(*hosts: int) -> list[Size]:
    rates = (0.0, 100.0, 300.0)
    return [Size(many, [_window(many, rate * many) for rate in rates]) for many in hosts]


def test_sizes_that_were_not_fitted_judge_the_model() -> None:
    for each in fitted(_sizes(1, 2, 3)):
        assert each.worst is not None
        assert each.worst < 0.01, each.part
    assert [each.worst for each in fitted(_sizes(1, 2))] == [None] * 4


def test_a_full_machine_fits_no_model() -> None:
    full = _sizes(1, 2, 3)
    full[2].windows[2] = _window(3, 900.0, machine=1e6)
    full[2].windows[2].cores["redis"] = 99.0
    [redis] = [each for each in fitted(full) if each.part == "redis"]
    assert redis.worst is not None
    assert redis.worst < 0.01
    assert "1 windows left out" in table(full)


def test_what_was_found_is_told() -> None:
    found = _sizes(1, 2)
    found[1].walls = [_limit(LIMIT, LIMIT + 3, LIMIT), _budget(299, 299 * CALL_COSTS, 1)]
    text = table(found)
    assert "overrun 3" in text
    assert "(1 calls' worth left)" in text
    assert as_json(found)["good"] is False
    assert as_json(found)["sizes"][1]["overruns"] == [3, 0]


async def test_the_vendor_counts_chats_and_nothing_else() -> None:
    server = await vendor.start("127.0.0.1")
    port = server.sockets[0].getsockname()[1]

    async def ask(method: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"{method} {path} HTTP/1.1\r\nHost: v\r\nContent-Length: 2\r\n\r\n{{}}"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        [length] = [line for line in answer.split(b"\r\n") if line.startswith(b"Content-Length")]
        body = await reader.readexactly(int(length.partition(b":")[2]))
        writer.close()
        await writer.wait_closed()
        return body

    async with server:
        for path in ("/v1/chat/completions", "/v1/traces", "/v1/chat/completions"):
            await ask("POST", path)
        assert loads(await ask("GET", "/calls")) == {"calls": 2}
