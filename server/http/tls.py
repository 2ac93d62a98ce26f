"""The agent's own certificate: made once, kept in the data folder, pinned by clients."""

import ctypes
import hashlib
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.paths import TLS_SERVER_NAME
from server.storage.atomic import ensure_folder, write_atomically

log = logging.getLogger(__name__)

VALID_FROM = datetime(2024, 1, 1, tzinfo=UTC)
"""Fixed, so that a board without a clock does not make a certificate of 1970 that clients refuse."""
LIFETIME = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock is right that shows an earlier time. To be raised with each release."""
IN_USE = timedelta(days=5 * 365)
"""For so long after it was built this program may be in use, so that a clock is taken at its word."""
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

    A P-256 key and a self-signed leaf (RFC 5280: not a CA, server authentication only) for the fixed name that
    clients ask for. Key and certificate stay over restarts, so that pins stay valid.
    """
    certificate = Certificate(folder / "cert.pem", folder / "key.pem")
    clock = clock or this_clock()
    if not _usable(certificate, clock):
        ensure_folder(folder)
        _make(certificate, clock)
    return certificate


def _usable(certificate: Certificate, clock: Clock) -> bool:
    from cryptography import x509

    try:
        loaded = x509.load_pem_x509_certificate(certificate.certificate_path.read_bytes())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.certificate_path, certificate.key_path)
    except (OSError, ValueError, ssl.SSLError):
        return False
    if loaded.not_valid_after_utc > clock.now + RENEW_BEFORE:
        return True
    if not clock.plausible:
        log.warning(
            "the certificate is good until %s and is kept: the clock shows %s, but nobody (NTP) has set it; "
            "remove %s for a new one",
            *(loaded.not_valid_after_utc, clock.now, certificate.certificate_path),
        )
    return not clock.plausible


def _make(certificate: Certificate, clock: Clock) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TLS_SERVER_NAME)])
    key_usage = {field: False for field in (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
        "crl_sign", "encipher_only", "decipher_only",
    )}  # fmt: skip
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(clock.not_before + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_SERVER_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **key_usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(certificate.key_path, key_pem)
    write_atomically(certificate.certificate_path, leaf.public_bytes(serialization.Encoding.PEM))
