/* scene_text: scenes for tests, written in one line of text. */
#ifndef TESTS_SCENE_TEXT_H
#define TESTS_SCENE_TEXT_H

#include "send/scene.h"

/* Statements are separated by ';'. It starts with mail.example.org, port 587 with STARTTLS, verified, a login wanted,
 * a machine with IPv4 and IPv6.
 * port N | tls off|may|starttls|implicit | noauth | mech M | noverify | -4 | -6 | control HOST | proxy P | address | domain
 * dns4 OUTCOME [ADDRESS] | dns6 … | known OUTCOME | impossible OUTCOME | rewritten ADDRESS | nullmx
 * no4 | no6 | vendor V | env NAME | note TEXT
 * @ADDRESS PORT WORD…    a sight: on the configured port SIGHT_CONFIGURED, on 443 SIGHT_CONTROL_PORT, else SIGHT_OTHER_PORT; it
 *                        is healthy (STARTTLS, or TLS at once on 465) unless a WORD says otherwise
 * ladder ADDRESS PORT RUNGS  a letter for each: e expired, o open, r refused, x rejected by 10.0.0.1, . silent
 * In words '_' stands for a blank. Aborts on what it does not know. */
void scene_of_text(struct scene *s, const char *text);

#endif
