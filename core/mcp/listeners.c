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
    bool linked, lost;
    bool marker; /* no listener, but the place a walk has come to */
    uint16_t id_size;
    char id[];
};

struct listeners {
    struct mcp *mcp;
    struct listener *head; /* of a ring */
    atomic_uint epochs[CHANGES];
};

/* Guards the rings, `linked`, `lost` and the owners of the listeners' replies. Not one
 * for each home: when the peer of a reply has gone it has to be had before it is
 * known whether there is a listener still. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

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
    head->next = head->previous = head;
    head->marker = true;
    home->head = head;
    return home;
}

void listeners_free(struct listeners *home)
{
    if (home == NULL)
        return;
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
    pthread_mutex_lock(&mutex);
    if (reply->owner == listener) /* it never began, and `gone` may still come */
        reply->owner = NULL;
    pthread_mutex_unlock(&mutex);
    watcher_clear(listener->watcher);
    watcher_free(listener->watcher);
    session_unref(listener->session);
    free(listener);
    reply->ops->release(reply);
}

/* Off the list, with the mutex held: its reply knows it no more. True for the one
 * who did it and now has the list's reference. */
static bool take_off(struct listener *listener)
{
    bool was = listener->linked;

    if (was)
        unlink_it(listener);
    listener->linked = false;
    listener->reply->owner = NULL;
    return was;
}

static void listener_gone(struct reply *reply)
{
    pthread_mutex_lock(&mutex);
    struct listener *listener = reply->owner;
    bool was = false;
    if (listener != NULL) {
        listener->lost = true;
        was = take_off(listener);
    }
    pthread_mutex_unlock(&mutex);
    if (!was)
        return; /* it has not begun, or was ended meanwhile */
    watcher_clear(listener->watcher);
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
    return listener;
}

bool listener_begin(struct listener *listener)
{
    struct listeners *home = listener->home;

    pthread_mutex_lock(&mutex);
    bool lost = listener->lost;
    if (!lost) {
        listener_ref(listener); /* the list's */
        link_last(home, listener);
        listener->linked = true;
    }
    pthread_mutex_unlock(&mutex);
    if (!lost && listener->watcher != NULL)
        watcher_attach(listener->watcher, listener);
    return !lost;
}

void listener_withdraw(struct listener *listener)
{
    listener->reply->gone = NULL;
    listener->reply->owner = NULL;
}

bool listener_is_lost(struct listener *listener)
{
    pthread_mutex_lock(&mutex);
    bool lost = listener->lost;
    pthread_mutex_unlock(&mutex);
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

    pthread_mutex_lock(&mutex);
    bool mine = listener->linked && take_off(listener); /* and with it the list's reference */
    pthread_mutex_unlock(&mutex);
    if (!mine)
        return;
    watcher_clear(listener->watcher);
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

    pthread_mutex_lock(&mutex);
    struct listener *at = marker->next;
    unlink_it(marker);
    while (at != home->head && count < BATCH) {
        if (!at->marker) {
            batch[count++] = listener_ref(at);
        }
        at = at->next;
    }
    link_after(at->previous, marker);
    pthread_mutex_unlock(&mutex);
    return count;
}

static void for_all(struct listeners *home, void (*act)(struct listener *, uint32_t),
                    uint32_t argument)
{
    struct listener marker = {.marker = true};
    struct listener *batch[BATCH];
    size_t count;

    pthread_mutex_lock(&mutex);
    link_after(home->head, &marker);
    pthread_mutex_unlock(&mutex);
    while ((count = take_batch(home, &marker, batch)) > 0)
        for (size_t i = 0; i < count; i++) {
            act(batch[i], argument);
            /* take_batch took this reference; clang's analyser does not see atomics. */
            listener_unref(batch[i]); // NOLINT(clang-analyzer-unix.Malloc)
        }
    pthread_mutex_lock(&mutex);
    unlink_it(&marker);
    pthread_mutex_unlock(&mutex);
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
