"""Make a key and a self-signed certificate for it; both go to standard output as PEM, the key first.

Started as `python -P -m server.http.certificate_main NOT_AFTER`, an ISO 8601 time, in a process of its own: the library
that makes certificates would take 10 MB of the agent's memory for as long as it runs.
"""

import sys
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.paths import TLS_SERVER_NAME

VALID_FROM = datetime(2024, 1, 1, tzinfo=UTC)
"""Fixed, so that a board without a clock does not make a certificate of 1970 that clients refuse."""


def make_certificate(not_after: datetime) -> bytes:
    """A P-256 key and a self-signed leaf for it (RFC 5280: not a CA, server authentication only), in PEM."""
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
        .not_valid_after(not_after)
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
    return key_pem + leaf.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    sys.stdout.buffer.write(make_certificate(datetime.fromisoformat(sys.argv[1])))
