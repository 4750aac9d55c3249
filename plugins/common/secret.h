/* SPDX-License-Identifier: MIT */
/*
 * Secrets in the configuration of the bundled plugins: a password, a token. Written
 * there, or kept elsewhere and only named:
 *
 *     "password": "correct horse"
 *     "password": { "file": "/etc/mcp/sales.password" }
 *     "password": { "environment": "SALES_PASSWORD" }
 *
 * A provider in a process of its own, and every one in its trial, has only those
 * variables that its manifest's needs point to: "environment": [{"config":
 * "/password/environment"}].
 *
 * What goes wrong is told with the name of the file or variable, never with a part of
 * the secret.
 */
#ifndef PLUGINS_SECRET_H
#define PLUGINS_SECRET_H

#include <stdbool.h>

#include <mcp/plugin.h>

/* A member of a config schema, as the three forms above. */
#define SECRET_SCHEMA(description)                                                                 \
    "{\"description\":\"" description "\",\"anyOf\":[{\"type\":\"string\"},"                       \
    "{\"type\":\"object\",\"required\":[\"file\"],\"additionalProperties\":false,"                 \
    "\"properties\":{\"file\":{\"type\":\"string\"}}},"                                            \
    "{\"type\":\"object\",\"required\":[\"environment\"],\"additionalProperties\":false,"          \
    "\"properties\":{\"environment\":{\"type\":\"string\"}}}]}"

/* Reads the secret at the pointer into *out (secret_free it); NULL when there is nothing
 * at that place. Of a file, one newline at its end does not count. False: it is wrong,
 * and the host has been told. */
bool config_secret(const struct mcp_host *host, const char *pointer, char **out);

/* Overwrites and frees it; NULL is allowed. */
void secret_free(char *secret);

#endif
