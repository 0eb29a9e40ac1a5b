/* probe_options: the rows of swaks's options and ours, where they can be said, and what is asked for on the terminal.
 * What they mean is probe_plan.c's. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/secret.h"
#include "base/file.h"
#include "cmd/probe.h"
#include "cmd/probe_said.h"
#include "conf/settings.h"

enum { RC_MAX = 1 << 20, INPUT_MAX = INT_MAX };

#define FLAG .type = OPTION_FLAG, .flags = OPTION_IN_ARGV
#define TEXT .type = OPTION_TEXT, .flags = OPTION_IN_ARGV
#define WIRE .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_WIRE
#define FILE_ .type = OPTION_FILE, .flags = OPTION_IN_ARGV
#define MAYBE .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL
#define EACH .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_MULTI
#define NUMBER .type = OPTION_NUMBER, .flags = OPTION_IN_ARGV
#define HAND .at = OPTION_BY_HAND
#define GROUP(name) .group = (name), HAND

static const char *const protocols[] = {
    "smtp", "ssmtp", "ssmtpa", "smtps", "esmtp", "esmtpa", "esmtps", "esmtpsa", "lmtp", "lmtpa", "lmtps", "lmtpsa",
    NULL,
};
#define STOPS \
    "proxy", "connect", "banner", "first-helo", "first-ehlo", "first-lhlo", "xclient", "xclient-helo", "xclient-ehlo", \
    "xclient-lhlo", "starttls", "tls", "helo", "ehlo", "lhlo", "auth", "mail", "from", "rcpt", "to"
static const char *const quit_stops[] = { STOPS, NULL };
static const char *const drop_stops[] = { STOPS, "data", "dot", NULL };
static const char *const sections[] = {
    "support", "app", "output", "transport", "protocol", "xclient", "proxy", "tls", "auth", "data", "all", NULL,
};
static const char *const lapses[] = { "i", "integer", NULL };
static const char *const silences[] = { "1", "2", "3", NULL };
static const char *const versions[] = { "1", "2", NULL };
static const char *const families[] = {
    "TCP4", "TCP6", "UNKNOWN", "AF_UNSPEC", "AF_INET", "AF_INET6", "AF_UNIX", NULL,
};
static const char *const transports[] = { "UNSPEC", "STREAM", "DGRAM", NULL };
static const char *const commands_[] = { "LOCAL", "PROXY", NULL };
static const char *const notify_words[] = { "never", "success", "failure", "delay", NULL };
static const char *const return_words[] = { "hdrs", "full", NULL };

static const struct option rows[] = {
    { .name = "server", .letter = 's', TEXT, .arg = "HOST[:PORT]", GROUP("Target"), .help = "connect to this host" },
    { .name = "port", .letter = 'p', TEXT, .arg = "PORT", GROUP("Target"),
      .help = "its port or the name of its service" },
    { .name = "local_interface", .also = "li", TEXT, .arg = "ADDR[:PORT]", GROUP("Target"),
      .help = "connect from this address" },
    { .name = "local_port", .also = "lp lport", TEXT, .arg = "PORT", GROUP("Target"),
      .help = "connect from this port" },
    { .name = "copy_routing", TEXT, .arg = "DOMAIN", GROUP("Target"),
      .help = "connect to where mail for this domain goes" },
    { .name = "ipv4_only", .letter = '4', FLAG, GROUP("Target"), .help = "use IPv4 only" },
    { .name = "ipv6_only", .letter = '6', FLAG, GROUP("Target"), .help = "use IPv6 only" },
    { .name = "socket", FILE_, .arg = "PATH", GROUP("Target"), .help = "connect to this unix socket" },
    { .name = "pipe", .type = OPTION_COMMAND, .flags = OPTION_IN_ARGV, .arg = "COMMAND", GROUP("Target"),
      .help = "talk to this program's standard input and output" },

    { .name = "to", .letter = 't', WIRE, .arg = "ADDRESS,...", GROUP("Dialogue"), .help = "recipients" },
    { .name = "cc", WIRE, .arg = "ADDRESS,...", GROUP("Dialogue"), .help = "more recipients, named in a Cc header" },
    { .name = "bcc", WIRE, .arg = "ADDRESS,...", GROUP("Dialogue"), .help = "more recipients, named nowhere" },
    { .name = "from", .letter = 'f', WIRE, .arg = "ADDRESS", GROUP("Dialogue"),
      .help = "sender; <> is the null sender" },
    { .name = "helo", .letter = 'h', .also = "ehlo lhlo", WIRE, .arg = "NAME", GROUP("Dialogue"),
      .help = "our name in HELO, EHLO or LHLO" },
    { .name = "protocol", .type = OPTION_WORD, .flags = OPTION_IN_ARGV, .words = protocols,
      .arg = "WORD", GROUP("Dialogue"),
      .help = "what is spoken, with or without TLS and login" },
    { .name = "quit_after", .letter = 'q', .also = "quit", TEXT, .words = quit_stops, .arg = "STOP", GROUP("Dialogue"),
      .help = "QUIT behind this step" },
    { .name = "drop_after", .also = "da drop", TEXT, .words = drop_stops, .arg = "STOP", GROUP("Dialogue"),
      .help = "close behind this step without a word" },
    { .name = "drop_after_send", .also = "das", TEXT, .words = drop_stops, .arg = "STOP", GROUP("Dialogue"),
      .help = "close when this step's command is written" },
    { .name = "timeout", TEXT, .arg = "TIME", GROUP("Dialogue"), .help = "longest wait for one step (30s; 0: a day)" },
    { .name = "pipeline", FLAG, GROUP("Dialogue"), .help = "PIPELINING, where offered" },
    { .name = "prdr", FLAG, GROUP("Dialogue"), .help = "ask for a reply for each recipient (PRDR)" },
    { .name = "force_getpwuid", FLAG, GROUP("Dialogue"), .help = "the sender made up is not $LOGNAME" },

    { .name = "tls", FLAG, GROUP("TLS"), .help = "STARTTLS, or end" },
    { .name = "tls_optional", .also = "tlso", FLAG, GROUP("TLS"), .help = "STARTTLS where it works" },
    { .name = "tls_optional_strict", .also = "tlsos", FLAG, GROUP("TLS"),
      .help = "STARTTLS where offered, and then it has to work" },
    { .name = "tls_on_connect", .also = "tlsc", FLAG, GROUP("TLS"), .help = "TLS at once" },
    { .name = "tls_protocol", .also = "tlsp", TEXT, .arg = "VERSION,...", GROUP("TLS"),
      .help = "only these versions, or all but: no_tlsv1_3" },
    { .name = "tls_cipher", TEXT, .arg = "STRING", GROUP("TLS"),
      .help = "names of OpenSSL's ciphers or a GnuTLS priority string" },
    { .name = "tls_cert", FILE_, .arg = "FILE", GROUP("TLS"), .help = "our own certificate" },
    { .name = "tls_key", FILE_, .arg = "FILE", GROUP("TLS"), .help = "its private key" },
    { .name = "tls_chain", FILE_, .arg = "FILE", GROUP("TLS"), .help = "the certificates of its issuers" },
    { .name = "tls_ca_path", FILE_, .arg = "PATH", GROUP("TLS"),
      .help = "certificates to trust: a file or a directory" },
    { .name = "tls_verify", FLAG, GROUP("TLS"), .help = "the server's certificate must be good" },
    { .name = "tls_verify_ca", FLAG, GROUP("TLS"), .help = "its issuer must be" },
    { .name = "tls_verify_host", FLAG, GROUP("TLS"), .help = "its name must be" },
    { .name = "tls_verify_target", WIRE, .arg = "NAME", GROUP("TLS"), .help = "the name it must have" },
    { .name = "tls_sni", WIRE, .arg = "NAME", GROUP("TLS"), .help = "the name asked for (SNI)" },
    { .name = "tls_get_peer_cert", .type = OPTION_FILE, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL,
      .arg = "FILE", GROUP("TLS"),
      .help = "print the server's certificate, or write it to a file" },
    { .name = "tls_get_peer_chain", .type = OPTION_FILE, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL,
      .arg = "FILE", GROUP("TLS"),
      .help = "the same with its issuers'" },

    { .name = "auth", .letter = 'a', MAYBE, .arg = "MECHANISM,...", GROUP("Login"), .help = "log in, or end" },
    { .name = "auth_optional", .also = "ao", MAYBE, .arg = "MECHANISM,...", GROUP("Login"),
      .help = "log in where it works" },
    { .name = "auth_optional_strict", .also = "aos", MAYBE, .arg = "MECHANISM,...", GROUP("Login"),
      .help = "log in where offered, and then it has to work" },
    { .name = "auth_user", .also = "au", MAYBE, .arg = "USER", GROUP("Login"),
      .help = "user name; <> is the empty one" },
    { .name = "auth_password", .also = "ap",
      .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL | OPTION_SECRET,
      .arg = "PASSWORD", GROUP("Login"), .help = "password or token; <> is the empty one" },
    { .name = "auth_extra", .also = "ae", WIRE, .arg = "KEY=VALUE,...", GROUP("Login"),
      .help = "realm or domain of the login" },
    { .name = "auth_map", .also = "am", WIRE, .arg = "NAME=MECHANISM,...", GROUP("Login"),
      .help = "other names of mechanisms" },
    { .name = "auth_plaintext", .also = "apt", FLAG, GROUP("Login"),
      .help = "show the login decoded, but for the secret" },
    { .name = "auth_hide_password", .also = "ahp", MAYBE, .arg = "WORD", GROUP("Login"),
      .help = "accepted: secrets are never shown" },
    { .name = "protect_prompt", .also = "pp", FLAG, GROUP("Login"),
      .help = "accepted: a password typed is never echoed" },

    { .name = "xclient", EACH | OPTION_WIRE, .arg = "STRING", GROUP("XCLIENT"),
      .help = "an XCLIENT command with these words" },
    { .name = "xclient_addr", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute ADDR" },
    { .name = "xclient_name", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute NAME" },
    { .name = "xclient_port", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute PORT" },
    { .name = "xclient_proto", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute PROTO" },
    { .name = "xclient_destaddr", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute DESTADDR" },
    { .name = "xclient_destport", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute DESTPORT" },
    { .name = "xclient_helo", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute HELO" },
    { .name = "xclient_login", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute LOGIN" },
    { .name = "xclient_reverse_name", WIRE, .arg = "VALUE", GROUP("XCLIENT"), .help = "attribute REVERSE_NAME" },
    { .name = "xclient_delim", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV | OPTION_MULTI, GROUP("XCLIENT"),
      .help = "what follows goes in another command" },
    { .name = "xclient_optional", FLAG, GROUP("XCLIENT"), .help = "go on in any case" },
    { .name = "xclient_optional_strict", FLAG, GROUP("XCLIENT"), .help = "go on where it is not offered" },
    { .name = "xclient_no_verify", FLAG, GROUP("XCLIENT"), .help = "attributes need not be among those offered" },
    { .name = "xclient_before_starttls", FLAG, GROUP("XCLIENT"), .help = "before STARTTLS, not behind it" },

    { .name = "proxy", TEXT, .arg = "STRING", GROUP("PROXY header"),
      .help = "this, behind 'PROXY ' or version 2's signature" },
    { .name = "proxy_version", TEXT, .words = versions, .arg = "1|2", GROUP("PROXY header"),
      .help = "in words or in octets" },
    { .name = "proxy_family", TEXT, .words = families, .arg = "FAMILY", GROUP("PROXY header"),
      .help = "of the addresses" },
    { .name = "proxy_protocol", TEXT, .words = transports, .arg = "WORD", GROUP("PROXY header"),
      .help = "version 2: kind of socket (STREAM)" },
    { .name = "proxy_command", TEXT, .words = commands_, .arg = "LOCAL|PROXY", GROUP("PROXY header"),
      .help = "version 2: whose connection (PROXY)" },
    { .name = "proxy_source", WIRE, .arg = "ADDRESS", GROUP("PROXY header"), .help = "where it comes from" },
    { .name = "proxy_source_port", WIRE, .arg = "PORT", GROUP("PROXY header"), .help = "and its port" },
    { .name = "proxy_dest", WIRE, .arg = "ADDRESS", GROUP("PROXY header"), .help = "where it goes to" },
    { .name = "proxy_dest_port", WIRE, .arg = "PORT", GROUP("PROXY header"), .help = "and its port" },

    { .name = "data", .letter = 'd', TEXT, .arg = "TEXT|@FILE|-", GROUP("Message"),
      .help = "the whole message, with \\n and %TOKENS% in it" },
    { .name = "body", TEXT, .arg = "TEXT|@FILE|-", GROUP("Message"), .help = "its text" },
    { .name = "header", EACH, .arg = "LINE", GROUP("Message"),
      .help = "in place of the header of that name; so does --h-NAME VALUE" },
    { .name = "add_header", .also = "ah", EACH, .arg = "LINE", GROUP("Message"), .help = "one more header" },
    { .name = "attach", EACH, .arg = "TEXT|@FILE|-", GROUP("Message"), .help = "attach this" },
    { .name = "attach_body", EACH, .arg = "TEXT|@FILE|-", GROUP("Message"),
      .help = "a text of the message; several are alternatives" },
    { .name = "attach_type", EACH | OPTION_WIRE, .arg = "TYPE", GROUP("Message"),
      .help = "type of the attachments that follow" },
    { .name = "attach_name", EACH | OPTION_WIRE | OPTION_VALUE_OPTIONAL, .arg = "NAME", GROUP("Message"),
      .help = "file name of the attachment that follows; without NAME none" },
    { .name = "no_data_fixup", .also = "ndf", FLAG, GROUP("Message"), .help = "the octets of --data as they are" },
    { .name = "no_strip_from", .also = "nsf", FLAG, GROUP("Message"), .help = "leave a first line 'From …' in" },
    { .name = "dump_as_body", .also = "dab", MAYBE, .words = sections, .arg = "SECTION,...", GROUP("Message"),
      .help = "the text is what --dump prints" },
    { .name = "dump_as_body_shows_password", .also = "dabsp", FLAG, GROUP("Message"), .help = "with the password" },
    { .letter = 'g', FLAG, HAND },

    { .name = "suppress_data", .letter = 'n', FLAG, GROUP("Output"), .help = "the message is summed up" },
    { .name = "show_time_lapse", .also = "stl", .type = OPTION_WORD, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL,
      .words = lapses, .arg = "i", GROUP("Output"), .help = "how long each reply took; i: in whole seconds" },
    { .name = "show_raw_text", .also = "raw", FLAG, GROUP("Output"), .help = "hex dumps of what is read and written" },
    { .name = "no_info_hints", .also = "nih", FLAG, GROUP("Output"), .help = "no '=== ' in front" },
    { .name = "no_send_hints", .also = "nsh", FLAG, GROUP("Output"), .help = "no ' -> ' in front" },
    { .name = "no_receive_hints", .also = "nrh", FLAG, GROUP("Output"), .help = "no '<-  ' in front" },
    { .name = "no_hints", .also = "nth", FLAG, GROUP("Output"), .help = "neither of both" },
    { .name = "hide_receive", .also = "hr", FLAG, GROUP("Output"), .help = "not what the server says" },
    { .name = "hide_send", .also = "hs", FLAG, GROUP("Output"), .help = "not what we say" },
    { .name = "hide_informational", .also = "hi", FLAG, GROUP("Output"), .help = "not what is only told" },
    { .name = "hide_all", .also = "ha", FLAG, GROUP("Output"), .help = "nothing" },
    { .name = "silent", .letter = 'S', MAYBE, .words = silences, .arg = "1|2|3", GROUP("Output"),
      .help = "nothing until there is an error; 2: errors only; 3: nothing" },
    { .name = "output_file", .also = "output", FILE_, .arg = "FILE", GROUP("Output"),
      .help = "append everything to this file" },
    { .name = "output_file_stdout", FILE_, .arg = "FILE", GROUP("Output"),
      .help = "append what would go to standard output" },
    { .name = "output_file_stderr", FILE_, .arg = "FILE", GROUP("Output"),
      .help = "append what would go to standard error" },
    { .name = "dump_mail", FLAG, GROUP("Output"), .help = "print the message, send nothing" },
    { .name = "dump", MAYBE, .words = sections, .arg = "SECTION,...", GROUP("Output"),
      .help = "print what would be done, send nothing" },
    { .name = "support", FLAG, GROUP("Output"), .help = "print what this binary can do" },
    { .name = "config", .type = OPTION_FILE, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL,
      .arg = "FILE", GROUP("Output"),
      .help = "read this in place of .swaksrc; without FILE none" },
    { .name = "version", FLAG, GROUP("Output"), .help = "print version and libraries" },
    { .name = "help", FLAG, GROUP("Output"), .help = "print this" },

    /* From here on ours. */
    { .name = "account", TEXT, .arg = "ACCOUNT", GROUP("Beyond swaks"),
      .help = "server, TLS and login of this account of envoi's file" },
    { .name = "via", .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_WIRE | OPTION_SECRET, .arg = "URL",
      GROUP("Beyond swaks"),
      .help = "through a proxy: socks5://HOST:PORT or http://HOST:PORT" },
    { .name = "all_mx", FLAG, GROUP("Beyond swaks"), .help = "every MX host and address, each in its turn" },
    { .name = "dns_server", WIRE, .arg = "ADDRESS", GROUP("Beyond swaks"),
      .help = "ask this server for the MX records" },
    { .name = "mail_param", EACH | OPTION_WIRE, .arg = "NAME[=VALUE]", GROUP("Beyond swaks"),
      .help = "a parameter of MAIL" },
    { .name = "rcpt_param", EACH | OPTION_WIRE, .arg = "NAME[=VALUE]", GROUP("Beyond swaks"),
      .help = "a parameter of each RCPT" },
    { .name = "size", .type = OPTION_NUMBER, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL, .max = LONG_MAX,
      .arg = "OCTETS", GROUP("Beyond swaks"),
      .help = "SIZE of the message, or any" },
    { .name = "8bitmime", FLAG, GROUP("Beyond swaks"), .help = "BODY=8BITMIME" },
    { .name = "smtputf8", FLAG, GROUP("Beyond swaks"), .help = "SMTPUTF8" },
    { .name = "requiretls", FLAG, GROUP("Beyond swaks"), .help = "REQUIRETLS" },
    { .name = "dsn_notify", .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_MULTI | OPTION_WORDS_ONLY,
      .words = notify_words, .arg = "WORD,...", GROUP("Beyond swaks"), .help = "NOTIFY of each recipient" },
    { .name = "dsn_return", .type = OPTION_WORD, .flags = OPTION_IN_ARGV, .words = return_words,
      .arg = "hdrs|full", GROUP("Beyond swaks"),
      .help = "RET" },
    { .name = "dsn_envid", WIRE, .arg = "ID", GROUP("Beyond swaks"), .help = "ENVID" },
    { .name = "bdat", FLAG, GROUP("Beyond swaks"), .help = "BDAT in place of DATA" },
    { .name = "auth_unadvertised", FLAG, GROUP("Beyond swaks"), .help = "AUTH though it is not offered" },
    { .name = "attach_charset", EACH | OPTION_WIRE, .arg = "CHARSET", GROUP("Beyond swaks"),
      .help = "charset of the text that follows" },
    { .name = "attach_inline", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV | OPTION_MULTI, GROUP("Beyond swaks"),
      .help = "the attachment that follows is shown inside the text" },
    { .name = "attach_id", EACH | OPTION_WIRE, .arg = "ID", GROUP("Beyond swaks"),
      .help = "Content-ID of the attachment that follows" },
    { .name = "diagnose", FLAG, GROUP("Beyond swaks"),
      .help = "find out why there was no connection (the default; --no-diagnose)" },
    { .name = "json", FLAG, GROUP("Beyond swaks"), .help = "one JSON object in place of the transcript" },
    { .name = "repeat", NUMBER, .arg = "N", .min = 1, .max = 100000000, GROUP("Beyond swaks"),
      .help = "so many transactions" },
    { .name = "parallel", NUMBER, .arg = "N", .min = 1, .max = 10000, GROUP("Beyond swaks"),
      .help = "so many of them at once" },
};

struct option_table probe_option_table(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

static size_t foreign_rows(void)
{
    size_t n = 0;
    while (!rows[n].name || strcmp(rows[n].name, "account") != 0)
        n++;
    return n;
}

/* ---- where it is said ---- */

/* --config as a word of its own anywhere on the command line; the last one counts. NULL: not said, "": no file. */
static const char *config_of(int argc, char *const *argv)
{
    for (int i = argc; i-- > 0;) {
        const char *word = argv[i] + (argv[i][0] == '-') + (argv[i][0] == '-' && argv[i][1] == '-');
        if (word == argv[i] || strncmp(word, "config", 6) != 0 || (word[6] && word[6] != '='))
            continue;
        if (word[6])
            return word + 7;
        return i + 1 < argc && argv[i + 1][0] != '-' ? argv[i + 1] : "";
    }
    return getenv("SWAKS_OPT_config");
}

static char *default_rc(void)
{
    static const char *const homes[] = { "SWAKS_HOME", "HOME", "LOGDIR" };
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        const char *home = getenv(homes[i]);
        struct stat st;
        char *path = home && *home ? xasprintf("%s/.swaksrc", home) : NULL;
        if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            return path;
        free(path);
    }
    return NULL;
}

static bool read_rc(struct probe_options *p, int argc, char *const *argv, struct err *e)
{
    const char *config = config_of(argc, argv);
    char *path = config ? xstrdup(*config ? config : NULL) : default_rc();
    struct buf text = BUF_SECRET_INIT;
    bool ok = !path || (file_read(path, RC_MAX, &text, FAULT_USAGE, e) && probe_rc(p, path, text.data, text.len, e));
    buf_free(&text);
    free(path);
    return ok;
}

bool probe_options_read(struct probe_options *p, int argc, char *const *argv, struct err *e)
{
    said_init(p, probe_option_table(), foreign_rows());
    return read_rc(p, argc, argv, e) && probe_environment(p, environ, e) && probe_cmdline(p, argc, argv, e);
}

/* ---- what is asked for ---- */

/* In swaks's order, so that answers can come from a pipe. */
static const struct ask {
    const char *name, *prompt;
    bool empty_ok;
} asks[] = {
    { "server", "Server: ", true },
    { "socket", "Socket File: ", false },
    { "pipe", "Pipe: ", false },
    { "from", "From: ", true },
    { "local_interface", "Interface: ", true },
    { "local_port", "Local Port: ", false },
    { "helo", "Helo: ", true },
    { "port", "Port: ", false },
    { "to", "To: ", false },
    { "timeout", "Timeout: ", false },
    { "body", "Body: ", false },
    { "data", "Data: ", true },
    { "xclient", "XCLIENT string: ", false },
    { "xclient_name", "XCLIENT name: ", false },
    { "xclient_addr", "XCLIENT addr: ", false },
    { "xclient_port", "XCLIENT port: ", false },
    { "xclient_proto", "XCLIENT proto: ", false },
    { "xclient_destaddr", "XCLIENT destaddr: ", false },
    { "xclient_destport", "XCLIENT destport: ", false },
    { "xclient_helo", "XCLIENT helo: ", false },
    { "xclient_login", "XCLIENT login: ", false },
    { "xclient_reverse_name", "XCLIENT reverse_name: ", false },
    { "proxy_version", "PROXY version: ", false },
    { "proxy", "PROXY string: ", false },
    { "proxy_family", "PROXY family: ", false },
    { "proxy_source", "PROXY source: ", false },
    { "proxy_source_port", "PROXY source_port: ", false },
    { "proxy_dest", "PROXY dest: ", false },
    { "proxy_dest_port", "PROXY dest_port: ", false },
    { "proxy_protocol", "PROXY protocol: ", false },
    { "proxy_command", "PROXY command: ", false },
};

bool probe_asks(const struct option *o)
{
    for (size_t i = 0; o->name && i < sizeof asks / sizeof *asks; i++)
        if (strcmp(o->name, asks[i].name) == 0)
            return true;
    return false;
}

/* Octet by octet, since what follows the line is the message's, or a child's. */
static bool read_line(const char *prompt, struct buf *line, struct err *e)
{
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 && !line->len) {
            err_set(e, FAULT_USAGE, "nothing was answered to '%.*s'", (int)strcspn(prompt, ":"), prompt);
            return err_hint(e, "write the value behind its option");
        }
        if (n <= 0 || c == '\n')
            return true;
        if (c)
            buf_addc(line, c);
    }
}

bool probe_prompt(const char *prompt, bool secret, struct buf *line, struct err *e)
{
    if (secret && isatty(STDIN_FILENO)) {
        const struct secret_params params = { .may_prompt = true, .prompt = prompt };
        return secret_from_terminal(&params, line, e) == SECRET_FOUND ||
               err_set(e, FAULT_USAGE, "no password was typed");
    }
    fputs(prompt, stdout);
    fflush(stdout);
    return read_line(prompt, line, e);
}

static bool answer(struct probe_options *p, const struct ask *ask, struct saying *s, struct err *e)
{
    struct buf line = BUF_INIT;
    bool ok;
    do {
        ok = probe_prompt(ask->prompt, false, &line, e);
    } while (ok && !line.len && !ask->empty_ok);
    if (ok && s) {
        union option_value ignored;
        free(s->value);
        s->value = xstrdup(line.data);
        ok = !line.len || option_value(s->o, line.data, &ignored, FAULT_USAGE, e);
    } else if (ok) {
        ok = said_add(p, option_by_name(p->table, ask->name, strlen(ask->name)), line.data, "terminal", e);
    }
    buf_free(&line);
    return ok;
}

bool probe_options_ask(struct probe_options *p, bool to_needed, struct err *e)
{
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        bool ok = true;
        for (size_t k = 0; ok && k < p->n; k++)
            if (!*p->v[k].value && said_is(&p->v[k], asks[i].name))
                ok = answer(p, &asks[i], &p->v[k], e);
        if (ok && to_needed && strcmp(asks[i].name, "to") == 0 && !said_flag(p, "to") && !said_flag(p, "cc") &&
            !said_flag(p, "bcc"))
            ok = answer(p, &asks[i], NULL, e);
        if (!ok)
            return false;
    }
    return true;
}

bool probe_input(struct probe_options *p, const struct buf **text, struct err *e)
{
    *text = &p->input;
    if (!p->input_read && !file_read_fd(STDIN_FILENO, INPUT_MAX, &p->input, e))
        return false;
    p->input_read = true;
    return true;
}
