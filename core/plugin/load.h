/* SPDX-License-Identifier: MIT */
/*
 * From a file in the plugin directory to a running generation. Everything that
 * must be checked before foreign code runs is checked here, on the very bytes
 * that will run: a private copy that nobody else can write.
 */
#ifndef PLUGIN_LOAD_H
#define PLUGIN_LOAD_H

#include "plugin/provider.h"

#define PLUGIN_FILE_MAX (64u << 20)

/* A plugin file, copied and checked, not yet loaded. */
struct image {
    char *source; /* the path it came from */
    char *path; /* the private copy: PRIVATE_DIR/ID.GENERATION.HASH16.so */
    unsigned char hash[32];
    char id[65]; /* from the manifest */
    char version[65];
    char *needs; /* of the manifest, as JSON; NULL: none */
    bool bundled; /* it came with mcpd (bundled.h) */
    uint64_t generation;
    bool borrowed; /* image_free leaves the file: it is somebody else's */
};

/* Copies NAME from the open directory and checks the copy: a regular file (no
 * symbolic link), owned by root or by us, not writable by group or others (nor
 * the directory), at most PLUGIN_FILE_MAX, an ELF shared object for this
 * machine with a legal .note.mcp of ABI major 1 whose id is NAME without ".so",
 * without an executable stack, text relocations, DF_1_NODELETE or static TLS.
 * NULL: err says, in one sentence that starts with the file's name, what is
 * wrong and what to do. */
struct image *image_open(int directory_fd, const char *name, const char *private_directory,
                         uint64_t generation, struct error *err);
/* Removes the private copy and frees. */
void image_free(struct image *image);

/* Only hashes NAME, with the same checks of the file itself (not of its
 * content): to find out whether it changed. */
bool image_hash(int directory_fd, const char *name, unsigned char hash[32], struct error *err);

/* Runs the file through load, create, start, get_tools, stop and destroy in a
 * throw-away process (this program, executed again). False: err says how it
 * failed, in one sentence: the plugin's own words, a signal, an exit, or that
 * it was not done after `timeout_ms`. */
bool image_try(const struct image *image, const char *provider_id,
               const struct config_provider *settings, uint32_t timeout_ms, struct error *err);

/* What main() calls first when it was started for image_try; does not return
 * then. */
void image_try_child(int argc, char **argv);

/* Loads the image into this process, creates and starts an instance and gets
 * its tools. Takes the image, also on failure. NULL: err says why. Tools with
 * illegal definitions are logged and left out. */
struct provider *inproc_load(struct image *image, const char *provider_id, struct config *config,
                             const struct config_provider *settings, struct provider_owner *owner,
                             struct error *err);

/* mcpd ends: nobody waits any longer for a plugin that is being tried or brought up in a
 * worker, and none is begun with. What runs in this process cannot be stopped. Any thread. */
void load_give_up(bool given_up);
bool load_is_given_up(void);

/* How many generations could not be unmapped, in this process. */
unsigned inproc_leftover_count(void);

#endif
