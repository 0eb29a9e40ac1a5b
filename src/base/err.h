/* err: what went wrong, as a value.
 *
 * Functions that can fail are `bool f(…, struct err *e)`: false means failed
 * and *e says why; on success *e is untouched. The first failure wins: setting
 * an err that is already set changes nothing. e must not be NULL. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/* Each fault has a row (err.c) with its sysexits code, its JSON word and
 * whether a later try can mend it. */
enum fault {
    FAULT_NONE,
    FAULT_USAGE,        /* 64 the command line */
    FAULT_MESSAGE,      /* 65 the message was refused, is too big or not representable */
    FAULT_NO_INPUT,     /* 66 input or key file missing */
    FAULT_RECIPIENTS,   /* 67 every recipient refused for good */
    FAULT_NO_HOST,      /* 68 host or domain does not exist, null MX */
    FAULT_UNAVAILABLE,  /* 69 the service refuses for good */
    FAULT_SOFTWARE,     /* 70 our bug */
    FAULT_SYSTEM,       /* 71 the operating system */
    FAULT_CANT_CREATE,  /* 73 */
    FAULT_IO,           /* 74 local input or output */
    FAULT_TEMPORARY,    /* 75 4xx, 421 */
    FAULT_TIMEOUT,      /* 75 a deadline passed */
    FAULT_CONNECT,      /* 75 refused, unreachable */
    FAULT_LOST,         /* 75 the connection broke */
    FAULT_INTERRUPTED,  /* 75 by a signal */
    FAULT_DNS,          /* 75 names could not be looked up now */
    FAULT_PROTOCOL,     /* 76 the peer does not speak SMTP or breaks the protocol */
    FAULT_TLS,          /* 76 the TLS handshake cannot succeed */
    FAULT_CERTIFICATE,  /* 77 the peer's certificate is not acceptable */
    FAULT_AUTH,         /* 77 authentication refused or impossible */
    FAULT_CONFIG,       /* 78 */
    FAULT_PARTIAL,      /* 79 some recipients accepted and some not */
    FAULT_COUNT
};

/* Where in the dialogue it happened. */
enum stage {
    STAGE_NONE,
    STAGE_LOOKUP,
    STAGE_CONNECT,
    STAGE_PROXY,
    STAGE_GREETING,
    STAGE_EHLO,
    STAGE_STARTTLS,
    STAGE_TLS,      /* the handshake and the certificate */
    STAGE_XCLIENT,
    STAGE_AUTH,
    STAGE_ETRN,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,     /* the DATA command's own reply */
    STAGE_BODY,     /* the message on its way */
    STAGE_DOT,      /* the reply to the end of the message, or to BDAT LAST */
    STAGE_RSET,
    STAGE_QUIT,
    STAGE_COUNT
};

/* What became of the message. */
enum fate { FATE_NOT_SENT, FATE_MAYBE_SENT, FATE_SENT };

struct err {
    enum fault fault; /* FAULT_NONE: no error */
    enum stage stage;
    enum fate fate;
    char *text;   /* own: our sentence, no capital, no full stop */
    char *server; /* own or NULL: the server's own words, "553 5.7.1 not owned…", lines joined by '\n' */
    char *hint;   /* own or NULL: what to do */
};

#define ERR_INIT { 0 }

/* Records the failure unless e holds one. Always returns false, so that
 * `return err_set(e, …)` ends a function. */
__attribute__((format(printf, 3, 4))) bool err_set(struct err *e, enum fault fault, const char *fmt, ...);

/* The same with strerror(errno_value) appended as ": reason". */
__attribute__((format(printf, 4, 5))) bool err_sys(struct err *e, enum fault fault, int errno_value,
                                                   const char *fmt, ...);

/* Completes a failure just set; each returns false. A hint or server text already there stays. */
__attribute__((format(printf, 2, 3))) bool err_hint(struct err *e, const char *fmt, ...);
bool err_stage(struct err *e, enum stage stage); /* keeps an earlier stage */
bool err_server(struct err *e, const char *words);

bool err_is_set(const struct err *e);
void err_clear(struct err *e);                     /* frees; e is ERR_INIT after */
void err_move(struct err *to, struct err *from);   /* if `to` is unset; from is cleared in any case */
void err_copy(struct err *to, const struct err *from); /* if `to` is unset */

/* The rows of the fault and stage tables. */
int fault_exit(enum fault fault);           /* sysexits */
const char *fault_word(enum fault fault);   /* stable, for JSON: "timeout" */
const char *fault_sysexit_name(enum fault fault); /* "EX_TEMPFAIL", as in msmtp's log */
bool fault_retry_helps(enum fault fault);
const char *stage_word(enum stage stage);   /* stable: "rcpt" */
const char *stage_phrase(enum stage stage); /* for people: "after RCPT", "in the TLS handshake" */
const char *fate_word(enum fate fate);      /* "not-sent", "maybe-sent", "sent" */

#endif
