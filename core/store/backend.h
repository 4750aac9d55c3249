/* SPDX-License-Identifier: MIT */
/*
 * What keeps a store's rows: SQLite here, others beside it. All functions are
 * called by one thread at a time, and may block.
 *
 * Between begin and commit a failure may have undone everything since begin;
 * the store then calls rollback and does each piece of work again by itself.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

struct store_backend;

struct store_backend_ops {
    bool (*begin)(struct store_backend *backend, struct error *err);
    bool (*commit)(struct store_backend *backend, struct error *err);
    void (*rollback)(struct store_backend *backend);

    bool (*add_task)(struct store_backend *backend, const struct store_task *task,
                     struct error *err);
    bool (*change_task)(struct store_backend *backend, const struct store_task *task,
                        struct error *err);
    /* 1: found, *task valid until the next call; 0: there is none; -1: failed. */
    int (*find_task)(struct store_backend *backend, struct bytes id, struct store_task *task,
                     struct error *err);
    bool (*expire_tasks)(struct store_backend *backend, int64_t now_ms, size_t *removed,
                         struct error *err);
    bool (*load_tasks)(struct store_backend *backend,
                       bool (*visit)(void *context, const struct store_task *task), void *context,
                       size_t *count, struct error *err);

    void (*close)(struct store_backend *backend);
};

struct store_backend {
    const struct store_backend_ops *ops;
};

/* `path` NULL: in memory. */
struct store_backend *sqlite_backend_open(const char *path, uint64_t max_bytes, struct error *err);

#endif
