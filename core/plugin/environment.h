/* SPDX-License-Identifier: MIT */
/*
 * The environment of a process that runs a plugin: a trial, a worker. Nothing of mcpd's
 * own goes along but what the operator's configuration names for this provider, where
 * the plugin's manifest says that it names a variable (needs.h): a password, a token.
 */
#ifndef PLUGIN_ENVIRONMENT_H
#define PLUGIN_ENVIRONMENT_H

#include "base/bytes.h"

/* The variables `kept` (NULL ends them) and those that `needs`, the manifest's, finds in
 * the provider's `config`, as far as mcpd has them; and in builds with a sanitizer what
 * that listens to. environment_free() it. NULL: out of memory. */
char **environment_make(const char *const *kept, struct bytes needs, struct bytes config);
void environment_free(char **environment);

#endif
