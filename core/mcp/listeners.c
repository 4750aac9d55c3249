/* SPDX-License-Identifier: MIT */
/* Telling listeners of changes. */
#include "mcp/listeners.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/sessions.h"

#define BATCH 64 /* listeners taken from the list at a time */

struct listener {
    struct listener *next, *previous;
    struct listeners *home;
    struct reply *reply; /* held */
    struct session *session; /* NULL: 2026-07-28 */
    struct watcher *watcher; /* its own; NULL: no resources */
    atomic_uint references; /* one is the list's */
    uint32_t wants;
    bool linked, lost; /* guarded by home->mutex */
    bool marker; /* no listener, but the place a walk has come to */
    bool until_freed; /* the reply's `freed` frees it: `gone` may come late */
    uint16_t id_size;
    char id[];
};

struct listeners {
    struct mcp *mcp;
    pthread_mutex_t mutex;
    struct listener *head; /* of a ring */
    atomic_uint epochs[CHANGES];
};

static void link_last(struct listeners *home, struct listener *listener)
{
    listener->next = home->head;
    listener->previous = home->head->previous;
    listener->previous->next = listener;
    home->head->previous = listener;
}

static void link_after(struct listener *place, struct listener *listener)
{
    listener->previous = place;
    listener->next = place->next;
    listener->next->previous = listener;
    place->next = listener;
}

static void unlink_it(struct listener *listener)
{
    listener->previous->next = listener->next;
    listener->next->previous = listener->previous;
}

struct listeners *listeners_new(struct mcp *mcp)
{
    struct listeners *home = calloc(1, sizeof *home);
    struct listener *head = calloc(1, sizeof *head);

    if (home == NULL || head == NULL) {
        free(home);
        free(head);
        return NULL;
    }
    home->mcp = mcp;
    pthread_mutex_init(&home->mutex, NULL);
    head->next = head->previous = head;
    head->marker = true;
    home->head = head;
    return home;
}

void listeners_free(struct listeners *home)
{
    if (home == NULL)
        return;
    pthread_mutex_destroy(&home->mutex);
    free(home->head);
    free(home);
}

struct listener *listener_ref(struct listener *listener)
{
    atomic_fetch_add(&listener->references, 1);
    return listener;
}

void listener_unref(struct listener *listener)
{
    if (listener == NULL || atomic_fetch_sub(&listener->references, 1) != 1)
        return;
    struct reply *reply = listener->reply;
    watcher_clear(listener->watcher); /* of one that never began */
    watcher_free(listener->watcher);
    session_unref(listener->session);
    if (!listener->until_freed)
        free(listener);
    reply->ops->release(reply);
}

static void listener_freed(struct reply *reply)
{
    free(reply->owner);
}

/* Off the list, and nobody tells it of resources any more; true for the one who did
 * it and now has the list's reference. */
static bool take_off(struct listener *listener, bool lost)
{
    pthread_mutex_lock(&listener->home->mutex);
    bool was = listener->linked;
    if (was)
        unlink_it(listener);
    listener->linked = false;
    listener->lost = listener->lost || lost;
    pthread_mutex_unlock(&listener->home->mutex);
    if (was)
        watcher_clear(listener->watcher);
    return was;
}

static void listener_gone(struct reply *reply)
{
    struct listener *listener = reply->owner;

    if (!take_off(listener, true))
        return;
    if (listener->session != NULL)
        session_lose_stream(listener->session, listener);
    listener_unref(listener);
}

struct listener *listener_new(struct listeners *home, struct reply *reply, uint32_t wants,
                              struct bytes id, struct session *session, struct watcher *watcher)
{
    struct listener *listener = calloc(1, sizeof *listener + id.size);

    if (listener == NULL)
        return NULL;
    listener->home = home;
    listener->reply = reply;
    reply->ops->hold(reply);
    listener->session = session != NULL ? session_ref(session) : NULL;
    listener->wants = wants;
    listener->id_size = (uint16_t)id.size;
    listener->watcher = watcher;
    if (id.size > 0)
        memcpy(listener->id, id.data, id.size);
    atomic_init(&listener->references, 1);
    reply->owner = listener;
    reply->gone = listener_gone;
    listener->until_freed = reply->ops->event != NULL;
    if (listener->until_freed)
        reply->freed = listener_freed;
    return listener;
}

bool listener_begin(struct listener *listener)
{
    struct listeners *home = listener->home;

    pthread_mutex_lock(&home->mutex);
    bool lost = listener->lost;
    if (!lost) {
        listener_ref(listener); /* the list's */
        link_last(home, listener);
        listener->linked = true;
    }
    pthread_mutex_unlock(&home->mutex);
    if (!lost && listener->watcher != NULL)
        watcher_attach(listener->watcher, listener);
    return !lost;
}

void listener_withdraw(struct listener *listener)
{
    listener->until_freed = false;
    listener->reply->gone = listener->reply->freed = NULL;
    listener->reply->owner = NULL;
}

bool listener_is_lost(struct listener *listener)
{
    pthread_mutex_lock(&listener->home->mutex);
    bool lost = listener->lost;
    pthread_mutex_unlock(&listener->home->mutex);
    return lost;
}

/* ---- what is said ---- */

/* For printf: the size and the text of the id. */
#define SUBSCRIPTION_META "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":%.*s}"

bool listener_tell(struct listener *listener, uint32_t what)
{
    static const char *const names[CHANGES] = {
        [CHANGE_TOOLS] = "tools", [CHANGE_RESOURCES] = "resources", [CHANGE_PROMPTS] = "prompts"};
    char text[512];
    bool all_told = true;

    for (enum change list = 0; list < CHANGES; list++) {
        if ((what & listener->wants & 1u << list) == 0)
            continue;
        int size = snprintf(text, sizeof text,
                            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s/list_changed\"",
                            names[list]);
        if (listener->session == NULL)
            size += snprintf(text + size, sizeof text - (size_t)size,
                             ",\"params\":{" SUBSCRIPTION_META "}", (int)listener->id_size,
                             listener->id);
        size += snprintf(text + size, sizeof text - (size_t)size, "}");
        bool told = listener->reply->ops->push(listener->reply, (struct bytes){text, (size_t)size});
        if (listener->session != NULL && told)
            session_told(listener->session, list, listeners_epoch(listener->home, list));
        all_told = all_told && told;
    }
    return all_told;
}

bool listener_tell_updated(struct listener *listener, struct bytes uri)
{
    struct buf out;

    buf_init(&out, uri.size + 1024);
    BUF_LIT(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\","
                  "\"params\":{");
    if (listener->session == NULL)
        buf_addf(&out, SUBSCRIPTION_META ",", (int)listener->id_size, listener->id);
    BUF_LIT(&out, "\"uri\":");
    buf_add_bytes(&out, uri);
    BUF_LIT(&out, "}}");
    bool told = !out.failed && listener->reply->ops->push(listener->reply, buf_bytes(&out));
    buf_free(&out);
    return told;
}

bool listener_tell_task(struct listener *listener, struct bytes members)
{
    struct buf out;

    buf_init(&out, members.size + 1024);
    buf_addf(&out,
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\","
             "\"params\":{" SUBSCRIPTION_META ",",
             (int)listener->id_size, listener->id);
    buf_add_bytes(&out, members);
    BUF_LIT(&out, "}}");
    bool told = !out.failed && listener->reply->ops->push(listener->reply, buf_bytes(&out));
    buf_free(&out);
    return told;
}

struct mcp *listener_mcp(const struct listener *listener)
{
    return listener->home->mcp;
}

void listener_end(struct listener *listener)
{
    struct answer answer = {.status = 200};
    struct buf out;

    if (!take_off(listener, false))
        return;
    if (listener->session != NULL) {
        listener->reply->ops->end(listener->reply);
    } else {
        buf_init(&out, 4096);
        buf_addf(&out,
                 "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"resultType\":"
                 "\"complete\"," SUBSCRIPTION_META "}}",
                 (int)listener->id_size, listener->id, (int)listener->id_size, listener->id);
        answer.head = buf_detach(&out, &answer.head_size);
        listener->reply->ops->send(listener->reply, &answer);
    }
    listener_unref(listener);
}

/* ---- to all ---- */

/* Takes up to BATCH listeners behind the marker, with a reference each, and
 * moves the marker behind them. */
static size_t take_batch(struct listeners *home, struct listener *marker,
                         struct listener *batch[BATCH])
{
    size_t count = 0;

    pthread_mutex_lock(&home->mutex);
    struct listener *at = marker->next;
    unlink_it(marker);
    while (at != home->head && count < BATCH) {
        if (!at->marker) {
            batch[count++] = listener_ref(at);
        }
        at = at->next;
    }
    link_after(at->previous, marker);
    pthread_mutex_unlock(&home->mutex);
    return count;
}

static void for_all(struct listeners *home, void (*act)(struct listener *, uint32_t),
                    uint32_t argument)
{
    struct listener marker = {.marker = true};
    struct listener *batch[BATCH];
    size_t count;

    pthread_mutex_lock(&home->mutex);
    link_after(home->head, &marker);
    pthread_mutex_unlock(&home->mutex);
    while ((count = take_batch(home, &marker, batch)) > 0)
        for (size_t i = 0; i < count; i++) {
            act(batch[i], argument);
            /* take_batch took this reference; clang's analyser does not see atomics. */
            listener_unref(batch[i]); // NOLINT(clang-analyzer-unix.Malloc)
        }
    pthread_mutex_lock(&home->mutex);
    unlink_it(&marker);
    pthread_mutex_unlock(&home->mutex);
}

static void tell_one(struct listener *listener, uint32_t what)
{
    listener_tell(listener, what);
}

static void end_one(struct listener *listener, uint32_t unused)
{
    (void)unused;
    listener_end(listener);
}

void listeners_tell(struct listeners *home, uint32_t what)
{
    for (enum change list = 0; list < CHANGES; list++)
        if ((what & 1u << list) != 0)
            atomic_fetch_add(&home->epochs[list], 1);
    for_all(home, tell_one, what);
}

void listeners_end(struct listeners *home)
{
    for_all(home, end_one, 0);
}

uint32_t listeners_epoch(struct listeners *home, enum change list)
{
    return atomic_load(&home->epochs[list]);
}
