/* delay: how long a server asks to wait before the message is sent again, read from the words of its reply. */
#ifndef SEND_DELAY_H
#define SEND_DELAY_H

#include "base/buf.h"

enum { DELAY_MAX = 7 * 24 * 3600 }; /* seconds; a server that asks for more is not believed */

/* The longest time, in seconds, that a 4xx reply (one line, its parts joined by blanks) asks to come back in:
 * "Greylisted for 300 seconds", "try again in 5 minutes", "come back in 00:04:59". 0: it names none. */
long delay_asked(const char *reply);

/* "5 minutes", rounded up; appends. */
void delay_words(long seconds, struct buf *out);

#endif
