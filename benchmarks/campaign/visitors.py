"""Two visitors and ten at once: what one has, no other comes to see or to change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import httpx

from benchmarks.campaign import corpus, expiry, limits, resumed, tokens
from benchmarks.campaign.children import Budget, scratch
from benchmarks.campaign.hosted import UNLIMITED, Hosted, Told, Visitor, hosted
from benchmarks.campaign.hub import standing_in
from benchmarks.campaign.table import Row
from benchmarks.campaign.trespass import ask_on, attacks, crowd_out

_LIMITS = 10.0  # seconds that limits take, which a quick run tries where it has them
_WAIT = 60.0  # seconds in which a build must have got its turn


@dataclass
class Guest:
    """A visitor who has built a gallery."""

    visitor: Visitor
    secret: str
    """Part of the names of all that this one has sent."""
    cookie: str
    gallery: str = ""
    told: Told = field(default_factory=lambda: Told(0, ""))

    def names(self, server: Hosted) -> list[str]:
        """Paths of this visitor's files on the server, as somebody may guess them."""
        folder = server.visitors / self.cookie / "galleries" / self.gallery
        return [str(path) for path in folder.rglob("*") if path.is_file()]


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Let visitors build at once, then let each try to reach the others."""
    rows, all_guests = list[Row](), list[Guest]()
    with scratch("visitors") as folder:
        (secret := folder / "secret.txt").write_text("of this server", encoding="utf-8")
        config = replace(UNLIMITED, visitors=folder / "kept", encoders=(tokens.ENCODER,))
        with (
            standing_in(tokens.files(secret)) as hub,
            hosted(config, watched=True, hub=hub.address) as server,
        ):
            for number, count in enumerate((2,) if quick else (2, 10)):
                if budget.left < 0:
                    break
                guests = _built(server, count, first=1_000 * (number + seed + 1))
                rows.append(_own(guests))
                rows.append(_others(server, guests, most=budget.count(4 if quick else 30)))
                rows.append(_trespass(guests, most=budget.count(2 if quick else 10)))
                all_guests += guests
            rows += [] if quick else [_crowd(server, all_guests, budget)]  # two minutes
            rows += [tokens.fetched(server, hub), _spoken(server, all_guests)]
            begun = resumed.begin(server)
        with hosted(config) as server:
            rows += [_after_a_restart(server, all_guests), resumed.resumed(server, begun)]
        rows.append(expiry.expired(folder / "brief", seconds=2 if quick else 5))
        if not quick or budget.left > _LIMITS:
            rows.append(limits.met(folder / "limited"))
    return tuple(rows)


def _built(server: Hosted, count: int, *, first: int) -> list[Guest]:
    """Visitors who have all built at once; whoever is refused in words asks again."""
    guests = [_guest(server, first + number) for number in range(count)]

    def work(guest: Guest, seed: int) -> None:
        content, until = corpus.packed(guest.secret, seed), time.monotonic() + _WAIT
        while time.monotonic() < until:
            guest.told = guest.visitor.build(content)
            if "try again" not in str(guest.told.value):
                break
            time.sleep(0.5)
        found = list((server.visitors / guest.cookie / "galleries").glob("*/gallery.json"))
        guest.gallery = found[0].parent.name if found else ""

    threads = [
        threading.Thread(target=work, args=(guest, 10 * number))
        for number, guest in enumerate(guests)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return guests


def _guest(server: Hosted, number: int) -> Guest:
    visitor = Visitor(server, number)
    return Guest(visitor, f"sketch{number:06}x", visitor.enter())


def _own(guests: Sequence[Guest]) -> Row:
    """Each sees the own gallery and nothing of another one."""
    faults = list[str]()
    for guest in guests:
        if guest.told.status != 200 or not guest.gallery:
            faults.append(f"{guest.secret} could not build: {str(guest.told.value)[:200]}")
            continue
        shown = guest.visitor.handler("gallery.show", [None])
        seen = json.dumps(shown.value)
        if shown.status != 200 or guest.secret not in seen:
            faults.append(f"{guest.secret} does not see the own gallery: {seen[:200]}")
        others = (other.secret for other in guests if other is not guest)
        faults += [f"{guest.secret} sees {secret}" for secret in others if secret in seen]
    what = f"{len(guests)} visitors who build at once: their own galleries"
    return Row(what, len(guests), tuple(faults), f"{len(guests)} built")


def _after_a_restart(server: Hosted, guests: Sequence[Guest]) -> Row:
    """Each finds the own gallery again, and no other's."""
    faults = list[str]()
    others = [*guests[1:], *guests[:1]]
    for number, (guest, other) in enumerate(zip(guests, others, strict=True)):
        visitor = Visitor(server, number)
        visitor.client.cookies.update(guest.visitor.client.cookies)
        if guest.secret not in str(own := visitor.link(guest.gallery)):
            faults.append(f"{guest.secret} lost the own gallery: {str(own)[:200]}")
        if other.secret in str(visitor.link(other.gallery)):
            faults.append(f"{guest.secret} opened {other.secret}")
    what = "visitors after the server was killed and started anew"
    return Row(what, len(guests), tuple(faults), "each gallery there, for its own")


def _others(server: Hosted, guests: Sequence[Guest], *, most: int) -> Row:
    """Each tries what is another's: by handler, by page, by name, by file."""
    faults, tried = list[str](), 0
    pairs = [(a, b) for a in guests for b in guests if a is not b and a.gallery and b.gallery]
    for one, other in pairs[:most]:
        for way, told in _attempts(server, one, other):
            tried += 1
            seen = json.dumps(told.value, default=str)
            if other.secret in seen or (told.status == 200 and way.startswith("!")):
                faults.append(f"{way.lstrip('!')}: {told.status} {seen[:200]}")
            elif told.status >= 500:
                faults.append(f"{way.lstrip('!')}: status {told.status}")
    what = f"{len(guests)} visitors: attempts on another's gallery"
    return Row(what, tried, tuple(faults), "nothing seen")


def _trespass(guests: Sequence[Guest], *, most: int) -> Row:
    """Each reaches for another's open page, on which an image was asked about."""
    faults, tried, built = list[str](), 0, [guest for guest in guests if guest.gallery]
    for number, (one, other) in enumerate(zip(built, [*built[1:], *built[:1]], strict=True)):
        if number == most or one is other:
            break
        asked = ask_on(other.visitor, other.secret)
        if asked.status != httpx.codes.OK:
            faults.append(f"{other.secret} cannot ask: {asked.value!r:.200}")
        for way, wrong in attacks(one.visitor, other.visitor, other.secret):
            tried += 1
            faults += [f"{way}: {wrong}"] * bool(wrong)
    what = f"{len(guests)} visitors: attempts on another's open page"
    return Row(what, max(tried, len(faults)), tuple(faults), "nothing seen, nothing lost")


def _crowd(server: Hosted, guests: Sequence[Guest], budget: Budget) -> Row:
    """A stranger opens more pages than are kept."""
    built = [(guest.visitor, guest.secret) for guest in guests if guest.gallery]
    with Visitor(server, 8_888_888) as stranger:
        faults = crowd_out(stranger, built, budget)
    return Row("visitors: crowded out by many pages", len(built), tuple(faults), "each page there")


def _spoken(server: Hosted, guests: Sequence[Guest]) -> Row:
    """What the server said of all that: nothing of theirs."""
    faults = server.log_faults([guest.secret for guest in guests])
    return Row("visitors: the log", max(len(faults), 1), tuple(faults), "no name in it")


def _attempts(server: Hosted, one: Guest, other: Guest) -> list[tuple[str, Told]]:
    """Ways and what came; ``!`` marks those that must be refused."""
    visitor, page = one.visitor, other.visitor.page
    name, path = other.gallery, f"../../{other.cookie}/galleries/{other.gallery}"
    tries = [
        ("!open by name", visitor.handler("gallery.open", [name])),
        ("!open by a path", visitor.handler("gallery.open", [path])),
        ("!show on the other's page", visitor.handler("gallery.show", [None], page=page)),
        (
            "!rename on the other's page",
            visitor.handler("gallery.rename", [None, "taken"], page=page),
        ),
        ("a link", visitor.link(name)),
    ]
    files = other.names(server)
    for file in (files[0], files[-1], *(each for each in files if each.endswith(".webp"))):
        tries.append(("!a file", _get(visitor, f"/gradio_api/file={file}")))
    for what, values in (
        ("encoder", [path, "default", 5, 0.5, "", None]),
        ("head", ["histogram", path, 5, 0.5, "", None]),
        ("head by its whole path", ["histogram", files[0], 5, 0.5, "", None]),
        ("filter", ["histogram", "center", 5, 0.5, "", f"file = {name}"]),
    ):
        sent = visitor.upload("own.png", corpus.image_bytes(9))
        tries.append(
            (f"!the API with it as its {what}", visitor.ask(sent.value, "attribute", values))
        )
    without = Visitor(server, 9_999_999)
    without.page = other.visitor.page  # without the cookie, on the page of the other
    tries.append(("!the other's page without its browser", without.handler("gallery.open", [name])))
    return tries


def _get(visitor: Visitor, path: str) -> Told:
    """What a route gives, less the path that was asked for, which a refusal repeats."""
    answer = visitor.client.get(path)
    return Told(answer.status_code, answer.text.replace(path.partition("=")[2], ""))
