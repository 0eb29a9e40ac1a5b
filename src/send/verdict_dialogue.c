/* verdict_dialogue: the rules for a server that was reached: what it says, its TLS, its certificate, its logins. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "send/hint.h"
#include "send/verdict_rules.h"

/* ---- questions ---- */

static bool straight(const struct view *w)
{
    return w->straight;
}

static bool ipv6_lost(const struct view *w)
{
    return w->lost_all && w->lost == AF_INET6;
}

static bool ipv4_lost(const struct view *w)
{
    return w->lost_all && w->lost == AF_INET;
}

static bool lost_by_silence(const struct view *w)
{
    return w->lost && (w->lost == AF_INET6 ? w->v6 : w->v4).of[CLASS_SILENT];
}

static bool lost_by_rejection(const struct view *w)
{
    return w->lost;
}

static bool partly(const struct view *w)
{
    return w->partly;
}

static bool open_here(const struct view *w)
{
    return w->here && sight_is_open(w->here) && w->here->looked;
}

static bool nearer_answer(const struct view *w)
{
    return open_here(w) && w->path.nearer && !view_verified(w->here) && !view_verified(w->crossed);
}

static bool same_as_control(const struct view *w)
{
    const struct sight *a = w->here, *b = w->control;
    return open_here(w) && b && a->greeting && b->greeting && !view_verified(a) && !view_verified(b)
           && !a->banner_masked && strcmp(a->greeting, b->greeting) == 0 && a->address && b->address
           && strcmp(a->address, b->address) != 0;
}

static bool foreign_certificate(const struct view *w)
{
    bool local;
    const struct sight *v = w->certificate;
    return v && v->tls.sha256 && !v->tls.verified && words_interceptor(v->tls.issuer, &local);
}

static bool starttls_masked(const struct view *w)
{
    return open_here(w) && w->here->starttls_masked;
}

static bool banner_masked(const struct view *w)
{
    return open_here(w) && w->here->banner_masked;
}

static bool small_segments_help(const struct view *w)
{
    return w->small;
}

static bool greets(const struct sight *v)
{
    return v->greeting || (v->heard && strncmp(v->heard, "220", 3) == 0);
}

static bool plain_on_tls(const struct view *w)
{
    return open_here(w) && !w->here->implicit && !w->here->heard && w->crossed && w->crossed->tls.sha256;
}

static bool tls_on_plain(const struct view *w)
{
    return open_here(w) && w->here->implicit && !w->here->tls.up
           && (greets(w->here) || (w->crossed && greets(w->crossed)));
}

static const char *first_line(const struct view *w)
{
    return !w->here ? NULL : w->here->heard || !w->crossed ? w->here->heard : w->crossed->heard;
}

static bool is_reply(const char *line)
{
    return line && strlen(line) >= 3 && ascii_isdigit(line[0]) && ascii_isdigit(line[1]) && ascii_isdigit(line[2]);
}

static bool other_protocol(const struct view *w)
{
    return open_here(w) && words_protocol(first_line(w));
}

static bool no_reply(const struct view *w)
{
    return open_here(w) && first_line(w) && !is_reply(first_line(w));
}

static bool wants_tls(const struct view *w)
{
    return w->s->question.tls == SESSION_TLS_REQUIRED || w->s->question.tls == SESSION_TLS_STRICT
           || w->s->question.tls == SESSION_TLS_IMPLICIT;
}

static bool starttls_missing(const struct view *w)
{
    const struct sight *v = w->crossed && !w->crossed->implicit ? w->crossed : w->here;
    return open_here(w) && view_ehlo(v) && !v->implicit && !v->tls.up && !v->starttls_offered && wants_tls(w);
}

static bool starttls_missing_here_only(const struct view *w)
{
    return starttls_missing(w) && w->proof;
}

static bool bad_certificate(const struct view *w)
{
    const struct sight *v = w->certificate;
    return open_here(w) && v->tls.problems.n && !v->tls.verified && w->s->question.verify;
}

static bool login_refused(const struct view *w)
{
    return open_here(w) && w->here->err.stage == STAGE_AUTH && w->here->err.fault == FAULT_AUTH && w->here->err.server;
}

static bool auth_missing(const struct view *w)
{
    const struct scene_question *q = &w->s->question;
    const struct sight *v = w->here;
    return open_here(w) && q->auth && view_ehlo(v) && v->err.stage != STAGE_EHLO && (v->tls.up || !wants_tls(w))
           && (q->mechanism ? !strlist_has_nocase(words_mechanisms(v), q->mechanism) : words_mechanisms(v)->n == 0);
}

static bool no_mechanism(const struct view *w)
{
    return auth_missing(w) && words_mechanisms(w->here)->n == 0;
}

static bool tls_fails(const struct view *w)
{
    return open_here(w) && err_is_set(&w->here->err) && !w->here->tls.up
           && (w->here->heard || !w->here->closed_at_once || w->hangs_up_on_tls)
           && ((w->here->err.stage == STAGE_TLS && (w->here->heard || w->here->err.fault != FAULT_TIMEOUT))
               || w->here->err.stage == STAGE_STARTTLS);
}

static bool closed_at_once(const struct view *w)
{
    return w->here && !w->hangs_up_on_tls
           && ((open_here(w) && w->here->closed_at_once && !w->here->heard)
               || (w->here->done && w->here->reason == ECONNRESET));
}

static bool says_no(const struct view *w, char digit)
{
    return open_here(w) && !w->here->greeting && is_reply(w->here->heard) && w->here->heard[0] == digit;
}

static bool blocked_by_word(const struct view *w)
{
    const struct reply_row *row = open_here(w) && w->here->heard ? hint_for_reply(w->here->heard) : NULL;
    return says_no(w, '5') && row && strcmp(row->class_, "ip-block") == 0;
}

static bool refuses_for_good(const struct view *w)
{
    return says_no(w, '5');
}

static bool refuses_for_now(const struct view *w)
{
    return says_no(w, '4');
}

static bool breaks_protocol(const struct view *w)
{
    return open_here(w) && w->here->err.fault == FAULT_PROTOCOL;
}

static bool says_nothing(const struct view *w)
{
    return open_here(w) && !w->here->heard && !w->here->tls.up;
}

static bool stops_answering(const struct view *w)
{
    return open_here(w) && w->here->err.fault == FAULT_TIMEOUT;
}

static bool fails_open(const struct view *w)
{
    return open_here(w) && err_is_set(&w->here->err);
}

/* ---- rules ---- */

const struct rule rules_of_dialogue[] = {
    /* it works, but not with whom it ought to */
    { VERDICT_INTERCEPTED, foreign_certificate, FAULT_CERTIFICATE,
      "{product} stands between this machine and '{host}': it shows a certificate of its own for port {port}",
      "[[exempt port {port} from the mail scanner on this machine{local}]][[" ASK
      " to exempt port {port} from inspection{!local}]]; do not trust that certificate for mail unless the "
      "administrator vouches for it",
      .flags = SHOW_HERE | SHOW_TLS | VERIFIED_ONLY },
    { VERDICT_INTERCEPTED, nearer_answer, FAULT_CERTIFICATE,
      "what answers on port {port} is most likely not '{host}': it stands at hop {nearer}, the host's other ports "
      "at hop {far}",
      WAY "[[" ASK " why port {port} is redirected{!way}]]; send no password until that is known",
      .flags = SHOW_HERE | SHOW_PATH | SHOW_EHLO | SHOW_TLS | VERIFIED_ONLY },
    { VERDICT_INTERCEPTED, same_as_control, FAULT_CERTIFICATE,
      "'{host}' and '{control}' greet with the same words on port {port}: most likely something on the way answers "
      "for both",
      WAY "[[" ASK " why port {port} is redirected{!way}]]; send no password until that is known",
      .flags = SHOW_HERE | SHOW_CONTROL | SHOW_EHLO | VERIFIED_ONLY },
    { VERDICT_STARTTLS_STRIPPED, starttls_masked, FAULT_UNAVAILABLE,
      "a firewall on the way rubs out STARTTLS on port {port} of '{host}': '{masked}' stands in its place",
      WAY "[[use port 465 where the server has it{!way}]]; Cisco firewalls do this (inspect esmtp, fixup protocol "
      "smtp), and their administrator can turn it off",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_BANNER_MASKED, banner_masked, FAULT_UNAVAILABLE,
      "a firewall on the way rewrites the greeting of '{host}' on port {port} into asterisks[[; mail passes all "
      "the same{straight}]]",
      "[[use {way}, which works; ]]Cisco firewalls do this (inspect esmtp, fixup protocol smtp), and their "
      "administrator can turn it off",
      .flags = SHOW_HERE | SHOW_EHLO },
    { VERDICT_IPV6_BROKEN, ipv6_lost, FAULT_CONNECT,
      "IPv6 does not work between this machine and '{host}': port {port} answers over IPv4 only",
      "mail gets through over IPv4; mend IPv6 here, or leave it out",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_MACHINE | WRITE_FAMILY },
    { VERDICT_IPV4_BROKEN, ipv4_lost, FAULT_CONNECT,
      "IPv4 does not work between this machine and '{host}': port {port} answers over IPv6 only",
      "mail gets through over IPv6; mend IPv4 here, or leave it out",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_MACHINE | WRITE_FAMILY },
    { VERDICT_PORT_FILTERED, lost_by_silence, FAULT_CONNECT,
      "port {port} of '{host}' does not answer over {lost}, though other ports do[[: packets to it are dropped "
      "{where}]]",
      "mail gets through over {kept}; " ASK " to open the port, or leave {lost} out",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE | WRITE_FAMILY },
    { VERDICT_PORT_REJECTED, lost_by_rejection, FAULT_CONNECT,
      "port {port} of '{host}' is refused over {lost}[[, by {rejected_by}]], though other ports are not",
      "mail gets through over {kept}; " ASK " to open the port, or leave {lost} out",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE | WRITE_FAMILY },
    { VERDICT_OK, straight, FAULT_NONE, "port {port} of '{host}' works[[: {summary}]]", NULL, .flags = SHOW_HERE },

    /* connected, and then */
    { VERDICT_MTU_BLACK_HOLE, small_segments_help, FAULT_LOST,
      "big packets get lost on the way to '{host}': port {port} hangs, and goes on with segments of {mss} octets",
      "lower the MTU of this machine's link (VPN, PPPoE), or have ICMP 'packet too big' let through; envoi itself "
      "can use small segments",
      .flags = SHOW_HERE },
    { VERDICT_PLAIN_ON_TLS_PORT, plain_on_tls, FAULT_CONFIG,
      "port {port} of '{host}' wants TLS from the start; the configuration waits for a greeting first",
      "[[use {other_way}, which works]][[set 'tls on' and 'tls_starttls off'{!port465}{!other_way}]]"
      "[[set 'tls_starttls off'{port465}{!other_way}]]",
      .flags = SHOW_HERE | SHOW_TLS | WRITE_CROSSED },
    { VERDICT_TLS_ON_PLAIN_PORT, tls_on_plain, FAULT_CONFIG,
      "port {port} of '{host}' greets in clear and wants STARTTLS; the configuration begins TLS at once",
      "[[use {other_way}, which works]][[set 'tls_starttls on'{!port465}{!other_way}]]"
      "[[set 'tls on' and 'tls_starttls on'{port465}{!other_way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | WRITE_CROSSED },
    { VERDICT_NOT_SMTP, other_protocol, FAULT_PROTOCOL,
      "what answers on port {port} of '{host}' speaks {protocol}, not SMTP",
      WAY "[[check 'host' and 'port'; in a network of guests open a web page first, it may want a login{!way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_NOT_SMTP, no_reply, FAULT_PROTOCOL,
      "what answers on port {port} of '{host}' does not speak SMTP: it says '{heard}'",
      WAY "[[check 'host' and 'port'{!way}]]", .flags = SHOW_HERE | SHOW_OTHERS },
    { VERDICT_STARTTLS_STRIPPED, starttls_missing_here_only, FAULT_UNAVAILABLE,
      "'{host}' offers no STARTTLS on port {port}, though it has TLS on another port: it is taken out on the way, "
      "or not set up there",
      WAY "[[" ASK ", or of the server, about it; do not send without TLS{!way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_STARTTLS_STRIPPED, starttls_missing, FAULT_UNAVAILABLE,
      "'{host}' offers no STARTTLS on port {port}, and the configuration wants TLS: it is taken out on the way, or "
      "the server has none",
      WAY "[[ask the server's administrator which port has TLS; 'tls off' would send everything in clear{!way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_CERTIFICATE_REVOKED, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' was revoked by its issuer",
      WAY "[[the server's administrator has to install a new one{!way}]]", .flags = SHOW_HERE | SHOW_TLS,
      .problem = "revoked" },
    { VERDICT_CERTIFICATE_UNTRUSTED_ISSUER, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' [[is signed by itself alone{self_signed}]][[was issued by "
      "'{issuer}', which this machine does not trust{!self_signed}]]",
      "[[use {way}, which works; else ]]compare the fingerprint with what the server's administrator says, then "
      "pin it; or name the issuer's file in 'tls_trust_file'",
      .flags = SHOW_HERE | SHOW_TLS | WRITE_PIN, .problem = "untrusted-issuer" },
    { VERDICT_CERTIFICATE_EXPIRED, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' expired[[ on {expired}]]",
      "[[use {way}, which works; ]]the server's administrator has to renew it[[, if this machine's clock is right: "
      "it says {today}]]",
      .flags = SHOW_HERE | SHOW_TLS, .problem = "expired" },
    { VERDICT_CERTIFICATE_NOT_YET_VALID, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' is not valid[[ before {begins}]]",
      "set this machine's clock[[: it says {today}]]; if that is right, the server's administrator has to mend the "
      "certificate",
      .flags = SHOW_HERE | SHOW_TLS, .problem = "not-yet-valid" },
    { VERDICT_CERTIFICATE_WRONG_NAME, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} is not for '{host}'[[, but for {names}]]",
      "[[use {way}, which works; else ]]set 'host' to a name of the certificate if that is the provider's; if it "
      "is not, another server answers in place of '{host}'",
      .flags = SHOW_HERE | SHOW_TLS, .problem = "wrong-name" },
    { VERDICT_CERTIFICATE_WRONG_FINGERPRINT, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' is not the one that 'tls_fingerprint' names",
      "ask the server's administrator whether it was renewed; only then write its new fingerprint",
      .flags = SHOW_HERE | SHOW_TLS, .problem = "wrong-fingerprint" },
    { VERDICT_CERTIFICATE_UNACCEPTABLE, bad_certificate, FAULT_CERTIFICATE,
      "the certificate on port {port} of '{host}' is not acceptable[[: {problem}]]",
      WAY "[[the server's administrator has to mend it{!way}]]", .flags = SHOW_HERE | SHOW_TLS },
    { VERDICT_LOGIN_REFUSED, login_refused, FAULT_AUTH,
      "'{host}' refused the login: [[{reply_cause}]][[{server}{!reply_cause}]]",
      "[[{reply_action}]][[check 'user' and the password{!reply_action}]]", .flags = SHOW_EHLO },
    { VERDICT_AUTH_NOT_OFFERED, no_mechanism, FAULT_UNAVAILABLE,
      "'{host}' offers no login on port {port}[[ under TLS, only before it{clear_login}]], and the configuration "
      "has one",
      WAY "[[use port 465 or 587, where logins are made{!way}]][[; port 25 is for mail between servers{port25}]]; "
      "where the server knows this machine by its address, 'auth off' sends without",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_AUTH_NOT_OFFERED, auth_missing, FAULT_UNAVAILABLE,
      "'{host}' does not offer '{mechanism}' on port {port}, only {mechanisms}",
      WAY "[[set 'auth on' to take one of those{!way}]]", .flags = SHOW_HERE | SHOW_EHLO },
    { VERDICT_TLS_FAILS, tls_fails, FAULT_TLS,
      "TLS does not come up on port {port} of '{host}'[[: {error}]]",
      WAY "[[{error_hint}{!way}]][[try from another network; if it fails there, too, the server's administrator "
      "has to mend it{!error_hint}{!way}]]",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_EHLO },
    { VERDICT_BANNED, blocked_by_word, FAULT_UNAVAILABLE, "'{host}' blocks this machine's address: {reply_cause}",
      "{reply_action}", .flags = SHOW_HERE | SHOW_EHLO },
    { VERDICT_BANNED, closed_at_once, FAULT_LOST,
      "'{host}' closes each connection to port {port} before a word is said: most likely it has banned this "
      "machine's address",
      WAY "[[wait an hour; after many failed logins or connections fail2ban and its like lift a ban by themselves, "
      "else the server's administrator does{!way}]]",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL },
    { VERDICT_REFUSED_BY_HOST, refuses_for_good, FAULT_UNAVAILABLE, "'{host}' refuses with its first words: "
      "{server}",
      "[[{reply_action}]][[ask the server's administrator why{!reply_action}]]",
      .flags = SHOW_HERE },
    { VERDICT_REFUSED_BY_HOST, refuses_for_now, FAULT_TEMPORARY, "'{host}' does not serve now: {server}",
      "[[{reply_action}]][[try again later{!reply_action}]]", .flags = SHOW_HERE },
    { VERDICT_NOT_SMTP, breaks_protocol, FAULT_PROTOCOL,
      "the dialogue with port {port} of '{host}' goes wrong[[: {error}]]",
      WAY "[[check 'host' and 'port'; if both are right, the server's administrator has to mend it{!way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | SHOW_OTHERS },
    { VERDICT_SILENT_AFTER_CONNECT, says_nothing, FAULT_TIMEOUT,
      "port {port} of '{host}' connects, and then nothing comes[[, with TLS or without{implicit}]]",
      WAY "[[try again with a longer '--timeout': some servers let unknown clients wait; if it stays silent, "
      "something between answers for it, or the server hangs{!way}]]",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL },
    { VERDICT_SILENT_AFTER_CONNECT, stops_answering, FAULT_TIMEOUT,
      "'{host}' greets on port {port}, and then does not answer in time: a tarpit, or it has too much to do",
      WAY "[[try again later, with a longer '--timeout'{!way}]]", .flags = SHOW_HERE | SHOW_OTHERS | SHOW_EHLO },
    { VERDICT_REFUSED_BY_HOST, fails_open, FAULT_UNAVAILABLE, "'{host}' fails on port {port}[[: {error}]]",
      WAY "[[{error_hint}{!way}]][[try again later; if it lasts, ask the server's "
      "administrator{!error_hint}{!way}]]",
      .flags = SHOW_HERE | SHOW_EHLO | ITS_FAULT },
    { VERDICT_OK, partly, FAULT_NONE, "port {port} of '{host}' works[[: {summary}]]", NULL, .flags = SHOW_HERE },
    { .holds = NULL },
};
