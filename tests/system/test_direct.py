"""Straight to the mail exchangers, against real Postfix: who gets the message, over which connections, and what is said of those who
do not get it. How well the connections are protected is test_direct_dane.py's and test_direct_sts.py's."""

import json
import re
import time

import pytest

import client
from mxbed import IPV6, NOBODY, OURS, at, fates
from mxbed_zones import BULK, COINS, TARPITS

TEN = [f"r{i}" for i in range(10)]


def to_one(bed, address, status, fate, enhanced=None, options=(), **more):
    """A message to one address; its object of the report."""
    result = bed.send(address, options=options, **more)
    assert result.status == status, result
    row = fates(result)[address]
    assert row["fate"] == fate, result
    if enhanced:
        assert row["enhanced"] == enhanced, result
    return result, row


# ---- one domain

def test_one_recipient(exchangers):
    result, row = to_one(exchangers, "b@one.test", 0, "accepted")
    assert exchangers.postfix.stored(result.token, 1) == [("b@one.test", "pf10")]
    assert exchangers.connections() == {at(10): 1}
    assert row["host"] == "pf10.mx.test"


@pytest.mark.parametrize("address, host", [
    ("b@bücher.test", "pf11"),
    ("b@two.test", "pf12"),
    ("b@six.test", "six"),
    ("b@alias-mx.test", "pf10"),
    ("b@alias.test", "pf10"),
    ("b@bulk15.test", "pf10"),
    ("b@dead-first.test", "pf14"),
    (f"b@[{at(10)}]", "pf10"),
    (f"b@[IPv6:{IPV6}21]", "six"),
])
def test_host(exchangers, address, host):
    result, _ = to_one(exchangers, address, 0, "accepted")
    assert [h for _, h in exchangers.postfix.stored(result.token, 1)] == [host]


# What keeps mail from a domain. Nobody is connected to where connections are none.
@pytest.mark.parametrize("address, status, fate, code, enhanced, connections", [
    ("b@no-such-domain.test", 68, "refused", 550, "5.1.2", {}),
    ("b@null.test", 68, "refused", 556, "5.1.10", {}),
    ("b@x.lame.test", 75, "deferred", 451, "4.4.3", {}),
    ("b@bogus.test", 75, "deferred", 451, None, {}),
    ("b@dead.test", 75, "deferred", None, None, {NOBODY: 1}),
    ("b@cut.test", 75, "deferred", None, None, {NOBODY: 1}),
    ("b@self.test", 68, "refused", None, "5.4.6", {}),
    ("b@ours.test", 68, "refused", None, "5.4.6", {}),
    (f"b@[{OURS}]", 68, "refused", None, "5.4.6", {}),
    ("unknown@one.test", 67, "refused", 550, "5.1.1", {at(10): 1}),
    ("full@one.test", 75, "deferred", 452, "4.2.2", {at(10): 1}),
])
def test_not_delivered(exchangers, address, status, fate, code, enhanced, connections):
    _, row = to_one(exchangers, address, status, fate, enhanced)
    assert code in (None, row["code"])
    assert exchangers.connections() == connections


@pytest.mark.parametrize("domain, host", [("nowhere.test", "no-such-host"), ("loop.test", "loop1")])
def test_mx_without_address(exchangers, domain, host):
    """A dangling MX, or a CNAME that leads to itself: somebody may notice tomorrow, or never."""
    result = exchangers.send(f"b@{domain}")
    assert result.status in (68, 75), result
    assert fates(result)[f"b@{domain}"]["fate"] in ("refused", "deferred")
    assert host in result.err, result


def test_greylisting_tells_when(exchangers):
    result, row = to_one(exchangers, "grey@one.test", 75, "deferred", "4.2.0")
    assert "5 minutes" in row["reply"]
    assert re.search(r"asked to come back in 5 minutes", result.err), result


# ---- several hosts

def test_refused_for_now_goes_to_the_next(exchangers):
    """Only those that the first host did not take; the others once."""
    first = exchangers.sink(at(50), "--reject=rcpt=later*:450:4.3.2 busy")
    result = exchangers.send("a@sink-first.test", "later@sink-first.test")
    assert result.status == 0, result
    assert exchangers.postfix.stored(result.token, 1) == [("later@sink-first.test", "pf16")]
    assert [m["recipients"] for m in first.end()] == [["a@sink-first.test"]]
    assert fates(result)["later@sink-first.test"]["host"] == "pf16.mx.test"


@pytest.mark.parametrize("fault", ["--reject=connect:554:5.3.2 no service here", "--reject=connect:421:4.3.2 busy", "--drop=connect",
                                   "--drop=ehlo", "--drop=mail", "--drop=rcpt", "--drop=data", "--drop=body=100",
                                   "--reject=mail:450", "--reject=data:451", "--reject=message:450:4.3.0 disk full"])
def test_next_host(exchangers, fault):
    """Without CHUNKING: with it all of a short message is on its way before the first reply, and may have been taken."""
    sink = exchangers.sink(at(50), fault, "--extensions=-CHUNKING")
    result, row = to_one(exchangers, "b@sink-first.test", 0, "accepted", body=b"more than sockets hold\n" * 200_000)
    assert [h for _, h in exchangers.postfix.stored(result.token, 1)] == ["pf16"]
    assert row["host"] == "pf16.mx.test"
    assert sink.end() == []


@pytest.mark.parametrize("fault", ["--reject=mail:550:5.7.1 no", "--reject=rcpt:550:5.1.1 unknown", "--reject=data:554:5.7.1 no",
                                   "--reject=message:554:5.6.0 no"])
def test_a_final_word_is_final(exchangers, fault):
    exchangers.sink(at(50), fault)
    result = exchangers.send("b@sink-first.test")
    assert fates(result)["b@sink-first.test"]["fate"] == "refused", result
    assert exchangers.connections() == {at(50): 1}


@pytest.mark.parametrize("fault", ["--drop=stored", "--drop=message"])
def test_may_have_been_sent(exchangers, fault):
    """The connection breaks after the end of the message: nobody is asked again."""
    exchangers.sink(at(50), fault)
    _, row = to_one(exchangers, "b@sink-first.test", 75, "uncertain")
    assert exchangers.connections() == {at(50): 1}


def test_at_most_five_addresses(exchangers):
    result = exchangers.send("b@many-dead.test")
    assert result.status == 75
    tried = exchangers.connections()
    assert len(tried) == 5 and set(tried.values()) == {1}, tried
    assert tried.keys() == {at(100 + i) for i in range(1, 6)}


def test_a_broken_family_does_not_use_up_the_limit(exchangers):
    """Eight addresses that refuse, of one family, and one that does not, of the other."""
    to_one(exchangers, "b@broken-family.test", 0, "accepted")


def test_equal_preferences_share_the_load(exchangers):
    """60 domains with two hosts each: how a coin falls; outside 12…48 once in a million runs."""
    result = exchangers.send(*(f"b@{domain}" for domain in COINS))
    assert result.status == 0, result
    tried = exchangers.connections()
    assert sum(tried.values()) == 60
    assert 12 <= tried[at(10)] <= 48, tried


def test_one_connection_for_equal_sets(exchangers):
    """Also where preferences are equal: whichever it is, it is one."""
    result = exchangers.send("b@equal.test", "c@equal.test")
    assert result.status == 0, result
    assert sum(exchangers.connections().values()) == 1


def test_sixty_hosts(exchangers):
    """The best takes it; the others are not even looked for longer than it takes."""
    to_one(exchangers, "b@sixty.test", 0, "accepted")
    assert exchangers.connections() == {at(10): 1}


def test_a_domain_is_one_however_it_is_spelt(exchangers):
    result = exchangers.send("b@one.test", "c@ONE.test", "d@One.Test", "e@bücher.test", "f@BÜCHER.test", "g@xn--bcher-kva.test")
    assert result.status == 0, result
    assert exchangers.connections() == {at(10): 1, at(11): 1}


# ---- many domains

def exchanger_set(domain):
    """The hosts that may have taken a message for a domain of BULK."""
    hosts = BULK[domain]
    return {"pf10"} if hosts == [] else {h for p, h in hosts if p == min(p for p, _ in hosts)}


def test_200_recipients_in_20_domains(exchangers):
    people = [f"{r}@{domain}" for domain in BULK for r in TEN]
    people[people.index("r3@bulk7.test")] = "unknown3@bulk7.test"
    people[people.index("r4@bulk8.test")] = "full4@bulk8.test"
    result = exchangers.send(*people)
    assert result.status == 79, result

    rows = fates(result)
    assert len(rows) == 200
    failed = {a for a in people if a.split("@")[1] in ("bulk16.nx.test", "bulk17.test", "bulk18.test", "bulk19.lame.test")}
    failed |= {"unknown3@bulk7.test", "full4@bulk8.test"}
    assert {a for a in people if rows[a]["fate"] != "accepted"} == failed
    for address, fate, enhanced in (("r0@bulk16.nx.test", "refused", "5.1.2"), ("r1@bulk17.test", "refused", "5.1.10"),
                                    ("r2@bulk18.test", "deferred", None), ("r3@bulk19.lame.test", "deferred", "4.4.3"),
                                    ("unknown3@bulk7.test", "refused", "5.1.1"), ("full4@bulk8.test", "deferred", "4.2.2")):
        assert rows[address]["fate"] == fate, rows[address]
        assert enhanced in (None, rows[address]["enhanced"]), rows[address]

    arrived = exchangers.postfix.stored(result.token, 200 - len(failed))
    assert [a for a, _ in arrived] == sorted(set(people) - failed)                     # once each
    assert all(host in exchanger_set(a.split("@")[1]) for a, host in arrived), arrived

    # One connection for each set of hosts, though several domains have it. pf10 is also the address of a domain without MX.
    tried = exchangers.connections()
    assert tried.pop(at(10)) == 2 and at(11) not in tried
    assert sum(tried.pop(a, 0) for a in (at(13), at(14))) == 1
    assert sum(tried.pop(a, 0) for a in (at(20), f"{IPV6}20")) == 1
    assert tried == {at(12): 1, **{at(n): 1 for n in range(15, 20)}, f"{IPV6}21": 1, at(28): 1, NOBODY: 1}
    for name in ("bulk16.nx.test", "bulk17.test", "bulk18.test", "bulk19.lame.test", "unknown3@bulk7.test", "full4@bulk8.test"):
        assert name in result.err


def test_late_servers_hold_up_nobody(exchangers, tmp_path):
    """Three of twenty greet late: all others have their mail before."""
    for n in range(3):
        exchangers.sink(at(60 + n), "--delay=connect:1.5")
    transcript = tmp_path / "transcript"
    result = exchangers.send(*(f"b@{domain}" for domain in TARPITS),
                             options=[f"--transcript={transcript}", "--transcript-format=json"])
    assert result.status == 0, result
    events = [json.loads(line) for line in transcript.read_text().splitlines()]
    late = {e["connection"] for e in events if e["event"] == "connected" and e["address"] in {at(60 + n) for n in range(3)}}
    greeted = [e["t"] for e in events if e["event"] == "greeting" and e["connection"] in late]
    taken = [e["t"] for e in events if e["event"] == "server" and "queued as" in e["line"] and e["connection"] not in late]
    assert len(greeted) == 3 and len(taken) == 10  # 17 domains at ten hosts
    assert max(taken) < min(greeted)


def test_silent_servers_hold_up_nobody(exchangers):
    """Hosts that do not answer at all use up their own time, not the others', and not more than the run has."""
    exchangers.silence(at(12), at(13))
    before = time.monotonic()
    result = exchangers.send("b@two.test", "b@one.test", "b@null.test", options=["--deadline=3"])
    assert time.monotonic() - before < 6
    assert result.status == 79, result
    assert {a: r["fate"] for a, r in fates(result).items()} == {"b@two.test": "deferred", "b@one.test": "accepted",
                                                                "b@null.test": "refused"}
    exchangers.postfix.stored(result.token, 1)


def test_a_signal(exchangers):
    """What is under way is given up, what was taken was taken, and both are told."""
    sink = exchangers.sink(at(50), "--delay=connect:60")
    token, text = client.message()
    process = exchangers.start("send", *exchangers.options(), "--json", "b@one.test", "b@sink.test")
    process.stdin.write(text)
    process.stdin.close()
    exchangers.postfix.stored(token, 1)
    exchangers.postfix.sessions("pf10", 1)
    process.terminate()
    report = json.loads(process.stdout.read())
    assert process.wait(10) == 79
    assert {r["address"]: r["fate"] for r in report["recipients"]} == {"b@one.test": "accepted", "b@sink.test": "not-tried"}
    assert sink.end() == []


def test_a_big_message_to_several_groups(exchangers):
    """More than is held in memory, from a pipe: each group gets all of it."""
    body = b"".join(b"%07d %s\n" % (i, b"x" * 60) for i in range(45000))
    result = exchangers.send("b@one.test", "b@two.test", "b@dead-first.test", "b@dead.test", body=body)
    assert result.status == 79, result
    copies = exchangers.postfix.server.wait_for(result.token, 3)
    for copy in copies:
        assert client.canonical(copy).split(b"\n\n", 1)[1] == body


def test_more_recipients_than_a_server_takes(exchangers):
    """It takes 100, as every server does (RFC 5321 4.5.3.1.8): the others follow on the same connection."""
    people = [f"r{i}@small.test" for i in range(150)]
    result = exchangers.send(*people)
    assert result.status == 0, result
    assert [a for a, _ in exchangers.postfix.stored(result.token, 150)] == sorted(people)
    assert exchangers.connections() == {at(28): 1}


# ---- what some servers cannot

def test_smtputf8_needed(exchangers):
    """Who offers it gets the message; for the others it is said so, and nothing is sent."""
    sink = exchangers.sink(at(50), "--extensions=-SMTPUTF8")
    result = exchangers.send("ü@one.test", "ü@sink.test")
    assert result.status == 79, result
    rows = fates(result)
    assert rows["ü@one.test"]["fate"] == "accepted"
    assert rows["ü@sink.test"]["fate"] == "refused", result
    assert "SMTPUTF8" in result.err
    assert "MAIL" not in sink.dialogue()


def test_smtputf8_not_needed(exchangers):
    """ASCII addresses and headers: no server has to offer it."""
    sink = exchangers.sink(at(50), "--extensions=-SMTPUTF8")
    result = exchangers.send("b@sink.test")
    assert result.status == 0, result
    assert len(sink.end()) == 1


def test_smtputf8_offered_by_the_next(exchangers):
    exchangers.sink(at(50), "--extensions=-SMTPUTF8")
    result, _ = to_one(exchangers, "ü@sink-first.test", 0, "accepted")
    assert [h for _, h in exchangers.postfix.stored(result.token, 1)] == ["pf16"]


def test_dsn_only_where_offered(exchangers):
    with_dsn, without = exchangers.sink(at(50)), exchangers.sink(at(52), "--extensions=-DSN")
    result = exchangers.send("b@sink.test", "b@sink6.test", options=["--dsn-notify=failure"])
    assert any("NOTIFY=FAILURE" in p for m in with_dsn.end() for p in m["parameters"])
    assert not any("NOTIFY" in p for m in without.end() for p in m["parameters"]), result


# ---- what is said

def test_log(exchangers, tmp_path):
    log = tmp_path / "log"
    result = exchangers.send("b@one.test", "b@clear.test", "b@null.test", options=[f"--logfile={log}"])
    assert result.status == 79, result
    text = log.read_text()
    assert "may:encrypt" in text and "may:none" in text, text
    assert "exitcode=EX_" in text or "exitcode=79" in text, text


def test_json(exchangers):
    result = exchangers.send("b@one.test", "b@clear.test", "b@null.test")
    rows = fates(result)
    assert (rows["b@one.test"]["policy"], rows["b@one.test"]["host"]) == ("may:encrypt", "pf10.mx.test")
    assert (rows["b@clear.test"]["policy"], rows["b@clear.test"]["host"]) == ("may:none", "clear.mx.test")
    assert rows["b@null.test"]["code"] == 556


def test_json_keeps_connections_apart(exchangers):
    """Two dialogues at once: each reply stands with its own command, no member is there twice."""
    def once(pairs):
        assert len({k for k, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    result = exchangers.send("b@one.test", "b@two.test", "b@bad311.test")
    replies = json.loads(result.out, object_pairs_hook=once)["replies"]
    for connection in (1, 2, 3):
        commands = [r.get("command", "").split(" ")[0] for r in replies if r["connection"] == connection]
        assert commands[:3] == ["", "EHLO", "STARTTLS"], commands
        assert commands[3:] in ([], ["EHLO", "MAIL", "RCPT", "BDAT"]), commands


def test_all_or_nothing(exchangers):
    """Nobody can be told to wait for a server elsewhere; what is known before the first connection counts."""
    result = exchangers.send("b@one.test", "b@null.test", options=["--all-or-nothing"])
    assert result.status not in (0, 79), result


def test_no_received_header_is_added(exchangers):
    result, _ = to_one(exchangers, "b@one.test", 0, "accepted")
    (copy,) = exchangers.postfix.server.wait_for(result.token)
    assert len(re.findall(rb"^Received:", copy, re.MULTILINE)) == 1


def test_host_mx_in_a_file(exchangers, tmp_path):
    """The same by a configuration file."""
    rc = tmp_path / "config"
    rc.write_text("account direct\nhost mx\nfrom a@example.org\ndomain client.test\n"
                  f"dns_server {exchangers.names.server}\ndns_anchor {exchangers.dns.anchor}\ntls_trust_file {exchangers.certs.ca}\n")
    rc.chmod(0o600)
    token, text = client.message()
    result = exchangers.envoi("send", "-C", rc, "-a", "direct", "b@one.test", message=text)
    assert result.status == 0, result
    assert exchangers.postfix.stored(token, 1) == [("b@one.test", "pf10")]


def test_name_said_in_ehlo(exchangers):
    """It has the address that the account sends from, and the address has it: nothing to say."""
    result, _ = to_one(exchangers, "b@one.test", 0, "accepted", options=[f"--source-ip={OURS}"])
    assert "client.test" not in result.err, result
    assert f"connect from unknown[{OURS}]" in exchangers.postfix.log()


def test_another_name_said_in_ehlo(exchangers):
    """Receivers compare: a warning with the address, its name and the one said. The message is sent."""
    result, _ = to_one(exchangers, "b@one.test", 0, "accepted", options=[f"--source-ip={OURS}", "--domain=bulk15.test"])
    assert all(word in result.err for word in ("bulk15.test", OURS, "client.test")), result


def test_name_server_gone(exchangers):
    exchangers.names.manner = "refused"
    to_one(exchangers, "b@one.test", 75, "deferred", "4.4.3")
    assert exchangers.connections() == {}


@pytest.mark.parametrize("manner", ["strip", "unsigned"])
def test_signatures_taken_out(exchangers, manner):
    """Never silently without: a temporary failure that says what is wrong, and how to go without."""
    exchangers.names.manner = manner
    result, _ = to_one(exchangers, "b@one.test", 75, "deferred")
    assert "DNSSEC" in result.err and "dnssec" in result.err, result
    assert exchangers.connections() == {}


def test_without_dnssec(exchangers):
    exchangers.names.manner = "strip"
    _, row = to_one(exchangers, "b@bad311.test", 0, "accepted", options=["--dnssec=off"])
    assert row["policy"] == "may:encrypt"
