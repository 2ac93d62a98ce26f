"""The site's clock: leases end by it, and ours may be wrong by hours."""

from datetime import UTC, datetime, timedelta

NOTICED_S = 60.0
"""A smaller difference changes nothing that anybody waits for."""


class SiteClock:
    """Tells the time as the site does, as far as it was noticed."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def compare(self, stamped: datetime) -> None:
        """Take note of the moment that the site has just put on something."""
        self._ahead = stamped - datetime.now(UTC)

    def now(self) -> datetime:
        """The time there, in UTC."""
        return datetime.now(UTC) + (self._ahead if self.differs else timedelta())

    @property
    def differs(self) -> bool:
        """Whether our clock is so wrong that it is worth a word."""
        return abs(self._ahead.total_seconds()) > NOTICED_S

    @property
    def difference(self) -> str:
        """How far the two are apart, for people."""
        minutes = round(abs(self._ahead.total_seconds()) / 60)
        length = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return f"this machine's clock is {length} {'behind' if self._ahead > timedelta() else 'ahead of'} the site's"


SITE_CLOCK = SiteClock()
"""There is one site a process."""
