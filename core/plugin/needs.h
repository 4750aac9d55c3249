/* SPDX-License-Identifier: MIT */
/*
 * "needs" of a plugin's manifest: what its worker process must let it reach.
 *
 *     "needs": {
 *       "read":  ["/usr/share/zoneinfo", {"config": "/directories"}],
 *       "write": [{"config": "/url", "prefix": "sqlite://", "parent": true,
 *                  "if_false": "/read_only"}],
 *       "network": true,
 *       "unix_sockets": {"config": "/url", "prefix": "postgresql:"},
 *       "environment": [{"config": "/password/environment"}]
 *     }
 *
 * An entry is an absolute path, or an object that points into the provider's "config":
 * "config", a JSON Pointer to a string or an array of strings; "prefix", with what those
 * begin that count, and what is taken off; "parent": true, the directory that the path
 * is in; "if_false", a pointer: the entry counts only if there is false there.
 * "network" and "unix_sockets" are true, or such an object or an array of them, which asks
 * if it yields anything. "environment" has such objects only: a variable is named by the
 * operator, never by a plugin. Other members, and what has another form, are passed over:
 * manifests are older than this.
 */
#ifndef PLUGIN_NEEDS_H
#define PLUGIN_NEEDS_H

#include "base/error.h"
#include "plugin/sandbox.h"

/* Whose word a path is. */
enum needs_origin {
    NEEDS_NAMED, /* the manifest's */
    NEEDS_CONFIGURED, /* the operator's, whole */
    NEEDS_DERIVED /* made of the operator's by the manifest: a parent, the end of a path */
};

/* Told of each thing asked for; what is NULL is not asked. */
struct needs_reader {
    void (*path)(void *context, enum sandbox_access access, struct bytes path,
                 enum needs_origin origin);
    void (*network)(void *context);
    void (*unix_sockets)(void *context);
    void (*variable)(void *context, struct bytes name); /* ends with a NUL */
    void *context;
};

/* Reads `needs` with a provider's "config". False: out of memory, or no JSON object. */
bool needs_read(struct bytes needs, struct bytes config, const struct needs_reader *reader);

/* Writes what is asked for as lines for a person: "read: what config/directories names". */
void needs_describe(struct bytes needs, struct buf *out);

#endif
