from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.guard.gate import Gate
from app.guard.limits import Limits
from app.guard.metrics import Metrics
from app.guard.pages import Pages
from app.guard.routes import routes
from core.config import ServerConfig


def fail(kind: type[Exception]) -> str:
    raise kind("secret")


async def read(request: Request) -> PlainTextResponse:
    """A route that is not of this project."""
    kinds = {each.__name__: each for each in (ValueError, TypeError, OSError, MemoryError)}
    if request.method == "POST":
        await request.json()
    return PlainTextResponse(fail(kinds[request.query_params["kind"]]))


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A server with that route, and with one of ours that fails."""
    metrics = Metrics()
    own = routes(ready=lambda: fail(ValueError), metrics=metrics, token="", proxies=0)
    gate = Middleware(
        Gate, limits=Limits(ServerConfig()), metrics=metrics, pages=Pages(hosted=False)
    )
    made = [Route("/read", read, methods=["GET", "POST"]), *own]
    with TestClient(Starlette(routes=made, middleware=[gate])) as found:
        yield found


@pytest.mark.parametrize(
    ("address", "status", "event"),
    [
        ("/read?kind=ValueError", 400, "unreadable"),
        ("/read?kind=TypeError", 400, "unreadable"),
        ("/read?kind=OSError", 500, "fault"),
        ("/read?kind=MemoryError", 500, "fault"),
        ("/ready", 500, "fault"),
    ],
)
def test_faults_of_the_program_are_told_from_what_cannot_be_read(
    client: TestClient, address: str, status: int, event: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level("INFO", logger="wellspring.events"):
        answer = client.get(address)
    assert answer.status_code == status and "secret" not in answer.text
    assert [record.msg for record in caplog.records if record.exc_info] == [event]


def test_a_body_that_is_no_json_is_refused(client: TestClient):
    assert client.post("/read?kind=OSError", content=b"{").status_code == 400
