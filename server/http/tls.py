"""The agent's own certificate: made once, kept in the data folder, pinned by clients."""

import contextlib
import ctypes
import hashlib
import logging
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.paths import TLS_SERVER_NAME
from server.processes.children import child_command, child_settings, exit_text
from server.storage.atomic import ensure_folder, write_atomically

log = logging.getLogger(__name__)

LIFETIME = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock is right that shows an earlier time. To be raised with each release."""
IN_USE = timedelta(days=5 * 365)
"""For so long after it was built this program may be in use, so that a clock is taken at its word."""
MAKING_MAX_S = 120.0
_LEAF = b"-----BEGIN CERTIFICATE-----"
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, to which Python gives no name."""
_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform."""


@dataclass(frozen=True)
class Clock:
    """What this machine takes for the time, and whether that can be relied on.

    A board without a battery for its clock starts in 1970, in the year its system was built, or in any other.
    """

    now: datetime
    synchronised: bool
    """Whether the kernel knows of somebody (NTP) who set it."""

    @property
    def plausible(self) -> bool:
        """Whether it can be this late."""
        return self.synchronised or BUILT <= self.now <= BUILT + IN_USE

    @property
    def not_before(self) -> datetime:
        """A time that has certainly come."""
        return self.now if self.plausible else BUILT


def this_clock() -> Clock:
    """This machine's clock, as adjtimex(2) tells of it, which needs no rights."""
    status = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return Clock(datetime.now(UTC), 0 <= status < _TIME_ERROR)


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate and its key."""

    certificate_path: Path
    key_path: Path

    @property
    def sha256(self) -> str:
        """Fingerprint: SHA-256 of the certificate in DER form, in hexadecimal."""
        pem = self.certificate_path.read_text()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def ensure_certificate(folder: Path, clock: Clock | None = None) -> Certificate:
    """The certificate of this agent, made anew when there is none or its end is near.

    A clock that may be wrong makes no certificate old: every client that pinned it would be locked out for good.

    Self-signed, for the fixed name that clients ask for. Key and certificate stay over restarts, so that pins stay
    valid. Raises OSError when it cannot be made or written.
    """
    certificate = Certificate(folder / "cert.pem", folder / "key.pem")
    clock = clock or this_clock()
    if not _usable(certificate, clock):
        ensure_folder(folder)
        _make(certificate, clock)
    return certificate


def _usable(certificate: Certificate, clock: Clock) -> bool:
    try:
        end = _end_of(certificate)
    except (OSError, ValueError, ssl.SSLError):
        return False
    if end > clock.now + RENEW_BEFORE:
        return True
    if not clock.plausible:
        log.warning(
            "the certificate is good until %s and is kept: the clock shows %s, but nobody (NTP) has set it; "
            "remove %s for a new one",
            *(end, clock.now, certificate.certificate_path),
        )
    return not clock.plausible


def _end_of(certificate: Certificate) -> datetime:
    """When a certificate ends, as a client sees that pinned it and connects, at whatever time.

    Without a library for certificates, which would stay in this process's memory: the two sides speak in memory.
    Raises OSError, ValueError or ssl.SSLError for files that no client could connect with.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.certificate_path, certificate.key_path)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(certificate.certificate_path)
    client.verify_flags = ssl.VerifyFlags(client.verify_flags | _NO_CHECK_TIME)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(to_client, to_server, server_hostname=TLS_SERVER_NAME)
    answerer = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (caller, answerer, caller):  # the three flights of TLS 1.3
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    end = (caller.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC)


def _make(certificate: Certificate, clock: Clock) -> None:
    command = child_command("server.http.certificate_main", (clock.not_before + LIFETIME).isoformat())
    settings = child_settings(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    made = subprocess.run(command, **settings, check=False, timeout=MAKING_MAX_S)
    key, mark, leaf = made.stdout.partition(_LEAF)
    if made.returncode != 0 or not mark:
        reason = (made.stderr.decode(errors="replace").strip().splitlines() or [exit_text(made.returncode)])[-1]
        raise OSError(f"the certificate could not be made: {reason}")
    write_atomically(certificate.key_path, key)
    write_atomically(certificate.certificate_path, mark + leaf)
