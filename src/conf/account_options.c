/* account_options: the table. One row per option of an account and of a send; what the rows bind to is in account.h. */
#include "conf/account.h"

#include <limits.h>

#define A(member) .at = offsetof(struct account, member)
#define S(member) .at = offsetof(struct send_options, member)
#define BY_HAND .at = OPTION_BY_HAND
#define OLD(instead) .group = "Obsolete", .today = (instead)
#define SAID_IN_ORDER OPTION_IN_ARGV | OPTION_MULTI | OPTION_ORDERED
#define PART .group = "Composing", .type = OPTION_TEXT, .flags = SAID_IN_ORDER | OPTION_EMPTY_OK, BY_HAND
#define PART_FILE .group = "Composing", .type = OPTION_FILE, .flags = SAID_IN_ORDER, BY_HAND
#define SWITCH .flags = OPTION_BOTH | OPTION_VALUE_OPTIONAL, .arg = "on|off"

enum {
    BOTH = OPTION_BOTH,
    FILE_ONLY = OPTION_IN_FILE,
    ARGV = OPTION_IN_ARGV,
    WIRE = OPTION_WIRE,
    MULTI = OPTION_MULTI,
    OPTIONAL = OPTION_VALUE_OPTIONAL,
    PORT_MAX = 65535,
    BATCH_CONNECTIONS_MAX = 100,
    MSS_LEAST = 88,   /* what Linux takes (TCP_MIN_MSS) */
    MSS_MAX = 32767,  /* (MAX_TCP_WINDOW) */
};

static const char *const protocols[] = { "smtp", "lmtp", NULL };
static const char *const proxy_types[] = { "none", "socks5", "http", NULL };
static const char *const switches[] = { "on", "off", NULL };
static const char *const tristates[] = { "auto", "on", "off", NULL };
static const char *const port_words[] = { "auto", NULL };
static const char *const auth_words[] = {
    "on", "off", "plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-1-plus", "scram-sha-256",
    "scram-sha-256-plus", "external", "gssapi", "ntlm", "xoauth2", "oauthbearer", NULL,
};
static const char *const notify_words[] = { "off", "never", "failure", "delay", "success", NULL };
static const char *const return_words[] = { "off", "headers", "hdrs", "full", NULL };
static const char *const facilities[] = {
    "on", "off", "LOG_USER", "LOG_MAIL", "LOG_LOCAL0", "LOG_LOCAL1", "LOG_LOCAL2", "LOG_LOCAL3", "LOG_LOCAL4",
    "LOG_LOCAL5", "LOG_LOCAL6", "LOG_LOCAL7", NULL,
};
static const char *const transcript_formats[] = { "text", "json", NULL };
static const char *const system_word[] = { "system", NULL };
static const char *const tls_levels[] = {
    "none", "may", "encrypt", "dane", "dane-only", "verify", "fingerprint", NULL, /* enum tls_level of send/policy.h */
};
static const char *const batch_formats[] = { "auto", "mbox", "maildir", "list", "nul", NULL }; /* enum box_format */
static const char *const sendmail_modes[] = { "m", NULL };

static const struct option account_rows[] = {
    { .name = "host", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE | OPTION_SUBST_OWN, .arg = "HOST",
      A(host), .help = "the server to send to; on the command line: without any file" },
    { .name = "mx", .group = "Server", .type = OPTION_FLAG, .flags = ARGV, BY_HAND,
      .help = "straight to the recipients' mail exchangers, as --host=mx" },
    { .name = "port", .group = "Server", .type = OPTION_PORTS, .flags = BOTH, .arg = "PORT|auto", .min = 1,
      .max = PORT_MAX, .words = port_words, A(ports),
      .help = "its port (465 with TLS at once, 587 with a user, else 25); auto: 465, then 587" },
    { .name = "protocol", .group = "Server", .type = OPTION_WORD, .flags = BOTH, .arg = "smtp|lmtp", .words = protocols,
      .def = "smtp", A(protocol), .help = "what the server speaks" },
    { .name = "socket", .group = "Server", .type = OPTION_FILE, .flags = BOTH, .arg = "PATH", A(socket),
      .help = "a unix socket instead of host and port" },
    { .name = "domain", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE | OPTION_SUBST, .arg = "NAME",
      .def_msmtp = "localhost", A(domain), .help = "our own name, said in EHLO" },
    { .name = "source_ip", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "ADDRESS", A(source_ip),
      .help = "connect from this address" },
    { .name = "ipv4_only", .letter = '4', .group = "Server", .type = OPTION_FLAG, SWITCH, .words = switches,
      .def = "off", A(ipv4_only), .help = "use IPv4 only" },
    { .name = "ipv6_only", .letter = '6', .group = "Server", .type = OPTION_FLAG, SWITCH, .words = switches,
      .def = "off", A(ipv6_only), .help = "use IPv6 only" },
    { .name = "mss", .group = "Server", .type = OPTION_NUMBER, .flags = BOTH, .arg = "OCTETS", .min = MSS_LEAST,
      .max = MSS_MAX, A(mss), .help = "largest TCP segment, where bigger packets get lost" },
    { .name = "tcp_fast_open", .group = "Server", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(tcp_fast_open), .help = "let a server that knows us speak before the connection is complete" },
    { .name = "dns_server", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "ADDRESS[:PORT]",
      A(dns_server), .help = "ask this name server about mail exchangers" },
    { .name = "dns_anchor", .group = "Server", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", A(dns_anchor),
      .help = "the root's DNSSEC key, instead of the system's" },
    { .name = "dnssec", .group = "Server", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on", A(dnssec),
      .help = "validate what name servers say of mail exchangers" },
    { .name = "timeout", .group = "Server", .type = OPTION_SECONDS, .flags = BOTH, .arg = "TIME|off", A(timeout),
      .help = "longest wait for one step (60 s, 600 s at the end of the message)" },
    { .name = "deadline", .group = "Server", .type = OPTION_SECONDS, .flags = BOTH, .arg = "TIME|auto", .def = "auto",
      A(deadline), .help = "longest time for everything" },
    { .name = "rate", .group = "Server", .type = OPTION_TEXT, .flags = BOTH, .arg = "N/UNIT|off", A(rate),
      .help = "so many messages of a batch each s, min or h" },
    { .name = "max_per_connection", .group = "Server", .type = OPTION_NUMBER, .flags = BOTH, .arg = "N", .min = 1,
      .max = LONG_MAX, A(max_per_connection), .help = "messages of a batch over one connection" },
    { .name = "proxy_host", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "HOST", A(proxy_host),
      .help = "connect through this proxy; http://HOST:PORT for HTTP CONNECT" },
    { .name = "proxy_port", .group = "Server", .type = OPTION_NUMBER, .flags = BOTH, .arg = "PORT", .min = 1,
      .max = PORT_MAX, .def = "1080", A(proxy_port), .help = "port of the proxy" },
    { .name = "proxy_type", .group = "Server", .type = OPTION_WORD, .flags = BOTH, .arg = "none|socks5|http",
      .words = proxy_types, .def = "none", A(proxy_type),
      .help = "kind of the proxy (socks5 where proxy-host is set)" },
    { .name = "proxy_user", .group = "Server", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "USER", A(proxy_user),
      .help = "user name for the proxy" },
    { .name = "proxy_password", .group = "Server", .type = OPTION_TEXT, .flags = FILE_ONLY | WIRE | OPTION_SECRET,
      .arg = "PASSWORD", A(proxy_password), .help = "password for the proxy" },

    { .name = "auth", .group = "Authentication", .type = OPTION_TEXT, .flags = BOTH | OPTIONAL | OPTION_WORDS_ONLY,
      .arg = "on|off|MECHANISM", .words = auth_words, .def_msmtp = "off", A(auth),
      .help = "log in (on where a user is set)" },
    { .name = "user", .group = "Authentication", .type = OPTION_TEXT, .flags = BOTH | WIRE | OPTION_SUBST_OWN,
      .arg = "USER", A(user), .help = "user name to log in with" },
    { .name = "password", .group = "Authentication", .type = OPTION_TEXT, .flags = FILE_ONLY | OPTION_SECRET,
      .arg = "PASSWORD", A(password), .help = "password; passwordeval or the keyring are safer places" },
    { .name = "passwordeval", .group = "Authentication", .type = OPTION_COMMAND, .flags = BOTH, .arg = "COMMAND",
      A(passwordeval), .help = "command whose first line of output is the password" },
    { .name = "ntlmdomain", .group = "Authentication", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "DOMAIN",
      A(ntlmdomain), .help = "domain for the mechanism NTLM" },
    { .name = "keyring", .group = "Authentication", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(keyring), .help = "ask the keyring for the password" },

    { .name = "tls", .group = "TLS", .type = OPTION_TRI, .flags = BOTH | OPTIONAL, .arg = "auto|on|off",
      .words = tristates, .def = "auto", .def_msmtp = "off", A(tls), .help = "encrypt the connection" },
    { .name = "tls_starttls", .group = "TLS", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(tls_starttls), .help = "off: TLS at once, as on port 465" },
    { .name = "tls_trust_file", .group = "TLS", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", .words = system_word,
      .def = "system", A(tls_trust_file), .help = "certificates to trust" },
    { .name = "tls_crl_file", .group = "TLS", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", A(tls_crl_file),
      .help = "revoked certificates" },
    { .name = "tls_fingerprint", .group = "TLS", .type = OPTION_LIST, .flags = BOTH | OPTION_MULTI, .arg = "SHA256",
      A(tls_fingerprint), .help = "accept exactly this certificate, or key with sha256-spki:" },
    { .name = "tls_key_file", .group = "TLS", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", A(tls_key_file),
      .help = "private key of our own certificate" },
    { .name = "tls_cert_file", .group = "TLS", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", A(tls_cert_file),
      .help = "our own certificate" },
    { .name = "tls_certcheck", .group = "TLS", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(tls_certcheck), .help = "off: accept whatever certificate the server has" },
    { .name = "tls_priorities", .group = "TLS", .type = OPTION_TEXT, .flags = BOTH, .arg = "STRING", A(tls_priorities),
      .help = "GnuTLS priority string" },
    { .name = "tls_host_override", .group = "TLS", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "HOST",
      A(tls_host_override), .help = "the name the certificate must have" },
    { .name = "tls_policy", .group = "TLS", .type = OPTION_BY_DOMAIN, .flags = BOTH | OPTION_MULTI,
      .arg = "'[DOMAIN] LEVEL'", .words = tls_levels, A(tls_policy),
      .help = "what a mail exchanger's TLS must be: none, may, encrypt, dane, dane-only, verify or fingerprint" },
    { .name = "tls_session_cache", .group = "TLS", .type = OPTION_TRI, .flags = BOTH, .arg = "auto|on|off",
      .words = tristates, .def = "auto", A(tls_session_cache), .help = "take up TLS sessions of earlier runs" },
    { .name = "requiretls", .group = "TLS", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "off", A(requiretls),
      .help = "no server shall pass the message on without verified TLS" },

    { .name = "from", .group = "Message", .type = OPTION_LIST, .flags = FILE_ONLY | WIRE | OPTION_MULTI | OPTION_SUBST,
      .arg = "ADDRESS", A(from), .help = "sender address, or pattern of those the account is for" },
    { .name = "from_full_name", .letter = 'F', .group = "Message", .type = OPTION_TEXT,
      .flags = BOTH | WIRE | OPTION_SUBST, .arg = "NAME", A(from_full_name),
      .help = "name in a From header that is added" },
    { .name = "allow_from_override", .group = "Message", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(allow_from_override), .help = "off: the file's from wins over --from" },
    { .name = "dsn_notify", .letter = 'N', .group = "Message", .type = OPTION_TEXT,
      .flags = BOTH | WIRE | OPTION_WORDS_ONLY | OPTION_MULTI, .arg = "WORDS", .words = notify_words, A(dsn_notify),
      .help = "report never, or on failure, delay, success" },
    { .name = "dsn_return", .letter = 'R', .group = "Message", .type = OPTION_TEXT,
      .flags = BOTH | WIRE | OPTION_WORDS_ONLY, .arg = "headers|full", .words = return_words, A(dsn_return),
      .help = "what a report returns" },
    { .name = "set_from_header", .group = "Message", .type = OPTION_TRI, .flags = BOTH | OPTIONAL, .arg = "auto|on|off",
      .words = tristates, .def = "auto", A(set_from_header), .help = "write a From header" },
    { .name = "set_date_header", .group = "Message", .type = OPTION_TRI, .flags = BOTH | OPTIONAL, .arg = "auto|off",
      .words = tristates, .def = "auto", A(set_date_header), .help = "write a Date header" },
    { .name = "set_msgid_header", .group = "Message", .type = OPTION_TRI, .flags = BOTH | OPTIONAL,
      .arg = "auto|on|off", .words = tristates, .def = "auto", A(set_msgid_header),
      .help = "write a Message-ID header" },
    { .name = "set_to_header", .group = "Message", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "off",
      A(set_to_header), .help = "write 'To: undisclosed-recipients:;' where there is none" },
    { .name = "remove_bcc_headers", .group = "Message", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on",
      A(remove_bcc_headers), .help = "take Bcc headers out" },
    { .name = "undisclosed_recipients", .group = "Message", .type = OPTION_FLAG, SWITCH, .words = switches,
      .def = "off", A(undisclosed_recipients), .help = "replace To, Cc and Bcc by 'To: undisclosed-recipients:;'" },
    { .name = "aliases", .group = "Message", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE", A(aliases),
      .help = "aliases for recipients without a domain" },
    { .name = "all_or_nothing", .group = "Message", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "off",
      A(all_or_nothing), .help = "send nothing when one recipient is refused" },

    { .name = "logfile", .letter = 'X', .group = "Reports", .type = OPTION_FILE, .flags = BOTH, .arg = "FILE|-",
      A(logfile), .help = "append a line for each mail" },
    { .name = "logfile_time_format", .group = "Reports", .type = OPTION_TEXT, .flags = BOTH, .arg = "FORMAT",
      A(logfile_time_format), .help = "strftime format of its time" },
    { .name = "syslog", .group = "Reports", .type = OPTION_TEXT, .flags = BOTH | OPTIONAL | OPTION_WORDS_ONLY,
      .arg = "on|off|FACILITY", .words = facilities, A(syslog), .help = "log to syslog" },
    { .name = "diagnose", .group = "Reports", .type = OPTION_FLAG, SWITCH, .words = switches, .def = "on", A(diagnose),
      .help = "find out why there was no connection" },

    { .name = "auto_from", .type = OPTION_FLAG, SWITCH, .words = switches, OLD("from=%U@DOMAIN"), BY_HAND },
    { .name = "maildomain", .type = OPTION_TEXT, .flags = BOTH | WIRE, .arg = "DOMAIN", OLD("from=%U@DOMAIN"),
      BY_HAND },
    { .name = "keepbcc", .type = OPTION_FLAG, SWITCH, .words = switches, OLD("remove_bcc_headers=off|on"),
      A(remove_bcc_headers) },
    { .name = "add_missing_from_header", .type = OPTION_FLAG, SWITCH, .words = switches,
      OLD("set_from_header=auto|off"), A(set_from_header) },
    { .name = "add_missing_date_header", .type = OPTION_FLAG, SWITCH, .words = switches,
      OLD("set_date_header=auto|off"), A(set_date_header) },
    { .name = "tls_nocertcheck", .type = OPTION_FLAG, SWITCH, .words = switches, OLD("tls_certcheck=off|on"),
      A(tls_certcheck) },
    { .name = "tls_nostarttls", .type = OPTION_FLAG, SWITCH, .words = switches, OLD("tls_starttls=off|on"),
      A(tls_starttls) },
    { .name = "tls_force_sslv3", .type = OPTION_FLAG, SWITCH, .words = switches, OLD("tls_priorities"), BY_HAND },
    { .name = "tls_min_dh_prime_bits", .type = OPTION_NUMBER, .flags = BOTH, .arg = "BITS", .min = 0, .max = 65536,
      OLD("tls_priorities"), BY_HAND },
    { .name = "connect_timeout", .type = OPTION_SECONDS, .flags = BOTH, .arg = "TIME|off", OLD("timeout"), A(timeout) },
};

static const struct option send_rows[] = {
    { .name = "account", .letter = 'a', .group = "Account", .type = OPTION_TEXT, .flags = ARGV, .arg = "ACCOUNT",
      S(account_name), .help = "send with this account of the file" },
    { .name = "file", .letter = 'C', .group = "Account", .type = OPTION_FILE, .flags = ARGV, .arg = "FILE", S(file),
      .help = "read this file instead of the user's own" },
    { .name = "from", .letter = 'f', .group = "Envelope", .type = OPTION_TEXT, .flags = ARGV | WIRE | OPTION_EMPTY_OK,
      .arg = "ADDRESS", S(from), .help = "envelope sender; '' is the null sender" },
    { .name = "read_recipients", .letter = 't', .group = "Envelope", .type = OPTION_FLAG, .flags = ARGV, .def = "off",
      S(read_recipients), .help = "recipients from To, Cc and Bcc, too" },
    { .name = "read_envelope_from", .group = "Envelope", .type = OPTION_FLAG, .flags = ARGV, .def = "off",
      S(read_envelope_from), .help = "envelope sender from the From header" },
    { .name = "dsn_envid", .letter = 'V', .group = "Envelope", .type = OPTION_TEXT, .flags = ARGV | WIRE, .arg = "ID",
      S(dsn_envid), .help = "identifier that reports about this message shall name" },

    { .name = "subject", .group = "Composing", .type = OPTION_TEXT, .flags = ARGV | WIRE | OPTION_EMPTY_OK,
      .arg = "TEXT", S(subject), .help = "compose a message: its subject" },
    { .name = "body", PART, .arg = "TEXT|@FILE|-", .help = "its text (standard input)" },
    { .name = "to", .group = "Composing", .type = OPTION_TEXT, .flags = ARGV | WIRE | MULTI, .arg = "ADDRESSES", S(to),
      .help = "recipients named in the To header, as those without an option" },
    { .name = "cc", .group = "Composing", .type = OPTION_TEXT, .flags = ARGV | WIRE | MULTI, .arg = "ADDRESSES", S(cc),
      .help = "recipients named in the Cc header" },
    { .name = "bcc", .group = "Composing", .type = OPTION_TEXT, .flags = ARGV | WIRE | MULTI, .arg = "ADDRESSES",
      S(bcc), .help = "recipients not named in the message" },
    { .name = "header", .group = "Composing", .type = OPTION_TEXT, .flags = ARGV | WIRE | MULTI | OPTION_ORDERED,
      .arg = "'NAME: VALUE'", BY_HAND, .help = "a header field of the message" },
    { .name = "attach", PART_FILE, .arg = "FILE|-", .help = "attach a file" },
    { .name = "attach_inline", PART_FILE, .arg = "FILE|-", .help = "a file that an HTML body shows: src=\"cid:ID\"" },
    { .name = "attach_body", PART, .arg = "TEXT|@FILE|-", .help = "the body in another form (alternative)" },
    { .name = "attach_type", PART, .arg = "TYPE", .help = "media type of what follows (by the file's name)" },
    { .name = "attach_name", PART, .arg = "NAME", .help = "name of the next file; '' is none" },
    { .name = "attach_id", PART, .arg = "ID", .help = "Content-ID of the next file (its name, where inline)" },
    { .name = "attach_charset", PART, .arg = "CHARSET", .help = "charset of the next text (utf-8)" },

    { .name = "batch", .group = "Batch", .type = OPTION_FILE, .flags = ARGV, .arg = "FILE|MAILDIR|@LIST|-",
      S(batch), .help = "send every message of an mbox, a Maildir, a list of files" },
    { .name = "batch_format", .group = "Batch", .type = OPTION_WORD, .flags = ARGV, .arg = "FORMAT",
      .words = batch_formats, .def = "auto", S(batch_format),
      .help = "what it is: mbox, maildir, list, or nul: a NUL behind each message" },
    { .name = "connections", .group = "Batch", .type = OPTION_NUMBER, .flags = ARGV, .arg = "N", .min = 1,
      .max = BATCH_CONNECTIONS_MAX, .def = "4", S(connections), .help = "so many at once" },
    { .name = "report", .group = "Batch", .type = OPTION_FILE, .flags = ARGV, .arg = "FILE|-", .def = "-",
      S(report), .help = "where a JSON line for each message goes (standard output)" },
    { .name = "resume", .group = "Batch", .type = OPTION_FILE, .flags = ARGV, .arg = "FILE", S(resume),
      .help = "keep a journal there; go on where an earlier run left off" },
    { .name = "retry_uncertain", .group = "Batch", .type = OPTION_FLAG, .flags = ARGV, .def = "off",
      S(retry_uncertain), .help = "send again what an earlier run may have sent" },

    { .name = "dry_run", .group = "Mode", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(dry_run),
      .help = "print envelope and message, send nothing" },
    { .name = "pretend", .letter = 'P', .group = "Mode", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(pretend),
      .help = "print the settings that would be used, send nothing" },
    { .name = "serverinfo", .letter = 'S', .group = "Mode", .type = OPTION_FLAG, .flags = ARGV, .def = "off",
      S(serverinfo), .help = "print what the server offers, its certificate and times; send nothing" },
    { .name = "rmqs", .group = "Mode", .type = OPTION_TEXT, .flags = ARGV | WIRE, .arg = "HOST|@DOMAIN|#QUEUE", S(rmqs),
      .help = "have the server start this queue (ETRN), send nothing" },

    { .name = "verbose", .letter = 'v', .group = "Output", .type = OPTION_FLAG, .flags = ARGV, BY_HAND,
      .help = "show the dialogue with the server" },
    { .name = "debug", .letter = 'd', .group = "Output", .type = OPTION_FLAG, .flags = ARGV, BY_HAND,
      .help = "show the dialogue and the message" },
    { .name = "timings", .group = "Output", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(timings),
      .help = "with times in the dialogue" },
    { .name = "transcript", .group = "Output", .type = OPTION_FILE, .flags = ARGV, .arg = "FILE|-", S(transcript),
      .help = "write the dialogue to a file" },
    { .name = "transcript_format", .group = "Output", .type = OPTION_WORD, .flags = ARGV, .arg = "text|json",
      .words = transcript_formats, .def = "text", S(transcript_format), .help = "its form" },
    { .name = "json", .group = "Output", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(json),
      .help = "print the outcome as one JSON object" },
    { .name = "progress", .group = "Output", .type = OPTION_TRI, .flags = ARGV | OPTIONAL, .arg = "auto|on|off",
      .words = tristates, .def = "auto", S(progress), .help = "a bar while a big message is sent" },
    { .name = "version", .group = "Output", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(version),
      .help = "print version, libraries and files" },
    { .name = "help", .group = "Output", .type = OPTION_FLAG, .flags = ARGV, .def = "off", S(help),
      .help = "print this" },

    /* Letters that callers of sendmail write and that change nothing here, as in msmtp. */
    { .letter = 'b', .type = OPTION_WORD, .flags = ARGV, .arg = "MODE", .words = sendmail_modes, BY_HAND },
    { .letter = 'B', .type = OPTION_TEXT, .flags = ARGV, .arg = "TYPE", BY_HAND },
    { .letter = 'G', .type = OPTION_FLAG, .flags = ARGV, BY_HAND },
    { .letter = 'h', .type = OPTION_TEXT, .flags = ARGV, .arg = "HOPS", BY_HAND },
    { .letter = 'i', .type = OPTION_FLAG, .flags = ARGV, BY_HAND },
    { .letter = 'L', .type = OPTION_TEXT, .flags = ARGV, .arg = "TAG", BY_HAND },
    { .letter = 'm', .type = OPTION_FLAG, .flags = ARGV, BY_HAND },
    { .letter = 'n', .type = OPTION_FLAG, .flags = ARGV, BY_HAND },
    { .letter = 'O', .type = OPTION_TEXT, .flags = ARGV, .arg = "OPTION=VALUE", BY_HAND },
    { .letter = 'o', .type = OPTION_TEXT, .flags = ARGV, .arg = "OPTION", BY_HAND },
};

struct option_table account_options(void)
{
    return (struct option_table){ account_rows, sizeof account_rows / sizeof *account_rows };
}

struct option_table send_option_table(void)
{
    return (struct option_table){ send_rows, sizeof send_rows / sizeof *send_rows };
}
