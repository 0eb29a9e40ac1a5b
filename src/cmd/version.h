/* version: what this binary is made of. */
#ifndef CMD_VERSION_H
#define CMD_VERSION_H

/* `--version`: version, libraries, mechanisms, files looked for; on stdout. */
void version_print(void);

#endif
