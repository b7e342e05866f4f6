/*
 * admin - the door through which a router is seen and mended over HTTP (setting `admin`)
 *
 *   /, /page/...       files of the page, from the binary
 *   /live ...          health.h
 *   /v1/openapi.json   what there is
 *   /v1/...            clerk.h, once guard.h has let it in
 *
 * docs/admin.md says what all of it promises.
 */
#ifndef HERALD_FACE_ADMIN_H
#define HERALD_FACE_ADMIN_H

#include "base/settings.h"
#include "face/health.h"

struct admin;

struct admin_door {
    uv_loop_t *loop;
    const struct settings *settings; /* as all here lent for life */
    struct health *health;
    struct log *log;
};

/* ERR_CONFIG: nothing can listen there, or a token cannot be read. */
int admin_start(struct admin **out, const struct admin_door *door, struct err *err);

/* Before the health is stopped. The memory goes once the loop has closed its handles. NULL is fine.
 */
void admin_stop(struct admin **out);

#endif
