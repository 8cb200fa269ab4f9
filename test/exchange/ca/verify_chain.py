"""Builds the chain of a certificate with python's `cryptography`, a parser and verifier that is not ours."""

import datetime
import ipaddress
import json
import sys

from cryptography import x509
from cryptography.x509 import verification as v

roots = x509.load_pem_x509_certificates(open(sys.argv[1], "rb").read())
leaf, *intermediates = x509.load_pem_x509_certificates(open(sys.argv[2], "rb").read())
san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
root_san = roots[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value

builder = v.PolicyBuilder().store(v.Store(roots)).time(datetime.datetime.now())
chain = builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address("127.0.0.1"))).verify(leaf, intermediates)
builder.build_server_verifier(x509.DNSName("localhost")).verify(leaf, intermediates)
builder.build_client_verifier().verify(leaf, intermediates)

print(
    json.dumps(
        {
            "chain": len(chain),
            "uris": san.value.get_values_for_type(x509.UniformResourceIdentifier),
            "dns": san.value.get_values_for_type(x509.DNSName),
            "ips": [str(ip) for ip in san.value.get_values_for_type(x509.IPAddress)],
            "subject": leaf.subject.rfc4514_string(),
            "sanCritical": san.critical,
            "digitalSignature": usage.digital_signature,
            "keyCertSign": usage.key_cert_sign,
            "ca": leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca,
            "rootUris": root_san.get_values_for_type(x509.UniformResourceIdentifier),
            "seconds": int((leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()),
        }
    )
)
