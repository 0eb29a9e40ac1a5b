"""Configurations of msmtp mean to envoi what they mean to msmtp: the published forms in tests/msmtp, and random ones.

Each account is printed by both programs with --pretend and compared value by value. DIFFERENCES holds what differs on purpose."""
import os
import pathlib
import random
import re
import shutil
import subprocess

import pytest

ENVOI = pathlib.Path(os.environ.get("ENVOI", "./envoi")).resolve()
FILES = sorted((pathlib.Path(__file__).parent.parent / "msmtp").glob("*.rc"))

pytestmark = pytest.mark.skipif(not shutil.which("msmtp"), reason="msmtp is not installed")

# msmtp prints these; those of envoi have '_' for ' '.
COMPARED = ["host", "port", "source ip", "proxy host", "proxy port", "socket", "timeout", "protocol", "domain", "auth", "user",
            "password", "passwordeval", "ntlmdomain", "tls", "tls_starttls", "tls_trust_file", "tls_crl_file", "tls_fingerprint",
            "tls_key_file", "tls_cert_file", "tls_certcheck", "tls_priorities", "tls_host_override", "from", "allow_from_override",
            "set_from_header", "set_date_header", "remove_bcc_headers", "undisclosed_recipients", "dsn_notify", "dsn_return",
            "logfile", "logfile_time_format", "syslog", "aliases"]

# msmtp's words for envoi's.
WORDS = {
    ("auth", "none"): "off",
    ("auth", "choose"): "on",
    ("password", "*"): "***",
    ("dsn_return", "HDRS"): "headers",
    ("dsn_return", "FULL"): "full",
}

# What differs on purpose: option, when (of both programs' values), why.
DIFFERENCES = [
    ("proxy port", lambda m, e: m["proxy host"] == "" and m["proxy port"] in ("0", e["proxy port"]),
     "without a proxy host the port is not used; envoi shows its default"),
    ("port", lambda m, e: m["socket"] != "" and e["port"] == "", "a socket has no port"),
    ("dsn_notify", lambda m, e: sorted(m["dsn_notify"].lower().split(",")) == sorted(e["dsn_notify"].split(",")),
     "a set of words: order and case mean nothing"),
    ("domain", lambda m, e: m["domain"] == "" and e["domain"] != "", "EHLO needs a name; envoi unsets it and says its default"),
    ("domain", lambda m, e: "%U" in m["domain"], "envoi knows the same patterns in every option that has some"),
    ("tls_trust_file", lambda m, e: (m["tls_trust_file"], e["tls_trust_file"]) == ("system", ""),
     "msmtp forgets that `defaults` emptied it"),
    ("password", lambda m, e: m["passwordeval"] != "" and e["password"] == "",
     "msmtp runs the command to print a star; envoi runs no command to print settings"),
    ("tls_fingerprint", lambda m, e: m["tls_fingerprint"].lower() == e["tls_fingerprint"].lower(), "hexadecimal: case means nothing"),
]

# What msmtp --pretend lets pass and envoi refuses on purpose: its words, why.
REFUSALS = [
    ("'auth' without 'user'", "msmtp refuses it, too, but only when it is connected"),
    ("'host' holds blanks", "msmtp would look up the name with its blanks"),
    ("nothing is trusted", "`defaults` emptied tls_trust_file, and msmtp forgets that"),
]


@pytest.fixture
def world(tmp_path):
    """A home with the password commands of the published files; they print a word."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("gpg", "pass", "secret-tool", "security", "oama", "mutt_oauth2.py", "quoted"):
        (commands / name).write_text("#!/bin/sh\necho word\n")
        (commands / name).chmod(0o755)
    (tmp_path / "msmtp").mkdir()
    return tmp_path


def run(world, *argv, **more):
    env = {"HOME": str(world), "USER": "joe", "LANG": "C", "PATH": f"{world}/bin:{os.environ['PATH']}"}
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env=env, cwd=world, **more)


def of_msmtp(world, *argv):
    done = run(world, "msmtp", "--pretend", *argv, "joe@example.org")
    values = dict(re.findall(r"^([a-z_ ]+) = (.*)$", done.stdout, re.M))
    for name, value in values.items():
        if value == "(not set)":
            value = ""
        if name == "timeout":
            value = value.removesuffix(" seconds").removesuffix(" second")
        values[name] = WORDS.get((name, value), value)
    return (values if done.returncode == 0 else None), done.stderr


def of_envoi(world, *argv):
    done = run(world, ENVOI, "--pretend", *argv)
    values = {name: "" for name in COMPARED}
    for name, value in re.findall(r"^(\S+) +(.*?) +# [^#]*$", done.stdout, re.M):
        values[name.replace("_", " ") if name.replace("_", " ") in COMPARED else name] = value
    return (values if done.returncode == 0 else None), done.stderr


def differences(world, *argv):
    """What msmtp accepts envoi accepts, with the same values."""
    m, m_err = of_msmtp(world, *argv)
    e, e_err = of_envoi(world, *argv)
    if m is None:
        return [], m_err
    if e is None and any(words in e_err for words, why in REFUSALS):
        return [], None
    if e is None:
        return [f"envoi refuses: {e_err}"], m_err
    wrong = [f"{name}: msmtp '{m[name]}', envoi '{e[name]}'" for name in COMPARED if m[name] != e[name]
             and not any(name == option and when(m, e) for option, when, why in DIFFERENCES)]
    return wrong, None


def accounts(text):
    return re.findall(r"^[ \t]*account[ \t]+\"?([^\s:\"]+)", text, re.M) or ["default"]


def place(world, name, data):
    path = world / "msmtp" / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_published(world, file):
    path = place(world, file.name, file.read_bytes())
    wrong = []
    for account in accounts(path.read_text()):
        found, refused = differences(world, "-C", path, "-a", account)
        assert not refused, f"msmtp refuses {file.name} -a {account}: {refused}"
        wrong += [f"{account}: {one}" for one in found]
    assert not wrong, "\n".join([file.name] + wrong)


def test_called_as_msmtp(world):
    """Then every file that -C names is one of msmtp's, whatever its name."""
    (world / "bin" / "msmtp").symlink_to(ENVOI)
    (world / "mail.rc").write_text("account a\nhost h.example\nuser u\nfrom first@example.org\nfrom last@example.org\n")
    shown = run(world, world / "bin" / "msmtp", "--pretend", "-C", "mail.rc").stdout
    for line in (r"port +25 ", r"tls +off ", r"auth +off ", r"from +last@example.org "):
        assert re.search("^" + line, shown, re.M), shown
    assert re.search("^port +587 ", run(world, ENVOI, "--pretend", "-C", "mail.rc").stdout, re.M)


# ---- random option sets ----

FINGERPRINT = ":".join(["AB"] * 32)
SWITCH = ["on", "off"]
VALUES = {
    "host": ["a.example", "2001:db8::1", "192.0.2.1"],
    "port": ["1", "25", "465", "587", "65535"],
    "source_ip": ["192.0.2.7", "2001:db8::7", ""],
    "proxy_host": ["127.0.0.1", "proxy.example", ""],
    "proxy_port": ["1080", "9050", ""],
    "timeout": ["1", "60", "off"],
    "connect_timeout": ["1", "60", "off"],
    "protocol": ["smtp", "lmtp"],
    "domain": ["d.example", "%H", "[192.0.2.1]", "%U.example"],
    "auth": ["on", "off", None, "plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256", "external", "gssapi",
             "ntlm", "xoauth2", "oauthbearer"],
    "user": ["joe", "joe@example.org", "50%U", "a b", '"quoted"', ""],
    "password": ["secret", "with blank", "#", '"', ""],
    "passwordeval": ["echo x", "echo 'a  b'", 'echo "$HOME"', ""],
    "ntlmdomain": ["CONTOSO", ""],
    "tls": ["on", "off", None],
    "tls_starttls": ["on", "off", None],
    "tls_trust_file": ["system", "/etc/ca.pem", "~/ca.pem", ""],
    "tls_crl_file": ["/etc/crl.pem", "~/crl.pem", ""],
    "tls_fingerprint": [FINGERPRINT, FINGERPRINT.lower(), ":".join(["0a"] * 20), ":".join(["0A"] * 16), ""],
    "tls_key_file": ["~/key.pem", "/etc/key.pem", ""],
    "tls_cert_file": ["~/cert.pem", "/etc/cert.pem", ""],
    "tls_certcheck": ["on", "off", None],
    "tls_priorities": ["NORMAL", "SECURE128:-VERS-TLS1.0", ""],
    "tls_host_override": ["other.example", ""],
    "tls_nocertcheck": [None],
    "tls_nostarttls": [None],
    "tls_force_sslv3": [None],
    "tls_min_dh_prime_bits": ["512", "2048", ""],
    "from": ["joe@example.org", "*@example.org", "j?e@example.org", "%U@example.org", "JOE@Example.org", ""],
    "auto_from": ["on", "off", None],
    "maildomain": ["example.net", "%H", ""],
    "allow_from_override": SWITCH,
    "set_from_header": ["auto", "on", "off"],
    "set_date_header": ["auto", "off"],
    "set_msgid_header": ["auto", "off"],
    "add_missing_from_header": ["on", "off", None],
    "add_missing_date_header": ["on", "off", None],
    "remove_bcc_headers": SWITCH,
    "keepbcc": ["on", "off", None],
    "undisclosed_recipients": SWITCH,
    "dsn_notify": ["off", "never", "failure", "success,delay", "delay,failure,success"],
    "dsn_return": ["off", "headers", "full"],
    "logfile": ["/tmp/log", "~/log", "-", ""],
    "logfile_time_format": ["%Y", "%d %b", ""],
    "syslog": ["on", "off", None, "LOG_MAIL", "LOG_LOCAL3"],
    "aliases": ["/dev/null", ""],
}
FILE_ONLY = {"password", "host", "from"}  # --host reads no file; --from is the sender of one mail
NOT_INHERITED = {"allow_from_override"}  # msmtp forgets it; here everything said is inherited


def a_line(rnd, option, value):
    if value is None:
        return option
    quote = '"' if rnd.random() < 0.3 else ""
    return f"{rnd.choice(['', '  ', chr(9)])}{option}{rnd.choice([' ', chr(9), '   '])}{quote}{value}{quote}{rnd.choice(['', '', ' '])}"


def some(rnd, most, without=()):
    options = rnd.sample([o for o in VALUES if o not in without], rnd.randint(0, most))
    return [(o, rnd.choice(VALUES[o])) for o in options]


def a_file(rnd):
    """`defaults` and accounts in any order, with inheritance, now and then with the line ends of another system."""
    lines, names = ["defaults", "host default.example"], []
    for i in range(rnd.randint(1, 4)):
        if rnd.random() < 0.4:
            lines += ["defaults"] + [a_line(rnd, *one) for one in some(rnd, 6, NOT_INHERITED)]
        bases = rnd.sample(names, rnd.randint(0, len(names)))
        names.append(f"a{i}")
        lines.append(f"account a{i}" + (rnd.choice([" : ", ":", " :", ": "]) + rnd.choice([",", ", ", " , "]).join(bases) if bases else ""))
        lines += [a_line(rnd, *one) for one in some(rnd, 12, NOT_INHERITED)]
        if rnd.random() < 0.3:
            lines.insert(rnd.randint(len(lines) - 1, len(lines)), "eval echo " + a_line(rnd, *rnd.choice(some(rnd, 3, NOT_INHERITED) or [("port", "26")])).strip())
    return rnd.choice(["\n", "\n", "\n", "\r\n"]).join(lines) + rnd.choice(["", "\n"])


def test_random_files(world):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    rnd = random.Random(seed)
    compared = 0
    for i in range(300):
        text = a_file(rnd)
        path = place(world, "random.rc", text.encode())
        for account in accounts(text):
            wrong, refused = differences(world, "-C", path, "-a", account)
            compared += not refused
            assert not wrong, f"SEED={seed}, file {i}, account {account}:\n" + "\n".join(wrong) + "\n" + text
    assert compared > 100, f"SEED={seed}: msmtp refused nearly everything"


def test_random_command_lines(world):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    rnd = random.Random(seed)
    compared = 0
    base = place(world, "base.rc", b"account a\nhost file.example\ntls on\ntls_trust_file /x\nuser u\nfrom f@example.org\nlogfile /tmp/y\n")
    for i in range(400):
        argv = [f"--{o.replace('_', '-')}" + ("" if v is None else f"={v}") for o, v in some(rnd, 10, FILE_ONLY)]
        wrong, refused = differences(world, "-C", base, "-a", "a", *argv)
        compared += not refused
        assert not wrong, f"SEED={seed}, command line {i}: {argv}\n" + "\n".join(wrong)
    assert compared > 100, f"SEED={seed}: msmtp refused nearly everything"
