from __future__ import annotations

from typing import Any

import pytest

from app.guard.clients import browser_of, client_of, is_owner, naming, pass_on, short


def scope(client: str = "203.0.113.7", **headers: str) -> dict[str, Any]:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "scheme": "http", "client": (client, 1), "headers": lines}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (0, "198.51.100.1", "203.0.113.7"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "192.0.2.9, 198.51.100.1", "198.51.100.1"),
        (2, "192.0.2.9, 198.51.100.1", "192.0.2.9"),
        (2, "198.51.100.1", "203.0.113.7"),
        (1, "", "203.0.113.7"),
        (1, "nonsense", "unknown"),
    ],
)
def test_only_addresses_of_known_proxies_are_believed(proxies, forwarded, client):
    """Whoever writes X-Forwarded-For by hand must not become another client with every request."""
    assert client_of(scope(x_forwarded_for=forwarded), proxies=proxies) == client


def test_a_network_of_ipv6_is_one_client():
    first, second = (client_of(scope(f"2001:db8:0:1::{n}"), proxies=0) for n in ("1", "abcd:2"))
    assert first == second
    assert client_of(scope("2001:db8:0:2::1"), proxies=0) != first
    assert client_of(scope("::ffff:203.0.113.7"), proxies=0) == "203.0.113.7"


@pytest.mark.parametrize(
    ("written", "client"),
    [
        ("198.51.100.1:5555", "198.51.100.1"),
        ("198.51.100.1:", "198.51.100.1"),
        ('"198.51.100.1:80"', "198.51.100.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::2]:443", "2001:db8::/64"),
        ('"[2001:db8::3]:443"', "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("[::ffff:198.51.100.1]:443", "198.51.100.1"),
        ("2002:c633:6401:ffff::1", "198.51.100.1"),
        ("64:ff9b::198.51.100.1", "198.51.100.1"),
        ("_hidden", "unknown"),
        ("unknown:5555", "unknown"),
        ("198.51.100.1:5555:1", "unknown"),
        ("198.51.100.\u0661", "unknown"),
        ("[198.51.100.1", "unknown"),
        ("[]", "unknown"),
        ("9" * 5_000, "unknown"),
    ],
)
def test_however_an_address_is_written_it_is_one_client(written: str, client: str):
    """With each port a client was another one, and what was no address was as many as one liked."""
    assert client_of(scope(x_forwarded_for=written), proxies=1) == client
    assert client_of(scope(client=written), proxies=0) == client


def test_a_call_by_a_tool_is_its_client_s_and_nobody_can_say_so():
    outer, inner = scope("198.51.100.1"), scope("127.0.0.1")
    pass_on(outer, "198.51.100.1")
    inner["headers"] = outer["headers"]
    assert client_of(inner, proxies=0) == "198.51.100.1"
    forged = scope("203.0.113.7", x_wellspring_client="0000 198.51.100.1")
    assert client_of(forged, proxies=0) == "203.0.113.7"


@pytest.mark.parametrize(
    ("asks", "token", "proxies", "owner"),
    [
        (scope("127.0.0.1"), "", 0, True),
        (scope("::1"), "", 0, True),
        (scope("203.0.113.7"), "", 0, False),
        (scope("127.0.0.1", x_forwarded_for="127.0.0.1"), "", 0, False),
        (scope("127.0.0.1"), "", 1, False),
        (scope("127.0.0.1"), "t0ken", 0, False),
        (scope("203.0.113.7", authorization="Bearer t0ken"), "t0ken", 1, True),
        (scope("203.0.113.7", authorization="Bearer t0kem"), "t0ken", 1, False),
        (scope("203.0.113.7", authorization="Bearer "), "", 0, False),
    ],
)
def test_who_the_owner_is(asks, token, proxies, owner):
    assert is_owner(asks, token=token, proxies=proxies) == owner


def test_a_browser_is_known_by_the_name_it_was_given():
    said = naming(scope(), seconds=60)
    name = said.partition("=")[2].partition(";")[0]
    assert browser_of(scope(cookie=f"other=1; wellspring-visitor={name}")) == name
    assert "HttpOnly" in said and "SameSite=Lax" in said and "Secure" not in said
    assert "SameSite=None; Secure; Partitioned" in naming(
        scope(x_forwarded_proto="https"), seconds=60
    )
    for wrong in (
        "",
        "wellspring-visitor=short",
        "wellspring-visitor=../../../../../etc/passwd/xxxxxx",
    ):
        assert browser_of(scope(cookie=wrong)) == ""


def test_a_short_name_tells_two_apart_and_not_who_they_are():
    assert short("198.51.100.1") == short("198.51.100.1") != short("198.51.100.2")
    assert len(short("198.51.100.1")) == 8
