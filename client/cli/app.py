"""The command tree."""

import typer

from client.cli import (
    bench,
    classify,
    compare,
    detect,
    devices,
    doctor,
    hosts,
    jobs,
    models,
    open,
    profile,
    program,
    report,
    telemetry,
    tokens,
)
from client.version import version_option

EPILOG = (
    "Examples: client classify parrot.jpg --host edge1 | client models pull mobilenet_v2_1.0_224_quant | "
    "client hosts ls. Exit codes: 0 done, 1 failed, 2 usage, 3 unreachable, 4 not authorized or not trusted, "
    "5 refused, 6 fault of the agent, 7 a job failed or was cancelled, 8 not ok with --strict, 9 some hosts failed, "
    "130 interrupted."
)

app = typer.Typer(
    name="client",
    help="Classify pictures, measure models and run programs on edge devices.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.callback()(version_option)
app.command("classify")(classify.classify)
app.command("detect")(detect.detect)
app.command("bench")(bench.bench)
app.command("compare")(compare.compare)
app.command("profile")(profile.profile)
app.command("report")(report.report)
app.command("run")(program.run)
app.command("open")(open.open_page)
app.command("telemetry")(telemetry.telemetry)
app.command("devices")(devices.devices)
app.command("doctor")(doctor.doctor)
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(hosts.app, name="hosts")
app.add_typer(tokens.app, name="tokens")
