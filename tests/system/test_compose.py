"""Messages that envoi composes, read back by Python's email package: structure, names and octets."""

import email
import email.policy
import os
import random
import subprocess

import pytest

import client

OPTIONS = ["--host=localhost", "--port=1", "--tls=off", "--auth=off", "--from=a@example.org", "--dry-run"]


def dry_run(*args, stdin=b""):
    """The octets of the message."""
    done = subprocess.run([client.ENVOI, *OPTIONS, *args], input=stdin, capture_output=True, env=client.environment(), timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.split(b"\n")
    while lines[0].startswith(b"# "):
        lines.pop(0)
    return b"\n".join(lines)


def compose(*args, **more):
    octets = dry_run(*args, **more)
    check_wire(octets)
    return email.message_from_bytes(octets, policy=email.policy.SMTP)


def check_wire(octets):
    assert octets.endswith(b"\r\n") and b"\0" not in octets
    assert b"\n" not in octets.replace(b"\r\n", b"") and b"\r" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 998


def shape(part):
    """multipart/mixed of two parts: ["mixed", "text/plain", "image/png"]."""
    assert not part.defects
    if not part.is_multipart() or part.get_content_maintype() == "message":
        return part.get_content_type()
    return [part.get_content_subtype(), *map(shape, part.get_payload())]


def octets_of(part):
    return part.get_payload(decode=True)


B, H = ["--body=text"], ["--attach-type=text/html", "--attach-body=<p>html</p>"]
I, A = ["--attach-inline=/FILES/i.png"], ["--attach=/FILES/a.pdf"]
SHAPES = [
    ([], "text/plain"),
    (B, "text/plain"),
    (H, "text/html"),
    (B + H, ["alternative", "text/plain", "text/html"]),
    (H + B, ["alternative", "text/plain", "text/html"]),
    (A, ["mixed", "text/plain", "application/pdf"]),
    (B + A, ["mixed", "text/plain", "application/pdf"]),
    (A + B + A, ["mixed", "text/plain", "application/pdf", "application/pdf"]),
    (B + I, ["related", "text/plain", "image/png"]),
    (B + H + I, ["related", ["alternative", "text/plain", "text/html"], "image/png"]),
    (I + H + B + A, ["mixed", ["related", ["alternative", "text/plain", "text/html"], "image/png"], "application/pdf"]),
    (H + A, ["mixed", "text/html", "application/pdf"]),
]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "i.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (tmp_path / "a.pdf").write_bytes(random.Random(1).randbytes(5000))
    return tmp_path


@pytest.mark.parametrize("words,want", SHAPES, ids=[str(i) for i in range(len(SHAPES))])
def test_structure(files, words, want):
    m = compose("--subject=s", *(w.replace("/FILES", str(files)) for w in words), "b@example.org")
    assert shape(m) == want
    assert m["MIME-Version"] == "1.0" and m["Subject"] == "s" and m["To"] == "b@example.org" and m["From"] and m["Date"]
    for part in m.walk():
        if part.get_content_type() == "application/pdf":
            assert octets_of(part) == (files / "a.pdf").read_bytes()
            assert part.get_filename() == "a.pdf" and part.get_content_disposition() == "attachment"
        if part.get_content_type() == "image/png":
            assert octets_of(part) == (files / "i.png").read_bytes()
            assert part["Content-ID"] == "<i.png>" and part.get_content_disposition() == "inline"


NAMES = ["a.bin", "a b.bin", 'q"uo\\te.bin', "ä.bin", "日本語のとても長いファイル名.bin", "x" * 190 + ".bin", "ß" * 90 + ".bin", "%41.bin", "a;b=c.bin",
         "a'b'c.bin"]


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\1")
    by_path = compose("--attach", str(tmp_path / name), "b@example.org").get_payload()[1]
    by_word = compose("--attach-name", name, "--attach", str(tmp_path / name), "b@example.org").get_payload()[1]
    assert by_path.get_filename() == by_word.get_filename() == name
    assert not by_path.defects and octets_of(by_path) == b"\0\1"
    none = compose("--attach-name=", "--attach", str(tmp_path / name), "b@example.org").get_payload()[1]
    assert none.get_filename() is None and none.get_content_disposition() == "attachment"


def test_a_name_cannot_break_out(tmp_path):
    name = "a\r\nX-Evil: 1\n\n.txt"
    (tmp_path / name).write_bytes(b"x")
    for args in (["--attach", str(tmp_path / name)], ["--attach-name", name, "--attach", "/etc/hostname"]):
        part = compose(*args, "b@example.org").get_payload()[1]
        assert part["X-Evil"] is None and part.get_filename() == "a__X-Evil: 1__.txt"


@pytest.mark.parametrize("option", ["--subject=a\nBcc: x@example.org", "--to=a@example.org\nX: y", "--header=X: y\n\nbody", "--header=X : y",
                                    "--header=no colon", "--header=Content-Type: text/html", "--attach-type=text/plain\r\nX: y",
                                    "--attach-id=a>\r\nX: y", "--attach-charset=a\nb"])
def test_no_header_is_smuggled(option):
    words = [option, "--attach=/etc/hostname"]
    if option.startswith("--attach-charset"):
        words = [option, "--attach-body=x"]
    got = client.envoi(*OPTIONS, *words, "b@example.org")
    assert got.status == 64 and "hint" in got.err or "cannot hold" in got.err, got


def test_small_files_are_identical(tmp_path):
    rng = random.Random(2)
    files = []
    for n in range(0, 201):
        path = tmp_path / f"{n}.bin"
        path.write_bytes(rng.randbytes(n))
        files.append(path)
    m = compose("--body=x", *(f"--attach={p}" for p in files), "b@example.org")
    assert [octets_of(p) for p in m.get_payload()[1:]] == [p.read_bytes() for p in files]


TEXTS = {
    "plain": b"one\ntwo\n",
    "no end": b"one\ntwo",
    "empty": b"",
    "8bit": "höher\n".encode(),
    "long": b"x" * 5000 + b"\n" + "ä".encode() * 800 + b" \n\t",
    "long words": (b"word " * 400 + b"\n") * 3,
    "equals": b"a=b=41\n" + b"=" * 2000 + b"\n",
    "dots": b".\n..\n.a\n",
    "from": b"From me\n>From you\n",
    "boundary": b"--=_m_00\nx\n--=_m_00--\n",
    "blank lines": b"\n\n\n",
    "998": b"x" * 998 + b"\n" + b"y" * 999 + b"\n",
    "crossing blocks": "ü".encode() * 300 + b"\n" + ("a" * 57 + "é\n").encode() * 40000,
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("way", ["body", "attach"])
def test_texts(tmp_path, kind, way):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXTS[kind])
    m = compose(*([f"--body=@{path}"] if way == "body" else ["--body=x", f"--attach={path}"]), "b@example.org")
    part = m if way == "body" else m.get_payload()[1]
    got = octets_of(part).replace(b"\r\n", b"\n")
    want = TEXTS[kind]
    if way == "body" and want and not want.endswith(b"\n") and part["Content-Transfer-Encoding"] in (None, "8bit", "quoted-printable"):
        want += b"\n"
    assert got == want
    longest = max(map(len, TEXTS[kind].split(b"\n")))
    quoted = longest > 998 or kind == "boundary"
    assert part["Content-Transfer-Encoding"] == ("quoted-printable" if quoted else "8bit" if max(TEXTS[kind], default=0) > 127 else None)
    if quoted:
        assert max(map(len, part.get_payload().splitlines())) <= 76


@pytest.mark.parametrize("text", [b"crlf\r\nlf\ncr\r", b"latin \xe4\n", b"nul\0\n", "utf16".encode("utf-16")], ids=str)
def test_an_attached_text_that_is_none_arrives_octet_for_octet(tmp_path, text):
    (tmp_path / "a.log").write_bytes(text)
    part = compose("--body=x", f"--attach={tmp_path / 'a.log'}", "b@example.org").get_payload()[1]
    assert octets_of(part) == text and part.get_content_type() == "text/plain"


def test_charsets(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"h\xf6her\n")
    m = compose("--attach-charset=iso-8859-1", f"--body=@{tmp_path / 'a.txt'}", "b@example.org")
    assert m.get_content().replace("\r\n", "\n") == "höher\n"
    got = client.envoi(*OPTIONS, f"--body=@{tmp_path / 'a.txt'}", "b@example.org")
    assert got.status == 65 and "is not UTF-8" in got.err and "--attach-charset" in got.err


@pytest.mark.parametrize("subject", ["Grüße", "a Grüße und ß b", "x" * 2000, "ü" * 300, "word " * 60, "=?UTF-8?Q?no?=", "日本語 " * 30, ""])
def test_subjects(subject):
    m = compose("--subject", subject, "--body=x", "b@example.org")
    assert str(m["Subject"]).strip() == subject.strip()


def test_addresses():
    m = compose("--to=Jürgen Groß <j@example.org>, c@example.org", "--cc=\"Doe, Jane\" <d@example.org>", "--bcc=e@example.org", "--body=x", "b@example.org")
    assert [(a.display_name, a.addr_spec) for a in m["To"].addresses] == [("Jürgen Groß", "j@example.org"), ("", "c@example.org"), ("", "b@example.org")]
    assert [(a.display_name, a.addr_spec) for a in m["Cc"].addresses] == [("Doe, Jane", "d@example.org")]
    assert m["Bcc"] is None
    done = client.envoi(*OPTIONS, "--to=j@example.org", "--bcc=e@example.org", "b@example.org", "--body=x")
    assert [line for line in done.out.splitlines() if line.startswith("# recipient")] == [
        "# recipient <b@example.org>", "# recipient <j@example.org>", "# recipient <e@example.org>"]


def test_headers_said():
    m = compose("--header=To: list@example.org", "--header=X-Prio: 1", "--header=x-prio: 2", "--header=Subject: mine", "--subject=other", "--body=x",
                "b@example.org")
    assert m.get_all("To") == ["list@example.org"] and m.get_all("X-Prio") == ["1", "2"] and m.get_all("Subject") == ["mine"]


@pytest.mark.parametrize("words,said", [
    (["--attach=/dev/null", "--attach-name=x"], "nothing follows that '--attach-name' is for"),
    (["--attach=/dev/null", "--attach-type=text/html"], "nothing follows that '--attach-type' is for"),
    (["--attach-id=x"], "nothing follows that '--attach-id' is for"),
    (["--body=x", "--attach-charset=utf-8"], "nothing follows that '--attach-charset' is for"),
    (["--body=x", "--header=bcc: c@example.org"], "'Bcc' in --header names no recipient"),
])
def test_what_would_be_lost_is_said(words, said):
    got = client.envoi(*OPTIONS, *words, "b@example.org")
    assert got.status == 64 and said in got.err and "hint: " in got.err, got


def test_a_text_that_is_said_again():
    assert compose("--body=first", "--body=second", "b@example.org").get_content().strip() == "second"
    done = client.envoi(*OPTIONS, "-t", "--body=x", "--header=Bcc: c@example.org", "b@example.org")
    assert done.status == 0 and "# recipient <c@example.org>" in done.out and "Bcc:" not in done.out
    assert compose("--attach-charset=iso-8859-1", "b@example.org", stdin=b"\xe9\n").get_content().strip() == "é"


def test_standard_input():
    assert compose("--subject=x", "b@example.org", stdin=b"piped\n").get_content() == "piped\r\n"
    m = compose("--subject=x", "--attach-name=x.bin", "--attach=-", "b@example.org", stdin=b"\0piped\n")
    assert shape(m) == ["mixed", "application/octet-stream"] and octets_of(m.get_payload()[0]) == b"\0piped\n"
    m = compose("--attach-type=text/plain", "--attach-body=-", "--attach-name=x", "--attach=-", "b@example.org", stdin=b"twice\n" * 300000)
    assert [octets_of(p).replace(b"\r\n", b"\n") for p in m.get_payload()] == [b"twice\n" * 300000] * 2
    plain = dry_run("b@example.org", stdin=b"Subject: whole\n\nbody\n")
    assert b"MIME-Version" not in plain and plain.startswith(b"Subject: whole\r\n")


def test_attached_messages(tmp_path):
    inner = dry_run("--subject=inner", "--body=ä", "--attach=/etc/hostname", "c@example.org")
    (tmp_path / "m.eml").write_bytes(inner)
    part = compose("--body=x", f"--attach={tmp_path / 'm.eml'}", "b@example.org").get_payload()[1]
    assert part.get_content_type() == "message/rfc822" and part["Content-Transfer-Encoding"] == "8bit"
    assert part.get_payload()[0]["Subject"] == "inner" and shape(part.get_payload()[0])[0] == "mixed"
    (tmp_path / "m.eml").write_bytes(b"Subject: x\n\n" + b"y" * 999)
    got = client.envoi(*OPTIONS, f"--attach={tmp_path / 'm.eml'}", "b@example.org")
    assert got.status == 65 and "application/octet-stream" in got.err


@pytest.mark.parametrize("path,words", [("/no/such", "No such file"), ("/etc", "is a directory"), ("", "needs a value")])
@pytest.mark.parametrize("option", ["--attach", "--body"])
def test_what_cannot_be_read(option, path, words):
    if option == "--body" and not path:
        pytest.skip("an empty body is one")
    got = client.envoi(*OPTIONS, option, ("@" if option == "--body" else "") + path, "b@example.org")
    assert got.status in (64, 66) and words in got.err and (words == "needs a value" or "hint:" in got.err), got


def run_measured(*args, stdin="/dev/null"):
    """Exit status and the peak of memory, in KiB."""
    pid = os.posix_spawn(client.ENVOI, [client.ENVOI, *args], client.environment(), file_actions=[(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss


@pytest.fixture
def port(tmp_path):
    with client.sink("--listen=:0", f"--maildir={tmp_path / 'box'}") as (port,):
        yield port


def test_a_big_file_in_constant_memory(tmp_path, port):
    big = tmp_path / "big.bin"
    big.write_bytes(random.Random(3).randbytes(50 << 20))
    peaks = []
    for path in ("/etc/hostname", str(big)):
        status, peak = run_measured("--host=localhost", f"--port={port}", "--tls=off", "--from=a@example.org", "--subject=big", "--body=x",
                                    f"--attach={path}", "b@example.org")
        assert status == 0
        peaks.append(peak)
    stored = max((tmp_path / "box/new").iterdir(), key=lambda p: p.stat().st_size)
    m = email.message_from_bytes(stored.read_bytes(), policy=email.policy.default)
    assert octets_of(m.get_payload()[1]) == big.read_bytes()
    assert peaks[1] < peaks[0] + 6000, peaks


def test_a_pipe_streams(tmp_path, port):
    octets = random.Random(4).randbytes(5 << 20)
    got = client.envoi("--host=localhost", f"--port={port}", "--tls=off", "--from=a@example.org", "--body=x", "--attach=-", "b@example.org",
                       message=octets)
    assert got.status == 0, got
    m = email.message_from_bytes(next((tmp_path / "box/new").iterdir()).read_bytes(), policy=email.policy.default)
    assert octets_of(m.get_payload()[1]) == octets
