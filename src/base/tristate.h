/* tristate: off, on, or as it comes. */
#ifndef BASE_TRISTATE_H
#define BASE_TRISTATE_H

enum tristate { TRI_OFF, TRI_ON, TRI_AUTO };

#endif
