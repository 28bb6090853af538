"""What a measurement of speed is held to: said as it is found, and an exit status at the end."""

from __future__ import annotations

from core.cli.console import say


class Bars:
    """Values beside the most, or the least, that they may be."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def hold(self, what: str, value: float, most: float, unit: str = "") -> None:
        """Say a value and whether it is no more than its bar."""
        self._say(what, value, most, unit, held=value <= most)

    def reach(self, what: str, value: float, least: float, unit: str = "") -> None:
        """Say a value and whether it is no less than its bar."""
        self._say(what, value, least, unit, held=value >= least)

    def _say(self, what: str, value: float, bar: float, unit: str, *, held: bool) -> None:
        if not held:
            self.missed.append(what)
        digits = max(2 - len(f"{bar:.0f}"), 0) if bar >= 1 else 3
        sign = f" {unit}" if unit else ""
        verdict = "held" if held else "MISSED"
        say(f"{what}: {value:,.{digits}f}{sign} (bar {bar:,.{digits}f}{sign}: {verdict})")

    def end(self) -> None:
        """Exit with status 1 where a bar was missed, saying which."""
        if self.missed:
            say(f"{len(self.missed)} missed: {'; '.join(self.missed)}")
            raise SystemExit(1)
