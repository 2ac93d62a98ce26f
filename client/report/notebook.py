"""Reports in a notebook: the same page, in a frame of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path

from client.analysis.runs import Run
from client.report.data import report_data
from client.report.model import ReportData
from client.report.page import page
from client.report.sources import Sources, read_sources
from contract.results import ProfileResult

HEIGHT_PX = 900

Source = str | PathLike[str] | Run | ProfileResult


@dataclass(frozen=True, repr=False)
class Report:
    """A report that shows itself: as a page in a notebook, in words elsewhere."""

    data: ReportData

    def html(self) -> str:
        """The page, as `client report` writes it."""
        return page(self.data)

    def _repr_html_(self) -> str:
        # A frame without the notebook's origin: the page's own policy holds in it, and it reaches nothing around it.
        return (
            f'<iframe title="{escape(self.data.title)}" sandbox="allow-scripts allow-downloads" '
            f'width="100%" height="{HEIGHT_PX}" frameborder="0" srcdoc="{escape(self.html())}"></iframe>'
        )

    def __repr__(self) -> str:
        return "\n".join([self.data.headline + self.data.headline_rest, *self.data.statements])


def show(*sources: Source, title: str | None = None) -> Report:
    """A report of runs and profiles: folders and files as `client report` takes them, or objects.

    Raises RunError for what holds no result.
    """
    return Report(report_data(_sources(sources), title))


def _sources(sources: Sequence[Source]) -> Sources:
    paths = [Path(each) for each in sources if not isinstance(each, Run | ProfileResult)]
    found = read_sources(paths)
    runs = [each for each in sources if isinstance(each, Run)]
    names = [run.name for run in runs]
    for number, run in enumerate(runs):
        name = run.name if names.count(run.name) == 1 else f"{run.name} {number + 1}"
        found.runs.append((name, run))
    found.profiles += [(each.model, each) for each in sources if isinstance(each, ProfileResult)]
    return found
