/* completions: scripts for bash, zsh and fish, and a plain list for the tests, all from the option tables. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "conf/account.h"


typedef void row_fn(struct buf *out, const struct command *c, const struct option *o);

static void dashed(struct buf *out, const char *name)
{
    for (; *name; name++)
        buf_addc(out, *name == '_' ? '-' : *name);
}

/* fn for every row of the command that completes. */
static void each_row(struct buf *out, const struct command *c, row_fn *fn)
{
    for (size_t i = 0; i < COMMAND_TABLES && c->options[i]; i++) {
        struct option_table t = c->options[i]();
        for (size_t j = 0; j < t.n; j++)
            if ((t.rows[j].flags & OPTION_IN_ARGV) && !t.rows[j].today && t.rows[j].name)
                fn(out, c, &t.rows[j]);
    }
}

static bool takes_value(const struct option *o)
{
    return o->arg != NULL;
}

static bool value_may_be_apart(const struct option *o)
{
    return o->arg && o->type != OPTION_FLAG && !(o->flags & OPTION_VALUE_OPTIONAL);
}

static bool names_account(const struct option *o)
{
    return strcmp(o->name, "account") == 0;
}

static void words(struct buf *out, const struct option *o, const char *separator)
{
    for (size_t i = 0; o->words && o->words[i]; i++)
        buf_printf(out, "%s%s", i ? separator : "", o->words[i]);
}

/* Single quotes of all three shells; ' becomes '\''. */
static void quoted(struct buf *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, *text);
}

/* ---- bash ---- */

static void bash_name(struct buf *out, const struct command *c, const struct option *o)
{
    (void)c;
    buf_adds(out, " --");
    dashed(out, o->name);
    if (takes_value(o))
        buf_addc(out, '=');
    if (o->letter)
        buf_printf(out, " -%c", o->letter);
}

static void bash_value(struct buf *out, const struct command *c, const struct option *o)
{
    if (!takes_value(o) || (!o->words && o->type != OPTION_FILE && !names_account(o)))
        return;
    buf_printf(out, "        %s:--", c->name);
    dashed(out, o->name);
    if (o->letter && value_may_be_apart(o))
        buf_printf(out, "|%s:-%c", c->name, o->letter);
    buf_adds(out, ") ");
    if (names_account(o))
        buf_adds(out, "words=$(\"$envoi\" config ${file:+\"--file=$file\"} --accounts 2>/dev/null)");
    else if (o->words)
        buf_adds(out, "words='"), words(out, o, " "), buf_adds(out, "'");
    if (o->type == OPTION_FILE)
        buf_adds(out, o->words ? " files=1" : "files=1");
    buf_adds(out, " ;;\n");
}

static void bash(struct buf *out)
{
    buf_adds(out, "# bash completion for envoi, made by `envoi completions bash`\n"
                  "_envoi()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev= command=send words= files= option= i"
                  " file= envoi=${COMP_WORDS[0]}\n"
                  "    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n"
                  "        -C) file=${COMP_WORDS[i+1]} ;;\n        --file) file=${COMP_WORDS[i+2]} ;;\n"
                  "        esac\n    done\n"
                  "    file=${file/#\\~\\//$HOME/}\n"
                  "    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    [[ $cur == = ]] && cur=\n"
                  "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "    [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    COMPREPLY=()\n"
                  "    if ((COMP_CWORD > 1)); then\n        case ${COMP_WORDS[1]} in\n");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(out, "        %s) command=%s ;;\n", (*c)->name, (*c)->name);
    buf_adds(out, "        esac\n    fi\n    case $command:$prev in\n");
    for (const struct command *const *c = commands; *c; c++)
        each_row(out, *c, bash_value);
    buf_adds(out, "    *) option=1 ;;\n    esac\n"
                  "    if [[ -z $option ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                  "        [[ $files ]] && { compopt -o filenames 2>/dev/null;"
                  " COMPREPLY+=($(compgen -f -- \"$cur\")); }\n"
                  "        return\n    fi\n"
                  "    case $command in\n");
    for (const struct command *const *c = commands; *c; c++) {
        buf_printf(out, "    %s) words='", (*c)->name);
        each_row(out, *c, bash_name);
        buf_adds(out, "' ;;\n");
    }
    buf_adds(out, "    esac\n    [[ $cur == -* ]] || words=\n    ((COMP_CWORD == 1)) && [[ $cur != -* ]] && words='");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(out, " %s", (*c)->name);
    buf_adds(out, "'\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                  "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
                  "    return 0\n}\ncomplete -F _envoi envoi\n");
}

/* ---- zsh ---- */

/* Text inside [...] of _arguments, within single quotes. */
static void zsh_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            buf_addc(out, '\\');
        char one[2] = { *text, '\0' };
        quoted(out, one);
    }
}

static void zsh_action(struct buf *out, const struct option *o)
{
    if (!takes_value(o))
        return;
    buf_adds(out, o->flags & OPTION_VALUE_OPTIONAL ? "::" : ":");
    zsh_text(out, o->arg);
    buf_addc(out, ':');
    if (names_account(o))
        buf_adds(out, "_envoi_accounts");
    else if (o->words)
        buf_adds(out, "("), words(out, o, " "), buf_adds(out, ")");
    else if (o->type == OPTION_FILE)
        buf_adds(out, "_files");
}

static void zsh_row(struct buf *out, const struct command *c, const struct option *o)
{
    (void)c;
    buf_adds(out, "        '*--");
    dashed(out, o->name);
    buf_adds(out, !takes_value(o) ? "" : o->flags & OPTION_VALUE_OPTIONAL || o->type == OPTION_FLAG ? "=-" : "=");
    buf_addc(out, '[');
    zsh_text(out, o->help);
    buf_addc(out, ']');
    zsh_action(out, o);
    buf_adds(out, "'\n");
    if (!o->letter)
        return;
    buf_printf(out, "        '*-%c%s[", o->letter, value_may_be_apart(o) ? "+" : "");
    zsh_text(out, o->help);
    buf_addc(out, ']');
    if (value_may_be_apart(o))
        zsh_action(out, o);
    buf_adds(out, "'\n");
}

static void zsh(struct buf *out)
{
    buf_adds(out, "#compdef envoi\n# zsh completion for envoi, made by `envoi completions zsh`\n"
                  "_envoi_accounts() {\n    local -a accounts file\n    local i\n"
                  "    for ((i = 2; i < CURRENT; i++)); do\n        case $words[i] in\n"
                  "        -C|--file) file=(--file=${words[i+1]/#\\~\\//$HOME/}) ;;\n"
                  "        --file=*) file=($words[i]) ;;\n        esac\n    done\n"
                  "    accounts=(${(f)\"$(envoi config $file --accounts 2>/dev/null)\"})\n"
                  "    _describe account accounts\n}\n_envoi_commands() {\n    local -a commands\n    commands=(\n");
    for (const struct command *const *c = commands; *c; c++) {
        buf_printf(out, "        '%s:", (*c)->name);
        quoted(out, (*c)->help);
        buf_adds(out, "'\n");
    }
    buf_adds(out, "    )\n    _describe command commands\n}\n_envoi() {\n    local -a options\n    local command=send\n"
                  "    if ((CURRENT > 2)); then\n        case $words[2] in\n");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(out, "        %s) command=%s ;;\n", (*c)->name, (*c)->name);
    buf_adds(out, "        esac\n    fi\n    case $command in\n");
    for (const struct command *const *c = commands; *c; c++) {
        buf_printf(out, "    %s) options=(\n", (*c)->name);
        each_row(out, *c, zsh_row);
        buf_adds(out, "    ) ;;\n");
    }
    buf_adds(out, "    esac\n    if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n"
                  "        _envoi_commands\n    else\n"
                  "        _arguments -s -S $options '*: :'\n    fi\n}\n_envoi \"$@\"\n");
}

/* ---- fish ---- */

static void fish_row(struct buf *out, const struct command *c, const struct option *o)
{
    buf_printf(out, "complete -c envoi -n '__envoi_is %s' -l ", c->name);
    dashed(out, o->name);
    if (o->letter)
        buf_printf(out, " -s %c", o->letter);
    if (value_may_be_apart(o))
        buf_adds(out, o->type == OPTION_FILE && strcmp(o->name, "socket") ? " -rF" : " -x");
    if (names_account(o))
        buf_adds(out, " -a '(__envoi_accounts)'");
    else if (o->words)
        buf_adds(out, " -a '"), words(out, o, " "), buf_adds(out, "'");
    buf_adds(out, " -d '");
    quoted(out, o->help);
    buf_adds(out, "'\n");
}

static void fish(struct buf *out)
{
    buf_adds(out, "# fish completion for envoi, made by `envoi completions fish`\n"
                  "function __envoi_is\n    set -l words (commandline -opc)\n    set -l command send\n"
                  "    if set -q words[2]; and contains -- $words[2]");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(out, " %s", (*c)->name);
    buf_adds(out, "\n        set command $words[2]\n    end\n    test $command = $argv[1]\nend\n"
                  "function __envoi_accounts\n    set -l words (commandline -opc)\n    set -l file\n    set -l last\n"
                  "    for word in $words\n        switch $last\n            case -C --file\n"
                  "                set file --file=(string replace -r '^~/' $HOME/ -- $word)\n        end\n"
                  "        string match -q -- '--file=*' $word; and set file $word\n        set last $word\n    end\n"
                  "    envoi config $file --accounts 2>/dev/null\nend\n"
                  "complete -c envoi -f\n");
    for (const struct command *const *c = commands; *c; c++) {
        buf_printf(out, "complete -c envoi -n '__fish_is_nth_token 1' -a %s -d '", (*c)->name);
        quoted(out, (*c)->help);
        buf_adds(out, "'\n");
        each_row(out, *c, fish_row);
    }
}

/* ---- list: command or "file", option, letter or "-", version it came with ---- */

static const char *since(const struct option *o)
{
    return o->since ? o->since : "0.1";
}

static void list_row(struct buf *out, const struct command *c, const struct option *o)
{
    buf_printf(out, "%s\t--", c->name);
    dashed(out, o->name);
    buf_printf(out, "\t%c\t%s\n", o->letter ? o->letter : '-', since(o));
}

static void list(struct buf *out)
{
    struct option_table t = account_options();
    for (size_t i = 0; i < t.n; i++)
        if (t.rows[i].flags & OPTION_IN_FILE)
            buf_printf(out, "%s\t%s\t-\t%s\n", t.rows[i].today ? "obsolete" : "file", t.rows[i].name,
                       since(&t.rows[i]));
    for (const struct command *const *c = commands; *c; c++)
        each_row(out, *c, list_row);
}

static const struct { const char *name; void (*write)(struct buf *out); } forms[] = {
    { "bash", bash }, { "zsh", zsh }, { "fish", fish }, { "list", list },
};

static bool print(const char *shell, struct err *e)
{
    for (size_t i = 0; shell && i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(shell, forms[i].name) != 0)
            continue;
        struct buf out = BUF_INIT;
        forms[i].write(&out);
        bool ok = fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
        buf_free(&out);
        return ok || err_set(e, FAULT_IO, "cannot write to standard output");
    }
    err_set(e, FAULT_USAGE, shell ? "unknown shell '%s'" : "which shell?", shell);
    return err_hint(e, "write: envoi completions bash, zsh or fish");
}

static int run(int argc, char *const *argv)
{
    struct arguments a;
    struct err e = ERR_INIT;
    if (cmd_arguments(&a, &command_completions, argc, argv, &e))
        print(a.operands.n == 1 ? a.operands.v[0] : NULL, &e);
    cmd_arguments_free(&a);
    return cmd_end(&e);
}

const struct command command_completions = {
    .name = "completions",
    .synopsis = "bash|zsh|fish|list",
    .help = "Print the completion script for a shell",
    .options = { cmd_help_option },
    .run = run,
};
