"""A hosted app behind its guard: limits, headers, routes, metrics, logs."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import httpx
import pytest
from huggingface_hub import constants

from app.guard.guard import Guard
from app.guard.headers import FILE_POLICY, PAGE_POLICY
from app.guard.rates import Rate
from app.page.jobs import PROGRESS, Jobs
from app.page.lines import FINISHED
from app.ui import launch_options
from core.config import ServerConfig
from core.service import Session

TOKEN = "only the owner has it"
HELD = threading.Event()


class Served(NamedTuple):
    url: str
    guard: Guard
    blocks: gr.Blocks


def heads(name: str, request: gr.Request) -> str:
    """What a call says beside its values."""
    return json.dumps(dict(request.headers))


def app() -> gr.Blocks:
    """Handlers that answer, wait, refuse and fail."""

    def echo(name: str) -> str:
        return name

    def wait(name: str) -> str:
        HELD.wait(20)
        return name

    def work(name: str, request: gr.Request, progress: gr.Progress = PROGRESS) -> str:
        with jobs.run("work", request, progress) as report:
            for number in range(1_000):
                report(number, 1_000, "working")
                time.sleep(0.02)
        return name

    def refuse(name: str) -> str:
        raise gr.Error(f"not {name}")

    def fail(name: str) -> str:
        raise OSError(f"no such file: {name}")

    def keep(file: str) -> str:
        return Path(file).name

    jobs = Jobs()
    with gr.Blocks() as blocks:
        name, out = gr.Textbox(), gr.Textbox()
        gr.Button().click(echo, name, out, api_name="echo", concurrency_id=FINISHED)
        gr.Button().click(wait, name, out, api_name="wait", concurrency_id="encoder")
        gr.Button().click(work, name, out, api_name="work", concurrency_id="build")
        gr.Button().click(refuse, name, out, api_name="refuse")
        gr.Button().click(fail, name, out, api_name="fail")
        gr.Button().click(heads, name, out, api_name="heads")
        file = gr.File()
        gr.Button().click(keep, file, out, api_name="file")
    return blocks.queue(max_size=64, default_concurrency_limit=2, api_open=False)


def serve(**limits: Any) -> Iterator[Served]:
    server = ServerConfig(hosted=True, proxies=1, **limits)
    blocks = app()
    guard = Guard(Session(server=server), ready=lambda: WHY[0], token=TOKEN)
    guard.watch(blocks)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    yield Served(url, guard, blocks)
    HELD.set()
    blocks.close()


WHY = [""]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server that allows little: each test is a client of its own."""
    yield from serve(
        max_requests=40,
        max_total_requests=100_000,
        max_upload_bytes=1_000,
        max_sent_bytes=5_000,
        max_kept_bytes=2_000_000_000,
        max_body_bytes=2_000,
        max_client_waiting=3,
        at_once=1,
    )


@pytest.fixture
def client(served: Served, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client with an address of its own."""
    number = zlib.crc32(request.node.name.encode())
    headers = {"X-Forwarded-For": f"198.{number >> 8 & 255}.{number >> 16 & 255}.{number & 255}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=30) as found:
        yield found


def join(client: httpx.Client, name: str, value: Any = "x") -> httpx.Response:
    return client.post(f"/gradio_api/call/{name}", json={"data": [value]})


def heard(client: httpx.Client, name: str, joined: httpx.Response) -> str:
    return client.get(f"/gradio_api/call/{name}/{joined.json()['event_id']}").text


def ask(client: httpx.Client, name: str, value: Any = "x") -> str:
    return heard(client, name, join(client, name, value))


def use(client: httpx.Client, tool: str, **arguments: Any) -> httpx.Response:
    names = [each["name"] for each in client.get("/gradio_api/mcp/schema").json()]
    call = {"name": next(name for name in names if tool in name), "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accepted = {"Accept": "application/json, text/event-stream"}
    return client.post("/gradio_api/mcp/", json=message, headers=accepted)


def upload(client: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": (name, content)})


def test_too_many_requests_wait_and_others_do_not(served: Served, client: httpx.Client):
    answers = [client.get("/config") for _ in range(45)]
    refused = [each for each in answers if each.status_code == 429]
    assert 0 < len(refused) < 8
    assert "too many requests came from you; try again in" in refused[0].json()["detail"]
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert client.get("/health").status_code == 200  # is not counted
    other = {"X-Forwarded-For": "203.0.113.99"}
    assert client.get("/config", headers=other).status_code == 200
    forged = {"X-Forwarded-For": f"203.0.113.98, {client.headers['X-Forwarded-For']}"}
    assert client.get("/config", headers=forged).status_code == 429


@pytest.mark.parametrize("kept", [True, False])
def test_a_tool_is_called_without_the_token_of_the_server(monkeypatch, kept: bool):
    """Gradio calls it with a client of its own, which takes the owner's token along."""
    name = "huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN"
    monkeypatch.setenv("HF_TOKEN", "hf_onlyTheOwnerHasIt")
    for served in serve():
        monkeypatch.setattr(name, kept)  # False is the negative control
        with httpx.Client(base_url=served.url, timeout=30) as client:
            told = use(client, "heads", name="x").text
    assert "x-gradio-user" in told
    assert ("hf_onlyTheOwnerHasIt" in told) != kept


def test_a_hosted_server_keeps_its_token(monkeypatch):
    name = "huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN"
    monkeypatch.setattr(name, False)
    for hosted in (False, True):
        Guard(Session(server=ServerConfig(hosted=hosted))).watch(app())
        assert constants.HF_HUB_DISABLE_IMPLICIT_TOKEN is hosted


def test_a_tool_reads_no_file_of_the_server(client: httpx.Client, tmp_path: Path):
    """The client that tools call with uploaded whatever file an object named."""
    secret = tmp_path / "secret.txt"
    secret.write_text("not for strangers")
    named = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    for value in (named, [named], {"a": {"b": [named]}}):
        told = use(client, "echo", name=value)
        assert told.status_code == 400
        assert "a tool takes an image as an https address" in told.json()["detail"]
    assert "not for strangers" not in use(client, "echo", name=json.dumps(named)).text


def test_answers_of_calls_that_were_let_through_are_not_refused(
    served: Served, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    """Where a server had too many visitors, the work was done and its result was not given."""
    joined = join(client, "echo")
    monkeypatch.setattr(served.guard.limits, "total", Rate(1, 600))
    assert [client.get("/config").status_code for _ in range(45)][-1] == 429
    assert join(client, "echo").status_code == 429
    assert "event: complete" in heard(client, "echo", joined)


@pytest.mark.parametrize("path", ["call/echo/x{}", "queue/data?session_hash=x{}"])
def test_nobody_asks_for_answers_without_end(client: httpx.Client, path: str):
    """Whoever asked for answers of calls that nobody made passed the limit of requests."""
    path = f"/gradio_api/{path}"
    statuses = [client.get(path.format(number)).status_code for number in range(45)]
    assert 429 in statuses[-5:] and 429 not in statuses[:40]


def test_what_is_too_large_is_refused_unread(client: httpx.Client):
    """Bodies of calls had no limit at all, so that one could fill the memory."""
    large = join(client, "echo", "x" * 3_000)
    assert (large.status_code, "too large" in large.json()["detail"]) == (413, True)
    assert upload(client, "x.png", bytes(102_000)).status_code == 413
    unsaid = client.post("/gradio_api/call/echo", content=iter([b"{}"]))
    assert unsaid.status_code == 411


def test_uploads_of_an_hour_are_counted(client: httpx.Client):
    answers = [upload(client, "x.png", bytes(900)) for _ in range(6)]
    assert [each.status_code for each in answers].count(429) >= 1
    assert re.fullmatch(
        r"you have uploaded as much as is allowed in an hour; try again in \d+ minutes",
        answers[-1].text,
    )


def test_a_full_queue_is_said_with_the_time_to_wait(served: Served, client: httpx.Client):
    """It was an error 503 of the server without a time."""
    HELD.clear()
    joined = [join(client, "wait", str(n)) for n in range(8)]
    states = [each.status_code for each in joined]
    assert states[0] == 200 and states[-1] == 429
    assert "calls wait already, as many as may; try again in" in joined[-1].json()["detail"]
    other = {"X-Forwarded-For": "203.0.113.97"}
    assert client.post("/gradio_api/call/echo", json={"data": ["y"]}, headers=other).is_success
    HELD.set()
    assert '["0"]' in heard(client, "wait", joined[0])


def test_long_work_waits_when_the_hour_s_time_is_used(served: Served, client: httpx.Client):
    served.guard.limits.seconds.use(client.headers["X-Forwarded-For"], 2_000)
    told = ask(client, "wait")
    assert "as long as is allowed in an hour; try again in 7 minutes" in told
    assert '["x"]' in ask(client, "echo")  # the page itself goes on


def test_long_work_ends_in_words_when_the_hour_s_time_is_used(served: Served, client: httpx.Client):
    """It was charged when it had ended, so that one build could take as long as it liked."""
    served.guard.limits.seconds.use(client.headers["X-Forwarded-For"], 1_799.8)
    told = ask(client, "work")
    assert "Stopped: your calls have taken as long as is allowed in an hour" in told
    assert "try again in 7 minutes. What was finished is kept; start again to go on." in told


def test_the_queue_cannot_be_passed_by(client: httpx.Client):
    """Outside Spaces every endpoint could be called beside the queue, as often as one liked."""
    direct = client.post("/gradio_api/run/echo", json={"data": ["x"]})
    assert direct.status_code == 404


def test_nothing_of_a_name_or_a_number_is_no_fault(client: httpx.Client):
    """Unknown names and numbers of handlers were errors 500, with a traceback in the log."""
    for path, body in (
        ("/gradio_api/call/nothing", {"data": []}),
        ("/gradio_api/call/v2/nothing", {}),
        ("/gradio_api/run/nothing", {"data": []}),
        ("/gradio_api/queue/join", {"data": [], "fn_index": 9_999, "session_hash": "x" * 9}),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, "reload the page" in answer.text) == (404, True), path


def test_what_another_site_sends_uses_up_nothing(served: Served, client: httpx.Client):
    foreign = {"Origin": "https://evil.example"}
    sent = {"files": ("x.png", bytes(900))}
    for _ in range(50):
        answer = client.post("/gradio_api/upload", files=sent, headers=foreign)
        assert answer.status_code == 403
    limits = served.guard.limits
    for rate in (limits.requests, limits.sent):
        assert rate.wait(client.headers["X-Forwarded-For"], rate.most) < 1e-6  # no time
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    assert 'wellspring_refused_total{limit="origin"}' in text


@pytest.mark.parametrize("path", ["call/echo/nothing", "queue/data?session_hash=nobody"])
def test_a_call_that_nobody_made_is_told_in_a_whole_stream(client: httpx.Client, path: str, caplog):
    """The stream broke off, and the log was filled with tracebacks."""
    with caplog.at_level("INFO"):
        answer = client.get(f"/gradio_api/{path}")
    assert "error" in answer.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--\r\n', "x"),
        (b"--x--\r\n", "y" * 3_000),
        (b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\nh--x--', '"'),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(client: httpx.Client, body, kind, caplog):
    """A text in the place of a file, or a long boundary, was an error of the server."""
    headers = {"Content-Type": f"multipart/form-data; boundary={kind}"}
    with caplog.at_level("INFO", logger="wellspring.events"):
        answer = client.post("/gradio_api/upload", content=body, headers=headers)
    assert answer.status_code == 400 and answer.text
    assert "fault" not in {record.msg for record in caplog.records}


@pytest.mark.parametrize("path", ["cancel", "reset", "call/echo", "queue/join", "run/predict"])
@pytest.mark.parametrize("value", ["NaN", "[NaN]", '"\\ud800"', '{"\\ud800": 1e999}', "[" * 1_900])
def test_what_is_no_call_is_refused_though_it_cannot_be_written(client, path: str, value: str):
    """FastAPI sends back what did not fit, and failed where JSON cannot hold it."""
    for body in (value, f'{{"event_id": {value}, "data": {value}, "session_hash": {value}}}'):
        headers = {"Content-Type": "application/json"}
        answer = client.post(f"/gradio_api/{path}", content=body, headers=headers)
        assert 200 <= answer.status_code < 500, answer.text
        assert "ud800" not in answer.text and "input" not in answer.text


def test_the_server_asks_no_other_for_a_visitor(client: httpx.Client):
    """Gradio fetched what a route or a call named, of any size."""
    web = "https://example.org/x.png"
    for path in (f"file={web}", f"file={web.replace('https', 'HTTPS')}"):
        answer = client.get(f"/gradio_api/{path}")
        assert (answer.status_code, "fetches nothing" in answer.text) == (403, True)
    for path in (f"file/{web}", f"proxy={web}"):
        assert client.get(f"/gradio_api/{path}").status_code == 404
    given = {"path": web, "meta": {"_type": "gradio.FileData"}}
    assert "fetches nothing from the web" in ask(client, "file", given)


def test_what_fails_says_nothing_of_files(served: Served, client: httpx.Client):
    told = ask(client, "fail", "secret sketch.png")
    assert "event: error" in told and "secret" not in told
    assert "not x" in ask(client, "refuse")


# Headers


def test_every_response_has_the_headers(client: httpx.Client):
    for answer in (
        client.get("/"),
        client.get("/nowhere"),
        client.get("/health"),
        join(client, "nothing"),
        client.get("/gradio_api/proxy=x"),
        client.get("/gradio_api/upload"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
    assert "frame-ancestors 'self' https://huggingface.co" in PAGE_POLICY


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.xhtml", "x.js", "x.xml", "x"])
def test_no_upload_is_a_page_of_ours(client: httpx.Client, name: str):
    (path,) = upload(client, name, b"<svg xmlns='http://www.w3.org/2000/svg'/>").json()
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"] == FILE_POLICY


def test_a_page_among_served_pictures_is_no_page_of_ours(client: httpx.Client, tmp_path: Path):
    """Folders of galleries are served as they lie; one that is shared may hold a page."""
    gr.set_static_paths([tmp_path])
    (tmp_path / "x.html").write_text("<script>1</script>")
    answer = client.get(f"/gradio_api/file={tmp_path}/x.html")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_browser_is_named_once(client: httpx.Client):
    first = client.get("/")
    assert "wellspring-visitor=" in first.headers["Set-Cookie"]
    assert "Set-Cookie" not in client.get("/").headers
    assert "Set-Cookie" not in client.get("/config").headers


# Routes


def test_health_and_readiness(client: httpx.Client):
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").status_code == 200
    WHY[0] = "the encoder is being opened"
    late = client.get("/ready")
    assert (late.status_code, late.json()["status"]) == (503, WHY[0])
    WHY[0] = ""


def test_metrics_are_the_owner_s(client: httpx.Client):
    ask(client, "echo")
    ask(client, "refuse")
    assert client.get("/metrics").status_code == 404
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in answer.text.splitlines()
        if not line.startswith("#")
    }
    assert found['wellspring_calls_total{endpoint="echo",outcome="ok"}'] >= 1
    assert found['wellspring_calls_total{endpoint="refuse",outcome="refused"}'] >= 1
    assert found['wellspring_call_seconds_count{endpoint="echo"}'] >= 1
    assert found["wellspring_memory_bytes"] > 50e6
    assert found["wellspring_waiting"] == found["wellspring_builds"] == 0
    assert found["wellspring_uploads_bytes"] >= 0


def test_calls_are_logged_without_what_they_hold(served: Served, client, caplog):
    with caplog.at_level("INFO", logger="wellspring.events"):
        ask(client, "echo", "secret sketch")
        ask(client, "fail", "secret sketch")
    logged = [{"event": r.msg, **getattr(r, "fields", {})} for r in caplog.records]
    outcomes = [(each["name"], each["outcome"]) for each in logged if each["event"] == "call"]
    assert ("echo", "ok") in outcomes and ("fail", "fault") in outcomes
    assert "secret" not in json.dumps(logged)
    assert client.headers["X-Forwarded-For"] not in json.dumps(logged)


def test_an_app_without_a_guard_has_the_headers_too(url: str):
    assert httpx.get(url).headers["Content-Security-Policy"] == PAGE_POLICY


def test_a_tool_s_calls_are_its_client_s(served: Served, client: httpx.Client):
    """Tools call the server from the server itself: all their clients were one."""
    answer = use(client, "echo", name="x")
    assert '"isError":false' in answer.text, answer.text
    used = served.guard.limits.seconds.rests
    assert client.headers["X-Forwarded-For"] in used
    assert "127.0.0.1" not in used


def test_a_tool_is_refused_in_words_before_it_works(served: Served, client: httpx.Client):
    """Its own upload and call were refused: it told of an error 429 of an address of the server."""
    image = f"data:image/png;base64,{base64.b64encode(bytes(100)).decode()}"
    assert '"isError":false' in use(client, "keep", file=image).text
    HELD.clear()
    joined = [join(client, "wait", str(n)) for n in range(8)]
    told = use(client, "keep", file=image)
    assert told.status_code == 429
    assert "calls wait already, as many as may; try again in" in told.json()["detail"]
    HELD.set()
    heard(client, "wait", joined[0])
    sent = served.guard.limits.sent
    sent.use(client.headers["X-Forwarded-For"], sent.most)
    told = use(client, "keep", file=image)
    assert "you have uploaded as much as is allowed" in told.json()["detail"]
