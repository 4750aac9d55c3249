/* SPDX-License-Identifier: MIT */
/* A table with chains; what has expired is swept out when it is full. */
#include "mcp/redeemed.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS 4096
#define REDEEMED_MAX 65536

struct entry {
    struct entry *next;
    int64_t expires_ms;
    unsigned char id[REQUEST_STATE_ID_SIZE];
};

struct redeemed {
    pthread_mutex_t mutex; /* a leaf */
    struct entry *slots[SLOTS];
    size_t count;
};

struct redeemed *redeemed_new(void)
{
    struct redeemed *redeemed = calloc(1, sizeof *redeemed);

    if (redeemed != NULL)
        pthread_mutex_init(&redeemed->mutex, NULL);
    return redeemed;
}

/* Takes out those of one chain that have expired; all with INT64_MAX. */
static void sweep(struct redeemed *redeemed, size_t slot, int64_t now_ms)
{
    struct entry **place = &redeemed->slots[slot];

    while (*place != NULL) {
        struct entry *entry = *place;
        if (entry->expires_ms > now_ms) {
            place = &entry->next;
            continue;
        }
        *place = entry->next;
        free(entry);
        redeemed->count--;
    }
}

static void sweep_all(struct redeemed *redeemed, int64_t now_ms)
{
    for (size_t i = 0; i < SLOTS; i++)
        sweep(redeemed, i, now_ms);
}

void redeemed_free(struct redeemed *redeemed)
{
    if (redeemed == NULL)
        return;
    sweep_all(redeemed, INT64_MAX);
    pthread_mutex_destroy(&redeemed->mutex);
    free(redeemed);
}

static size_t slot_of(const unsigned char *id)
{
    return bytes_hash((struct bytes){(const char *)id, REQUEST_STATE_ID_SIZE}) % SLOTS;
}

static struct entry **find(struct redeemed *redeemed, const unsigned char *id)
{
    struct entry **place = &redeemed->slots[slot_of(id)];

    while (*place != NULL && memcmp((*place)->id, id, REQUEST_STATE_ID_SIZE) != 0)
        place = &(*place)->next;
    return place;
}

static enum redeem_result take(struct redeemed *redeemed, const unsigned char *id,
                               int64_t expires_ms, int64_t now_ms)
{
    if (*find(redeemed, id) != NULL)
        return REDEEMED_BEFORE;
    sweep(redeemed, slot_of(id), now_ms);
    if (redeemed->count >= REDEEMED_MAX)
        sweep_all(redeemed, now_ms);
    struct entry *entry = redeemed->count < REDEEMED_MAX ? calloc(1, sizeof *entry) : NULL;
    if (entry == NULL)
        return REDEEMED_FULL;
    memcpy(entry->id, id, sizeof entry->id);
    entry->expires_ms = expires_ms;
    struct entry **slot = &redeemed->slots[slot_of(id)];
    entry->next = *slot;
    *slot = entry;
    redeemed->count++;
    return REDEEMED_NOW;
}

enum redeem_result redeemed_take(struct redeemed *redeemed,
                                 const unsigned char id[REQUEST_STATE_ID_SIZE], int64_t expires_ms,
                                 int64_t now_ms)
{
    pthread_mutex_lock(&redeemed->mutex);
    enum redeem_result result = take(redeemed, id, expires_ms, now_ms);
    pthread_mutex_unlock(&redeemed->mutex);
    return result;
}

void redeemed_give_back(struct redeemed *redeemed, const unsigned char id[REQUEST_STATE_ID_SIZE])
{
    pthread_mutex_lock(&redeemed->mutex);
    struct entry **place = find(redeemed, id);
    struct entry *entry = *place;
    if (entry != NULL) {
        *place = entry->next;
        redeemed->count--;
    }
    pthread_mutex_unlock(&redeemed->mutex);
    free(entry);
}
