/* SPDX-License-Identifier: MIT */
/* The control thread: when to look at the plugin directory, and what others ask
 * of it. What is then done is in replace.c. */
#include "plugin/plugins.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "base/thread.h"
#include "plugin/bundled.h"
#include "plugin/dispatch.h"
#include "plugin/health.h"
#include "plugin/private_dir.h"
#include "plugin/replace.h"
#include "plugin/watch.h"
#include "plugin/worker_link.h"

/* How long nothing must have happened to a file before it is looked at. Renamed
 * into place it is whole; written, it may be paused; gone, it may come again at
 * once (install(1) removes before it writes). */
#define AFTER_RENAME_NS (5 * NS_PER_MS)
#define AFTER_WRITE_NS (200 * NS_PER_MS)
#define AFTER_REMOVAL_NS (100 * NS_PER_MS)

#define RESCAN_NS (30 * NS_PER_S)
#define RESCAN_BLIND_NS NS_PER_S /* while the directory is not there, or not watched */
/* Notifications of one provider within this time are one. */
#define REFRESH_NS (20 * NS_PER_MS)
/* plugins_settle does not wait longer for a file that is being written all the time. */
#define SETTLE_NS (5 * NS_PER_S)

struct refresh {
    struct refresh *next;
    struct provider *provider; /* a reference */
    int64_t due_ns;
};

struct plugins {
    struct provider_owner owner; /* first: what the providers know of us */
    /* The control thread's own. */
    struct serving serving;
    struct watch watch;
    struct private_dir private;
    int64_t rescan_ns;
    bool directory_missing; /* and it has been said */

    pthread_t thread;
    int wake_fd;

    pthread_mutex_t mutex; /* guards the rest; a leaf */
    pthread_cond_t settled;
    struct config *new_config;
    struct refresh *refreshes;
    uint64_t asked, done; /* plugins_settle */
    int64_t asked_ns; /* when the oldest that is not done was asked */
    bool stopping;
};

static void wake(void *context)
{
    const struct plugins *plugins = context;
    eventfd_write(plugins->wake_fd, 1);
}

/* ---- looking at the directory ---- */

static void take_event(void *context, enum watch_event event, const char *name)
{
    struct plugins *plugins = context;
    int64_t now = clock_now();
    switch (event) {
    case WATCH_WRITTEN:
        scan_touch(&plugins->serving.scan, name, now + AFTER_WRITE_NS);
        break;
    case WATCH_RENAMED:
        scan_touch(&plugins->serving.scan, name, now + AFTER_RENAME_NS);
        break;
    case WATCH_GONE:
        scan_touch(&plugins->serving.scan, name, now + AFTER_REMOVAL_NS);
        break;
    case WATCH_LOST:
        plugins->rescan_ns = now;
        break;
    }
}

/* Lists the directory; what has changed becomes due after `settle_ns`. False: it
 * cannot be opened, and all stays as it is. */
static bool rescan(struct plugins *plugins, int64_t settle_ns, struct error *err)
{
    struct scan *scan = &plugins->serving.scan;
    bool another;
    bool ok = scan_open(scan, &another, err);
    if (ok && (another || plugins->watch.descriptor < 0))
        watch_directory(&plugins->watch, scan->path);
    if (ok)
        scan_list(scan, clock_now() + settle_ns);
    bool blind = !ok || plugins->watch.descriptor < 0;
    plugins->rescan_ns = clock_now() + (blind ? RESCAN_BLIND_NS : RESCAN_NS);
    return ok;
}

static void rescan_and_say(struct plugins *plugins, int64_t settle_ns)
{
    struct error err;
    bool missing = !rescan(plugins, settle_ns, &err);
    if (missing && !plugins->directory_missing)
        log_error("%s: what was loaded goes on being served", err.text);
    if (!missing && plugins->directory_missing)
        log_notice("the plugin directory %s is there again", plugins->serving.scan.path);
    plugins->directory_missing = missing;
}

/* Looks at the files that are due. True: there were some. */
static bool look(struct plugins *plugins)
{
    struct scan *scan = &plugins->serving.scan;
    int64_t now = clock_now();
    bool any = false;
    for (struct plugin_file *file = scan->files; file != NULL; file = file->next) {
        if (file->due_ns == 0 || file->due_ns > now || plugins->directory_missing)
            continue;
        scan_look(scan, file);
        any = true;
    }
    return any;
}

static int64_t next_due(const struct plugins *plugins)
{
    int64_t next_ns = INT64_MAX;
    if (plugins->directory_missing)
        return next_ns;
    for (const struct plugin_file *f = plugins->serving.scan.files; f != NULL; f = f->next) {
        if (f->due_ns != 0 && f->due_ns < next_ns)
            next_ns = f->due_ns;
    }
    return next_ns;
}

/* ---- what others ask ---- */

static struct config *take_config(struct plugins *plugins)
{
    pthread_mutex_lock(&plugins->mutex);
    struct config *config = plugins->new_config;
    plugins->new_config = NULL;
    pthread_mutex_unlock(&plugins->mutex);
    return config;
}

static void change_directory(struct plugins *plugins, const char *path)
{
    struct scan scan;
    if (strcmp(path, plugins->serving.scan.path) == 0 || !scan_init(&scan, path))
        return;
    scan_free(&plugins->serving.scan);
    plugins->serving.scan = scan;
    plugins->directory_missing = false;
}

static void take_new_config(struct plugins *plugins, struct config *config)
{
    struct config *old = plugins->serving.config;
    plugins->serving.config = config;
    change_directory(plugins, config->plugins.directory);
    rescan_and_say(plugins, 0);
    scan_doubt(&plugins->serving.scan, clock_now());
    slots_forgive(&plugins->serving);
    plugins->serving.dirty = true; /* order, prefixes, and what the lists say besides tools */
    look(plugins);
    /* The slots point into the old one until they are planned anew. */
    if (!slots_plan(&plugins->serving)) {
        log_error("the new configuration is not in force for plugins: out of memory");
        plugins->serving.config = old;
        config_unref(config);
        return;
    }
    slots_bring_up(&plugins->serving);
    config_unref(old);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Refreshes that are due; *next_ns: when the next will be. */
static void run_refreshes(struct plugins *plugins, int64_t *next_ns)
{
    struct refresh *due = NULL;
    int64_t now = clock_now();
    *next_ns = INT64_MAX;
    pthread_mutex_lock(&plugins->mutex);
    struct refresh **place = &plugins->refreshes;
    while (*place != NULL) {
        struct refresh *refresh = *place;
        if (refresh->due_ns > now) {
            if (refresh->due_ns < *next_ns)
                *next_ns = refresh->due_ns;
            place = &refresh->next;
            continue;
        }
        *place = refresh->next;
        refresh->next = due;
        due = refresh;
    }
    pthread_mutex_unlock(&plugins->mutex);
    while (due != NULL) {
        struct refresh *next = due->next;
        if (slots_refresh(&plugins->serving, due->provider)) {
            provider_unref(due->provider);
            free(due);
        } else {
            due->due_ns = clock_now() + NS_PER_S;
            *next_ns = earlier(*next_ns, due->due_ns);
            pthread_mutex_lock(&plugins->mutex);
            due->next = plugins->refreshes;
            plugins->refreshes = due;
            pthread_mutex_unlock(&plugins->mutex);
        }
        due = next;
    }
}

/* Answers plugins_settle when nothing is left to do of what came before `ticket`
 * was read. */
static void tell_settled(struct plugins *plugins, uint64_t ticket, bool idle)
{
    pthread_mutex_lock(&plugins->mutex);
    bool waited_enough = clock_now() > plugins->asked_ns + SETTLE_NS;
    idle = idle && plugins->new_config == NULL && plugins->refreshes == NULL &&
           !plugins->serving.unplanned && !plugins->serving.dirty;
    if (plugins->done < ticket && (idle || waited_enough)) {
        plugins->done = ticket;
        pthread_cond_broadcast(&plugins->settled);
    }
    pthread_mutex_unlock(&plugins->mutex);
}

/* ---- the thread ---- */

static void wait_until(struct plugins *plugins, int64_t until_ns)
{
    struct pollfd fds[2] = {{.fd = plugins->wake_fd, .events = POLLIN},
                            {.fd = plugins->watch.fd, .events = POLLIN}};
    int64_t rest = until_ns - clock_now();
    if (rest < 0)
        rest = 0;
    const struct timespec timeout = {.tv_sec = rest / NS_PER_S, .tv_nsec = rest % NS_PER_S};
    eventfd_t count;
    if (ppoll(fds, 2, &timeout, NULL) > 0 && fds[0].revents != 0)
        eventfd_read(plugins->wake_fd, &count);
}

/* One round: does all that is to be done now. Returns when the next is due. */
static int64_t round_of(struct plugins *plugins, uint64_t ticket)
{
    int64_t refresh_ns;
    watch_read(&plugins->watch, take_event, plugins);
    struct config *config = take_config(plugins);
    if (config != NULL)
        take_new_config(plugins, config);
    else if (plugins->rescan_ns <= clock_now())
        rescan_and_say(plugins, AFTER_WRITE_NS);
    struct serving *serving = &plugins->serving;
    bool again = serving->again_ns != 0 && serving->again_ns <= clock_now();
    if (look(plugins) || again) {
        serving->again_ns = 0;
        serving->unplanned = !slots_plan(serving);
        if (!serving->unplanned)
            slots_bring_up(serving);
        else
            serving->again_ns = clock_now() + NS_PER_S;
    }
    run_refreshes(plugins, &refresh_ns);
    serving_publish(&plugins->serving);
    int64_t next_ns = earlier(serving_retire(&plugins->serving), next_due(plugins));
    tell_settled(plugins, ticket, next_due(plugins) == INT64_MAX);
    if (plugins->serving.dirty) /* there was no memory */
        next_ns = earlier(next_ns, clock_now() + NS_PER_S);
    if (serving->again_ns != 0)
        next_ns = earlier(next_ns, serving->again_ns);
    return earlier(earlier(next_ns, refresh_ns), plugins->rescan_ns);
}

static void *run(void *argument)
{
    struct plugins *plugins = argument;
    struct pulse pulse;
    pulse_join(&pulse, "mcpd-control", wake, plugins);
    for (;;) {
        pulse_beat();
        pthread_mutex_lock(&plugins->mutex);
        bool stopping = plugins->stopping;
        uint64_t ticket = plugins->asked;
        bool asked = ticket != plugins->done;
        pthread_mutex_unlock(&plugins->mutex);
        if (stopping)
            break;
        int64_t next_ns = round_of(plugins, ticket);
        if (asked)
            next_ns = earlier(next_ns, clock_now() + SETTLE_NS);
        wait_until(plugins, next_ns);
    }
    pulse_leave(&pulse);
    return NULL;
}

/* ---- from other threads ---- */

void plugins_reload(struct plugins *plugins, struct config *config)
{
    pthread_mutex_lock(&plugins->mutex);
    struct config *unused = plugins->new_config;
    plugins->new_config = config_ref(config);
    pthread_mutex_unlock(&plugins->mutex);
    config_unref(unused);
    wake(plugins);
}

static void provider_changed(struct provider_owner *owner, struct provider *provider, uint32_t what)
{
    struct plugins *plugins = (struct plugins *)owner;
    if ((what & (MCP_CHANGED_TOOLS | MCP_CHANGED_RESOURCES | MCP_CHANGED_PROMPTS)) == 0)
        return;
    pthread_mutex_lock(&plugins->mutex);
    struct refresh *refresh = plugins->refreshes;
    while (refresh != NULL && refresh->provider != provider)
        refresh = refresh->next;
    bool asked_before = refresh != NULL;
    if (!asked_before && (refresh = malloc(sizeof(*refresh))) != NULL) {
        refresh->provider = provider_ref(provider);
        refresh->due_ns = clock_now() + REFRESH_NS;
        refresh->next = plugins->refreshes;
        plugins->refreshes = refresh;
    }
    pthread_mutex_unlock(&plugins->mutex);
    if (!asked_before)
        wake(plugins);
}

static void resource_updated(struct provider_owner *owner, struct bytes uri)
{
    const struct plugins *plugins = (struct plugins *)owner;
    registry_resource_updated(plugins->serving.registry, uri);
}

uint64_t plugins_ask(struct plugins *plugins)
{
    pthread_mutex_lock(&plugins->mutex);
    uint64_t ticket = ++plugins->asked;
    if (plugins->done == ticket - 1)
        plugins->asked_ns = clock_now();
    pthread_mutex_unlock(&plugins->mutex);
    wake(plugins);
    return ticket;
}

bool plugins_have_settled(struct plugins *plugins, uint64_t ticket)
{
    pthread_mutex_lock(&plugins->mutex);
    bool settled = plugins->done >= ticket;
    pthread_mutex_unlock(&plugins->mutex);
    return settled;
}

void plugins_settle(struct plugins *plugins)
{
    uint64_t ticket = plugins_ask(plugins);
    pthread_mutex_lock(&plugins->mutex);
    while (plugins->done < ticket)
        pthread_cond_wait(&plugins->settled, &plugins->mutex);
    pthread_mutex_unlock(&plugins->mutex);
}

/* ---- start and stop ---- */

/* What never started, or has stopped. Providers that could not be stopped may
 * still call us: then the struct stays. */
static void plugins_free(struct plugins *plugins)
{
    /* The newest, for those who look for leaks: nothing of ours reads it. */
    static struct plugins *volatile left_behind __attribute__((unused));
    unsigned left = serving_free(&plugins->serving);
    watch_close(&plugins->watch);
    private_dir_close(&plugins->private);
    config_unref(plugins->new_config);
    plugins->new_config = NULL;
    while (plugins->refreshes != NULL) {
        struct refresh *next = plugins->refreshes->next;
        provider_unref(plugins->refreshes->provider);
        free(plugins->refreshes);
        plugins->refreshes = next;
    }
    if (left > 0) {
        left_behind = plugins;
        return;
    }
    if (plugins->wake_fd >= 0)
        close(plugins->wake_fd);
    pthread_cond_destroy(&plugins->settled);
    pthread_mutex_destroy(&plugins->mutex);
    free(plugins);
}

static struct plugins *plugins_new(struct config *config, struct registry *registry,
                                   struct error *err)
{
    struct plugins *plugins = calloc(1, sizeof(*plugins));
    if (plugins == NULL) {
        error_no_memory_for(err, "plugins cannot be loaded");
        return NULL;
    }
    pthread_mutex_init(&plugins->mutex, NULL);
    pthread_cond_init(&plugins->settled, NULL);
    plugins->private.fd = -1;
    plugins->owner =
        (struct provider_owner){.changed = provider_changed, .updated = resource_updated};
    plugins->serving.owner = &plugins->owner;
    plugins->serving.registry = registry;
    plugins->serving.config = config_ref(config);
    plugins->serving.dirty = true; /* the first snapshot, be it empty */
    watch_open(&plugins->watch);
    plugins->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (plugins->wake_fd < 0) {
        error_set(err, "plugins cannot be watched: eventfd: %s", strerror(errno));
    } else if (!scan_init(&plugins->serving.scan, config->plugins.directory)) {
        error_no_memory_for(err, "plugins cannot be loaded");
    } else if (private_dir_open(&plugins->private, config->plugins.private_directory, err)) {
        plugins->serving.private_directory = plugins->private.path;
        return plugins;
    }
    plugins_free(plugins);
    return NULL;
}

struct plugins *plugins_start(struct config *config, struct registry *registry, struct error *err)
{
    struct plugins *plugins = plugins_new(config, registry, err);
    if (plugins == NULL)
        return NULL;
    if (!rescan(plugins, 0, err)) {
        plugins_free(plugins);
        return NULL;
    }
    plugins->serving.again_ns = clock_now(); /* whatever there is, the first round does all */
    provider_on_drained(wake, plugins);
    if (thread_start(&plugins->thread, "mcpd-control", run, plugins, err))
        return plugins;
    provider_on_drained(NULL, NULL);
    plugins_free(plugins);
    return NULL;
}

void plugins_stop_loading(struct plugins *plugins)
{
    load_give_up(true);
    pthread_mutex_lock(&plugins->mutex);
    bool stopped = plugins->stopping;
    plugins->stopping = true;
    pthread_mutex_unlock(&plugins->mutex);
    wake(plugins);
    if (!stopped)
        pthread_join(plugins->thread, NULL);
    load_give_up(false); /* there is nobody left whom it concerns */
}

void plugins_stop(struct plugins *plugins, int64_t deadline_ns)
{
    plugins_stop_loading(plugins);

    /* The rest of the control thread's work is done here. */
    serving_retire_all(&plugins->serving, deadline_ns - CANCEL_GRACE_NS);
    for (;;) {
        int64_t next_ns = serving_retire(&plugins->serving);
        if (plugins->serving.retiring == NULL || clock_now() >= deadline_ns)
            break;
        wait_until(plugins, earlier(next_ns, deadline_ns));
    }
    provider_on_drained(NULL, NULL);
    for (struct retiring *out = plugins->serving.retiring; out != NULL; out = out->next) {
        atomic_store(&out->provider->owner, NULL);
        log_error("%s: %u calls have not ended: it is not stopped", out->provider->id,
                  provider_inside(out->provider));
    }
    plugins_free(plugins);
}

/* ---- mcpd --check ---- */

/* What a check of its health needs. */
#define CHECK_WORKERS 2
#define CHECK_QUEUE 16
/* For a check that goes on after it was answered for. */
#define CHECK_END_NS NS_PER_S

struct examination {
    struct config *config;
    config_complain *complain;
    void *context;
    struct scan scan;
    struct private_dir private;
    bool asks; /* for their health */
    size_t complaints, unhealthy;
};

/* Of a file that no provider names the place is the file; `text` begins with its name then,
 * unless `what` says something. */
static void tell(const struct examination *examination, const struct planned *planned,
                 const char *what, const char *text)
{
    char place[512], line[2048];
    const char *path = examination->scan.path;

    if (planned->settings != NULL) {
        config_place(planned->settings, "", place, sizeof(place));
        snprintf(line, sizeof(line), "%s: providers.%s: %s%s", place, planned->id, what, text);
    } else if (what[0] != '\0') {
        snprintf(line, sizeof(line), "%s/%s.so: %s%s", path, planned->plugin, what, text);
    } else {
        snprintf(line, sizeof(line),
                 "%s/%s (no provider in the configuration names this file: remove it, or name it, "
                 "be it with \"enabled\": false)",
                 path, text);
    }
    examination->complain(examination->context, line);
}

/* Ends a generation that only we know. One that is still at work stays as it is: this
 * process ends soon. */
static void end_generation(struct provider *provider)
{
    const int64_t until = clock_now() + CHECK_END_NS;
    provider_retire(provider);
    while (provider_inside(provider) > 0 && clock_now() < until)
        usleep(1000);
    if (provider_inside(provider) > 0)
        return;
    provider->ops->stop(provider);
    provider_unref(provider);
}

static void ask_health(struct examination *examination, const struct planned *planned,
                       struct provider *provider)
{
    char text[HEALTH_TEXT];
    if (!provider->checks)
        return;
    bool well = health_ask(provider, examination->config->health.timeout_ms, text);
    tell(examination, planned, well ? "healthy: " : "not healthy: ", text);
    examination->unhealthy += !well;
}

/* Runs it as it will run, be it in the sandbox of its worker. Takes the image. */
static bool run_provider(struct examination *examination, const struct planned *planned,
                         struct image *image, bool apart, struct error *err)
{
    struct config *config = examination->config;
    struct provider *provider =
        apart ? worker_link_load(image, planned->id, config, planned->settings, NULL, err)
              : inproc_load(image, planned->id, config, planned->settings, NULL, err);
    if (provider == NULL)
        return false;
    if (examination->asks)
        ask_health(examination, planned, provider);
    end_generation(provider);
    return true;
}

static bool examine(struct examination *examination, const struct planned *planned, uint64_t number,
                    struct error *err)
{
    const struct scan *scan = &examination->scan;
    struct config *config = examination->config;
    const struct config_provider *settings = planned->settings;
    const struct plugin_file *file = scan_find(scan, planned->plugin);
    if (file == NULL || !file->present)
        return error_set(err, SCAN_NO_FILE, planned->plugin, scan->path);
    if (!file->readable) {
        *err = file->why;
        return false;
    }
    if (settings == NULL && file->bundled)
        return true; /* it is there whether anybody wants it or not */
    struct image *image = image_open(scan->fd, file->name, examination->private.path, number, err);
    if (image == NULL)
        return false;
    bool apart = config_is_apart(config, settings, file->bundled);
    const char *unused = apart ? NULL : config_unused_inproc(settings);
    if (unused != NULL)
        tell(examination, planned, unused, "");
    bool ok =
        apart || image_try(image, planned->id, settings, config->plugins.start_timeout_ms, err);
    if (ok && (apart || examination->asks))
        return run_provider(examination, planned, image, apart, err);
    image_free(image);
    return ok;
}

/* All that a start would load. */
static bool examine_all(struct examination *examination, struct error *err)
{
    struct scan *scan = &examination->scan;
    size_t count;
    scan_list(scan, clock_now());
    for (struct plugin_file *file = scan->files; file != NULL; file = file->next)
        scan_look(scan, file);
    struct planned *plan = scan_plan(scan, examination->config, &count);
    if (plan == NULL)
        return error_no_memory_for(err, "plugins cannot be checked");
    for (size_t i = 0; i < count; i++) {
        if (examine(examination, &plan[i], i + 1, err))
            continue;
        tell(examination, &plan[i], "", err->text);
        examination->complaints++;
    }
    free(plan);
    return true;
}

size_t plugins_check(struct config *config, config_complain *complain, void *context,
                     size_t *unhealthy)
{
    struct examination examination = {.config = config,
                                      .complain = complain,
                                      .context = context,
                                      .scan.fd = -1,
                                      .private.fd = -1,
                                      .asks = unhealthy != NULL};
    struct error err = {.text = "out of memory"};
    bool changed;

    if (scan_init(&examination.scan, config->plugins.directory) &&
        scan_open(&examination.scan, &changed, &err) &&
        private_dir_open_temporary(&examination.private, &err) &&
        (!examination.asks || dispatch_start(CHECK_WORKERS, CHECK_QUEUE, &err)) &&
        examine_all(&examination, &err)) {
        if (examination.asks)
            dispatch_stop(clock_now() + CHECK_END_NS);
    } else {
        complain(context, err.text);
        examination.complaints = 1;
    }
    private_dir_close(&examination.private);
    scan_free(&examination.scan);
    if (unhealthy != NULL)
        *unhealthy = examination.unhealthy;
    return examination.complaints;
}
