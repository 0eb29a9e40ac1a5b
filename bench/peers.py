"""The programs that send mail, each told to send one message to a target, and where they are found.

What bench/fetch unpacked is laid over /usr and /etc in a mount namespace of our own (root only); without that only what is
installed is measured. A peer that checks no certificate says so: it does not compete where that counts."""

import dataclasses
import os
import pathlib
import shutil
import sys

SENDER = "a@example.org"
ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVOI = os.environ.get("ENVOI", str(ROOT / "build/check/envoi"))


@dataclasses.dataclass
class Target:
    """Where to send: mode is plain, starttls or implicit; the latter two log in and verify against the bundle."""
    port: int
    mode: str
    bundle: pathlib.Path = None
    user: str = "u"
    password: str = "p"
    recipients: tuple = ("b@example.org",)
    host: str = "localhost"

    @property
    def tls(self):
        return self.mode != "plain"


@dataclasses.dataclass
class Command:
    argv: list
    stdin: pathlib.Path          # what the program reads
    message_fd: int = 0          # where it wants the message
    options: pathlib.Path = None  # its standard input, where that is not the message
    env: dict = dataclasses.field(default_factory=dict)


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def rc_lines(t):
    """The account in msmtp's words, which are envoi's, too."""
    lines = ["defaults", "account default", f"host {t.host}", f"port {t.port}", f"from {SENDER}"]
    if t.tls:
        lines += ["auth plain", f"user {t.user}", f"password {t.password}", "tls on", f"tls_trust_file {t.bundle}",
                  f"tls_starttls {'on' if t.mode == 'starttls' else 'off'}"]
    else:
        lines += ["auth off", "tls off"]
    return "\n".join(lines) + "\n"


def envoi(t, message, work):
    rc = private(work / "envoirc", rc_lines(t))
    return Command([ENVOI, f"--file={rc}", *t.recipients], message)


def msmtp(t, message, work):
    rc = private(work / "msmtprc", rc_lines(t))
    return Command(["msmtp", f"--file={rc}", *t.recipients], message)


def curl(t, message, work):
    rc = private(work / "curlrc", "".join(f'mail-rcpt = "{r}"\n' for r in t.recipients)
                 + (f'user = "{t.user}:{t.password}"\ncacert = "{t.bundle}"\n' if t.tls else ""))
    scheme = "smtps" if t.mode == "implicit" else "smtp"
    return Command(["curl", "-q", "-sS", "-K", str(rc), "--mail-from", SENDER, "-T", "-", f"{scheme}://{t.host}:{t.port}"]
                   + (["--ssl-reqd"] if t.mode == "starttls" else []), message)


def swaks(t, message, work):
    tls = {"plain": [], "starttls": ["-tls"], "implicit": ["-tlsc"]}[t.mode]
    login = ["--tls-verify", "--tls-ca-path", str(t.bundle), "-a", "PLAIN", "-au", t.user, "-ap", t.password] if t.tls else []
    return Command(["swaks", "--server", f"{t.host}:{t.port}", "-f", SENDER, "-t", ",".join(t.recipients), "-d", "-",
                    "--silent", "3", *tls, *login], message)


def s_nail(t, message, work):
    """It takes the recipients from the command line and the header."""
    scheme = "smtps" if t.mode == "implicit" else "smtp"
    settings = ["v15-compat", f"mta={scheme}://{t.host}:{t.port}", f"smtp-auth={'plain' if t.tls else 'none'}"]
    if t.tls:
        user, password = (s.replace("%", "%25").replace("@", "%40").replace("=", "%3D") for s in (t.user, t.password))
        settings[1] = f"mta={scheme}://{user}:{password}@{t.host}:{t.port}"
        settings += ["tls-verify=strict", f"tls-ca-file={t.bundle}", "tls-ca-no-defaults"]
        settings += ["smtp-use-starttls"] if t.mode == "starttls" else []
    return Command(["s-nail", "-:/", *(f"-S{s}" for s in settings), "-r", SENDER, "-t", *t.recipients], message)


def opensmtpd(t, message, work):
    """It trusts OpenSSL's own file alone; Peers lays the bundle there."""
    scheme = {"plain": "smtp+notls", "starttls": "smtp+tls", "implicit": "smtps"}[t.mode]
    login = f"{t.user}:{t.password}@" if t.tls else ""
    return Command(["smtp", "-F", SENDER, "-s", f"{scheme}://{login}{t.host}:{t.port}", *t.recipients], message)


def nullmailer(t, message, work):
    """Its protocol program, as nullmailer-send starts it: options on standard input, a queue file on descriptor 3."""
    options = [f"host={t.host}", f"port={t.port}"] + {"plain": [], "starttls": ["starttls"], "implicit": ["tls"]}[t.mode]
    if t.tls:
        options += [f"user={t.user}", f"pass={t.password}", f"x509cafile={t.bundle}"]
    queued = work / (message.name + ".queued")
    with open(queued, "wb") as out, open(message, "rb") as text:
        out.write("".join(f"{line}\n" for line in (SENDER, *t.recipients, "")).encode())
        shutil.copyfileobj(text, out, 1 << 20)
    return Command(["/usr/lib/nullmailer/smtp"], queued, 3, private(work / "nullmailer", "\n".join(options) + "\n"),
                   {"HELOHOST": "localhost"})


def esmtp(t, message, work):
    if t.mode == "implicit":
        return None
    rc = private(work / "esmtprc", f"hostname = {t.host}:{t.port}\nstarttls = {'required' if t.tls else 'disabled'}\n"
                 + (f'username = "{t.user}"\npassword = "{t.password}"\n' if t.tls else ""))
    return Command(["esmtp", "-C", str(rc), "-f", SENDER, *t.recipients], message, env={"SSL_CERT_FILE": str(t.bundle)} if t.tls else {})


def ssmtp(t, message, work):
    rc = private(work / "ssmtp.conf", f"mailhub={t.host}:{t.port}\nFromLineOverride=YES\nhostname=localhost\n"
                 + (f"AuthUser={t.user}\nAuthPass={t.password}\nUseTLS=YES\n" if t.tls else "")
                 + ("UseSTARTTLS=YES\n" if t.mode == "starttls" else ""))
    return Command(["ssmtp", f"-C{rc}", f"-f{SENDER}", *t.recipients], message)


def dma(t, message, work):
    """It reads /etc/dma alone, which is ours only in the namespace."""
    if not os.environ.get("BENCH_NAMESPACE"):
        return None
    config = pathlib.Path("/etc/dma")
    private(config / "dma.conf", f"SMARTHOST {t.host}\nPORT {t.port}\nNULLCLIENT\nMAILNAME localhost\n"
            + ("SECURETRANSFER\nAUTHPATH /etc/dma/auth.conf\n" if t.tls else "")
            + ("STARTTLS\n" if t.mode == "starttls" else "")).chmod(0o644)
    private(config / "auth.conf", f"{t.user}|{t.host}:{t.password}\n").chmod(0o644)
    return Command(["dma", "-D", "-f", SENDER, *t.recipients], message)


def smtp_source(t, message, work):
    """It makes its message itself."""
    if t.tls:
        return None
    return Command(["smtp-source", "-m", "1", "-s", "1", "-l", str(message.stat().st_size), "-r", str(len(t.recipients)), "-f", SENDER,
                    "-t", t.recipients[0], f"inet:{t.host}:{t.port}"], message)


@dataclasses.dataclass
class Peer:
    name: str
    program: str
    command: callable
    verifies: bool = True


PEERS = [
    Peer("envoi", ENVOI, envoi),
    Peer("msmtp", "msmtp", msmtp),
    Peer("curl", "curl", curl),
    Peer("swaks", "swaks", swaks),
    Peer("smtp-source", "smtp-source", smtp_source),
    Peer("OpenSMTPD smtp", "smtp", opensmtpd),
    Peer("s-nail", "s-nail", s_nail),
    Peer("nullmailer", "/usr/lib/nullmailer/smtp", nullmailer),
    Peer("esmtp", "esmtp", esmtp),
    Peer("dma", "dma", dma, verifies=False),
    Peer("ssmtp", "ssmtp", ssmtp, verifies=False),
]


def found(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def available(names=None):
    return [p for p in PEERS if found(p.program) and (not names or p.name in names or p.name == "envoi")]


# The namespace. Its first layer is ours: loopback has one address, dma's configuration and spool, OpenSSL's trusted file.

ENTER = """set -eu
mount -t overlay -o "lowerdir=$1/usr:$2" overlay /usr
mount -t overlay -o "lowerdir=$1/etc:/etc,upperdir=$1/etc-up,workdir=$1/etc-work" overlay /etc
mount -t tmpfs tmpfs /var/spool
install -d -o root -g mail -m 2775 /var/spool/dma
touch /var/spool/dma/flush
shift 2
exec "$@"
"""


def enter(unpacked, work, bundle):
    """Starts this program again where the unpacked peers lie over /usr; it has to make the bundle."""
    folders = [str(p / "usr") for p in sorted(unpacked.iterdir()) if (p / "complete").exists()]
    for folder in ("usr/lib/ssl", "etc/dma", "etc-up", "etc-work"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (work / "usr/lib/ssl/cert.pem").symlink_to(bundle)
    os.environ["BENCH_NAMESPACE"] = str(work.parent)
    os.execvp("unshare", ["unshare", "--mount", "sh", "-c", ENTER, "enter", str(work), ":".join([*folders, "/usr"]),
                          "/usr/bin/python3", *sys.argv])
