"""Binding: what the operator is told, and what the kernel is asked for."""

import socket

import pytest

from proxy.processes.listeners import CannotListen, bind, url


def close(*listeners: socket.socket) -> None:
    for listener in listeners:
        listener.close()


def test_the_kernel_chooses_one_port_for_all_workers() -> None:
    bound = bind("127.0.0.1", 0, 3)
    ports = {listener.getsockname()[1] for listener in bound}
    assert len(bound) == 3
    assert len(ports) == 1
    assert url(bound[0], tls=False) == f"http://127.0.0.1:{ports.pop()}/v1"
    assert not any(listener.get_inheritable() for listener in bound)
    close(*bound)


def test_connections_wait_before_anybody_accepts() -> None:
    bound = bind("127.0.0.1", 0, 1)
    with socket.create_connection(bound[0].getsockname(), timeout=5):
        bound[0].accept()[0].close()
    close(*bound)


def test_ipv6() -> None:
    bound = bind("::1", 0, 2)
    assert bound[0].family == socket.AF_INET6
    assert url(bound[0], tls=True).startswith("https://[::1]:")
    close(*bound)


def test_all_addresses_of_ipv6_include_those_of_ipv4() -> None:
    bound = bind("::", 0, 1)
    with socket.create_connection(("127.0.0.1", bound[0].getsockname()[1]), timeout=5):
        bound[0].accept()[0].close()
    close(*bound)


def test_a_name_is_resolved_and_ipv4_preferred() -> None:
    bound = bind("localhost", 0, 1)
    assert bound[0].getsockname()[0] == "127.0.0.1"
    close(*bound)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_proxy_on_the_port_is_refused_although_both_share(workers: int) -> None:
    first = bind("127.0.0.1", 0, workers)
    port = first[0].getsockname()[1]
    with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.1:{port}: .+in use"):
        bind("127.0.0.1", port, workers)
    close(*first)


def test_the_port_is_free_again_at_once() -> None:
    first = bind("127.0.0.1", 0, 1)
    port = first[0].getsockname()[1]
    with socket.create_connection(first[0].getsockname(), timeout=5):
        served, _ = first[0].accept()
        served.close()  # We close first, so our side stays in TIME_WAIT.
    close(*first)
    close(*bind("127.0.0.1", port, 1))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_a_clear_message(host: str) -> None:
    with pytest.raises(CannotListen, match=f"cannot listen on {host}:0: "):
        bind(host, 0, 1)
