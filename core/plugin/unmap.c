/* SPDX-License-Identifier: MIT */
/*
 * Getting the code of a plugin into this process and out again. dlclose says 0
 * whether it unmaps or not, so what it did is looked up; and it unmaps under
 * the feet of a thread that is left, so what is left is looked up before.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin/exit_guard.h"
#include "plugin/inproc.h"

#define THREADS_WAIT (200 * NS_PER_MS) /* for threads that are just ending */

/* Kept so that they are not lost to a leak checker or a debugger. */
static struct {
    atomic_uint count;
    struct inproc *first; /* control thread only */
} leftovers;

unsigned inproc_leftover_count(void)
{
    return atomic_load(&leftovers.count);
}

/* ---- in ---- */

struct range {
    const char *path;
    uintptr_t start, end;
};

static int find_range(struct dl_phdr_info *info, size_t size, void *data)
{
    struct range *range = data;
    (void)size;
    if (strcmp(info->dlpi_name, range->path) != 0)
        return 0;
    range->start = UINTPTR_MAX;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (start < range->start)
            range->start = start;
        if (start + segment->p_memsz > range->end)
            range->end = start + segment->p_memsz;
    }
    return 1;
}

/* dlerror puts the path of the private copy first, of which nobody has heard. */
static const char *loader_message(const char *path)
{
    const char *message = dlerror();
    size_t length = strlen(path);
    if (message == NULL)
        return "the dynamic linker does not say why";
    if (strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0)
        return message + length + 2;
    return message;
}

bool inproc_map(struct inproc *link, struct failure *failure)
{
    /* Not armed: the dynamic linker holds its lock while constructors run. */
    struct exit_guard guard;
    exit_guard_push(&guard, link->code, false);
    link->handle = dlopen(link->image->path, RTLD_NOW | RTLD_LOCAL);
    exit_guard_leave(&guard);
    if (link->handle == NULL)
        return error_set(&failure->why, "cannot be loaded: %s", loader_message(link->image->path));

    struct range range = {.path = link->image->path};
    if (dl_iterate_phdr(find_range, &range) == 0)
        return error_set(&failure->why, "was loaded, but the dynamic linker does not list it");
    plugin_code_mapped(link->code, range.start, range.end);
    return true;
}

/* ---- out ---- */

#ifndef MCPD_SANITIZE

/* The name is unique, whatever the kernel makes of the directories before it. */
static bool listed_in_maps(const char *path)
{
    const char *name = strrchr(path, '/');
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return false; /* no /proc: the linker's word has to do */
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (!found && getline(&line, &capacity, maps) > 0)
        found = strstr(line, name) != NULL;
    free(line);
    fclose(maps);
    return found;
}

static bool is_mapped(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (handle == NULL) {
        (void)dlerror();
        return listed_in_maps(path);
    }
    dlclose(handle);
    return true;
}

/* Destructors run here. */
static bool unmap(struct inproc *link)
{
    struct exit_guard guard;
    if (link->step != NULL)
        link->step(link->step_context, "its destructors");
    exit_guard_push(&guard, link->code, false);
    dlclose(link->handle);
    exit_guard_leave(&guard);
    return !is_mapped(link->image->path);
}

#else

/* Sanitizers name a function by its mapping when the process ends. */
static bool unmap(struct inproc *link)
{
    (void)link;
    return true;
}

#endif

__attribute__((format(printf, 2, 3))) static bool keep(struct inproc *link, const char *why, ...)
{
    unsigned count = atomic_fetch_add(&leftovers.count, 1) + 1;
    va_list args;
    va_start(args, why);
    vsnprintf(link->left, sizeof(link->left), why, args);
    va_end(args);
    if (inproc_is_alone())
        log_info("%s: %s (generation %ju) has left something to its worker process, with which it "
                 "ends: %s",
                 link->provider.id, link->file_name, (uintmax_t)link->provider.generation,
                 link->left);
    else
        log_warning("%s: the code of %s (generation %ju) stays in memory: %s; %u plugin%s left in "
                    "this process, restart mcpd when it suits",
                    link->provider.id, link->file_name, (uintmax_t)link->provider.generation,
                    link->left, count, count == 1 ? " is" : "s are");
    provider_ref(&link->provider);
    link->next_leftover = leftovers.first;
    leftovers.first = link;
    return false;
}

static int32_t run_stop(struct inproc *link, void *argument)
{
    (void)argument;
    link->plugin.stop(link->self);
    return MCP_OK;
}

static int32_t run_destroy(struct inproc *link, void *argument)
{
    (void)argument;
    link->plugin.destroy(link->self);
    return MCP_OK;
}

bool inproc_unload(struct inproc *link)
{
    char left[128];
    struct failure failure = {0};
    atomic_store(&link->provider.owner, NULL);
    if (link->started && !atomic_load(&link->provider.broken) && link->plugin.stop != NULL)
        inproc_enter(link, "stop", run_stop, NULL, &failure);
    if (atomic_load(&link->provider.broken))
        return keep(link, "it ended in the middle of something");
    if (link->code != NULL && !plugin_threads_gone(link->code, THREADS_WAIT)) {
        /* And not destroyed: the thread may use it. */
        plugin_left(link->code, left, sizeof(left));
        return keep(link, "its stop left behind: %s", left);
    }
    if (link->created && link->plugin.destroy != NULL)
        inproc_enter(link, "destroy", run_destroy, NULL, &failure);
    if (atomic_load(&link->provider.broken))
        return keep(link, "it ended in the middle of something");
    link->created = link->started = false;

    if (link->code != NULL && plugin_left(link->code, left, sizeof(left)) != NULL)
        return keep(link, "it left behind: %s", left);
    if (link->handle != NULL && !unmap(link))
        return keep(link, "the dynamic linker did not unload it: compile C++ with -fno-gnu-unique, "
                          "and use no library that is linked with -z nodelete (plugin.mk helps; "
                          "see mcp-plugin(7))");
    link->handle = NULL;
    plugin_code_free(link->code);
    link->code = NULL;
    return true;
}
