/* SPDX-License-Identifier: MIT */
/*
 * mcpctl, the tool beside the daemon: commands of two words ("schema validate"),
 * each in a file of its own, and what they share. Results go to standard output,
 * complaints to standard error. What is allocated for a command is given back
 * when the process ends.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/buf.h"

/* What mcpctl exits with. */
enum ctl_status {
    CTL_YES = 0, /* done, or the answer is yes */
    CTL_NO = 1, /* the answer is no: it is told on standard output */
    CTL_UNUSABLE = 2 /* no answer: usage, a file that cannot be read; told on standard error */
};

struct ctl_command {
    const char *name; /* "schema validate" */
    const char *arguments; /* "SCHEMA INSTANCE..." */
    const char *summary; /* one line of mcpctl --help */
    const char *help; /* what --help says behind the line of usage; lines of 80 columns */
    /* Gets what follows the command's name; argv[argc] is NULL. */
    enum ctl_status (*run)(const struct ctl_command *command, int argc, char **argv);
};

extern const struct ctl_command ctl_schema_validate, ctl_key_new, ctl_plugin_inspect;

/* ---- arguments ---- */

/* An option of a command. One of the two is given. */
struct ctl_option {
    const char *name; /* "--id" */
    bool *flag; /* set when it is there */
    const char **value; /* what follows it, or stands behind '=' */
};

/* Takes the options out of the arguments, which may stand in any order ("--" ends the
 * options; "-" is none), and counts what is left at the front of argv. `options` ends
 * with a name of NULL. False: complained. */
bool ctl_read_options(const struct ctl_command *command, int *argc, char **argv,
                      const struct ctl_option *options);

/* Complains about how the command was called, with the way to its help. */
enum ctl_status ctl_misuse(const struct ctl_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- input ---- */

/* Reads a whole file, "-" being standard input, into `content`, which is initialised
 * here; at most `max` bytes. False: complained. */
bool ctl_read_file(const char *file, struct buf *content, size_t max);

/* What messages call a file. */
const char *ctl_shown(const char *file);

/* One line on standard error. */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
