/* fuzz_dialogue: any octets as a dialogue: quoted text, and the script of either side made of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/talk.h"
#include "smtp/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum play run(struct player *p, const struct script_step *s)
{
    (void)p, (void)s;
    return PLAY_END;
}

/* One word of each kind of argument, as the sink has them. */
static const struct script_op line = { .argument = SCRIPT_LINE, .run = run };
static const struct script_op ops[] = {
    { "tls", SCRIPT_NONE, .run = run }, { "wait", SCRIPT_SECONDS, .run = run }, { "raw", SCRIPT_OCTETS, .run = run },
    { "body", SCRIPT_COUNT, .run = run }, { "reply", SCRIPT_COUNT_OCTETS, .run = run }, { "set", SCRIPT_NAME_OCTETS, .run = run },
    { "repeat", SCRIPT_COUNT, .block = SCRIPT_OPENS, .run = run }, { "end", SCRIPT_NONE, .block = SCRIPT_CLOSES, .run = run },
    { .word = NULL },
};

/* The C library's regex is not ours to fuzz. */
static bool has_pattern(const struct dialogue *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].text[0] == '/')
            return true;
    return false;
}

static void use(struct script *s)
{
    struct script_vars vars = { 0 };
    bool greeting;

    if (!s)
        return;
    script_set(&vars, "x", "y");
    for (size_t i = 0; i < s->n; i++) {
        struct buf out = BUF_INIT;
        script_expand(s, &vars, s->v[i].line, strlen(s->v[i].line), &out);
        if (s->v[i].op->argument == SCRIPT_LINE)
            script_match(s, &s->v[i], &vars, "250 ok");
        buf_free(&out);
    }
    free(talk_cues(s, &greeting));
    script_vars_free(&vars);
    script_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct script_params sink = { .name = "fuzz", .whose = "the sink", .ops = ops, .client = &line, .server = &line };
    struct dialogue d = DIALOGUE_INIT;
    struct err e = ERR_INIT;

    if (size > 4096)
        return 0;
    dialogue_parse(&d, "fuzz", (const char *)data, size, true, &e);
    for (size_t i = 0; i < d.n; i++) {
        struct buf out = BUF_INIT;
        err_clear(&e);
        dialogue_unquote(d.v[i].text, &out, &e);
        buf_free(&out);
    }
    err_clear(&e);
    if (!has_pattern(&d)) {
        use(script_compile(&sink, (const char *)data, size, &e));
        err_clear(&e);
        use(talk_compile("fuzz", (const char *)data, size, NULL, &e));
        err_clear(&e);
    }
    dialogue_free(&d);
    return 0;
}
