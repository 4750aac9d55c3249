/* SPDX-License-Identifier: MIT */
/* The tree of URIs. In a list that is sorted by bytes, all that begins alike stands
 * together; so a directory is a range, and so is each one in it. */
#include "mcp/directory.h"

#include <stdlib.h>

#include "base/crypto.h"

struct item {
    struct bytes uri;
    const struct registry_entry *listed;
    const struct json *json;
    const struct json_node *file;
};

struct directory {
    struct arena arena; /* URIs that had to be decoded */
    struct item *items;
    size_t count, capacity;
};

/* ---- making ---- */

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_items(const void *a, const void *b)
{
    return compare_bytes(((const struct item *)a)->uri, ((const struct item *)b)->uri);
}

/* Where a query or a fragment begins there is no directory. */
static bool has_place(struct bytes uri)
{
    return memmem(uri.data, uri.size, "://", 3) != NULL &&
           memchr(uri.data, '?', uri.size) == NULL && memchr(uri.data, '#', uri.size) == NULL;
}

static bool add(struct directory *directory, const struct item *item)
{
    if (!has_place(item->uri))
        return true;
    if (directory->count == directory->capacity) {
        size_t capacity = directory->capacity == 0 ? 64 : directory->capacity * 2;
        struct item *items = realloc(directory->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        directory->items = items;
        directory->capacity = capacity;
    }
    directory->items[directory->count++] = *item;
    return true;
}

static bool add_skill(struct directory *directory, const struct registry_entry *entry)
{
    const struct json *json = &entry->offer->json;
    const struct json_node *files = json_get(json, json->root, "resources");

    if (files->type != JSON_ARRAY)
        return add(directory, &(struct item){.uri = entry->name});
    const struct json_node *end = files + files->span;
    for (const struct json_node *file = json_first(files); file != NULL;
         file = json_next(file, end)) {
        struct bytes uri = json_string(json, json_get(json, file, "uri"), &directory->arena);
        if (uri.data == NULL ||
            !add(directory, &(struct item){.uri = uri, .json = json, .file = file}))
            return false;
    }
    return true;
}

/* One item for each URI, with all that is known of it. */
static void join_equals(struct directory *directory)
{
    size_t kept = 0;

    for (size_t i = 0; i < directory->count; i++) {
        struct item *item = &directory->items[i];
        struct item *last = kept > 0 ? &directory->items[kept - 1] : NULL;
        if (last == NULL || !bytes_equal(last->uri, item->uri)) {
            directory->items[kept++] = *item;
            continue;
        }
        if (last->listed == NULL)
            last->listed = item->listed;
        if (last->file == NULL) {
            last->json = item->json;
            last->file = item->file;
        }
    }
    directory->count = kept;
}

struct directory *directory_new(const struct snapshot *snapshot)
{
    const struct registry_list *resources = &snapshot->lists[OFFER_RESOURCE];
    const struct registry_list *skills = &snapshot->lists[OFFER_SKILL];
    struct directory *directory = calloc(1, sizeof *directory);
    bool ok = true;

    if (directory == NULL)
        return NULL;
    arena_init(&directory->arena, (size_t)1 << 30);
    for (size_t i = 0; i < resources->count && ok; i++)
        ok = add(directory, &(struct item){.uri = resources->entries[i].name,
                                           .listed = &resources->entries[i]});
    for (size_t i = 0; i < skills->count && ok; i++)
        ok = add_skill(directory, &skills->entries[i]);
    if (!ok) {
        directory_free(directory);
        return NULL;
    }
    if (directory->count > 0)
        qsort(directory->items, directory->count, sizeof *directory->items, compare_items);
    join_equals(directory);
    return directory;
}

void directory_free(struct directory *directory)
{
    if (directory == NULL)
        return;
    arena_free(&directory->arena);
    free(directory->items);
    free(directory);
}

/* ---- walking ---- */

/* How `uri` followed by `c` compares with an item: without making that text. */
static int compare_with(struct bytes uri, char c, struct bytes item)
{
    if (item.size <= uri.size)
        return compare_bytes(uri, item) < 0 ? -1 : 1;
    int order = memcmp(uri.data, item.data, uri.size);
    if (order != 0)
        return order;
    order = (unsigned char)c - (unsigned char)item.data[uri.size];
    return order != 0 ? order : item.size > uri.size + 1 ? -1 : 0;
}

/* The first item that is not before `uri` followed by `c`. */
static size_t lower_bound(const struct directory *directory, struct bytes uri, char c)
{
    size_t low = 0, high = directory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_with(uri, c, directory->items[middle].uri) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_below(const struct directory *directory, size_t at, struct bytes uri)
{
    if (at >= directory->count)
        return false;
    struct bytes item = directory->items[at].uri;
    return item.size > uri.size + 1 && memcmp(item.data, uri.data, uri.size) == 0 &&
           item.data[uri.size] == '/';
}

static bool is_item(const struct directory *directory, struct bytes uri)
{
    const struct item wanted = {.uri = uri};

    return directory->count > 0 && bsearch(&wanted, directory->items, directory->count,
                                           sizeof wanted, compare_items) != NULL;
}

/* Behind the last child of the page before: its URI, and of a directory a '/'. */
static bool read_cursor(struct directory_walk *walk, struct bytes cursor)
{
    char last[URI_MAX + 8];
    struct bytes key = {last, 0};

    if (cursor.size > (URI_MAX + 7) / 3 * 4 || !base64url_decode(cursor, last, &key.size))
        return false;
    if (key.size < walk->uri.size + 2 || memcmp(key.data, walk->uri.data, walk->uri.size) != 0 ||
        key.data[walk->uri.size] != '/')
        return false;
    if (last[key.size - 1] == '/')
        walk->at = lower_bound(walk->directory, (struct bytes){last, key.size - 1}, '/' + 1);
    else
        walk->at = lower_bound(walk->directory, key, '\0');
    return true;
}

int directory_begin(struct directory_walk *walk, const struct directory *directory,
                    struct bytes uri, struct bytes cursor)
{
    if (uri.size > 0 && uri.data[uri.size - 1] == '/')
        uri.size--;
    const char *authority = memmem(uri.data, uri.size, "://", 3);
    if (authority == NULL || authority + 3 == uri.data + uri.size)
        return 0;
    *walk = (struct directory_walk){directory, uri, lower_bound(directory, uri, '/')};
    if (!is_below(directory, walk->at, uri))
        return 0;
    return cursor.data == NULL || read_cursor(walk, cursor) ? 1 : -1;
}

bool directory_next(struct directory_walk *walk, struct directory_child *child)
{
    const struct directory *directory = walk->directory;

    while (is_below(directory, walk->at, walk->uri)) {
        const struct item *item = &directory->items[walk->at];
        size_t start = walk->uri.size + 1;
        const char *slash = memchr(item->uri.data + start, '/', item->uri.size - start);
        if (slash == NULL) {
            walk->at++;
            *child =
                (struct directory_child){item->uri, false, item->listed, item->json, item->file};
            return true;
        }
        *child = (struct directory_child){.uri = {item->uri.data, (size_t)(slash - item->uri.data)},
                                          .is_directory = true};
        walk->at = lower_bound(directory, child->uri, '/' + 1);
        /* Nothing has two entries: a resource that has others below it counts as one. */
        if (!is_item(directory, child->uri) && child->uri.size > start)
            return true;
    }
    return false;
}

void directory_cursor(struct buf *out, const struct directory_child *child)
{
    char key[URI_MAX + 1], text[(URI_MAX + 1) / 3 * 4 + 8];
    size_t size = child->uri.size < URI_MAX ? child->uri.size : URI_MAX;

    memcpy(key, child->uri.data, size);
    if (child->is_directory)
        key[size++] = '/';
    base64url_encode(key, size, text);
    buf_add_bytes(out, bytes_of(text));
}
