"""Several vendors behind one gateway, told apart by who was asked; and what was recorded."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.base import jsonio
from proxy.wire.record import UsageRecord
from tests.fakes.vendor import Request, Vendor
from tests.integration.gateway import ALL, Gateway, gateway, provider, target
from tests.integration.raw_caller import Answer, Fields
from tests.integration.test_counted_tokens import records

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
PRICE = {"input": 1, "output": 2}


class Vendors(dict[str, Vendor]):
    """By the name of their provider."""

    def calls(self) -> dict[str, int]:
        """How often each was asked."""
        return {name: vendor.calls for name, vendor in self.items()}

    def asked(self) -> set[str]:
        """Who was asked at all."""
        return {name for name, vendor in self.items() if vendor.calls}


@asynccontextmanager
async def vendors(*names: str) -> AsyncIterator[Vendors]:
    async with AsyncExitStack() as stack:
        yield Vendors({name: await stack.enter_async_context(Vendor()) for name in names})


def model(*targets: str | Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A model whose targets are providers by name, or with more said of them."""
    made = []
    for each in targets:
        said = {"provider": each} if isinstance(each, str) else dict(each)
        made.append({**target(said["provider"], f"at-{said['provider']}"), **said})
    return {"targets": made, "price": PRICE, **more}


def configured(
    known: Vendors,
    models: Mapping[str, Any],
    *,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    folder: Path | None = None,
    key: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """`providers`: more of single ones; `folder`: where records are kept, if they are."""
    kept: dict[str, Any] = {"store": "none"}
    if folder is not None:
        kept = {"data_dir": str(folder), "store_failure": {"limits": "local", "budgets": "local"}}
    return {
        "listen": "127.0.0.1:0",
        **kept,
        "providers": {
            name: provider(vendor.url, **(providers or {}).get(name, {}))
            for name, vendor in known.items()
        },
        "models": dict(models),
        "keys": [{"name": "all", "key": ALL, **(key or {})}],
        **more,
    }


def chat(name: str = "m", **more: Any) -> bytes:
    return jsonio.dumps({"model": name, "messages": HI, **more})


async def ask(proxy: Gateway, body: bytes | None = None, headers: Fields = ()) -> Answer:
    caller = await proxy.call()
    return await caller.ask("POST", CHAT, body=body or chat(), headers=headers)


async def ask_all(
    configuration: Mapping[str, Any], asks: Sequence[tuple[bytes, Fields]]
) -> list[Answer]:
    """One after the other."""
    async with gateway(configuration) as proxy:
        return [await ask(proxy, body, headers) for body, headers in asks]


def served(answer: Answer) -> str | None:
    """Whose answer it is."""
    assert answer.status == 200, answer
    return answer.header("x-llm-proxy-provider")


def fields(request: Request) -> dict[str, Any]:
    """The body that a vendor got."""
    return dict(jsonio.loads(request.body))


async def tried(folder: Path) -> list[list[tuple[str, str | None]]]:
    """Of each record: who was asked, and why not."""
    return [attempts(record) for record in await records(folder)]


def attempts(record: UsageRecord) -> list[tuple[str, str | None]]:
    return [(each.provider, each.reason or each.error) for each in record.attempts]
