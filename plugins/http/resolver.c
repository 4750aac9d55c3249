/* SPDX-License-Identifier: MIT */
/*
 * From names to addresses. getaddrinfo(3) cannot be interrupted, so it runs on threads
 * that nobody waits for but the end of the provider: a call that is cancelled or out of
 * time does not wait for a name server, nor do the others behind it. What was found
 * counts for half a minute.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define THREADS 4
#define NAMES_MAX 128
#define GOOD_MS 30000
#define BAD_MS 2000

enum state { FREE, WAITING, RUNNING, READY };

struct name {
    char host[256];
    enum state state;
    bool found;
    int64_t until_ms;
    struct addresses addresses;
};

struct resolver {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    bool stopping;
    pthread_t threads[THREADS];
    unsigned started;
    void (*wake)(void *context);
    void *context;
    struct name names[NAMES_MAX];
};

static bool look_up(const char *host, struct addresses *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

    *out = (struct addresses){.count = 0};
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0) {
        snprintf(out->why, sizeof(out->why), "%s", gai_strerror(error));
        return false;
    }
    for (struct addrinfo *one = list; one != NULL && out->count < ADDRESSES_MAX; one = one->ai_next)
        if (one->ai_addrlen <= sizeof(out->all[0]))
            memcpy(&out->all[out->count++], one->ai_addr, one->ai_addrlen);
    freeaddrinfo(list);
    return out->count > 0;
}

static struct name *find_state(struct resolver *resolver, enum state state)
{
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (resolver->names[i].state == state)
            return &resolver->names[i];
    return NULL;
}

static void *run(void *context)
{
    struct resolver *resolver = context;
    struct addresses addresses;

    pthread_mutex_lock(&resolver->mutex);
    while (!resolver->stopping) {
        struct name *name = find_state(resolver, WAITING);
        if (name == NULL) {
            pthread_cond_wait(&resolver->work, &resolver->mutex);
            continue;
        }
        name->state = RUNNING;
        char host[256];
        memcpy(host, name->host, sizeof(host));
        pthread_mutex_unlock(&resolver->mutex);
        bool found = look_up(host, &addresses);
        pthread_mutex_lock(&resolver->mutex);
        name->addresses = addresses;
        name->found = found;
        name->until_ms = clock_ms() + (found ? GOOD_MS : BAD_MS);
        name->state = READY;
        resolver->wake(resolver->context);
    }
    pthread_mutex_unlock(&resolver->mutex);
    return NULL;
}

static struct name *find_name(struct resolver *resolver, const char *host)
{
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (resolver->names[i].state != FREE && strcmp(resolver->names[i].host, host) == 0)
            return &resolver->names[i];
    return NULL;
}

/* A place for another name: one never used, else the oldest that is done. */
static struct name *make_room(struct resolver *resolver)
{
    struct name *room = find_state(resolver, FREE);

    for (size_t i = 0; room == NULL && i < NAMES_MAX; i++) {
        struct name *name = &resolver->names[i];
        if (name->state == READY && (room == NULL || name->until_ms < room->until_ms))
            room = name;
    }
    return room;
}

enum lookup resolver_ask(struct resolver *resolver, const char *host, struct addresses *out)
{
    enum lookup result = LOOKUP_PENDING;

    pthread_mutex_lock(&resolver->mutex);
    struct name *name = find_name(resolver, host);
    if (name == NULL && (name = make_room(resolver)) != NULL) {
        snprintf(name->host, sizeof(name->host), "%s", host);
        name->state = WAITING;
        pthread_cond_signal(&resolver->work);
    } else if (name != NULL && name->state == READY && clock_ms() >= name->until_ms) {
        name->state = WAITING;
        pthread_cond_signal(&resolver->work);
    } else if (name != NULL && name->state == READY) {
        *out = name->addresses;
        result = name->found ? LOOKUP_DONE : LOOKUP_FAILED;
    }
    pthread_mutex_unlock(&resolver->mutex);
    return result;
}

struct resolver *resolver_new(void (*wake)(void *context), void *context)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL)
        return NULL;
    resolver->wake = wake;
    resolver->context = context;
    pthread_mutex_init(&resolver->mutex, NULL);
    pthread_cond_init(&resolver->work, NULL);
    while (resolver->started < THREADS &&
           pthread_create(&resolver->threads[resolver->started], NULL, run, resolver) == 0)
        resolver->started++;
    if (resolver->started > 0)
        return resolver;
    resolver_free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    pthread_mutex_lock(&resolver->mutex);
    resolver->stopping = true;
    pthread_cond_broadcast(&resolver->work);
    pthread_mutex_unlock(&resolver->mutex);
    for (unsigned i = 0; i < resolver->started; i++)
        pthread_join(resolver->threads[i], NULL);
    pthread_cond_destroy(&resolver->work);
    pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}
