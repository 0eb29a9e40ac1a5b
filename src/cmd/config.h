/* config: what `envoi config` and --pretend print. */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/account.h"

/* The settings that hold, one a line, with where each comes from; secrets are masked. false: out has an error. */
bool account_print(const struct account *a, FILE *out);

#endif
