"""The real servers, each started on loopback on ports the system chose, each ending with the tests.

The daemons are Debian's, unpacked by tests/servers/fetch below $ENVOI_SERVERS and run by tests/servers/enter in
namespaces of their own. All keep what they get in a Maildir, one file for each recipient."""

import ctypes
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ENTER = HERE.parent / "servers" / "enter"
UNPACKED = pathlib.Path(os.environ.get("ENVOI_SERVERS", "build/servers")).resolve()
MAIL_UID = 64990
USER, PASSWORD = "u@example.org", "s3cret-Pass=word"
JWT_KEY = b"not a secret, for the tests alone"

USERS = """postfix:x:64991:64991::/nonexistent:/usr/sbin/nologin
dovecot:x:64992:64992::/nonexistent:/usr/sbin/nologin
dovenull:x:64993:64993::/nonexistent:/usr/sbin/nologin
opensmtpd:x:64994:64994::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:64995:64995::/var/lib/opensmtpd/empty:/usr/sbin/nologin
vmail:x:64990:64990::{home}:/bin/sh
"""
GROUPS = """postfix:x:64991:
postdrop:x:64996:
dovecot:x:64992:
dovenull:x:64993:
opensmtpd:x:64994:
opensmtpq:x:64995:
vmail:x:64990:
"""


class NotHere(Exception):
    """The server cannot run on this machine; the text says why."""


@dataclasses.dataclass
class Server:
    name: str
    maildir: pathlib.Path
    ca: pathlib.Path
    host: str = "127.0.0.1"
    plain: int = 0          # port without TLS and without login
    starttls: int = 0       # port where TLS is asked for by STARTTLS, with login
    implicit: int = 0       # port with TLS from the start, with login
    socket: str = ""        # unix socket
    mechanisms: tuple = ()
    adds_newline: bool = True  # stores a last line without a line end with one
    smtputf8: bool = True
    eight_bit: bool = True
    tls_max: str = "1.3"
    user: str = USER
    password: str = PASSWORD
    log: pathlib.Path = None
    process: subprocess.Popen = None
    extra: dict = dataclasses.field(default_factory=dict)

    def stored(self, token):
        """The files whose head holds the token."""
        found = []
        for folder in ("new", "cur"):
            for path in (self.maildir / folder).glob("*"):
                with open(path, "rb") as f:
                    if token.encode() in f.read(16384):
                        found.append(path)
        return sorted(found)

    def wait_for(self, token, count=1, timeout=20):
        """Waits until `count` stored messages hold the token; returns their octets."""
        end = time.monotonic() + timeout
        while len(found := self.stored(token)) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} stored {len(found)} of {count} messages with {token}; its log ends:\n"
                                     + self.log_tail())
            time.sleep(0.02)
        return [path.read_bytes() for path in found]

    def log_tail(self, lines=15):
        if not self.log or not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def free_ports(n):
    """n ports of loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def die_with_parent():
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start(command, log, env=None):
    with open(log, "ab") as out:
        return subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                preexec_fn=die_with_parent, env=env)


def stop(server):
    if server.process and server.process.poll() is None:
        server.process.kill()
        server.process.wait()


def greets(port):
    with socket.create_connection(("127.0.0.1", port), 1) as s:
        s.settimeout(5)
        return s.recv(3) == b"220"


def wait_until_up(server, ports, sockets=(), timeout=15):
    """Until each port greets and each socket is there; the process's end is an error at once."""
    end = time.monotonic() + timeout
    waiting = [(greets, p) for p in ports] + [(os.path.exists, s) for s in sockets]
    while waiting:
        if server.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{server.name} does not come up:\n{server.log_tail(30)}")
        try:
            waiting = [(f, x) for f, x in waiting if not f(x)]
        except OSError:
            pass
        time.sleep(0.02)


def make_maildir(path):
    for folder in ("", "tmp", "new", "cur"):
        (path / folder).mkdir(parents=True, exist_ok=True)
        os.chown(path / folder, MAIL_UID, MAIL_UID)
    return path


def make_etc(run, files):
    etc = run / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + USERS.format(home=run / "mail"))
    (etc / "group").write_text(pathlib.Path("/etc/group").read_text() + GROUPS)
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return etc


def unpacked(name):
    if os.geteuid() != 0:
        raise NotHere("needs root, for namespaces and for a daemon's change of user")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
        raise NotHere("namespaces cannot be made here")
    if not (UNPACKED / name / "complete").exists():
        raise NotHere(f"not fetched: tests/servers/fetch {UNPACKED}")
    return UNPACKED / name


# Postfix: four ports, logins by Dovecot, everything into one Maildir. `data` offers no CHUNKING, and ends connections that pipeline
# what must not be.

POSTFIX_MAIN = """compatibility_level = 3.6
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
queue_directory = {run}/queue
data_directory = {run}/data
maillog_file = /dev/stdout
disable_dns_lookups = yes
local_header_rewrite_clients =
smtpd_peername_lookup = no
smtputf8_enable = yes
message_size_limit = 0
virtual_mailbox_limit = 0
mailbox_size_limit = 0
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:mail/
virtual_mailbox_base = {run}
virtual_uid_maps = static:64990
virtual_gid_maps = static:64990
virtual_transport = virtual
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 2000
smtpd_tls_chain_files = {key}, {cert}
smtpd_tls_CAfile = {ca}
smtpd_tls_loglevel = 1
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_sasl_authenticated_header = yes
smtpd_forbid_bare_newline = {bare}
"""

LOGIN = ("-o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes -o mynetworks= "
         "-o smtpd_recipient_restrictions=permit_sasl_authenticated,reject")

POSTFIX_MASTER = """{plain} inet n - n - 100 smtpd
{data} inet n - n - 100 smtpd -o smtpd_discard_ehlo_keywords=chunking -o smtpd_forbid_unauth_pipelining=yes
{starttls} inet n - n - 100 smtpd -o smtpd_tls_security_level=may {login}
{implicit} inet n - n - 100 smtpd -o smtpd_tls_wrappermode=yes {login}
"""

POSTFIX_SERVICES = """cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def postfix(run, certs, auth_socket, mechanisms):
    root = unpacked("postfix")
    plain, data, starttls, implicit = free_ports(4)
    main = POSTFIX_MAIN.format(run=run, key=certs.key(), cert=certs.cert(), ca=certs.ca, auth=auth_socket, bare="no")
    ports = {f"{name}": f"127.0.0.1:{port}" for name, port in
             (("plain", plain), ("data", data), ("starttls", starttls), ("implicit", implicit))}
    master = POSTFIX_MASTER.format(login=LOGIN, **ports) + POSTFIX_SERVICES
    etc = make_etc(run, {"postfix/main.cf": main, "postfix/master.cf": master})
    (run / "data").mkdir()
    os.chown(run / "data", 64991, 64991)
    (run / "queue").mkdir()
    server = Server("postfix", make_maildir(run / "mail"), certs.ca, plain=plain, starttls=starttls, implicit=implicit,
                    mechanisms=mechanisms, log=run / "log", extra={"data": data})
    server.process = start([ENTER, root, etc, "postfix", "start-fg"], server.log)
    wait_until_up(server, (plain, starttls))
    return server


# OpenSMTPD. That of Debian 12 cannot finish a TLS handshake with OpenSSL 3, so it is asked for plain SMTP only.

OPENSMTPD = """smtp max-message-size 200M
listen on 127.0.0.1 port {plain} hostname opensmtpd.example
action store maildir "{run}/mail" virtual {{ "@" = vmail }} user vmail
match from any for any action store
"""


def opensmtpd(run, certs):
    root = unpacked("opensmtpd")
    (plain,) = free_ports(1)
    etc = make_etc(run, {"envoi-smtpd.conf": OPENSMTPD.format(run=run, plain=plain), "mailname": "opensmtpd.example\n"})
    server = Server("opensmtpd", make_maildir(run / "mail"), certs.ca, plain=plain, log=run / "log", smtputf8=False)
    prepare = ("mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty /run/opensmtpd; chmod 711 /var/spool/smtpd; "
               "exec smtpd -d -f /etc/envoi-smtpd.conf")
    server.process = start([ENTER, root, etc, "sh", "-c", prepare], server.log)
    wait_until_up(server, (plain,))
    return server


# Dovecot: submission that relays to another server, LMTP on a unix socket, and the logins for Postfix.

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
OAUTH_MECHANISMS = ("XOAUTH2", "OAUTHBEARER")

DOVECOT = """base_dir = {run}/base
state_dir = {run}/state
log_path = /dev/stderr
auth_verbose = yes
auth_failure_delay = 0
protocols = submission lmtp
listen = 127.0.0.1
hostname = dovecot.example
mail_location = maildir:{run}/mail
mail_uid = 64990
mail_gid = 64990
first_valid_uid = 64990
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
disable_plaintext_auth = yes
login_trusted_networks =
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_max_mail_size = 200M
submission_client_workarounds =
lmtp_save_to_detail_mailbox = no
lmtp_add_received_header = yes
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {run}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = {run}/users
}}
userdb {{
  driver = static
  args = uid=64990 gid=64990 home={run}/mail allow_all_users=yes
}}
service submission-login {{
  inet_listener submission {{
    port = {starttls}
  }}
  inet_listener submissions {{
    port = {implicit}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

OAUTH2 = """introspection_mode = local
local_validation_key_dict = fs:posix:prefix={run}/keys/
username_attribute = sub
"""


def dovecot(run, certs, relay_port, relay_maildir):
    """Two servers in one process: submission, whose mail is stored by the relay, and LMTP."""
    import base64
    root = unpacked("dovecot")
    starttls, implicit = free_ports(2)
    config = DOVECOT.format(run=run, cert=certs.cert(), key=certs.key(), relay=relay_port, starttls=starttls,
                            implicit=implicit)
    etc = make_etc(run, {"envoi-dovecot.conf": config})
    (run / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (run / "oauth2.conf").write_text(OAUTH2.format(run=run))
    key = run / "keys" / "default" / "HS256" / "default"
    key.parent.mkdir(parents=True)
    key.write_text(base64.b64encode(JWT_KEY).decode())
    sockets = {name: str(run / "base" / name) for name in ("lmtp", "auth-postfix")}
    log = run / "log"
    process = start([ENTER, root, etc, "dovecot", "-F", "-c", "/etc/envoi-dovecot.conf"], log)
    submission = Server("dovecot-submission", relay_maildir, certs.ca, starttls=starttls, implicit=implicit, log=log,
                        mechanisms=MECHANISMS + OAUTH_MECHANISMS, process=process, smtputf8=False)
    lmtp = Server("dovecot-lmtp", make_maildir(run / "mail"), certs.ca, socket=sockets["lmtp"], log=log,
                  process=process, smtputf8=False)
    wait_until_up(submission, (starttls,), sockets.values())
    submission.extra["auth_socket"] = sockets["auth-postfix"]
    return submission, lmtp


def jwt(user=USER, key=JWT_KEY, life=3600):
    """A token that Dovecot's local validation accepts."""
    import base64
    import hashlib
    import hmac
    import json

    def b64(octets):
        return base64.urlsafe_b64encode(octets).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": user, "iat": now, "nbf": now, "exp": now + life}
    signed = b".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + b64(hmac.new(key, signed, hashlib.sha256).digest())).decode()


# aiosmtpd: small, in Python, without PIPELINING. It keeps the octets exactly as they came.

def aiosmtpd(run, certs):
    if subprocess.run([sys.executable, "-c", "import aiosmtpd"], capture_output=True).returncode != 0:
        raise NotHere("python3-aiosmtpd is not installed")
    plain, starttls, implicit = free_ports(3)
    server = Server("aiosmtpd", make_maildir(run / "mail"), certs.ca, plain=plain, starttls=starttls, implicit=implicit,
                    mechanisms=("PLAIN", "LOGIN"), log=run / "log", adds_newline=False)
    server.process = start([sys.executable, HERE.parent / "servers" / "aiosmtpd_server.py", server.maildir,
                            certs.cert(), certs.key(), USER, PASSWORD, plain, starttls, implicit], server.log)
    wait_until_up(server, (plain, starttls))
    return server


def smtp_sink(run, certs, *options):
    """Postfix's smtp-sink: no TLS, no login; faults by its options. It keeps nothing."""
    root = unpacked("postfix")
    (plain,) = free_ports(1)
    server = Server("smtp-sink", make_maildir(run / "mail"), certs.ca, plain=plain, log=run / "log")
    etc = make_etc(run, {})
    server.process = start([ENTER, root, etc, "smtp-sink", "-u", "vmail", *options, f"127.0.0.1:{plain}", "1000"],
                           server.log)
    wait_until_up(server, (plain,))
    return server


def remove(directory):
    shutil.rmtree(directory, ignore_errors=True)
