"""The catalog model that `up` leaves on a new agent."""

from client.errors import EdgeError
from client.files.library import Library, LibraryError, manifest_of
from client.sdk.edge_client import EdgeClient
from client.sdk.hosts import Host
from provisioning.provider import Report


def push_model(host: Host, name: str | None, report: Report) -> None:
    """Push a model unless it is there; says why where that fails, since an agent without it serves the embedded one."""
    if name is None:
        return
    try:
        with EdgeClient(host) as client:
            if any(model.name == name for model in client.models().models):
                return
            model = Library().pull(name)
            manifest, files = manifest_of(model)
            client.push_model(name, manifest, files)
        report(f"{name} is on {host.name} and is its default model")
    except EdgeError as error:
        what = "had" if isinstance(error, LibraryError) else "pushed"
        report(f"{name} could not be {what}, so {host.name} answers with the embedded digits model: {error}")
        report(f"  later: client models pull {name} --host {host.name}")
