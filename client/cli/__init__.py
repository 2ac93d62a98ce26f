"""The `client` command."""

from client.console import run


def main() -> int:
    """Run the command line; returns the exit code."""
    from client.cli.app import app

    return run(app, "client")
