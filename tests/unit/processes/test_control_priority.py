"""Control gives way where it may, and works on where it may not."""

import os

import pytest

from proxy.processes import control


def test_where_a_sandbox_forbids_it_control_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def forbidden(by: int) -> int:
        asked.append(by)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "nice", forbidden)
    control._give_way()
    assert len(asked) == 1
