"""The admin API of the proxy that runs with a configuration, for commands beside it.

Straight to where `admin.listen` says, past any forward proxy of the environment, one request at a
time. What goes wrong becomes one sentence that says what to do.
"""

import http.client
from collections.abc import Mapping
from typing import Any

from proxy.base.jsonio import JSONError, dumps, loads
from proxy.config.settings import Settings

_PATIENCE = 30.0
_EVERYWHERE: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class ApiRefused(Exception):
    """What was asked for was not done; the words say why."""


class AdminApi:
    """Asks the admin port."""

    def __init__(self, settings: Settings) -> None:
        """Raises ApiRefused where there can be no API."""
        if settings.admin.key is None:
            raise ApiRefused(
                "the configuration has no `admin.key`, so the admin API is off; set it, or the "
                "variable that it comes from: for `serve`, and where this command runs"
            )
        where = settings.admin.listen
        if not where.port:
            raise ApiRefused("`admin.listen` has port 0, which the system chooses; name a port")
        self._where = where
        self._key = settings.admin.key

    def ask(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON object that is answered. Raises ApiRefused."""
        host = _EVERYWHERE.get(self._where.host, self._where.host)
        connection = http.client.HTTPConnection(host, self._where.port, timeout=_PATIENCE)
        sent = {"authorization": f"Bearer {self._key.reveal()}", **(headers or {})}
        body = None
        if content is not None:
            body = dumps(content)
            sent["content-type"] = "application/json"
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return _read(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ApiRefused(
                f"no proxy answers at the admin port {self._where} ({reason}); "
                "is `llm-proxy serve` running with this configuration?"
            ) from error
        finally:
            connection.close()


def _read(status: int, body: bytes) -> dict[str, Any]:
    try:
        parsed = loads(body)
        if status < 400 and isinstance(parsed, dict):
            return parsed
        words = parsed["error"]["message"]
    except (JSONError, KeyError, TypeError):
        words = f"something answers at the admin port that is not llm-proxy (status {status})"
    raise ApiRefused(str(words))
