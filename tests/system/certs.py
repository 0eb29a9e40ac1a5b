"""The certificates of the tests, made by certtool when they are needed: a CA, and what it signed well and badly."""

import datetime
import pathlib
import subprocess

LONG_AGO = "2001-01-01 00:00:00 UTC"
YESTERDAY = (datetime.datetime.utcnow() - datetime.timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S UTC")

# name: lines of its certtool template
LEAVES = {
    "server": ["cn = localhost", "dns_name = localhost", "ip_address = 127.0.0.1", "tls_www_server"],
    "expired": ["cn = localhost", "dns_name = localhost", "ip_address = 127.0.0.1", "tls_www_server",
                f'activation_date = "{LONG_AGO}"', f'expiration_date = "{YESTERDAY}"'],
    "othername": ["cn = other.example", "dns_name = other.example", "tls_www_server"],
    "client": ["cn = u", "uid = u", "tls_www_client"],
}


class Certs:
    """Paths: ca, other_ca (signed nothing here), cert("server"), key("server")."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other-ca")
        for name, lines in LEAVES.items():
            self.leaf(name, lines)

    def cert(self, name="server"):
        return self.dir / f"{name}.pem"

    def key(self, name="server"):
        return self.dir / f"{name}.key"

    def fingerprint(self, name="server"):
        der = subprocess.run(["certtool", "--certificate-info", "--infile", self.cert(name), "--outder"],
                             check=True, capture_output=True).stdout
        import hashlib
        return hashlib.sha256(der).hexdigest()

    def _certtool(self, *args):
        subprocess.run(["certtool", *map(str, args)], check=True, capture_output=True, cwd=self.dir)

    def _template(self, name, lines):
        path = self.dir / f"{name}.template"
        path.write_text("\n".join(["expiration_days = 30", "signing_key", *lines, ""]))
        return path

    def _key(self, name):
        path = self.key(name)
        self._certtool("--generate-privkey", "--key-type=ecdsa", "--curve=secp256r1", "--no-text", "--outfile", path)
        return path

    def _authority(self, name):
        template = self._template(name, [f"cn = envoi test {name}", "ca", "cert_signing_key"])
        self._certtool("--generate-self-signed", "--load-privkey", self._key(name), "--template", template,
                       "--no-text", "--outfile", self.cert(name))
        return self.cert(name)

    def leaf(self, name, lines, issuer="ca"):
        """Makes a certificate, unless it was made before. Signed by no issuer but itself: None."""
        if self.cert(name).exists():
            return
        if issuer is None:
            self._certtool("--generate-self-signed", "--load-privkey", self._key(name), "--template",
                           self._template(name, lines), "--no-text", "--outfile", self.cert(name))
            return
        if not self.cert(issuer).exists():
            self._authority(issuer)
        self._certtool("--generate-certificate", "--load-privkey", self._key(name), "--template",
                       self._template(name, lines), "--load-ca-certificate", self.cert(issuer), "--load-ca-privkey",
                       self.key(issuer), "--no-text", "--outfile", self.cert(name))
