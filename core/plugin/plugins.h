/* SPDX-License-Identifier: MIT */
/*
 * The plugin directory, alive: which files are there, which providers run from
 * them, and what happens when that changes.
 *
 * One control thread does all of it. It looks at the directory when inotify
 * says so, on plugins_reload (SIGHUP), when a provider's notify asks for it,
 * and every 30 s (network and overlay file systems give no events). A file
 * counts as complete when it was closed after writing or renamed into place
 * and has not changed for a moment. A file that is bad never displaces a
 * working generation; its reason is logged once per content of the file.
 *
 * Order of a replacement: private copy, checks on the copy, trial in a
 * throw-away process, load, create, start, get_tools, publish the snapshot,
 * then retire, drain, stop and unmap the old generation.
 */
#ifndef PLUGIN_PLUGINS_H
#define PLUGIN_PLUGINS_H

#include "plugin/registry.h"

struct plugins;

/* Loads what the configuration and the directory say and publishes the first
 * snapshot, before it returns, then starts to watch. Providers that fail are
 * logged and left out. NULL: the directory cannot be read or the private
 * directory not be made. Takes a reference of the config. */
struct plugins *plugins_start(struct config *config, struct registry *registry, struct error *err);

/* A new configuration and a fresh look at every file. Returns at once; the
 * control thread does it. Any thread. */
void plugins_reload(struct plugins *plugins, struct config *config);

/* Waits until everything asked for before has been done. For tests and for the
 * readiness of a reload. */
void plugins_settle(struct plugins *plugins);

/* Retires all, drains until `deadline_ns`, stops, removes the private copies. */
void plugins_stop(struct plugins *plugins, int64_t deadline_ns);

/* Checks files as a load would, without serving them, for mcpd --check: each
 * configured provider's file must exist and be fit. Complaints go to
 * `complain`; returns how many. With `unhealthy`, each that is fit is also asked whether
 * it works: what it answers goes to `complain`, too, and is no complaint; *unhealthy
 * says how many do not. */
size_t plugins_check(struct config *config, config_complain *complain, void *context,
                     size_t *unhealthy);

#endif
