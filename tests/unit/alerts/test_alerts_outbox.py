"""Sending: signed, by a real connection, again after a failure, and never for ever."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from proxy.alerts.outbox import Outbox, Receiver, SendPace
from proxy.core.alerts import Delivery
from proxy.core.outgoing import Timeouts
from proxy.upstream.origin import Origin
from proxy.upstream.transport import HttpTransport
from tests.fakes.vendor import RST, STALL, Reply, Vendor
from tests.unit.alerts.alert_cases import KEY, NOON, BooksInMemory, verified

QUICK = Timeouts(connect=0.5, first_token=0.5, idle=0.5, total=0.5)
FIRST = Delivery("alert_1", b'{"type":"budget.threshold"}', 1, 0.0)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as running:
        running.always(Reply(status=204))
        yield running


def outbox(
    vendor: Vendor, books: BooksInMemory, pace: SendPace | None = None, *, port: int | None = None
) -> Outbox:
    origin = Origin("http", "127.0.0.1", port if port is not None else vendor.port)
    receiver = Receiver("r", origin.address, "/hook?token=1", HttpTransport(origin, tls=None), KEY)
    return Outbox(books, receiver, lambda: NOON, pace or SendPace(), QUICK)


async def test_it_is_signed_and_the_end_is_noted(vendor: Vendor) -> None:
    books = BooksInMemory(due=[FIRST])
    box = outbox(vendor, books)
    assert await box.send_due() == SendPace().look
    [request] = vendor.requests
    assert (request.method, request.target) == ("POST", "/hook?token=1")
    assert request.header("content-type") == "application/json"
    assert request.header("webhook-id") == "alert_1"
    assert request.header("webhook-timestamp") == f"{NOON:.0f}"
    assert verified(request) == {"type": "budget.threshold"}
    assert books.ended == [("alert_1", "sent", None)]
    assert box.counts == {"sent": 1, "failed": 0, "given_up": 0}


@pytest.mark.parametrize(
    ("attempts", "age", "again"),
    [(1, 0.0, 1.0), (2, 1.0, 2.0), (9, 500.0, 256.0), (10, 800.0, 300.0), (2000, 86_000.0, 300.0),
     (300, 86_101.0, None)],
)  # fmt: skip
async def test_the_pause_doubles_until_a_day_is_over(
    vendor: Vendor, attempts: int, age: float, again: float | None
) -> None:
    vendor.say(status=503)
    books = BooksInMemory(due=[FIRST._replace(attempts=attempts, age=age)])
    box = outbox(vendor, books)
    await box.send_due()
    assert books.ended == [("alert_1", "HTTP 503", again)]
    assert box.counts["given_up"] == (again is None)


async def test_whether_the_last_try_failed_is_known(vendor: Vendor) -> None:
    vendor.say(status=500)
    books = BooksInMemory(due=[FIRST])
    box = outbox(vendor, books)
    assert not box.failing
    await box.send_due()
    assert box.failing
    books.due.append(FIRST._replace(attempts=2))
    await box.send_due()
    assert not box.failing


async def test_who_is_gone_is_asked_no_more(vendor: Vendor) -> None:
    vendor.say(status=410)
    books = BooksInMemory(due=[FIRST])
    await outbox(vendor, books).send_due()
    assert books.ended == [("alert_1", "HTTP 410", None)]


async def test_redirects_are_not_followed(vendor: Vendor) -> None:
    vendor.say(status=307, headers=[("location", f"{vendor.origin}/elsewhere")])
    books = BooksInMemory(due=[FIRST])
    await outbox(vendor, books).send_due()
    assert books.ended == [("alert_1", "HTTP 307", 1.0)]
    assert vendor.calls == 1


async def test_silence_and_resets_are_failures(vendor: Vendor) -> None:
    for step in (STALL, RST):
        vendor.say(before_head=[step])
        books = BooksInMemory(due=[FIRST])
        await outbox(vendor, books).send_due()
        [(_, reason, again)] = books.ended
        assert again == 1.0
        assert reason


async def test_nobody_there_is_a_failure(vendor: Vendor) -> None:
    books = BooksInMemory(due=[FIRST])
    with socket.socket() as held:  # Bound and not listening: refused.
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        await outbox(vendor, books, port=port).send_due()
    [(_, reason, again)] = books.ended
    assert (again, f"127.0.0.1:{port}" in reason) == (1.0, True)


async def test_a_good_head_is_enough_whatever_follows(vendor: Vendor) -> None:
    vendor.say(chunks=[b"x", STALL])
    vendor.say(body=b"y" * 100_000)
    vendor.say(headers=[("content-encoding", "what")], body=b"z")
    for _ in range(3):
        books = BooksInMemory(due=[FIRST])
        await outbox(vendor, books).send_due()
        assert books.ended == [("alert_1", "sent", None)]


async def test_a_slow_one_does_not_hold_up_the_others(vendor: Vendor) -> None:
    vendor.say(before_head=[STALL])
    books = BooksInMemory(due=[FIRST._replace(id=f"alert_{n}") for n in range(20)])
    async with asyncio.timeout(5):
        await outbox(vendor, books).send_due()
    assert sum(how == "sent" for _, how, _ in books.ended) == 19


async def test_what_the_store_did_not_hear_is_said_again(vendor: Vendor) -> None:
    books = BooksInMemory(due=[FIRST])

    def answer(_: object) -> Reply:
        books.away = True
        asyncio.get_running_loop().call_later(0.1, setattr, books, "away", False)
        return Reply(status=200)

    vendor.always(answer)
    await outbox(vendor, books, SendPace(away=0.02)).send_due()
    assert books.ended == [("alert_1", "sent", None)]
    assert vendor.calls == 1


async def test_it_runs_through_everything(vendor: Vendor) -> None:
    books = BooksInMemory(away=True)
    box = outbox(vendor, books, SendPace(look=60, away=0.02))
    task = asyncio.get_running_loop().create_task(box.run())
    try:
        async with asyncio.timeout(5):
            await asyncio.sleep(0.05)
            books.away = False
            books.due.append(FIRST)
            await vendor.arrived.reach(1)
            while not books.ended:
                await asyncio.sleep(0.01)
            books.due.append(FIRST)
            box.look()
            await vendor.arrived.reach(2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_certificate_of_nobody_is_not_trusted() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    async with Vendor(tls=server) as vendor:
        origin = Origin("https", "127.0.0.1", vendor.port)
        transport = HttpTransport(origin, tls=ssl.create_default_context())
        books = BooksInMemory(due=[FIRST])
        receiver = Receiver("r", origin.address, "/", transport, KEY)
        await Outbox(books, receiver, lambda: NOON, SendPace(), QUICK).send_due()
        assert vendor.calls == 0
    assert books.ended[0][2] == 1.0
