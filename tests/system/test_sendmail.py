"""envoi in the place of sendmail: real callers, their exact words, aliases, and SMTP on standard input."""
import email
import email.policy
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import pytest

from faultserver import FaultServer
from test_sink import Sink, stored

ENVOI = shutil.which(os.environ.get("ENVOI", "envoi"))
SERVERS = pathlib.Path(os.environ.get("ENVOI_SERVERS", "build/servers")).resolve()
TEXT = b"Subject: test\nTo: T <to@example.org>\nCc: cc@example.org\nBcc: bcc@example.org\n\nbody\n.\nlast\n"
ALIASES = """root: admin@example.org, joe
joe: joe@example.net
local: \\local
loop: pool
pool: loop
drop: |/usr/bin/vacation
both: both@example.org, /var/mail/both
"""


class Machine:
    """A home with a configuration, the links, and a sink that takes everything."""

    def __init__(self, path, port, more=""):
        self.home, self.maildir, self.bin = path, path / "maildir", path / "bin"
        self.bin.mkdir()
        for name in ("sendmail", "mailq", "newaliases"):
            (self.bin / name).symlink_to(ENVOI)
        (path / "aliases").write_text(ALIASES)
        (path / ".envoirc").write_text(f"account default\nhost 127.0.0.1\nport {port}\ntls off\nfrom me@example.org\naliases {path}/aliases\n{more}")
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "EMAIL", "GIT_", "MAILRC"))},
                    "HOME": str(path), "LC_ALL": "C.UTF-8", "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def run(self, *command, text=TEXT, status=0):
        done = subprocess.run([str(c) for c in command], input=text, capture_output=True, env=self.env, timeout=60, cwd=self.home)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == status, done
        return done

    def sendmail(self, *args, **kw):
        return self.run(self.bin / "sendmail", *args, **kw)

    def received(self):
        """(sender, recipients, message) of each, in order."""
        found = []
        for envelope, data in stored(self.maildir):
            words = [line.split(": ", 1) for line in envelope]
            found.append((next(v for k, v in words if k == "X-Envelope-From")[1:-1],
                          [v[1:-1] for k, v in words if k == "X-Envelope-To"],
                          email.message_from_bytes(data.replace(b"\r\n", b"\n"), policy=email.policy.default)))
        return found

    def only(self):
        (one,) = self.received()
        assert one[2]["Bcc"] is None
        return one


@pytest.fixture
def machine(tmp_path):
    sink = Sink(tmp_path, "--maildir", tmp_path / "maildir")
    yield Machine(tmp_path, sink.ports[0])
    assert sink.end() in (0, 1)
    sink.process.stdout.close()


def program(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


# ---- the words of callers, without the callers

@pytest.mark.parametrize("words,sender,recipients", [
    ("-FCronDaemon -i -B8BITMIME -oem root", "me@example.org", ["admin@example.org", "joe@example.net"]),
    ("-FCronDaemon -i -odi -oem -oi -t -f cron@example.org", "cron@example.org", ["to@example.org", "cc@example.org", "bcc@example.org"]),
    ("-i -B8BITMIME joe", "me@example.org", ["joe@example.net"]),
    ("-ti oem", "me@example.org", ["to@example.org", "cc@example.org", "bcc@example.org"]),
    ("-ti", "me@example.org", ["to@example.org", "cc@example.org", "bcc@example.org"]),
    ("-i joe", "me@example.org", ["joe@example.net"]),
    ("-oem -oi -B8BITMIME -f a@example.org -N failure,delay -R hdrs -- b@example.org c@example.org", "a@example.org",
     ["b@example.org", "c@example.org"]),
    ("-i -f a@example.org -- b@example.org", "a@example.org", ["b@example.org"]),
    ("-f a@example.org -i b@example.org", "a@example.org", ["b@example.org"]),
    ("-t -i -fa@example.org extra@example.org", "a@example.org",
     ["extra@example.org", "to@example.org", "cc@example.org", "bcc@example.org"]),
    ("-t", "me@example.org", ["to@example.org", "cc@example.org", "bcc@example.org"]),
    ("-f fail2ban@example.org root@localhost", "fail2ban@example.org", ["admin@example.org", "joe@example.net"]),
    ("-f <> b@example.org", "", ["b@example.org"]),
    ("-- sink@example.org", "me@example.org", ["sink@example.org"]),
])
def test_words(machine, words, sender, recipients):
    machine.sendmail(*words.split())
    got = machine.only()
    assert got[:2] == (sender, recipients)
    assert got[2].get_content() == "body\n.\nlast\n"


def test_cron_message_gets_its_from(machine):
    machine.sendmail("-FCronDaemon", "-i", "root", text=b"Subject: Cron <me@host> true\nTo: root\n\nout\n")
    sender, _, message = machine.only()
    assert message["From"] == "CronDaemon <me@example.org>" and message["Date"] and message["Message-ID"]


def test_one_word_may_name_several(machine):
    """Cron passes MAILTO=a,b on as it is."""
    machine.sendmail("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "joe,b@example.org, \"Doe, J\" <c@example.org>", "d@example.org")
    assert machine.only()[1] == ["joe@example.net", "b@example.org", "c@example.org", "d@example.org"]
    assert "at column 17: '@x'" in machine.sendmail("b@example.org,c@@x", status=64).stderr
    assert machine.sendmail("-bv", "joe,b@example.org").stdout == "joe -> joe@example.net\nb@example.org -> b@example.org\n"


# ---- the callers

def test_mutt(machine):
    rc = machine.home / "muttrc"
    rc.write_text(f'set sendmail="{machine.bin}/sendmail -oem -oi"\nset from="Me <me@example.org>"\nset use_envelope_from=yes\n'
                  'set envelope_from_address="env@example.org"\nset copy=no\nset dsn_notify="failure,delay"\nset dsn_return=hdrs\n')
    machine.run(program("mutt"), "-n", "-F", rc, "-s", "subject", "-c", "cc@example.org", "-b", "bcc@example.org", "--", "to@example.org",
                text="body ä\n".encode())
    sender, recipients, message = machine.only()
    assert sender == "env@example.org" and recipients == ["to@example.org", "cc@example.org", "bcc@example.org"]
    assert message["From"] == "Me <me@example.org>" and message["Subject"] == "subject" and message.get_content() == "body ä\n"
    envelope = stored(machine.maildir)[0][0]
    assert any("RET=HDRS" in line for line in envelope)
    assert all("NOTIFY=" in line for line in envelope if line.startswith("X-Envelope-Parameters: RCPT"))


def test_s_nail(machine):
    """It looks up root's home itself, so the file is named."""
    machine.run(program("s-nail"), "-:/", "-S", f"mta={machine.bin}/sendmail", "-S", f"mta-arguments=-C {machine.home}/.envoirc", "-S", "ttycharset=utf-8", "-r", "env@example.org",
                "-s", "subject", "-c", "cc@example.org", "-b", "bcc@example.org", "to@example.org", text=b"body\n")
    sender, recipients, message = machine.only()
    assert sender == "env@example.org" and sorted(recipients) == ["bcc@example.org", "cc@example.org", "to@example.org"]
    assert message["Subject"] == "subject" and message.get_content() == "body\n"


def test_bsd_mailx(machine):
    mailx = SERVERS / "bsd-mailx" / "usr" / "bin" / "bsd-mailx"
    if not mailx.exists():
        pytest.skip(f"not fetched: tests/servers/fetch {SERVERS}")
    (machine.home / ".mailrc").write_text(f"set sendmail={machine.bin}/sendmail\n")
    machine.run(mailx, "-n", "-s", "subject", "-c", "cc@example.org", "-b", "bcc@example.org", "root", text=b"body\n")
    sender, recipients, message = machine.only()
    assert sender == "me@example.org"
    assert sorted(recipients) == ["admin@example.org", "bcc@example.org", "cc@example.org", "joe@example.net"]
    assert message["Subject"] == "subject" and message.get_content() == "body\n"


@pytest.mark.parametrize("how", ["--sendmail-cmd", "--smtp-server"])
def test_git_send_email(machine, how):
    git = program("git")
    if not pathlib.Path(subprocess.check_output([git, "--exec-path"], text=True).strip(), "git-send-email").exists():
        pytest.skip("git send-email is not installed")
    machine.run(git, "init", "-q", ".")
    (machine.home / ".gitconfig").write_text("[user]\nname = Me\nemail = me@example.org\n")
    (machine.home / "f").write_text("x\n")
    machine.run(git, "add", "f")
    machine.run(git, "commit", "-q", "-m", "a change")
    machine.run(git, "format-patch", "-q", "--root", "-o", "out", "HEAD")
    (patch,) = (machine.home / "out").iterdir()
    machine.run(git, "send-email", f"{how}={machine.bin}/sendmail", "--to=to@example.org", "--bcc=bcc@example.org", "--suppress-cc=all",
                "--confirm=never", "--from=Me <me@example.org>", "--envelope-sender=env@example.org", patch, text=b"")
    sender, recipients, message = machine.only()
    assert sender == "env@example.org" and sorted(recipients) == ["bcc@example.org", "to@example.org"]
    assert message["Subject"] == "[PATCH] a change" and "+x" in message.get_content()


def test_php(machine):
    machine.run(program("php"), "-n", "-d", f"sendmail_path={machine.bin}/sendmail -t -i", "-r",
                r"""exit(mail("to@example.org", "subject", "line\r\n.\r\nlast\n", "From: Me <me@example.org>\r\nBcc: bcc@example.org",
                "-fenv@example.org") ? 0 : 1);""", text=b"")
    sender, recipients, message = machine.only()
    assert sender == "env@example.org" and recipients == ["to@example.org", "bcc@example.org"]
    assert message["Subject"] == "subject" and message.get_content() == "line\n.\nlast\n\n"


def test_php_learns_of_failure(machine):
    machine.run(program("php"), "-n", "-d", f"sendmail_path={machine.bin}/sendmail -t -i", "-r",
                r"""exit(mail("loop", "subject", "body") ? 0 : 1);""", text=b"", status=1)
    assert machine.received() == []


# ---- aliases

def test_recipient_without_domain(machine):
    done = machine.sendmail("nobody", status=78)
    assert done.stderr.startswith("sendmail: the recipient 'nobody' has no domain") and "aliases' has no alias" in done.stderr
    config = machine.home / ".envoirc"
    config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("aliases")))
    done = machine.sendmail("nobody", status=78)
    assert "'aliases' is not set" in done.stderr and "hint: set 'aliases' to a file" in done.stderr
    config.write_text(config.read_text() + "domain mail.example.org\n")
    machine.sendmail("nobody", "b@example.org", "-f", "cron")
    assert machine.only()[:2] == ("cron@mail.example.org", ["nobody@mail.example.org", "b@example.org"])


def test_lmtp_takes_bare_names(tmp_path):
    sink = Sink(tmp_path, "--lmtp", "--maildir", tmp_path / "maildir")
    machine = Machine(tmp_path, sink.ports[0], "protocol lmtp\n")
    machine.sendmail("nobody", "joe")
    assert machine.only()[1] == ["nobody", "joe@example.net"]
    sink.end()
    sink.process.stdout.close()


def test_aliases_as_envoi(machine):
    machine.run(ENVOI, "root", "joe")
    assert machine.only()[1] == ["admin@example.org", "joe@example.net"]


def test_aliases_file_and_command(machine):
    assert "names the file '/var/mail/both'" in machine.sendmail("both").stderr
    assert machine.only()[1] == ["both@example.org"]
    done = machine.sendmail("drop", status=78)
    assert "names the command '/usr/bin/vacation'" in done.stderr and "leads to no address" in done.stderr


def test_aliases_broken_matters_to_local_names_only(machine):
    (machine.home / "aliases").write_text("root: a@example.org\nbroken\n")
    assert f"{machine.home}/aliases:2:7: " in machine.sendmail("root", status=78).stderr
    machine.sendmail("b@example.org")
    assert machine.only()[1] == ["b@example.org"]


def test_aliases_missing(machine):
    (machine.home / "aliases").unlink()
    done = machine.sendmail("root", status=78)
    assert "No such file" in done.stderr and "'aliases' names this file" in done.stderr


# ---- what sends nothing

def test_verify(machine):
    assert machine.sendmail("-bv", "root", "b@example.org").stdout == "root -> admin@example.org, joe@example.net\nb@example.org -> b@example.org\n"
    assert "leads back to itself" in machine.sendmail("-bv", "loop", status=78).stderr
    assert machine.sendmail("-bv", status=64).stderr.startswith("sendmail: '-bv' without an address")


def test_newaliases(machine):
    done = machine.run(machine.bin / "newaliases", status=78)
    assert done.stderr.startswith("newaliases: ") and done.stderr.count("leads back to itself") == 2
    (machine.home / "aliases").write_text("root: a@example.org\nJoe: root\ndrop: /dev/null\n")
    for command in (["newaliases"], ["sendmail", "-bi"], ["sendmail", "-I"]):
        done = machine.run(machine.bin / command[0], *command[1:])
        assert done.stdout == f"{machine.home}/aliases: 3 aliases\n" and "names the file '/dev/null'" in done.stderr
    (machine.home / ".envoirc").unlink()
    assert machine.run(machine.bin / "newaliases").stdout == "no aliases file is configured\n"
    assert machine.received() == []


def test_queue(machine):
    for command in (["mailq"], ["mailq", "-v"], ["sendmail", "-bp"], ["mailq", "sink"]):
        assert machine.run(machine.bin / command[0], *command[1:]).stdout.startswith("Mail queue is empty")
    for words in ("-q", "-q1h", "-qIx"):
        assert machine.sendmail(words).stdout == ""
    assert machine.received() == []


@pytest.mark.parametrize("words", ["-bd", "-bD", "-bt", "-bh", "-bH", "-ba", "-bd -q30m", "-bx", "-Z"])
def test_refused(machine, words):
    done = machine.sendmail(*words.split(), "b@example.org", status=64)
    assert done.stderr.startswith("sendmail: ") and "hint: " in done.stderr
    assert machine.received() == []


def test_commands_are_recipients_here(machine):
    for word in ("sink", "config", "help", "completions", "send"):
        assert f"'{word}' has no domain" in machine.sendmail(word, status=78).stderr


# ---- SMTP on standard input

class Dialogue:
    """Symfony's SendmailTransport: a process with -bs that is kept for several messages."""

    def __init__(self, machine, sock=False, *options):
        self.sock = None
        if sock:  # as inetd does: one socket is all three
            self.sock, theirs = socket.socketpair()
            files = dict(stdin=theirs, stdout=theirs, stderr=theirs)
        else:
            files = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([machine.bin / "sendmail", "-bs", *options], env=machine.env, cwd=machine.home, bufsize=0, **files)
        if sock:
            theirs.close()
            self.input, self.output = self.sock.makefile("wb", buffering=0), self.sock.makefile("rb", buffering=0)
        else:
            self.input, self.output = self.process.stdin, self.process.stdout
        self.expect("220")

    def reply(self):
        lines = [self.output.readline().decode()]
        while lines[-1][3:4] == "-":
            lines.append(self.output.readline().decode())
        return "".join(lines)

    def expect(self, code):
        reply = self.reply()
        assert reply.startswith(code), reply
        return reply

    def say(self, line, code):
        self.input.write(line if isinstance(line, bytes) else line.encode() + b"\r\n")
        return self.expect(code)

    def send(self, sender, recipients, text, code="250"):
        self.say(f"MAIL FROM:<{sender}>", "250")
        for r in recipients:
            self.say(f"RCPT TO:<{r}>", "250")
        self.say("DATA", "354")
        return self.say(text + b"\r\n.\r\n", code)

    def quit(self):
        self.say("QUIT", "221")
        assert self.output.read() == b""
        self.end()
        assert self.process.wait(20) == 0

    def end(self):
        self.input.close()
        self.output.close()
        if self.sock:
            self.sock.close()


MESSAGE = b"Subject: s\r\nFrom: Me <me@example.org>\r\nTo: to@example.org\r\nBcc: bcc@example.org\r\n\r\nbody\r\n..dot"


@pytest.mark.parametrize("sock", [False, True])
def test_symfony(machine, sock):
    d = Dialogue(machine, sock)
    assert "AUTH" not in d.say("EHLO [127.0.0.1]", "250")
    assert "message stored" in d.send("env@example.org", ["to@example.org", "bcc@example.org"], MESSAGE)
    d.say("NOOP", "250")
    d.say("RSET", "250")
    d.send("two@example.org", ["root"], b"Subject: two\r\n\r\n" + b"x" * 70 + b"\r\n" * 3)
    d.quit()
    first, second = machine.received()
    assert first[:2] == ("env@example.org", ["to@example.org", "bcc@example.org"])
    assert first[2]["Bcc"] is None and first[2].get_content() == "body\n.dot\n"
    assert second[:2] == ("two@example.org", ["admin@example.org", "joe@example.net"])


def test_smtp_beyond_the_window(machine):
    line = b"0123456789" * 7 + b"\r\n"
    d = Dialogue(machine)
    d.say("EHLO x", "250")
    d.send("env@example.org", ["to@example.org"], b"Subject: big\r\n\r\n" + line * 50000)
    d.quit()
    assert machine.only()[2].get_content().count("\n") >= 50000


def test_smtp_account_by_sender(tmp_path):
    sinks = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sinks.append(Sink(tmp_path / name, "--maildir", tmp_path / name / "maildir"))
    machine = Machine(tmp_path, sinks[0].ports[0], "account one : default\nfrom one@example.org\naccount two : default\n"
                      f"from two@example.org\nport {sinks[1].ports[0]}\n")
    d = Dialogue(machine)
    d.say("EHLO x", "250")
    d.send("one@example.org", ["to@example.org"], MESSAGE)
    d.send("two@example.org", ["to@example.org"], MESSAGE)
    d.quit()
    for name, sink in zip(("one", "two"), sinks):
        ((envelope, _),) = stored(tmp_path / name / "maildir")
        assert f"X-Envelope-From: <{name}@example.org>" in envelope
        sink.end()
        sink.process.stdout.close()


@pytest.mark.parametrize("server,recipients,code,words", [
    (dict(refused=("no@",)), ["no@example.org"], "550", ["5.1.1", "no such user here"]),
    (dict(refused=("no@",)), ["to@example.org", "no@example.org"], "554", ["5.0.0", "1 of 2", "no@example.org refused: 550 5.1.1"]),
    (dict(tricks={"dot": b"452 4.2.2 full\r\n"}), ["to@example.org"], "452", ["4.2.2", "full"]),
    (dict(tricks={"dot": b"554-5.7.1 looks\r\n554 5.7.1 bad\r\n"}), ["to@example.org"], "554", ["5.7.1", "looks"]),
    (dict(tricks={"mail": b"553 5.7.1 not yours\r\n"}, extensions=["ENHANCEDSTATUSCODES"]), ["to@example.org"], "553", ["5.7.1", "not yours"]),
    (dict(tricks={"greeting": b"554 5.3.2 closed\r\n"}), ["to@example.org"], "554", ["5.3.2", "closed"]),
    (dict(), ["to@example.org"], "250", ["queued as F00D"]),
    (dict(), ["nobody"], "554", ["'nobody' has no domain"]),
])
def test_smtp_answer_is_the_other_servers(tmp_path, server, recipients, code, words):
    with FaultServer(**server) as fault:
        d = Dialogue(Machine(tmp_path, fault.port, f"logfile -\n"))
        d.say("EHLO x", "250")
        reply = d.send("env@example.org", recipients, MESSAGE, code)
        for word in words:
            assert word in reply, reply
        assert reply.count("\n") == 1
        d.say("NOOP", "250")  # the dialogue goes on
        d.quit()


def test_smtp_nobody_listens(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        d = Dialogue(Machine(tmp_path, s.getsockname()[1]))
        d.say("HELO x", "250")
        d.send("env@example.org", ["to@example.org"], MESSAGE, "451")
        d.quit()


def test_smtp_end_of_input_and_signal(machine):
    d = Dialogue(machine)
    d.say("EHLO x", "250")
    d.say("MAIL FROM:<a@example.org>", "250")
    d.input.close()
    assert d.process.wait(20) == 0
    d.output.close()
    d = Dialogue(machine)
    d.say("EHLO x", "250")
    d.send("env@example.org", ["to@example.org"], MESSAGE)
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(20) == -signal.SIGTERM
    d.end()
    assert len(machine.received()) == 1


def test_smtp_nul_is_refused(machine):
    d = Dialogue(machine)
    d.say("EHLO x", "250")
    assert "NUL" in d.send("env@example.org", ["to@example.org"], b"Subject: x\r\n\r\n\0", "554")
    d.quit()
    assert machine.received() == []


def test_name_of_the_user_without_from(tmp_path):
    sink = Sink(tmp_path, "--maildir", tmp_path / "maildir")
    machine = Machine(tmp_path, sink.ports[0])
    config = machine.home / ".envoirc"
    config.write_text(config.read_text().replace("from me@example.org\n", ""))
    machine.sendmail("root", text=b"Subject: x\n\nbody\n")
    assert machine.only()[0].split("@")[0] == pwd.getpwuid(os.geteuid()).pw_name
    sink.end()
    sink.process.stdout.close()
