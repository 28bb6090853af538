"""A picture at an address of the web: fetched once, from public machines alone, within limits.

A server that fetches what it is told can be made to ask machines that only it can reach. So the
address is https on its usual port; every IP address that the name stands for must be public; the
connection goes to the one that was checked, so that a later answer of the name server changes
nothing; each redirect is judged anew; and what comes is an image if the core's decoder says so.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import httpx
from safehttpx import AsyncSecureTransport

from core.config import ImageLimits
from core.values import ImageError

Resolve = Callable[[str], Awaitable[list[str]]]
"""All IP addresses that a host's name stands for."""

NO_WEB = "this server fetches nothing from the web; send the file itself"
"""What a server for strangers says of an address."""

_SECONDS = 15.0  # for all of it
_REDIRECTS = 4
_CHUNK = 64_000  # bytes
_LONGEST = 2_000  # characters of an address
_HEADERS = {"User-Agent": "wellspring", "Accept": "image/*", "Accept-Encoding": "identity"}
_NAT = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")]
# IPv6 addresses that lead to an IPv4 address, which may be any.


async def _resolved(host: str) -> list[str]:
    """What the system's own name server says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True)
class Fetcher:
    """Fetches pictures; tests give it other names and another way to connect."""

    resolve: Resolve = _resolved
    transport: Callable[[str], httpx.AsyncBaseTransport] = AsyncSecureTransport
    """Connects to an IP address, whatever host is asked for; certificates are the host's."""
    max_bytes: int = ImageLimits().max_bytes
    seconds: float = _SECONDS

    def fetch(self, address: str) -> tuple[bytes, str]:
        """The bytes at an address and a file name for them.

        Raises:
            ImageError: when the address is none that may be fetched, or nothing comes in time.
        """
        return asyncio.run(self._fetch(address))

    async def _fetch(self, address: str) -> tuple[bytes, str]:
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(_REDIRECTS + 1):
                    content, after = await self._get(address)
                    if after is None:
                        return content, _name_of(address)
                    address = urljoin(address, after)
        except TimeoutError as error:
            raise ImageError(
                f"the address did not answer within {self.seconds:g} seconds; save the picture and "
                "drop it here"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise ImageError("nothing could be fetched from this address; is it right?") from error
        raise ImageError(
            "this address leads on too often; open the picture itself and take its own"
        )

    async def _get(self, address: str) -> tuple[bytes, str | None]:
        """The bytes at an address, or where it leads on."""
        checked = await self._public(_host_of(address))
        async with (
            httpx.AsyncClient(
                transport=self.transport(checked), timeout=self.seconds, trust_env=False
            ) as client,
            client.stream("GET", address, headers=_HEADERS, follow_redirects=False) as answer,
        ):
            if answer.has_redirect_location:
                return b"", answer.headers["Location"]
            if answer.status_code != httpx.codes.OK:
                raise ImageError(f"the address answers with {answer.status_code}, not a picture")
            return await self._read(answer), None

    async def _read(self, answer: httpx.Response) -> bytes:
        most = self.max_bytes
        stated = answer.headers.get("Content-Length", "")
        content = bytearray()
        if not (stated.isascii() and stated.isdigit() and int(stated[:18]) > most):
            async for chunk in answer.aiter_raw(_CHUNK):
                content += chunk
                if len(content) > most:
                    break
            else:
                return bytes(content)
        raise ImageError(f"the file at this address is larger than {most / 1e6:g} MB")

    async def _public(self, host: str) -> str:
        """An IP address of a host, all of whose addresses are public."""
        found = await self.resolve(host)
        if not found or not all(map(is_public, found)):
            raise ImageError("this address leads to a private network, or nowhere")
        return found[0]


def is_public(ip: str) -> bool:
    """Whether an IP address is one of the public internet, and stands for no other address."""
    try:
        known = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address):
        hidden = known.ipv4_mapped or known.teredo or any(known in net for net in _NAT)
        if hidden or known.is_site_local:
            return False
    return known.is_global and not (known.is_multicast or known.is_reserved)


def _host_of(address: str) -> str:
    """The host of an address that may be fetched.

    Raises:
        ImageError: when it is not https, names a user, or another port than the usual one.
    """
    try:
        parts = urlsplit(address.strip()[: _LONGEST + 1])
        port = parts.port
    except ValueError as error:
        raise ImageError("this is no address of the web") from error
    if len(address) > _LONGEST or parts.scheme != "https" or not parts.hostname:
        raise ImageError("give the address of a picture, beginning with https://")
    if port not in (None, 443) or parts.username is not None or parts.password is not None:
        raise ImageError("an address with a port or a name of a user is not fetched")
    return parts.hostname


def _name_of(address: str) -> str:
    """The last part of an address's path, as a file name of at most 240 bytes."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    return "".join(filter(str.isprintable, name))[-60:] or "picture"
