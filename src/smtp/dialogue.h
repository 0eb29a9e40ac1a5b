/* dialogue: the dialogue format, read. envoi-dialogue(7) defines it for people.
 *
 *     C: EHLO client.example       what the client sends
 *     S: 250-mail.example          what the server sends, or how its reply must begin; /regex/ is a pattern
 *     # note                       anything else
 *     # @word argument …           a directive
 *
 * One blank behind the colon belongs to the prefix. Lines without a prefix are
 * client lines when the params say so (talk). */
#ifndef SMTP_DIALOGUE_H
#define SMTP_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum dialogue_kind { DIALOGUE_CLIENT, DIALOGUE_SERVER, DIALOGUE_NOTE, DIALOGUE_DIRECTIVE };

struct dialogue_line {
    enum dialogue_kind kind;
    int number;     /* in the file, from 1 */
    char *text;     /* own: line, note, or the directive's argument ("" when none) */
    char *word;     /* own: the directive's name without '@'; NULL for others */
};

struct dialogue {
    struct dialogue_line *v; /* own */
    size_t n, cap;
};

#define DIALOGUE_INIT { 0 }

/* name is for messages. plain: a line without prefix is a client line; else an error (FAULT_CONFIG: name:line, the
 * line, what a line may look like). */
bool dialogue_parse(struct dialogue *d, const char *name, const char *text, size_t n, bool plain, struct err *e);
void dialogue_free(struct dialogue *d);

/* Undoes "…" with \r \n \t \0 \\ \" \xHH; unquoted text is taken as it is. Appends. */
struct buf;
bool dialogue_unquote(const char *text, struct buf *out, struct err *e);

#endif
