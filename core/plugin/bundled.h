/* SPDX-License-Identifier: MIT */
/*
 * Which plugin files are mcpd's own. Those run in mcpd's process unless the operator
 * says otherwise; all others in worker processes.
 *
 * A file is mcpd's own if, byte for byte, it is the file of the same name in mcpd's
 * directory of originals: `plugins` beside the program mcpd, as in a build tree, else
 * bundled in the directory of mcpd-worker, where `make install` puts a second copy and
 * where nobody drops plugins. So neither a name nor anything in a stranger's file can
 * claim it, by accident or on purpose; what a packager does to the files after the
 * install (strip, prelink, debug links) happens to both copies alike; and mcpd holds no
 * list that an upgrade could leave behind. A list of hashes would not survive the
 * packager, a mark in the file can be copied, and a directory of their own for bundled
 * plugins would make two directories to watch.
 */
#ifndef PLUGIN_BUNDLED_H
#define PLUGIN_BUNDLED_H

#include <stdbool.h>

/* Whether the file NAME with this content (image_hash) is one of ours. Control thread. */
bool bundled_has(const char *name, const unsigned char hash[32]);

#endif
