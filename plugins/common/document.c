/* SPDX-License-Identifier: MIT */
/* The tree of values: its memory, looking into it, and writing it as JSON. */
#include "document.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384
#define SORTED_MIN 16 /* members of an object, from which on they are sorted */
#define ALIGNMENT _Alignof(max_align_t)

struct block {
    struct block *next;
    size_t used, size;
    max_align_t data[];
};

/* ---- memory ---- */

static struct block *new_block(struct document *document, size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);

    if (block == NULL)
        return NULL;
    *block = (struct block){.size = size, .next = document->blocks};
    document->blocks = block;
    return block;
}

void *document_take(struct document *document, size_t size)
{
    struct block *block = document->blocks;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (block == NULL || block->size - block->used < size) {
        /* What is large gets a block of its own, behind the one that has room. */
        if (block != NULL && size > BLOCK_SIZE / 4) {
            document->blocks = block->next;
            struct block *own = new_block(document, size);
            block->next = document->blocks;
            document->blocks = block;
            block = own;
        } else {
            block = new_block(document, size > BLOCK_SIZE ? size : BLOCK_SIZE);
        }
    }
    if (block == NULL)
        return NULL;
    void *taken = (char *)block->data + block->used;
    block->used += size;
    return taken;
}

void document_free(struct document *document)
{
    while (document->blocks != NULL) {
        struct block *block = document->blocks;
        document->blocks = block->next;
        free(block);
    }
    document->root = NULL;
}

/* ---- looking ---- */

static int compare_texts(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static const struct value *find_sorted(const struct value *object, const char *name, size_t size)
{
    size_t from = 0, to = object->count / 2;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        struct value **at = object->sorted[middle];
        int order = compare_texts(name, size, at[0]->text, at[0]->size);
        if (order == 0)
            return at[1];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

const struct value *value_member(const struct value *object, const char *name)
{
    size_t size = strlen(name);

    if (object == NULL || object->kind != VALUE_OBJECT)
        return NULL;
    if (object->sorted != NULL)
        return find_sorted(object, name, size);
    for (size_t i = 0; i + 1 < object->count; i += 2)
        if (object->items[i]->size == size && memcmp(object->items[i]->text, name, size) == 0)
            return object->items[i + 1];
    return NULL;
}

static int compare_values(const struct value *a, const struct value *b)
{
    return compare_texts(a->text, a->size, b->text, b->size);
}

static int compare_names(const void *a, const void *b)
{
    return compare_values(**(struct value * *const *)a, **(struct value * *const *)b);
}

static const struct value *find_repeated(const struct value *object)
{
    for (size_t i = 2; i < object->count; i += 2)
        for (size_t k = 0; k < i; k += 2)
            if (compare_values(object->items[i], object->items[k]) == 0)
                return object->items[i];
    return NULL;
}

const struct value *value_complete(struct document *document, struct value *object)
{
    size_t count = object->count / 2;

    if (count < SORTED_MIN)
        return find_repeated(object);
    struct value ***names = document_take(document, count * sizeof(names[0]));
    if (names == NULL)
        return object->items[0]; /* what cannot be looked at is not let through */
    for (size_t i = 0; i < count; i++)
        names[i] = &object->items[2 * i];
    qsort(names, count, sizeof(names[0]), compare_names);
    for (size_t i = 1; i < count; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0)
            return *names[i];
    object->sorted = names;
    return NULL;
}

/* ---- JSON ---- */

static bool write_value(struct text *out, const struct value *value, unsigned *left, int depth)
{
    bool is_object = value->kind == VALUE_OBJECT;

    if (*left == 0 || depth < 0 || out->failed)
        return false;
    (*left)--;
    switch (value->kind) {
    case VALUE_NULL:
        text_adds(out, "null");
        return true;
    case VALUE_BOOLEAN:
    case VALUE_NUMBER:
        text_add(out, value->text, value->size);
        return true;
    case VALUE_STRING:
        text_add_string(out, value->text, value->size);
        return true;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        break;
    }
    text_adds(out, is_object ? "{" : "[");
    for (size_t i = 0; i < value->count; i++) {
        if (i > 0)
            text_adds(out, is_object && i % 2 == 1 ? ":" : ",");
        if (is_object && i % 2 == 0)
            text_add_string(out, value->items[i]->text, value->items[i]->size);
        else if (!write_value(out, value->items[i], left, depth - 1))
            return false;
    }
    text_adds(out, is_object ? "}" : "]");
    return true;
}

bool value_write(struct text *out, const struct value *value, const struct document_limits *limits)
{
    unsigned left = limits->values;

    return write_value(out, value, &left, limits->depth) && !out->failed;
}
