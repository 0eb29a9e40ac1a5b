/* probe_output: what is shown, how, and where it goes. */
#include <stdlib.h>
#include <string.h>

#include "cmd/probe_parts.h"

/* "&STDOUT" and "&STDERR" are the streams themselves. */
static char *output_of(const struct probe_options *said, const char *option, const char *itself)
{
    const char *file = said_text(said, option) ? said_text(said, option) : said_text(said, "output_file");
    return file && strcmp(file, itself) != 0 ? xstrdup(file) : NULL;
}

static enum show_probe_lapse lapse(const struct probe_options *said)
{
    return !said_flag(said, "show_time_lapse") ? PROBE_LAPSE_OFF
           : said_text(said, "show_time_lapse") ? PROBE_LAPSE_SECONDS : PROBE_LAPSE_EXACT;
}

static enum show_probe_silence silence(const struct probe_options *said)
{
    const char *text = said_text(said, "silent");
    if (!said_flag(said, "silent"))
        return PROBE_LOUD;
    return text && strcmp(text, "2") == 0   ? PROBE_ERRORS_ONLY
           : text && strcmp(text, "3") == 0 ? PROBE_SILENT
                                            : PROBE_UNTIL_ERROR;
}

static char *peer_file(const struct probe_options *said, const char *option)
{
    const char *file = said_text(said, option);
    return said_flag(said, option) ? xstrdup(file ? file : "-") : NULL;
}

void probe_output(struct probe_plan *p)
{
    const struct probe_options *said = p->said;
    const struct {
        const char *option;
        bool *at;
    } flags[] = {
        { "hide_send", &p->show.hide_send },         { "hide_receive", &p->show.hide_receive },
        { "hide_informational", &p->show.hide_info }, { "hide_all", &p->show.hide_all },
        { "no_send_hints", &p->show.no_send_hints }, { "no_receive_hints", &p->show.no_receive_hints },
        { "no_info_hints", &p->show.no_info_hints }, { "suppress_data", &p->show.no_data },
        { "show_raw_text", &p->show.raw },           { "auth_plaintext", &p->show.decoded },
        { "json", &p->json },                        { "all_mx", &p->all_mx },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        *flags[i].at = said_flag(said, flags[i].option);
    if (said_flag(said, "no_hints"))
        p->show.no_send_hints = p->show.no_receive_hints = true;
    p->show.silence = silence(said);
    p->show.lapse = lapse(said);
    p->output = output_of(said, "output_file_stdout", "&STDOUT");
    p->errors = output_of(said, "output_file_stderr", "&STDERR");
    p->peer_cert = peer_file(said, "tls_get_peer_cert");
    p->peer_chain = peer_file(said, "tls_get_peer_chain");
    p->dns_server = said_text(said, "dns_server") ? xstrdup(said_text(said, "dns_server")) : NULL;
    p->probe.keep_pem = p->peer_cert || p->peer_chain;
    p->repeat = said_text(said, "repeat") ? atol(said_text(said, "repeat")) : 1;
    p->parallel = said_text(said, "parallel") ? atol(said_text(said, "parallel")) : 1;
}
