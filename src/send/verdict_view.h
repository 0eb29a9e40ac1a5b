/* verdict_view: a scene, seen as the verdict's rules ask about it. Private to verdict*.c. */
#ifndef SEND_VERDICT_VIEW_H
#define SEND_VERDICT_VIEW_H

#include "send/blockers.h"
#include "send/scene.h"

/* The ways of not being connected to. */
enum reach_class { CLASS_OPEN, CLASS_REFUSED, CLASS_REJECTED, CLASS_SILENT, CLASS_NO_FAMILY, CLASS_UNKNOWN, CLASSES };

enum reach_class view_class(const struct scene *s, const struct sight *v);

/* How many sights of a kind came to which end. */
struct tally {
    int of[CLASSES];
    int all; /* without CLASS_UNKNOWN */
};

/* What two ladders to one address say together: of the port asked about, and of one that goes on. Hops count from 1;
 * 0: nothing. */
struct view_path {
    const struct scene_ladder *port, *other;
    int cut_behind;     /* silent ports: the last hop that answers the port asked about; -1: not even the first does */
    const char *router; /* … and its address; NULL: not known */
    bool short_of_host; /* a hop before the host answers the other port and not this one */
    int nearer;         /* the hop that plays the host for this port, nearer than the host */
    int far;            /* where the host answers the other port */
    const char *rejected_by; /* who sent the rejection; NULL: not known, or the host itself */
    int rejected_at;
    const char *said_by; /* who rejects everything to the host, where nothing can be compared; NULL: not known */
};

struct view {
    const struct scene *s;
    const struct sight *here; /* of the configured port, tried as configured, the one that got farthest; NULL: none */
    const struct sight *crossed;  /* … with TLS the other way round; NULL: none, or no better */
    const struct sight *small;    /* … with small segments, farther than without; NULL: none */
    const struct sight *certificate; /* the one of those whose certificate counts; NULL: none */
    const struct sight *way;      /* the best that works; NULL: none */
    bool straight;                /* it is what the configuration says */
    bool partly;                  /* so is this one, but `here`, another address of the host,
                                     connects and is of no use */
    int lost;                     /* straight: AF_INET or AF_INET6, by which nothing comes back from the port;
                                     0: none */
    bool lost_all;                /* … nor from any other port of the host */
    bool hangs_up_on_tls;         /* here is closed once TLS is begun, and not when nobody speaks */
    const struct sight *control;  /* the control host on the configured port; NULL: none */
    const struct sight *proof;    /* another sight of the host that has TLS; NULL: none */
    struct tally configured;      /* here and its like */
    struct tally v4, v6;          /* of those, by family */
    struct tally rest4, rest6;    /* of the host's other ports, by family */
    struct tally others;          /* the host's other ports for mail */
    struct tally web;             /* the host on 443 */
    struct tally elsewhere;       /* the control host, on any port */
    int mail_ports;               /* how many different ones were tried on the host */
    struct view_path path;
    const struct blocker *blocker; /* where this machine runs; NULL: not known */
};

void view_of(const struct scene *s, struct view *w);

/* Did the reply to EHLO come to its end? */
bool view_ehlo(const struct sight *v);

/* Did TLS prove who it is? NULL is nobody. */
bool view_verified(const struct sight *v);

#endif
