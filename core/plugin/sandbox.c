/* SPDX-License-Identifier: MIT */
/* From what is asked for and what is agreed to, to what is granted; and the text of it
 * that goes to the worker. */
#include "plugin/sandbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin/needs.h"

#define TEXT_MAX ((size_t)1 << 20)

void sandbox_init(struct sandbox *sandbox)
{
    *sandbox = (struct sandbox){.enabled = true, .open_files = 256, .file_size_mib = 1024};
    buf_init(&sandbox->paths, TEXT_MAX);
}

void sandbox_free(struct sandbox *sandbox)
{
    buf_free(&sandbox->paths);
}

void sandbox_add_path(struct sandbox *sandbox, enum sandbox_access access, struct bytes path)
{
    if (path.size == 0 || path.data[0] != '/' || memchr(path.data, '\0', path.size) != NULL)
        return;
    buf_add_char(&sandbox->paths, (char)access);
    buf_add_bytes(&sandbox->paths, path);
    buf_add_char(&sandbox->paths, '\0');
}

const char *sandbox_next_path(const struct sandbox *sandbox, size_t *at,
                              enum sandbox_access *access)
{
    if (*at >= sandbox->paths.size)
        return NULL;
    *access = (enum sandbox_access)sandbox->paths.data[*at];
    const char *path = sandbox->paths.data + *at + 1;
    *at += strlen(path) + 2;
    return path;
}

/* ---- as text ---- */

/* Two numbers, one letter for each thing that is so, a NUL; then the paths. */
void sandbox_write(const struct sandbox *sandbox, struct buf *out)
{
    buf_addf(out, "%u %u %s%s%s%s", sandbox->open_files, sandbox->file_size_mib,
             sandbox->enabled ? "e" : "", sandbox->required ? "r" : "", sandbox->network ? "n" : "",
             sandbox->unix_sockets ? "u" : "");
    buf_add_char(out, '\0');
    buf_add_bytes(out, buf_bytes(&sandbox->paths));
    out->failed = out->failed || sandbox->paths.failed;
}

static bool paths_legal(struct bytes paths)
{
    if (paths.size > 0 && paths.data[paths.size - 1] != '\0')
        return false;
    for (size_t at = 0; at < paths.size; at += strlen(paths.data + at) + 1) {
        char access = paths.data[at];
        if (memchr("rpw", access, 3) == NULL || paths.data[at + 1] != '/')
            return false;
    }
    return true;
}

static bool read_number(const char **at, uint32_t *out)
{
    char *end;
    unsigned long number = strtoul(*at, &end, 10);
    bool ok = end != *at && number <= UINT32_MAX;
    *at = end;
    *out = (uint32_t)number;
    return ok;
}

bool sandbox_read(struct sandbox *sandbox, struct bytes text)
{
    const char *flags = text.data;
    sandbox_init(sandbox);
    const char *end = text.size > 0 ? memchr(text.data, '\0', text.size) : NULL;
    if (end == NULL || !read_number(&flags, &sandbox->open_files) ||
        !read_number(&flags, &sandbox->file_size_mib))
        return false;
    sandbox->enabled = strchr(flags, 'e') != NULL;
    sandbox->required = strchr(flags, 'r') != NULL;
    sandbox->network = strchr(flags, 'n') != NULL;
    sandbox->unix_sockets = strchr(flags, 'u') != NULL;
    const struct bytes paths = {end + 1, text.size - (size_t)(end + 1 - text.data)};
    buf_add_bytes(&sandbox->paths, paths);
    return !sandbox->paths.failed && paths_legal(paths);
}

/* ---- the plan ---- */

struct planning {
    struct sandbox *sandbox;
    const struct config_sandbox *said;
    bool bundled;
    bool asks_network, asks_unix_sockets;
    sandbox_remark *remark;
    void *context;
};

__attribute__((format(printf, 2, 3))) static void say(const struct planning *p, const char *format,
                                                      ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0) {
        p->remark(p->context, text);
        free(text);
    }
    va_end(args);
}

/* Whether `path` is `directory` or below it, by name. */
static bool is_within(struct bytes path, struct bytes directory)
{
    while (directory.size > 1 && directory.data[directory.size - 1] == '/')
        directory.size--;
    if (directory.size == 1 && directory.data[0] == '/')
        return true;
    return path.size >= directory.size && memcmp(path.data, directory.data, directory.size) == 0 &&
           (path.size == directory.size || path.data[directory.size] == '/');
}

static bool goes_up(struct bytes path)
{
    return memmem(path.data, path.size, "/..", 3) != NULL;
}

static bool any_covers(const char *const *paths, size_t count, struct bytes path)
{
    for (size_t i = 0; i < count; i++) {
        if (is_within(path, bytes_of(paths[i])))
            return true;
    }
    return false;
}

/* What is made of a path that the operator wrote may be anything: mcpd's own plugins alone
 * are known to make what he means, and the root is never meant. */
static bool is_operators(const struct planning *p, struct bytes path, enum needs_origin origin)
{
    return origin == NEEDS_CONFIGURED ||
           (origin == NEEDS_DERIVED && p->bundled && !is_within(BYTES("/"), path));
}

static void asked_for_path(void *context, enum sandbox_access access, struct bytes path,
                           enum needs_origin origin)
{
    struct planning *p = context;
    const struct config_sandbox *said = p->said;
    if (is_operators(p, path, origin)) {
        sandbox_add_path(p->sandbox, access, path);
        return;
    }
    /* What the operator names is granted as it is; here it is only about words. */
    if (any_covers(said->write, said->write_count, path) ||
        (access == SANDBOX_READ && any_covers(said->read, said->read_count, path)))
        return;
    if (access == SANDBOX_READ && is_within(path, BYTES(SANDBOX_PUBLIC_DIRECTORY)) &&
        !goes_up(path)) {
        sandbox_add_path(p->sandbox, SANDBOX_READ_PUBLIC, path);
        return;
    }
    say(p,
        "its manifest asks to %s %.*s, which it may not: \"sandbox\": {\"%s\": [\"%.*s\"]} in its "
        "configuration would let it",
        access == SANDBOX_READ ? "read" : "write to", BYTES_FMT(path),
        access == SANDBOX_READ ? "read" : "write", BYTES_FMT(path));
}

static void asked_for_network(void *context)
{
    ((struct planning *)context)->asks_network = true;
}

static void asked_for_unix_sockets(void *context)
{
    ((struct planning *)context)->asks_unix_sockets = true;
}

/* A plugin has it when it asks and the operator agrees; who is alone is told. */
static bool agree(const struct planning *p, bool asked, bool agreed, const char *key,
                  const char *what)
{
    if (asked && !agreed)
        say(p,
            "its manifest asks for %s, which it has not: \"sandbox\": {\"%s\": true} in its "
            "configuration would give it that",
            what, key);
    if (agreed && !asked)
        say(p,
            "its configuration allows it %s, which it has not, for its manifest does not ask for "
            "it: \"needs\": {\"%s\": true} there would",
            what, key);
    return asked && agreed;
}

bool sandbox_plan(struct sandbox *sandbox, struct bytes needs, bool bundled,
                  const struct config *config, const struct config_provider *settings,
                  sandbox_remark *remark, void *context)
{
    static const struct config_sandbox nothing = CONFIG_SANDBOX_DEFAULT;
    const struct config_sandbox *said = settings != NULL ? &settings->sandbox : &nothing;
    struct planning p = {
        .sandbox = sandbox, .said = said, .bundled = bundled, .remark = remark, .context = context};
    const struct needs_reader reader = {.path = asked_for_path,
                                        .network = asked_for_network,
                                        .unix_sockets = asked_for_unix_sockets,
                                        .context = &p};

    sandbox_init(sandbox);
    sandbox->enabled = said->enabled;
    sandbox->required = config != NULL && config->plugins.require_sandbox;
    sandbox->open_files = said->open_files;
    sandbox->file_size_mib = said->file_size_mib;
    for (size_t i = 0; i < said->read_count; i++)
        sandbox_add_path(sandbox, SANDBOX_READ, bytes_of(said->read[i]));
    for (size_t i = 0; i < said->write_count; i++)
        sandbox_add_path(sandbox, SANDBOX_WRITE, bytes_of(said->write[i]));
    if (!sandbox->enabled)
        return true;
    if (needs.size > 0 &&
        !needs_read(needs,
                    settings != NULL && settings->config.size > 0 ? settings->config : BYTES("{}"),
                    &reader))
        return false;
    sandbox->network = agree(&p, p.asks_network, said->network, "network", "the network");
    sandbox->unix_sockets =
        agree(&p, p.asks_unix_sockets, said->unix_sockets, "unix_sockets", "local sockets");
    return !sandbox->paths.failed;
}
