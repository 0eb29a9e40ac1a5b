"""What the messages are sent to: envoi's own sink, the same for everybody, and a real Postfix where one was fetched."""

import pathlib
import subprocess
import sys

import longline
from peers import ENVOI, ROOT, Target, in_namespace

sys.path.insert(0, str(ROOT / "tests/system"))
import callgrind  # noqa: E402, F401  (for measure)
import certs as certificates  # noqa: E402
import servers as real        # noqa: E402

# What differs from the system tests: the name at the other end of the long line, a password that every program's file can hold,
# mail that is discarded behind the queue, and ports at this end of the long line.
certificates.LEAVES["server"].append(f"dns_name = {longline.NAME}")
real.PASSWORD = "secret"
real.POSTFIX_MAIN = real.POSTFIX_MAIN.replace("virtual_transport = virtual\n", "virtual_transport = discard:\n")
real.POSTFIX_MASTER += "discard unix - - n - - discard\n"
if in_namespace():
    real.POSTFIX_MASTER += "".join(
        line.replace(f"{{{mode}}}", f"{longline.NEAR}:{port}") + "\n" for line in real.POSTFIX_MASTER.splitlines()
        for mode, port in {"plain": 25, "starttls": 587, "implicit": 465}.items() if line.startswith(f"{{{mode}}}"))

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
    """envoi sink, in clear and with implicit TLS, forgetting what it gets. Any user may log in. cert: the name of the certificate it
    shows; without, one that it makes itself."""

    name = "envoi sink"
    far = {"plain": 225, "starttls": 225, "implicit": 265}

    def __init__(self, certs, cert="server", is_far=False):
        self.certs = certs
        shown = [f"--tls-cert={certs.cert(cert)}", f"--tls-key={certs.key(cert)}"] if cert else []
        at_line = [f"--listen={longline.NEAR}:225", f"--listen-tls={longline.NEAR}:265"] if is_far else []
        self.process = subprocess.Popen([ENVOI, "sink", "--listen=127.0.0.1:0", "--listen-tls=127.0.0.1:0", "--auth=any",
                                         "--auth-mechanisms=PLAIN,LOGIN", "--quiet", *shown, *at_line], stdout=subprocess.PIPE, text=True)
        ports = [int(next(self.process.stdout).split(":")[1].split()[0]) for _ in range(2 + len(at_line))]
        self.plain, self.tls = (port for port in ports if port not in self.far.values())

    def target(self, mode, recipients=("b@example.org",)):
        return Target(self.tls if mode == "implicit" else self.plain, mode, self.certs.bundle, recipients=recipients)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Postfix:
    """Postfix with Dovecot's logins, as the system tests run it, except that it discards what it has queued."""

    name = "Postfix"
    far = {"plain": 25, "starttls": 587, "implicit": 465}

    def __init__(self, certs, work):
        self.certs, self.started = certs, []
        for name in ("dovecot", "postfix"):
            (work / name).mkdir(mode=0o755)
        try:
            submission, _ = real.dovecot(work / "dovecot", certs, 9, work / "dovecot/mail")
            self.started.append(submission)
            self.server = real.postfix(work / "postfix", certs, submission.extra["auth_socket"], real.MECHANISMS)
            self.started.append(self.server)
        except BaseException:
            self.close()
            raise

    def target(self, mode, recipients=("b@example.org",)):
        return Target(getattr(self.server, mode), mode, self.certs.bundle, real.USER, real.PASSWORD, recipients)

    def close(self):
        for server in reversed(self.started):
            real.stop(server)


def at_the_far_end(receiver, mode):
    """The receiver as it is reached over the long line."""
    target = receiver.target(mode)
    target.host, target.port = longline.NAME, receiver.far[mode]
    return target
