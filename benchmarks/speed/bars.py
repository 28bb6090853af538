"""What a measurement of speed is held to: said as it is found, and an exit status at the end."""

from __future__ import annotations

from core.cli.console import say


class Bars:
    """Values beside the most that they may be."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def hold(self, what: str, value: float, most: float, unit: str = "") -> None:
        """Say a value and whether it is within its bar."""
        held = value <= most
        if not held:
            self.missed.append(what)
        digits = max(2 - len(f"{most:.0f}"), 0) if most >= 1 else 3
        sign = f" {unit}" if unit else ""
        verdict = "held" if held else "MISSED"
        say(f"{what}: {value:,.{digits}f}{sign} (bar {most:,.{digits}f}{sign}: {verdict})")

    def end(self) -> None:
        """Exit with status 1 where a bar was missed, saying which."""
        if self.missed:
            say(f"{len(self.missed)} missed: {'; '.join(self.missed)}")
            raise SystemExit(1)
