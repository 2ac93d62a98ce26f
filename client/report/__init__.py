"""Reports: what runs found, as one page that needs nothing else. In a notebook: `show("runs/a", "runs/b")`."""

from client.report.notebook import Report, show

__all__ = ["Report", "show"]
