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

/* Lists the directory and starts the control thread, which loads what the configuration
 * and the directory say, publishes the first snapshot - then plugins_ask's ticket is
 * settled - and goes on to watch. Providers that fail are logged and left out. NULL: the
 * directory cannot be read or the private directory not be made. Takes a reference of
 * the config. */
struct plugins *plugins_start(struct config *config, struct registry *registry, struct error *err);

/* A new configuration and a fresh look at every file. Returns at once; the
 * control thread does it. Any thread. */
void plugins_reload(struct plugins *plugins, struct config *config);

/* A ticket for everything that was asked for before, and whether that has been done: the
 * start is over, or a reload. A plugin may take as long as it likes for it. Any thread. */
uint64_t plugins_ask(struct plugins *plugins);
bool plugins_have_settled(struct plugins *plugins, uint64_t ticket);
/* Both in one, and waits. For tests. */
void plugins_settle(struct plugins *plugins);
/* The provider whose plugin is being loaded, asked or stopped; "": none. Any thread, also
 * beside plugins_stop. */
void plugins_are_at(char *id, size_t size);

/* Gives up what is being loaded, and loads nothing more; what is loaded goes on being
 * served. Waits for a plugin that is being loaded in this process, however long. */
void plugins_stop_loading(struct plugins *plugins);
/* That too, then retires all, drains until `deadline_ns`, stops, removes the private
 * copies. */
void plugins_stop(struct plugins *plugins, int64_t deadline_ns);

/* Checks files as a load would, without serving them, for mcpd --check: each
 * configured provider's file must exist and be fit, and each file that no provider names
 * be fit, too, but for the plugins that came with mcpd. Complaints go to
 * `complain`; returns how many. With `unhealthy`, each that is fit is also asked whether
 * it works: what it answers goes to `complain`, too, and is no complaint; *unhealthy
 * says how many do not. */
size_t plugins_check(struct config *config, config_complain *complain, void *context,
                     size_t *unhealthy);

#endif
