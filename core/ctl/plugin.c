/* SPDX-License-Identifier: MIT */
/* mcpctl plugin inspect: what a plugin file says of itself, without running it. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "plugin/manifest.h"
#include "plugin/needs.h"

#define PLUGIN_MAX ((size_t)1 << 30)

static void print_needs(const char *text)
{
    struct buf lines;
    buf_init(&lines, 65536);
    needs_describe(bytes_of(text), &lines);
    if (lines.size > 0)
        fputs(lines.data, stdout);
    buf_free(&lines);
}

static enum ctl_status inspect(const char *file)
{
    struct manifest manifest;
    struct error err;
    struct buf content;
    enum ctl_status status = CTL_UNUSABLE;

    if (!ctl_read_file(file, &content, PLUGIN_MAX))
        goto out;
    status = CTL_NO;
    if (!manifest_read(&manifest, buf_bytes(&content), &err)) {
        printf("%s: %s\n", ctl_shown(file), err.text);
        goto out;
    }
    status = CTL_YES;
    printf("id: %s\nversion: %s\nabi: %u.%u\n", manifest.id, manifest.version, manifest.abi_major,
           manifest.abi_minor);
    if (manifest.required[0] != '\0')
        printf("requires: %s\n", manifest.required);
    if (manifest.needs[0] != '\0')
        print_needs(manifest.needs);
out:
    buf_free(&content);
    return status;
}

static enum ctl_status plugin_inspect(const struct ctl_command *command, int argc, char **argv)
{
    static const struct ctl_option options[] = {{.name = NULL}};

    if (!ctl_read_options(command, &argc, argv, options))
        return CTL_UNUSABLE;
    if (argc != 1)
        return ctl_misuse(command, "expected one plugin file, got %d", argc);
    return inspect(argv[0]);
}

const struct ctl_command ctl_plugin_inspect = {
    .name = "plugin inspect",
    .arguments = "FILE.so",
    .summary = "print what a plugin file says of itself, without running it",
    .help = "Reads the ELF headers and the manifest, as mcpd does before it loads a plugin,\n"
            "and prints id, version and ABI of the plugin, and what a worker process must let it\n"
            "reach (its \"needs\"). Nothing of it is run.\n"
            "\n"
            "Exit status: 0 a plugin, 1 none (and why), 2 the file cannot be read.\n",
    .run = plugin_inspect,
};
