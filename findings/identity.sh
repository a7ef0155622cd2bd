#!/usr/bin/env bash
# OpenSSL lets a certificate in whose entry in a full revocation list has the reason removeFromCRL.
#
# Expected: refused. RFC 5280 section 5.3.1 allows removeFromCRL in delta lists alone, where it takes an entry of the full
#   list back; a full list takes a certificate back by leaving it out. An entry in a full list says that the certificate is
#   revoked (section 5.1.2.6), whatever reason stands beside it, and a reason that may not be there is no permission.
# Seen: OpenSSL (3.x, as pyOpenSSL calls it) verifies the certificate with CRL_CHECK as if it had no entry. With any other
#   reason in the same place it is refused as revoked.
# Date: 2026-12-01.
# What it means for a system like this: a gateway and a function that read one list by two libraries may decide otherwise
#   about one card. Whoever decides has to say which way; a wrong reason code of a CA must not let a lost card sign in.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "cryptography==45.0.7" "pyOpenSSL==25.1.0"

"$folder/venv/bin/python" - <<'PY'
import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

now = datetime.datetime.now(datetime.timezone.utc)
day = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, is_ca):
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"],
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca, **usage), critical=True
        )
    )
    return builder.sign(issuer_key, hashes.SHA256())


ca_key, card_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
ca = certificate("CA", ca_key, "CA", ca_key, True)
card = certificate("card", card_key, "CA", ca_key, False)


def verdict(reason):
    """What OpenSSL says of the card, whose entry in a full list has this reason; None: it has no entry."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name("CA"))
        .last_update(now - day)
        .next_update(now + day)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    if reason is not None:
        entry = x509.RevokedCertificateBuilder().serial_number(card.serial_number).revocation_date(now - day)
        builder = builder.add_revoked_certificate(entry.add_extension(x509.CRLReason(reason), critical=False).build())
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(ca))
    store.add_crl(builder.sign(ca_key, hashes.SHA256()))
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(card)).verify_certificate()
        return "accepted"
    except crypto.X509StoreContextError as error:
        return "refused: " + str(error)


seen = {
    "no entry": verdict(None),
    "superseded": verdict(x509.ReasonFlags.superseded),
    "certificateHold": verdict(x509.ReasonFlags.certificate_hold),
    "removeFromCRL": verdict(x509.ReasonFlags.remove_from_crl),
}
print(SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode())
for what, said in seen.items():
    print(f"{what:16} {said}")
as_expected = (
    seen["no entry"] == "accepted"
    and all(seen[what].startswith("refused") for what in ["superseded", "certificateHold"])
)
if not as_expected:
    sys.exit("the comparison itself does not hold any more")
if seen["removeFromCRL"] != "accepted":
    sys.exit("this has changed: a full list's removeFromCRL is refused now")
PY
