"""Whom the client believes: one pinned certificate a host, nothing else."""

import hashlib
import socket
import ssl
from urllib.parse import urlsplit

from client.errors import NotTrusted, Unreachable
from client.sdk.hosts import Host
from client.sdk.tunnel import reached_at

CONNECT_TIMEOUT_S = 10.0


def tls_context(host: Host) -> ssl.SSLContext | None:
    """A context that accepts the host's pinned certificate alone; None for plain HTTP, which only loopback may use.

    Raises NotTrusted when no certificate is pinned, or when a token would cross a network readable.
    """
    if urlsplit(host.url).scheme == "http":
        if not host.is_loopback:
            detail = f"{host.name}: {host.url} is not encrypted: everything sent there, the token too, could be read"
            raise NotTrusted(detail, hint="agents speak https beyond loopback")
        return None
    if host.certificate is None:
        command = f"hosts add NAME {host.url}" if ":" in host.name else f"hosts trust {host.name}"
        hint = f"`client {command}` shows its fingerprint and pins it"
        raise NotTrusted(f"{host.name}: no certificate is pinned for {host.url}", hint=hint)
    try:
        return ssl.create_default_context(cadata=host.certificate)
    except ssl.SSLError as error:
        raise NotTrusted(f"{host.name}: the pinned certificate cannot be read: {error}") from error


def fetch_certificate(url: str) -> str:
    """The certificate that a server shows, PEM, unverified: to look at, and to pin once it was compared.

    Raises Unreachable.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 443)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(address, CONNECT_TIMEOUT_S) as raw, context.wrap_socket(raw) as secured:
            der = secured.getpeercert(binary_form=True)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"{url}: {error}", hint="is the agent running, and is the port right?") from error
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)


def fingerprint(certificate: str) -> str:
    """SHA-256 of a PEM certificate in DER form, as `sha256:...`."""
    return "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


def mismatch(host: Host) -> NotTrusted:
    """The error for a server that is not the pinned one, naming both fingerprints where they can be had."""
    pinned = fingerprint(host.certificate) if host.certificate else "none"
    try:
        shown = fingerprint(fetch_certificate(reached_at(host)))
    except Unreachable:
        shown = "unknown"
    again = (
        f"`provision up --on {host.provider} --name {host.name}` reads it anew"
        if host.provider
        else "`client hosts trust {}`"
    )
    return NotTrusted(
        f"{host.name}: the certificate is not the pinned one (pinned {pinned[:19]}..., got {shown[:19]}...)",
        hint=f"if you recreated the agent: {again.format(host.name)}; else somebody is in between",
    )
