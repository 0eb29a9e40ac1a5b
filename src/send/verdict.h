/* verdict: what a scene means, in one word, a sentence of cause and one of remedy. Pure: no I/O, no clock; the same
 * scene always gives the same verdict. What is not proven is said as such. */
#ifndef SEND_VERDICT_H
#define SEND_VERDICT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strlist.h"
#include "send/scene.h"

enum verdict_word {
    VERDICT_OK,
    VERDICT_OTHER_PORT_WORKS,
    VERDICT_PORT_FILTERED,
    VERDICT_ALL_MAIL_PORTS_FILTERED,
    VERDICT_PORT_REJECTED,
    VERDICT_HOST_DOWN,
    VERDICT_REFUSED_BY_HOST,
    VERDICT_NO_NETWORK,
    VERDICT_DNS_FAILING,
    VERDICT_DNS_NO_SUCH_HOST,
    VERDICT_DNS_REWRITTEN,
    VERDICT_IPV6_BROKEN,
    VERDICT_IPV6_ABSENT,
    VERDICT_IPV4_BROKEN,
    VERDICT_INTERCEPTED,
    VERDICT_STARTTLS_STRIPPED,
    VERDICT_BANNER_MASKED,
    VERDICT_TLS_ON_PLAIN_PORT, /* TLS was begun at once on a port that greets in clear */
    VERDICT_PLAIN_ON_TLS_PORT, /* … and the reverse */
    VERDICT_NOT_SMTP,
    VERDICT_SILENT_AFTER_CONNECT,
    VERDICT_TLS_FAILS,
    VERDICT_CERTIFICATE_EXPIRED,
    VERDICT_CERTIFICATE_NOT_YET_VALID,
    VERDICT_CERTIFICATE_WRONG_NAME,
    VERDICT_CERTIFICATE_UNTRUSTED_ISSUER,
    VERDICT_CERTIFICATE_WRONG_FINGERPRINT, /* not the one that is pinned */
    VERDICT_CERTIFICATE_REVOKED,
    VERDICT_CERTIFICATE_UNACCEPTABLE,      /* for another reason, which the cause names */
    VERDICT_MTU_BLACK_HOLE,
    VERDICT_BANNED,
    VERDICT_AUTH_NOT_OFFERED,
    VERDICT_LOGIN_REFUSED,
    VERDICT_COUNT
};

struct verdict {
    enum verdict_word word;
    enum fault fault;         /* FAULT_NONE: there is a way that works, though perhaps not the one configured */
    char *cause;              /* own: what is wrong; as an error's text: no capital, no full stop */
    char *remedy;             /* own: what to do; NULL: nothing */
    struct strlist evidence;  /* what was seen that speaks for it, a line each */
    struct strlist config;    /* lines for the configuration that go with the remedy: "port 465" */
    const struct sight *way;  /* borrowed from the scene: the best of those that work; NULL: none does */
};

#define VERDICT_INIT { 0 }

/* Fills v, which is VERDICT_INIT. There always is a word, whatever the scene. */
void verdict_of(const struct scene *s, struct verdict *v);

const char *verdict_word(enum verdict_word word);    /* stable: "port-filtered" */
const char *verdict_meaning(enum verdict_word word); /* one line, for --help and the report */
void verdict_free(struct verdict *v);                /* v is VERDICT_INIT after */

/* What was seen at one address and port, in a few words: "connects within 12 ms, then says nothing". Appends. */
void verdict_describe(const struct scene *s, const struct sight *v, struct buf *out);

#endif
