/* test_server: dialogues with the server session, each in one piece and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "smtp/caps.h"
#include "smtp/server.h"

enum {
    ALL = CAP_PIPELINING | CAP_SIZE | CAP_8BITMIME | CAP_SMTPUTF8 | CAP_CHUNKING | CAP_DSN | CAP_ENHANCED | CAP_STARTTLS | CAP_AUTH,
};

/* What the driver saw. */
struct seen {
    struct buf out;    /* replies, and what was asked of the driver: "[tls]" */
    struct buf stored; /* each message: "sender>rcpt,rcpt:octets|" */
    struct buf letter;
};

struct row {
    const char *name;
    struct server_params p;
    const char *in;
    const char *out;    /* the codes of the replies, and what was asked of the driver in brackets */
    const char *stored; /* NULL: nothing */
};

static void take_message(struct server *s, struct seen *seen)
{
    const struct envelope *env = server_envelope(s);

    buf_printf(&seen->stored, "%s>", env->sender);
    for (size_t i = 0; i < env->n; i++)
        buf_printf(&seen->stored, "%s%s", i ? "," : "", env->rcpts[i].address);
    buf_addc(&seen->stored, ':');
    buf_addbuf(&seen->stored, &seen->letter);
    buf_addc(&seen->stored, '|');
    buf_reset(&seen->letter);
    server_message_answer(s, 250, "2.0.0 stored");
}

static void take_login(struct server *s)
{
    const struct server_login *l = server_login(s);
    server_login_answer(s, strcmp(l->user, "user") == 0 && strcmp(l->password, "pass") == 0);
}

/* A mechanism of the driver's own: "hello", a challenge, "proof", another, an empty response. */
static void take_step(struct server *s)
{
    const struct server_step *step = server_step(s);
    struct buf challenge = BUF_INIT;

    buf_adds(&challenge, step->first ? "prove it" : "so do I");
    if (strcmp(step->response->data, step->first ? "hello" : "proof") == 0)
        server_challenge(s, &challenge);
    else
        server_step_done(s, "user", step->response->len == 0 && !step->first);
    buf_free(&challenge);
}

/* Addresses and names that begin with a digit are refused with that class; so are stages by the name of the server. */
static void take_stage(struct server *s, const char *name)
{
    const char *about;
    enum server_stage stage = server_stage(s, &about);
    bool second = strcmp(name, "nosecond") == 0 && server_octets(s) == 1;

    if (*about >= '4' && *about <= '5')
        server_stage_answer(s, *about == '4' ? 450 : 550, "5.7.1 no");
    else if ((stage == SERVER_AT_CONNECT && strcmp(name, "away") == 0) || (stage == SERVER_AT_DATA && (second || strcmp(name, "nodata") == 0)))
        server_stage_answer(s, 554, "5.3.2 no");
    else if (stage == SERVER_AT_QUIT && strcmp(name, "noquit") == 0)
        server_stage_answer(s, 500, "no");
    else if (stage == SERVER_AT_RSET)
        server_stage_answer(s, 421, "4.3.2 gone");
    else
        server_stage_answer(s, 0, NULL);
}

static char block[1024];

/* The driver reads for others before it goes on. */
static void turn_away_from(struct server *s)
{
    server_hold(s);
    memset(block, '#', sizeof block);
}

/* Serves until the server wants input; false: closed. */
static bool serve_as(struct server *s, const char *name, struct seen *seen)
{
    const char *p;
    size_t n;

    for (;;) {
        enum server_want want = server_next(s);
        if (want != SERVER_DATA)
            turn_away_from(s);
        switch (want) {
        case SERVER_READ: return true;
        case SERVER_CLOSE: buf_adds(&seen->out, "[close]"); return false;
        case SERVER_WRITE:
            buf_addbuf(&seen->out, server_output(s));
            server_wrote(s, server_output(s)->len);
            break;
        case SERVER_TLS: buf_adds(&seen->out, "[tls]"); server_tls_up(s); break;
        case SERVER_LOGIN: take_login(s); break;
        case SERVER_STEP: take_step(s); break;
        case SERVER_STAGE: take_stage(s, name); break;
        case SERVER_DATA:
            server_data(s, &p, &n);
            buf_add(&seen->letter, p, n);
            server_data_taken(s);
            break;
        case SERVER_DROP: buf_reset(&seen->letter); buf_adds(&seen->stored, "dropped|"); server_data_taken(s); break;
        case SERVER_MESSAGE: take_message(s, seen); break;
        }
    }
}

static bool serve(struct server *s, struct seen *seen)
{
    return serve_as(s, "mx", seen);
}

static void play(const struct server_params *p, const char *in, size_t n, size_t portion, struct seen *seen)
{
    struct server *s = server_new(p);
    bool open = serve_as(s, p->name, seen);

    for (size_t at = 0; open && at < n; at += portion) {
        size_t now = n - at < portion ? n - at : portion;
        memcpy(block, in + at, now);
        server_input(s, block, now);
        open = serve_as(s, p->name, seen);
    }
    server_free(s);
}

/* Only the codes, one for each reply, for short rows. */
static void codes(const struct buf *out, struct buf *to)
{
    const char *p = out->data;

    while (*p) {
        if (*p == '[') {
            size_t n = strcspn(p, "]") + 1;
            buf_add(to, p, n);
            p += n;
            continue;
        }
        if (p[3] != '-')
            buf_printf(to, "%.3s ", p);
        p += strcspn(p, "\n") + 1;
    }
}

static void check(const struct row *row, size_t portion)
{
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };
    struct buf got = BUF_INIT;

    play(&row->p, row->in, strlen(row->in), portion, &seen);
    codes(&seen.out, &got);
    if (strcmp(got.data, row->out) != 0 || strcmp(seen.stored.data, row->stored ? row->stored : "") != 0)
        fail_msg("%s, %zu at once:\n%s\nreplies  %s\nexpected %s\nstored   %s\nexpected %s", row->name, portion, seen.out.data, got.data,
                 row->out, seen.stored.data, row->stored ? row->stored : "");
    buf_free(&got);
    buf_free(&seen.out);
    buf_free(&seen.stored);
    buf_free(&seen.letter);
}

#define SMTP .p = { .name = "mx", .extensions = ALL }
#define LMTP .p = { .name = "mx", .extensions = ALL, .lmtp = true }
#define AUTH .p = { .name = "mx", .extensions = ALL, .auth_offered = true, .auth_without_tls = true, .tls_offered = true }
#define STAGES(name_) .p = { .name = name_, .extensions = ALL, .stages = true, .auth_offered = true, .auth_without_tls = true }
#define HI "EHLO me\r\n"
#define TO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
#define DATA HI TO "DATA\r\n"

static const struct row rows[] = {
    { "a message", SMTP, DATA "x\r\n.\r\nQUIT\r\n", "220 250 250 250 354 250 221 [close]", "a@b>c@d:x\r\n|" },
    { "empty message", SMTP, DATA ".\r\n", "220 250 250 250 354 250 ", "a@b>c@d:|" },
    { "dots", SMTP, DATA "..\r\n...x\r\n.y\r\nz.\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:.\r\n..x\r\ny\r\nz.\r\n|" },
    { "dot behind LF is content", SMTP, DATA "a\n.\nb\n.\r\nc\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:a\n.\nb\n.\r\nc\r\n|" },
    { "dot behind CR is content", SMTP, DATA "a\r.\rb\r.\r\nc\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:a\r.\rb\r.\r\nc\r\n|" },
    { "CRLF dot LF is content", SMTP, DATA "a\r\n.\nQUIT\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:a\r\n\nQUIT\r\n|" },
    { "CRLF dot CR is content", SMTP, DATA "a\r\n.\rQUIT\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:a\r\n\rQUIT\r\n|" },
    { "CRLF dot CR CRLF dot", SMTP, DATA "a\r\n.\r\r\n.\r\n", "220 250 250 250 354 250 ", "a@b>c@d:a\r\n\r\r\n|" },
    { "two messages", SMTP, DATA "x\r\n.\r\n" TO "DATA\r\ny\r\n.\r\n", "220 250 250 250 354 250 250 250 354 250 ", "a@b>c@d:x\r\n|a@b>c@d:y\r\n|" },
    { "null sender, quoted local", SMTP, HI "MAIL FROM:<>\r\nRCPT TO:<\"a \\\"b\"@d>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250 ", ">\"a \\\"b\"@d:|" },
    { "route and literal", SMTP, HI "MAIL FROM:<@x,@y:a@[127.0.0.1]>\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\n", "220 250 250 250 354 250 ",
      "a@[127.0.0.1]>postmaster:|" },
    { "malformed paths", SMTP,
      HI "MAIL FROM:a@b\r\nMAIL FROM: <a@b>\r\nMAIL FROM:<a@b\r\nMAIL FROM:<a..b@c>\r\nMAIL FROM:<a@b>x\r\nMAIL TO:<a@b>\r\nMAIL\r\n"
      "MAIL FROM:<a@>\r\nMAIL FROM:<a@b.>\r\nMAIL FROM:<a@[>\r\nMAIL FROM:<\"a@b>\r\nMAIL FROM:<@b>\r\n",
      "220 250 501 501 501 501 501 501 501 501 501 501 501 501 ", NULL },
    { "no null recipient", SMTP, HI "MAIL FROM:<>\r\nRCPT TO:<>\r\nDATA\r\n", "220 250 250 501 503 ", NULL },
    { "UTF-8 needs SMTPUTF8", SMTP,
      HI "MAIL FROM:<\xc3\xa4@b>\r\nMAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\nRCPT TO:<\xc3\xb6@d>\r\nRCPT TO:<\xff@d>\r\nDATA\r\n.\r\n",
      "220 250 553 250 250 501 354 250 ", "\xc3\xa4@b>\xc3\xb6@d:|" },
    { "sequence", SMTP, "MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nFOO\r\n" HI "RCPT TO:<a@b>\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\n",
      "220 503 503 503 500 250 503 250 503 503 ", NULL },
    { "RSET and EHLO end the transaction", SMTP, HI TO "RSET\r\nDATA\r\n" TO HI "DATA\r\n", "220 250 250 250 250 503 250 250 250 503 ", NULL },
    { "bare LF is no command", SMTP, HI "MAIL FROM:<a@b>\nRCPT TO:<c@d>\r\n", "220 250 500 503 ", NULL },
    { "control octets", SMTP, HI "NOOP a\001b\r\nNOOP a\rb\r\n", "220 250 500 500 ", NULL },
    { "parameters", SMTP,
      HI "MAIL FROM:<a@b> BODY=8BITMIME SIZE=5 RET=HDRS ENVID=x+20y AUTH=<>\r\nRCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@d\r\n"
      "RCPT TO:<e@f> NOTIFY=NEVER,DELAY\r\nRCPT TO:<e@f> FOO=1\r\nDATA\r\n.\r\n",
      "220 250 250 250 501 555 354 250 ", "a@b>c@d:|" },
    { "parameters not offered", .p = { .name = "mx" }, HI "MAIL FROM:<a@b> SIZE=5\r\nBDAT 1\r\nAUTH PLAIN\r\n", "220 250 555 502 502 ", NULL },
    { "BDAT", SMTP, HI TO "BDAT 3\r\na\r\nBDAT 0\r\nBDAT 4 LAST\r\n.\r\nb", "220 250 250 250 250 250 250 ", "a@b>c@d:a\r\n.\r\nb|" },
    { "BDAT 0 LAST", SMTP, HI TO "BDAT 3\r\nabcBDAT 0 LAST\r\nQUIT\r\n", "220 250 250 250 250 250 221 [close]", "a@b>c@d:abc|" },
    { "BDAT without recipients eats its chunk", SMTP, HI "MAIL FROM:<a@b>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 503 250 ", NULL },
    { "BINARYMIME wants BDAT", .p = { .name = "mx", .extensions = ALL | CAP_BINARYMIME },
      HI "MAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nDATA\r\nBDAT 2 LAST\r\na\n" DATA ".\r\n",
      "220 250 250 250 503 250 250 250 250 354 250 ", "a@b>c@d:a\n|a@b>c@d:|" },
    { "DATA behind BDAT", SMTP, HI TO "BDAT 1\r\naDATA\r\nRCPT TO:<e@f>\r\nRSET\r\n", "220 250 250 250 250 503 503 250 ", "dropped|" },
    { "BDAT malformed closes", SMTP, HI TO "BDAT x\r\nQUIT\r\n", "220 250 250 250 501 [close]", NULL },
    { "REQUIRETLS in clear", .p = { .name = "mx", .extensions = ALL | CAP_REQUIRETLS }, HI "MAIL FROM:<a@b> REQUIRETLS\r\n", "220 250 501 ", NULL },
    { "REQUIRETLS under TLS", .p = { .name = "mx", .extensions = ALL | CAP_REQUIRETLS, .tls_up = true },
      HI "MAIL FROM:<a@b> REQUIRETLS=1\r\nMAIL FROM:<a@b> REQUIRETLS\r\n", "220 250 501 250 ", NULL },
    { "SIZE said", .p = { .name = "mx", .extensions = ALL, .size_max = 4 }, HI "MAIL FROM:<a@b> SIZE=5\r\nMAIL FROM:<a@b> SIZE=4\r\n", "220 250 552 250 ", NULL },
    { "rcpt_max", .p = { .name = "mx", .rcpt_max = 1 }, HI TO "RCPT TO:<e@f>\r\nDATA\r\n.\r\n", "220 250 250 250 452 354 250 ", "a@b>c@d:|" },
    { "LMTP answers for each", LMTP, "EHLO me\r\nLHLO me\r\n" TO "RCPT TO:<c@d>\r\nDATA\r\n.\r\n", "220 500 250 250 250 250 354 250 250 ", "a@b>c@d,c@d:|" },
    { "STARTTLS forgets", AUTH, HI TO "STARTTLS\r\n", "220 250 250 250 220 [tls]", NULL },
    { "AUTH PLAIN at once", AUTH, HI "AUTH PLAIN AHVzZXIAcGFzcw==\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n", "220 250 235 503 ", NULL },
    { "AUTH PLAIN asked", AUTH, HI "auth plain\r\nAHVzZXIAcGFzcw==\r\n", "220 250 334 235 ", NULL },
    { "AUTH LOGIN", AUTH, HI "AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n", "220 250 334 334 235 ", NULL },
    { "AUTH LOGIN with user", AUTH, HI "AUTH LOGIN dXNlcg==\r\ncGFzcw==\r\n", "220 250 334 235 ", NULL },
    { "AUTH cut short begins again", AUTH, HI "AUTH LOGIN\r\ndXNlcg==\r\nx\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n", "220 250 334 334 500 334 334 235 ", NULL },
    { "AUTH XOAUTH2", AUTH, HI "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHBhc3MBAQ==\r\n", "220 250 235 ", NULL },
    { "AUTH XOAUTH2 refused", AUTH, HI "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHBhc3QBAQ==\r\n\r\nNOOP\r\n", "220 250 334 535 250 ", NULL },
    { "AUTH OAUTHBEARER", AUTH, HI "AUTH OAUTHBEARER\r\nbixhPXVzZXIsAWhvc3Q9eAFwb3J0PTI1AWF1dGg9QmVhcmVyIHBhc3MBAQ==\r\n", "220 250 334 235 ", NULL },
    { "AUTH refused, cancelled, unknown", AUTH, HI "AUTH PLAIN AHVzZXIAcGFzdA==\r\nAUTH PLAIN\r\n*\r\nAUTH FOO\r\nAUTH PLAIN =\r\nAUTH PLAIN !\r\n",
      "220 250 535 334 501 504 501 501 ", NULL },
    { "AUTH needs TLS", .p = { .name = "mx", .extensions = ALL, .auth_offered = true, .auth_required = true, .tls_offered = true },
      HI "AUTH PLAIN AHVzZXIAcGFzcw==\r\nMAIL FROM:<a@b>\r\n", "220 250 538 530 ", NULL },
    { "AUTH SCRAM by the driver", AUTH, HI "AUTH SCRAM-SHA-256 aGVsbG8=\r\ncHJvb2Y=\r\n\r\nAUTH PLAIN\r\n", "220 250 334 334 235 503 ", NULL },
    { "AUTH SCRAM asked first", AUTH, HI "AUTH SCRAM-SHA-256\r\naGVsbG8=\r\ncHJvb2Y=\r\n\r\n", "220 250 334 334 334 235 ", NULL },
    { "AUTH SCRAM refused", AUTH, HI "AUTH SCRAM-SHA-256 aGVsbG8=\r\naGVsbG8=\r\nAUTH SCRAM-SHA-256 !\r\nNOOP\r\n", "220 250 334 535 501 250 ", NULL },
    { "AUTH SCRAM cancelled, begun again", AUTH, HI "AUTH SCRAM-SHA-256 aGVsbG8=\r\n*\r\nAUTH SCRAM-SHA-256 aGVsbG8=\r\ncHJvb2Y=\r\n\r\n",
      "220 250 334 501 334 334 235 ", NULL },
    { "AUTH SCRAM-PLUS needs TLS", AUTH, HI "AUTH SCRAM-SHA-256-PLUS aGVsbG8=\r\n", "220 250 504 ", NULL },
    { "AUTH SCRAM-PLUS under TLS", .p = { .name = "mx", .extensions = ALL, .auth_offered = true, .tls_up = true },
      HI "AUTH SCRAM-SHA-256-PLUS aGVsbG8=\r\ncHJvb2Y=\r\n\r\n", "220 250 334 334 235 ", NULL },
    { "stages that answer as usual", STAGES("mx"), DATA "x\r\n.\r\n" TO "BDAT 1 LAST\r\nyQUIT\r\n",
      "220 250 250 250 354 250 250 250 250 221 [close]", "a@b>c@d:x\r\n|a@b>c@d:y|" },
    { "turned away", STAGES("away"), HI "NOOP\r\nQUIT\r\n", "554 503 503 221 [close]", NULL },
    { "names refused", STAGES("mx"), "EHLO 5me\r\nMAIL FROM:<a@b>\r\n" HI "MAIL FROM:<5@b>\r\nMAIL FROM:<a@b>\r\nRCPT TO:<4@d>\r\nRCPT TO:<c@d>\r\n"
      "RCPT TO:<5@d> NOTIFY=NEVER\r\nDATA\r\n.\r\n", "220 550 503 250 550 250 450 250 550 354 250 ", "a@b>c@d:|" },
    { "what is malformed is answered as such", STAGES("mx"), HI "MAIL FROM:5@b>\r\nMAIL 5\r\nRCPT TO:<5@d>\r\n", "220 250 501 501 503 ", NULL },
    { "DATA refused", STAGES("nodata"), DATA "NOOP\r\n", "220 250 250 250 554 250 ", NULL },
    { "a chunk refused is eaten", STAGES("nodata"), HI TO "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 250 554 250 ", NULL },
    { "nothing is made of the chunks around one refused", STAGES("nosecond"), HI TO "BDAT 1\r\naBDAT 1\r\nbBDAT 1 LAST\r\ncNOOP\r\n",
      "220 250 250 250 250 554 503 250 ", "dropped|" },
    { "a transaction follows a chunk refused", STAGES("nosecond"), HI TO "BDAT 1\r\naBDAT 1 LAST\r\nb" TO "BDAT 1 LAST\r\nc",
      "220 250 250 250 250 554 250 250 250 ", "dropped|a@b>c@d:c|" },
    { "the last chunk refused in LMTP", .p = { .name = "nodata", .extensions = ALL, .stages = true, .lmtp = true },
      "LHLO me\r\n" TO "RCPT TO:<e@f>\r\nBDAT 1 LAST\r\nxNOOP\r\n", "220 250 250 250 250 554 554 250 ", NULL },
    { "QUIT refused closes all the same", STAGES("noquit"), HI "QUIT\r\n", "220 250 500 [close]", NULL },
    { "421 closes", STAGES("mx"), HI "RSET\r\nNOOP\r\n", "220 250 421 [close]", NULL },
    { "mechanism refused", STAGES("mx"), HI "AUTH 5\r\n", "220 250 550 ", NULL },
    { "others", SMTP, "NOOP x\r\nHELP\r\nHELO me\r\nVRFY x\r\nQUIT now\r\n", "220 250 214 250 252 501 ", NULL },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t portion = 1; portion <= 1024; portion = portion < 8 ? portion + 1 : portion * 4)
            check(&rows[i], portion);
}

/* Nothing of a message that turns out too large is stored, and the dialogue goes on behind its end. */
static void test_size_not_said(void **state)
{
    const struct server_params p = { .name = "mx", .extensions = ALL, .size_max = 4 };
    static const char in[] = DATA "a\r\nbcd\r\n.\r\nNOOP\r\n";

    (void)state;
    for (size_t portion = 1; portion <= 64; portion++) {
        struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };
        play(&p, in, sizeof in - 1, portion, &seen);
        assert_non_null(strstr(seen.out.data, "552 5.3.4"));
        assert_string_equal(seen.out.data + seen.out.len - 14, "250 2.0.0 ok\r\n");
        assert_int_equal(seen.letter.len, 0);
        assert_null(strchr(seen.stored.data, '>'));
        buf_free(&seen.out);
        buf_free(&seen.stored);
        buf_free(&seen.letter);
    }
}

/* What arrived behind STARTTLS in the same flight is never a command. */
static void test_injection(void **state)
{
    static const char in[] = "EHLO me\r\nSTARTTLS\r\nMAIL FROM:<evil@x>\r\n";
    const struct server_params p = { .name = "mx", .extensions = ALL, .tls_offered = true };
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };

    (void)state;
    play(&p, in, sizeof in - 1, 1024, &seen);
    assert_null(strstr(seen.out.data, "2.1.0"));
    assert_string_equal(seen.out.data + seen.out.len - 5, "[tls]");
    buf_free(&seen.out);
    buf_free(&seen.stored);
    buf_free(&seen.letter);
}

/* A pipelined flight is answered in one. */
static void test_one_flight(void **state)
{
    const struct server_params p = { .name = "mx", .extensions = ALL };
    struct server *s = server_new(&p);
    static const char in[] = HI TO "RCPT TO:<e@f>\r\nDATA\r\n";

    (void)state;
    assert_int_equal(server_next(s), SERVER_WRITE);
    server_wrote(s, server_output(s)->len);
    assert_int_equal(server_next(s), SERVER_READ);
    server_input(s, in, sizeof in - 1);
    assert_int_equal(server_next(s), SERVER_WRITE);
    assert_non_null(strstr(server_output(s)->data, "\r\n354 "));
    server_wrote(s, server_output(s)->len);
    assert_int_equal(server_next(s), SERVER_READ);
    server_free(s);
}

/* Endless lines and endless flights need no endless memory. */
static void test_bounds(void **state)
{
    const struct server_params p = { .name = "mx", .extensions = ALL };
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };
    struct buf in = BUF_INIT;

    (void)state;
    for (int i = 0; i < 300000; i++)
        buf_addc(&in, 'x');
    buf_adds(&in, "\r\nNOOP\r\n");
    for (int i = 0; i < 10000; i++)
        buf_adds(&in, "NOOP\r\n");
    play(&p, in.data, in.len, 1024, &seen);
    assert_non_null(strstr(seen.out.data, "\r\n500 5.5.2"));
    assert_string_equal(seen.out.data + seen.out.len - 14, "250 2.0.0 ok\r\n");
    buf_free(&in);
    buf_free(&seen.out);
    buf_free(&seen.stored);
    buf_free(&seen.letter);
}

/* LMTP: each recipient has a reply of its own, and 421 is the last of all. */
static void test_answers(void **state)
{
    const struct server_params p = { .name = "mx", .lmtp = true };
    static const char in[] = "LHLO me\r\n" TO "RCPT TO:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\n.\r\n";
    static const struct server_answer answers[] = { { 250, "2.0.0 ok" }, { 450, "4.2.2 full" }, { 550, "no" } };
    struct server *s = server_new(&p);
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };

    (void)state;
    serve(s, &seen);
    server_input(s, in, sizeof in - 1);
    assert_int_equal(server_next(s), SERVER_MESSAGE);
    server_message_answers(s, answers);
    serve(s, &seen);
    assert_non_null(strstr(seen.out.data, "\r\n250 ok\r\n450 full\r\n550 no\r\n"));
    buf_free(&seen.out);
    server_free(s);
}

static void test_mechanisms(void **state)
{
    struct strlist only = STRLIST_INIT;
    const struct server_params p = { .name = "mx", .extensions = ALL, .auth_offered = true, .auth_without_tls = true, .mechanisms = &only };
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };
    static const char in[] = HI "AUTH PLAIN AHVzZXIAcGFzcw==\r\n";

    (void)state;
    strlist_add(&only, "LOGIN");
    strlist_add(&only, "SCRAM-SHA-256-PLUS");
    play(&p, in, sizeof in - 1, 100, &seen);
    assert_non_null(strstr(seen.out.data, "250 AUTH LOGIN\r\n504 "));
    assert_true(server_extensions(true) & CAP_CHUNKING && !(server_extensions(true) & CAP_REQUIRETLS));
    assert_true(server_extensions(false) & CAP_REQUIRETLS);
    strlist_free(&only);
    buf_free(&seen.out);
}

static void test_envelope(void **state)
{
    const struct server_params p = { .name = "mx", .extensions = ALL, .tls_up = true };
    static const char in[] = HI "MAIL FROM:<a@b> RET=FULL ENVID=x+20y SMTPUTF8\r\nRCPT TO:<c@d> NOTIFY=FAILURE ORCPT=rfc822;q+40r\r\n";
    struct server *s = server_new(&p);
    struct seen seen = { BUF_INIT, BUF_INIT, BUF_INIT };
    struct buf protocol = BUF_INIT;
    const struct envelope *env = server_envelope(s);

    (void)state;
    serve(s, &seen);
    server_input(s, in, sizeof in - 1);
    serve(s, &seen);
    assert_int_equal(env->dsn_return, DSN_RETURN_FULL);
    assert_string_equal(env->dsn_envid, "x y");
    assert_int_equal(env->dsn_notify, DSN_NOTIFY_FAILURE);
    assert_string_equal(env->rcpts[0].orcpt, "rfc822;q@r");
    assert_string_equal(server_parameters(s)->v[1], "RCPT <c@d> NOTIFY=FAILURE ORCPT=rfc822;q+40r");
    server_protocol(s, &protocol);
    assert_string_equal(protocol.data, "UTF8SMTPS");
    buf_free(&protocol);
    buf_free(&seen.out);
    server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_size_not_said),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_one_flight),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
