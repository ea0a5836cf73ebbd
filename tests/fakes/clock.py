"""A clock that moves when it is told to."""

from __future__ import annotations


class FakeClock:
    """Keeps the contract of `edge_agent.clock.Clock`; `advance` is the passing of time."""

    def __init__(self, wall: float = 1_750_000_000.0, *, synchronized: bool = True) -> None:
        self._wall = wall
        self._monotonic = 1_000.0
        self._synchronized = synchronized
        self._boot = 1

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def boot_id(self) -> str:
        return f"boot-{self._boot}"

    def synchronized(self) -> bool:
        return self._synchronized

    def trust(self) -> None:
        self._synchronized = True

    def advance(self, seconds: float) -> None:
        """Let time pass, as it does for everybody."""
        self._wall += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock, as a time service or a person does."""
        self._wall += seconds

    def reboot(self, *, wall: float | None = None, synchronized: bool = False) -> None:
        """Start a new boot, by default with the wall clock where it stopped."""
        self._boot += 1
        self._monotonic = 1.0
        self._wall = self._wall if wall is None else wall
        self._synchronized = synchronized
