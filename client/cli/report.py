"""`client report`: what runs found, as one page."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from client.cli.options import Quiet
from client.console import note
from client.files.saved import write_text
from client.report.data import report_data
from client.report.model import ReportData
from client.report.page import page
from client.report.png import write_images
from client.report.sources import read_sources


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of bench, run and jobs results; files of profile --save.",
        ),
    ],
    save: Annotated[Path, typer.Option(help="File to write; - for standard output.")] = Path("report.html"),
    png: Annotated[Path | None, typer.Option(help="Folder for bar charts and time series as PNG.")] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make one HTML file from saved runs: verdict, charts, hardware, layers, conditions. It needs no network.

    Example: client report runs/before runs/after profile.json --save report.html
    """
    data = report_data(read_sources(runs), title)
    if str(save) == "-":
        sys.stdout.write(page(data))
    else:
        write_report(save, data, quiet=quiet)
    if png is not None:
        written = write_images(png, data)
        if not quiet:
            note(f"{png}: {', '.join(path.name for path in written) or 'nothing to draw'}")
    if open_it and str(save) != "-":
        webbrowser.open(save.resolve().as_uri())


def write_report(path: Path, data: ReportData, *, quiet: bool = False) -> None:
    """Write the page and say so; raises RunError."""
    text = page(data)
    write_text(path, text)
    if not quiet:
        note(f"{data.headline}{data.headline_rest}")
        note(f"{path}: {len(text.encode()) / 1e6:.2f} MB, opens in any browser")
