"""What plain curl needs to talk to a host: its certificate and token in a configuration file of curl's own."""

from pathlib import Path
from urllib.parse import urlsplit

from client.files.inside import inside
from client.sdk.hosts import Host, write_private
from client.sdk.trust import tls_context
from client.sdk.tunnel import held_at
from contract.paths import TLS_SERVER_NAME


def write_curl_config(host: Host, folder: Path) -> tuple[Path, str]:
    """Write `NAME.curl` (and `NAME.pem`), readable by the user alone; gives its path and the URL to use with it.

    The token stays out of the command line, where other users could see it. Raises HostError when the token cannot
    be read, NotTrusted when no certificate is pinned, or when the token would cross a network readable, and EdgeError
    for a host behind a tunnel that nobody holds.
    """
    tls_context(host)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = inside(folder, f"{host.name}.curl")
    token = host.secret()
    lines = ['noproxy = "*"', *([f'header = "Authorization: Bearer {token}"'] if token else [])]
    url = held_at(host)
    if url.startswith("https://"):
        pinned = inside(folder, f"{host.name}.pem")
        write_private(pinned, host.certificate or "")
        parts = urlsplit(url)
        port = parts.port or 443
        address = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        lines += [f'cacert = "{pinned}"', f'connect-to = "{TLS_SERVER_NAME}:{port}:{address}:{port}"']
        url = f"https://{TLS_SERVER_NAME}:{port}"
    write_private(config, "\n".join(lines) + "\n")
    return config, url
