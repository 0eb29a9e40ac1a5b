/* account: everything one delivery is told, typed and const after binding. The table in account_options.c has one row
 * per member.
 *
 * Two tables make the command line of a send: account_options(), which a file may say as well, and send_option_table(),
 * which only a command line says. `from` is in both, and means two things: in a file the addresses (and patterns) of
 * the account, on the command line (--from, -f) the envelope sender of this run, which also chooses the account. So the
 * file's row is not an option and the option is not a command. account_sender() says what the file's `from` gives when
 * no sender was named. */
#ifndef CONF_ACCOUNT_H
#define CONF_ACCOUNT_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "base/tristate.h"
#include "conf/option.h"
#include "conf/rc.h"
#include "mail/envelope.h"

enum { PORT_SUBMISSIONS = 465, PORT_SUBMISSION = 587 }; /* RFC 8314: TLS at once; RFC 6409: STARTTLS */
enum account_tls { ACCOUNT_TLS_OFF, ACCOUNT_TLS_ON, ACCOUNT_TLS_AUTO };
enum account_protocol { ACCOUNT_SMTP, ACCOUNT_LMTP };
enum transcript_format { TRANSCRIPT_TEXT, TRANSCRIPT_JSON };

struct account {
    char *name;                /* own; NULL: from the command line alone */
    /* server */
    char *host;                /* NULL: unset */
    bool mx;                   /* host is "mx": straight to the mail exchangers of the recipients' domains */
    char *dns_server;          /* as dns_params.server */
    char *dns_anchor;          /* as dns_params.anchor */
    bool dnssec;               /* validate what name servers say */
    struct strlist ports;      /* bound: numbers in the order to try them; none: socket is used. With several TLS is on,
                                  and begins as usual on each */
    long port;                 /* the first of them; 0: none */
    long mss;                  /* largest TCP segment; 0: the system's */
    bool tcp_fast_open;
    char *socket;
    char *source_ip;
    char *proxy_host;
    long proxy_port;
    int proxy_type;            /* enum proxy_type's order: none, socks5, http; bound from proxy_host's scheme or
                                  `proxy` */
    char *proxy_user, *proxy_password;
    usec timeout;              /* per step; 0 (unset, off): the session's rows' own */
    usec deadline;             /* whole run; 0: auto */
    char *rate;                /* of a batch: "30/min"; NULL: unset … */
    usec rate_interval;        /* bound: … so long from one message to the next; 0: no limit */
    long max_per_connection;   /* messages of a batch; 0: no limit */
    int protocol;              /* enum account_protocol */
    char *domain;
    bool ipv4_only, ipv6_only; /* -4, -6 */
    /* authentication */
    char *auth;                /* "on", "off" or a mechanism, upper case; unset it is "on" where a user is set, in an
                                  msmtp file "off" */
    bool auth_explicit;        /* a mechanism was named */
    char *user, *password, *passwordeval, *ntlmdomain;
    bool keyring;
    /* TLS */
    int tls;                   /* enum account_tls */
    bool tls_explicit_off;     /* the user said `tls off` */
    bool tls_starttls;
    char *tls_trust_file, *tls_crl_file, *tls_key_file, *tls_cert_file, *tls_priorities, *tls_host_override;
    struct strlist tls_fingerprint;
    bool tls_certcheck;
    struct strlist tls_policy; /* levels, for all domains or one (send/policy.h), where mx */
    int tls_session_cache;     /* enum tristate; auto: not for root, nor for the system's accounts */
    bool requiretls;           /* RFC 8689: the message goes over protected connections only, all the way */
    /* envelope and message */
    struct strlist from;       /* addresses and patterns */
    char *from_full_name;
    bool allow_from_override;
    char *dsn_notify, *dsn_return;
    int set_from_header, set_date_header, set_msgid_header; /* enum tristate */
    bool set_to_header;        /* without To and Cc: `To: undisclosed-recipients:;` */
    bool undisclosed_recipients; /* To, Cc and Bcc replaced by it */
    bool remove_bcc_headers;
    char *aliases;
    bool all_or_nothing;
    /* reports */
    char *logfile, *logfile_time_format;
    char *syslog;              /* NULL: off, else the facility: "LOG_MAIL" */
    bool diagnose;             /* a connection that does not come about is looked into */
    bool msmtp;                /* bound with msmtp's defaults */
    bool system;               /* from the system's file */
    /* for people */
    struct settings settings;  /* own: what was said, with origins */
    struct strlist warnings;   /* own: what is done as told but looks wrong */
};

/* The table of everything above: rc commands and command line. */
struct option_table account_options(void);

/* What only a command line says. */
struct send_options {
    char *account_name;        /* -a */
    char *file;                /* -C */
    bool read_recipients;      /* -t */
    bool read_envelope_from;
    char *from;                /* -f; "" is the null sender */
    char *dsn_envid;           /* -V; at most 100 octets as xtext */
    char *to, *cc, *bcc;       /* a message is composed where one of these, a subject or an OPTION_ORDERED row (in
                                  settings.ordered) was said */
    char *subject;
    bool dry_run, pretend;
    bool serverinfo;           /* -S */
    char *rmqs;                /* host, @domain or #queue */
    char *batch;               /* a file, Maildir, @list or "-": many messages */
    int batch_format;          /* enum box_format */
    long connections;
    char *report;              /* file or "-" */
    char *resume;              /* a journal */
    bool retry_uncertain;
    bool json;
    int verbose;               /* -v 1, -d 2 */
    bool timings;              /* times in the transcript */
    char *transcript;          /* file or "-" */
    int transcript_format;     /* enum transcript_format */
    int progress;              /* enum tristate */
    bool help, version;
};
struct option_table send_option_table(void);

/* settings_bind for the rows of send_option_table(), and what goes with them: -d beats -v, -a does not go with --host,
 * an envelope identifier is what RFC 3461 allows. */
bool send_options_bind(struct send_options *so, const struct settings *send, const struct settings *account,
                       struct err *e);
void send_options_free(struct send_options *so);

/* Binds: settings of the chosen account overlaid by the command line's, defaults by kind of file, then what follows
 * from what (port from tls, auth from user, % substitutions, ~). Checks what contradicts: FAULT_CONFIG or FAULT_USAGE
 * with origin and hint. chosen may be NULL. The account's `eval` lines are run. account_free is due in any case. */
bool account_bind(struct account *a, const struct rc_account *chosen, const struct settings *command_line,
                  struct err *e);
void account_free(struct account *a);

/* The address of `from`: the first that is not a pattern. NULL: none. */
const char *account_sender(const struct account *a);

/* dsn_notify and dsn_return as the envelope has them. */
bool account_dsn(const struct account *a, unsigned *notify, enum dsn_return *ret, struct err *e);

/* One line per option that has a value: name, value, where it comes from. Secrets are "***". Appends. */
struct buf;
void account_format(const struct account *a, struct buf *out);

#endif
