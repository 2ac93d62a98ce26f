"""The commands of `edgerun`: all of the client, and beside them the two other programs."""

import typer

from client.cli.app import app as client

app = typer.Typer(
    help="Run and measure models on edge devices that you lease or own.",
    epilog=client.info.epilog,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.registered_callback = client.registered_callback
app.registered_commands = list(client.registered_commands)
app.registered_groups = list(client.registered_groups)


@app.command("provision", help="Turn a place into a running agent, and back into nothing.")
@app.command("server", help="Run the agent on this device.")
def elsewhere() -> None:
    """Nothing: `edgerun.cli` runs these programs before any command is looked at. They are here to be listed."""
