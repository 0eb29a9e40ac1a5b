/* serverinfo: what --serverinfo prints, gathered from the events of one connection. */
#ifndef CMD_SERVERINFO_H
#define CMD_SERVERINFO_H

#include <stdio.h>

#include "base/event.h"

struct serverinfo;

struct serverinfo *serverinfo_open(struct hub *h, const char *protocol); /* "SMTP" or "LMTP", borrowed */

/* Prints what was learnt, if a server was reached at all, and ends listening. NULL is allowed. */
void serverinfo_close(struct serverinfo *i, FILE *out);

#endif
