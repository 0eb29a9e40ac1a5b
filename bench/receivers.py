"""What the messages are sent to: envoi's own sink, the same for everybody, and a real Postfix where one was fetched."""

import pathlib
import subprocess
import sys

from peers import ENVOI, ROOT, Target

sys.path.insert(0, str(ROOT / "tests/system"))
import callgrind  # noqa: E402, F401  (for measure)
import certs as certificates  # noqa: E402
import servers as real        # noqa: E402

SYSTEM_BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


def make_bundle(work):
    """A CA of our own among those of the system. Returns its certificates; .bundle is the file to trust."""
    (work / "certs").mkdir(mode=0o755)
    made = certificates.Certs(work / "certs")
    made.bundle = work / "bundle.pem"
    made.bundle.write_text((SYSTEM_BUNDLE.read_text() if SYSTEM_BUNDLE.exists() else "") + made.ca.read_text())
    made.bundle.chmod(0o644)
    return made


class Sink:
    """envoi sink, in clear and with implicit TLS, forgetting what it gets. Any user may log in."""

    name = "envoi sink"

    def __init__(self, certs, *options):
        self.certs = certs
        self.process = subprocess.Popen(
            [ENVOI, "sink", "--listen=127.0.0.1:0", "--listen-tls=127.0.0.1:0", "--auth=any", "--auth-mechanisms=PLAIN,LOGIN", "--quiet",
             f"--tls-cert={certs.cert()}", f"--tls-key={certs.key()}", *options], stdout=subprocess.PIPE, text=True)
        heard = [next(self.process.stdout) for _ in range(2)]
        self.plain, self.tls = (int(line.split(":")[1].split()[0]) for line in heard)

    def target(self, mode, recipients=("b@example.org",)):
        return Target(self.tls if mode == "implicit" else self.plain, mode, self.certs.bundle, recipients=recipients)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Postfix:
    """Postfix with Dovecot's logins, as the system tests run it, except that it discards what it accepts."""

    name = "Postfix"

    def __init__(self, certs, work):
        self.certs, self.started = certs, []
        real.POSTFIX_MAIN = real.POSTFIX_MAIN.replace("virtual_transport = virtual\n", "virtual_transport = discard:\n")
        real.POSTFIX_MASTER += "discard unix - - n - - discard\n"
        for name in ("dovecot", "postfix"):
            (work / name).mkdir(mode=0o755)
        try:
            submission, lmtp = real.dovecot(work / "dovecot", certs, 9, work / "dovecot/mail")
            self.started.append(submission)
            self.server = real.postfix(work / "postfix", certs, submission.extra["auth_socket"], real.MECHANISMS)
            self.started.append(self.server)
        except BaseException:
            self.close()
            raise

    def target(self, mode, recipients=("b@example.org",)):
        port = getattr(self.server, mode)
        return Target(port, mode, self.certs.bundle, real.USER, real.PASSWORD, recipients)

    def close(self):
        for server in reversed(self.started):
            real.stop(server)
