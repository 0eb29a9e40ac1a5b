"""The programs that send mail, each told to send one message to a target, and where they are found.

As root all happens in namespaces of our own: what bench/fetch unpacked lies over /usr and /etc, and the network is a loopback that
nobody else uses and the long line. Otherwise what is installed is measured, on the loopback that there is."""

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import longline

SENDER = "a@example.org"
ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVOI = os.environ.get("ENVOI", str(ROOT / "build/check/gcc/envoi"))


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
    seconds: float = 20          # that it may take at most


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


def envoi_resumed(t, message, work):
    """With the TLS session of its last run; no peer keeps any."""
    if t.mode != "starttls":
        return None
    command = envoi(t, message, work)
    return dataclasses.replace(command, argv=[*command.argv, "--tls-session-cache=on"], env={"XDG_CACHE_HOME": str(work)})


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
    """It pipelines when asked to."""
    tls = {"plain": [], "starttls": ["-tls"], "implicit": ["-tlsc"]}[t.mode]
    login = ["--tls-verify", "--tls-ca-path", str(t.bundle), "-a", "PLAIN", "-au", t.user, "-ap", t.password] if t.tls else []
    return Command(["swaks", "--server", f"{t.host}:{t.port}", "-f", SENDER, "-t", ",".join(t.recipients), "-d", "-",
                    "--silent", "3", "-pipeline", *tls, *login], message)


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
    """It trusts OpenSSL's own file alone; in the namespace that is the bundle."""
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
    if not in_namespace():
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
    command: callable  # (Target, message's path, folder for its files): Command; None where it cannot
    package: str = ""  # where it is not the program's name
    ours: bool = False


PEERS = [
    Peer("envoi", ENVOI, envoi, ours=True),
    Peer("envoi, session resumed", ENVOI, envoi_resumed, ours=True),
    Peer("msmtp", "msmtp", msmtp),
    Peer("curl", "curl", curl),
    Peer("swaks", "swaks", swaks),
    Peer("smtp-source", "smtp-source", smtp_source, "postfix"),
    Peer("OpenSMTPD smtp", "smtp", opensmtpd, "opensmtpd"),
    Peer("s-nail", "s-nail", s_nail),
    Peer("nullmailer", "/usr/lib/nullmailer/smtp", nullmailer, "nullmailer"),
    Peer("esmtp", "esmtp", esmtp),
    Peer("dma", "dma", dma),
    Peer("ssmtp", "ssmtp", ssmtp),
]
OURS = [p.name for p in PEERS if p.ours]


def found(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def available(names=None):
    return [p for p in PEERS if found(p.program) and (not names or p.name in names or p.ours)]


def version(peer, unpacked):
    """envoi's own word; of a peer that of its package, unpacked or installed."""
    if peer.ours:
        return subprocess.run([ENVOI, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    package = peer.package or peer.program
    told = unpacked and unpacked / package / "complete"
    if told and told.exists():
        return f"{peer.name} {told.read_text().strip()}"
    return f"{peer.name} " + subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True).stdout


# The namespaces. The first layer is ours: names, dma's configuration and spool, OpenSSL's trusted file.

ENTER = """set -eu
ip link set lo up
mount -t overlay -o "lowerdir=$1/usr:$2" overlay /usr
mount -t overlay -o "lowerdir=$1/etc:/etc,upperdir=$1/etc-up,workdir=$1/etc-work" overlay /etc
mount -t tmpfs tmpfs /var/spool
install -d -o root -g mail -m 2775 /var/spool/dma
touch /var/spool/dma/flush
shift 2
exec "$@"
"""


def in_namespace():
    return "BENCH_NAMESPACE" in os.environ


def can_enter():
    trial = ["unshare", "--mount", "--net", "mount", "-t", "overlay", "-o", "lowerdir=/etc:/usr", "overlay", "/usr"]
    return (os.geteuid() == 0 and shutil.which("ip") and os.path.exists("/dev/net/tun")
            and subprocess.run(trial, capture_output=True).returncode == 0)


def enter(unpacked, work, bundle):
    """Starts this program again where the unpacked peers lie over /usr; it has to make the bundle."""
    folders = [str(p / "usr") for p in sorted(unpacked.iterdir()) if (p / "complete").exists()] if unpacked else []
    for folder in ("usr/lib/ssl", "etc/dma", "etc-up", "etc-work"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n{longline.FAR} {longline.NAME}\n")
    (work / "usr/lib/ssl/cert.pem").symlink_to(bundle)
    os.environ["BENCH_NAMESPACE"] = str(work.parent)
    os.execvp("unshare", ["unshare", "--mount", "--net", "sh", "-c", ENTER, "enter", str(work), ":".join([*folders, "/usr"]),
                          "/usr/bin/python3", *sys.argv])
