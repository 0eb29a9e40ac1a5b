/* machine: what there is to know of the machine we run on. */
#ifndef SEND_MACHINE_H
#define SEND_MACHINE_H

#include "send/scene.h"

/* Fills m, which is all zero. What cannot be read stays unknown. */
void machine_look(struct scene_machine *m);

#endif
