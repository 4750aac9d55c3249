/* SPDX-License-Identifier: MIT */
/* provider_ops over a worker: what the control thread asks, and the making and the end of
 * a link. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin/sandbox.h"
#include "plugin/worker_private.h"

/* How long stop may take, as in mcpd itself nothing else waits for it. */
#define STOP_NS (5 * NS_PER_S)

/* ---- asking ---- */

/* Waits for the link's thread. link.mutex held. */
static enum frame_done wait_for_answer(struct worker_link *link)
{
    while (!link->request.answered)
        pthread_cond_wait(&link->answered, &link->mutex);
    link->request.active = false;
    link->request.offers = NULL; /* what comes now was not asked for */
    return link->request.result;
}

/* The worker has taken a new configuration, which comes from malloc: for those to come. But
 * when another serves by now, it was started with the old one. link.mutex held. */
static enum frame_done keep_config(struct worker_link *link, const struct worker *worker,
                                   struct bytes config)
{
    if (link->current != worker)
        return DONE_CANNOT;
    free((char *)link->config.data);
    link->config = config;
    return DONE_WELL;
}

/* Sends a request to the worker that serves and waits for what comes of it. Fills
 * link->request, of which `offers` may have been set. The text of FRAME_RECONFIGURE is the
 * link's when that went well. */
static enum frame_done ask(struct worker_link *link, enum frame_type type, struct bytes text,
                           int64_t time_ns)
{
    struct frame frame = {.type = type, .texts = {text}};

    pthread_mutex_lock(&link->mutex);
    struct worker *worker = link->current;
    if (worker == NULL) {
        link->request.failure.in_config = false;
        link->request.failure.why = link->unavailable;
        pthread_mutex_unlock(&link->mutex);
        return DONE_FAILED;
    }
    worker_ref(worker);
    frame.id = link->request.id = ++link->requests;
    link->request.type = type;
    link->request.worker = worker;
    link->request.due_ns = clock_now() + time_ns;
    link->request.time_ms = (uint32_t)(time_ns / NS_PER_MS);
    link->request.answered = false;
    link->request.active = true;
    link->ending = type == FRAME_STOP;
    pthread_mutex_unlock(&link->mutex);
    /* Whatever becomes of it, there will be an answer, a death, or the end of the time. */
    if (wire_send(&worker->wire, &frame) == WIRE_KEPT)
        link_wake(link);
    pthread_mutex_lock(&link->mutex);
    enum frame_done result = wait_for_answer(link);
    if (type == FRAME_RECONFIGURE && result == DONE_WELL)
        result = keep_config(link, worker, text);
    pthread_mutex_unlock(&link->mutex);
    worker_unref(worker);
    return result;
}

static int64_t patience(const struct worker_link *link)
{
    return link->start_timeout_ms * NS_PER_MS;
}

/* ---- provider_ops ---- */

static struct offers *link_get_offers(struct provider *provider, struct error *err)
{
    struct worker_link *link = (struct worker_link *)provider;
    struct offers *offers = offers_new();
    if (offers == NULL) {
        error_no_memory_for(err, "%s", link->file_name);
        return NULL;
    }
    pthread_mutex_lock(&link->mutex);
    link->request.offers = offers;
    pthread_mutex_unlock(&link->mutex);
    if (ask(link, FRAME_GET_OFFERS, (struct bytes){NULL, 0}, patience(link)) == DONE_WELL) {
        offers_seal(offers);
        return offers;
    }
    failure_tell(&link->request.failure, link->file_name, provider->settings, err);
    offers_unref(offers);
    return NULL;
}

static struct bytes config_of(const struct config_provider *settings)
{
    return settings != NULL && settings->config.size > 0 ? settings->config : BYTES("{}");
}

static struct bytes copy_of(struct bytes text)
{
    char *copy = malloc(text.size + 1);
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return (struct bytes){copy, text.size};
}

static int link_reconfigure(struct provider *provider, const struct config_provider *settings,
                            struct error *err)
{
    struct worker_link *link = (struct worker_link *)provider;
    struct bytes config = copy_of(config_of(settings));
    if (config.data == NULL)
        return 0;
    enum frame_done result = ask(link, FRAME_RECONFIGURE, config, patience(link));
    if (result == DONE_FAILED)
        failure_tell(&link->request.failure, link->file_name, settings, err);
    if (result != DONE_WELL)
        free((char *)config.data);
    return result == DONE_WELL ? 1 : result == DONE_CANNOT ? 0 : -1;
}

static bool link_stop(struct provider *provider)
{
    struct worker_link *link = (struct worker_link *)provider;
    if (ask(link, FRAME_STOP, (struct bytes){NULL, 0}, STOP_NS) == DONE_FAILED && link->ending &&
        link->request.failure.why.text[0] != '\0' && breaker_is_closed(&provider->breaker))
        log_warning("%s: its worker process did not stop as it should: it %s", provider->id,
                    link->request.failure.why.text);
    atomic_store(&provider->owner, NULL);
    link_stop_thread(link);
    return true;
}

static void link_free(struct provider *provider)
{
    struct worker_link *link = (struct worker_link *)provider;
    if (link->current != NULL)
        worker_unref(link->current);
    if (link->wake_fd >= 0)
        close(link->wake_fd);
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    free((char *)link->config.data);
    buf_free(&link->sandbox);
    image_free(link->image);
    pthread_cond_destroy(&link->answered);
    pthread_mutex_destroy(&link->mutex);
    free(link);
}

static const struct provider_ops worker_ops = {
    .call = link_call,
    .get_offers = link_get_offers,
    .reconfigure = link_reconfigure,
    .stop = link_stop,
    .free = link_free,
};

/* ---- loading ---- */

static uint32_t memory_of(const struct config_provider *settings)
{
    return settings != NULL ? settings->memory_mib : 1024;
}

/* What the configuration says of workers; without one, as config_default. */
static void take_settings(struct worker_link *link, const struct config *config,
                          const struct config_provider *settings)
{
    link->pool = config != NULL ? config->calls.workers : 4;
    link->queue = config != NULL ? config->calls.queue : 256;
    link->start_timeout_ms = config != NULL ? config->plugins.start_timeout_ms : 10000;
    link->memory_mib = memory_of(settings);
    link->config = copy_of(config_of(settings));
}

/* What its workers are told of their sandbox. False: out of memory. */
static bool write_sandbox(const struct image *image, const struct config *config,
                          const struct config_provider *settings, sandbox_remark *remark,
                          void *context, struct buf *out)
{
    struct sandbox sandbox;
    buf_init(out, (size_t)2 << 20);
    bool ok = sandbox_plan(&sandbox, image->needs != NULL ? bytes_of(image->needs) : BYTES(""),
                           image->bundled, config, settings, remark, context);
    if (ok)
        sandbox_write(&sandbox, out);
    sandbox_free(&sandbox);
    return ok && !out->failed;
}

static void say(void *context, const char *text)
{
    log_warning("%s: %s", (const char *)context, text);
}

static void say_nothing(void *context, const char *text)
{
    (void)context;
    (void)text;
}

bool worker_link_fits(const struct provider *provider, const struct config *config,
                      const struct config_provider *settings)
{
    const struct worker_link *link = (const struct worker_link *)provider;
    struct buf sandbox;
    bool fits = write_sandbox(link->image, config, settings, say_nothing, NULL, &sandbox) &&
                link->memory_mib == memory_of(settings) &&
                bytes_equal(buf_bytes(&sandbox), buf_bytes(&link->sandbox));
    buf_free(&sandbox);
    return fits;
}

static struct worker_link *link_new(struct image *image, const char *provider_id,
                                    struct config *config, const struct config_provider *settings)
{
    struct worker_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        image_free(image);
        return NULL;
    }
    struct provider *provider = &link->provider;
    provider_init(provider, &worker_ops);
    pthread_mutex_init(&link->mutex, NULL);
    pthread_cond_init(&link->answered, NULL);
    provider->elsewhere = true;
    link->image = image;
    const char *slash = strrchr(image->source, '/');
    link->file_name = slash != NULL ? slash + 1 : image->source;
    breaker_set_limits(&provider->breaker, 10, 10, 10000);
    bool described = provider_describe(provider, image, provider_id, config, settings);
    take_settings(link, config, settings);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (described && link->config.data != NULL && link->wake_fd >= 0 && link->epoll_fd >= 0 &&
        write_sandbox(image, config, settings, say, provider->id, &link->sandbox))
        return link;
    provider_unref(provider);
    return NULL;
}

/* Starts the thread, which starts the first worker, and waits for what comes of that. */
static bool bring_up(struct worker_link *link, struct failure *failure)
{
    struct request *request = &link->request;
    struct offers *offers = request->offers = offers_new();
    if (offers == NULL)
        return error_no_memory(&failure->why);
    request->type = FRAME_LOAD;
    request->active = true;
    bool ok = link_start_thread(link, &failure->why);
    if (ok) {
        pthread_mutex_lock(&link->mutex);
        ok = wait_for_answer(link) == DONE_WELL;
        if (!ok)
            *failure = request->failure;
        pthread_mutex_unlock(&link->mutex);
    }
    if (!ok) {
        offers_unref(offers);
        return false;
    }
    offers_seal(offers);
    link->provider.offers = offers;
    link->provider.pid = request->pid;
    link->provider.completes = (request->flags & DONE_COMPLETES) != 0;
    link->provider.checks = (request->flags & DONE_CHECKS) != 0;
    link->provider.check_flags = (uint32_t)(request->flags >> DONE_CHECK_FLAGS);
    return true;
}

struct provider *worker_link_load(struct image *image, const char *provider_id,
                                  struct config *config, const struct config_provider *settings,
                                  struct provider_owner *owner, struct error *err)
{
    struct failure failure = {.in_config = false};
    char file_name[256];
    const char *slash = strrchr(image->source, '/');

    snprintf(file_name, sizeof(file_name), "%s", slash != NULL ? slash + 1 : image->source);
    struct worker_link *link = link_new(image, provider_id, config, settings);
    if (link == NULL) {
        error_no_memory_for(err, "%s", file_name);
        return NULL;
    }
    if (bring_up(link, &failure)) {
        atomic_store(&link->provider.owner, owner);
        return &link->provider;
    }
    link_stop_thread(link);
    failure_tell(&failure, file_name, settings, err);
    provider_unref(&link->provider);
    return NULL;
}
