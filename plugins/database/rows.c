/* SPDX-License-Identifier: MIT */
/* Results as JSON. Values keep all they are: integers all digits, reals all bits, blobs
 * and what else JSON cannot say in objects whose one member begins with "$". */
#include "backend.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"

static const char truncated_rows[] =
    "there are more rows than max_rows; ask for fewer with LIMIT and OFFSET, or aggregate";
static const char truncated_bytes[] =
    "the result is larger than max_bytes; select fewer columns or rows, or parts of long values "
    "with substr()";

static bool key_taken(const struct rows *rows, size_t before, const struct text *key)
{
    size_t start = 0;
    for (size_t i = 0; i < before; i++) {
        size_t size = rows->key_ends[i] - start;
        if (size == key->size && memcmp(rows->keys.data + start, key->data, size) == 0)
            return true;
        start = rows->key_ends[i];
    }
    return false;
}

/* `"name":` for column `index`; of several columns of one name the further ones get a
 * number, for an object has each name once. `numbers` has what the columns before got: those
 * up to it are taken and need no look. */
static void add_key(struct rows *rows, const struct column *columns, size_t index, size_t *numbers)
{
    const char *name = columns[index].name;
    size_t number = 0;
    for (size_t i = 0; i < index; i++)
        if (strcmp(columns[i].name, name) == 0)
            number = numbers[i];
    struct text key, numbered;
    text_init(&key, rows->keys.max);
    text_init(&numbered, rows->keys.max);
    do {
        text_cut(&numbered, 0);
        text_cut(&key, 0);
        text_adds(&numbered, name);
        if (++number > 1)
            text_addf(&numbered, "_%zu", number);
        text_add_string(&key, numbered.data, numbered.size);
        text_adds(&key, ":");
    } while (!key.failed && !numbered.failed && key_taken(rows, index, &key));
    numbers[index] = number;
    text_add(&rows->keys, key.data, key.size);
    rows->keys.failed |= key.failed || numbered.failed;
    rows->key_ends[index] = rows->keys.size;
    text_free(&key);
    text_free(&numbered);
}

/* False: out of memory, or they are too large. */
static bool add_keys(struct rows *rows, const struct column *columns, size_t count)
{
    size_t *numbers = calloc(count + 1, sizeof(numbers[0]));
    rows->keys.failed |= numbers == NULL;
    for (size_t i = 0; i < count && !rows->keys.failed; i++)
        add_key(rows, columns, i, numbers);
    free(numbers);
    return !rows->keys.failed;
}

static struct mcp_bytes key_at(const struct rows *rows, size_t index)
{
    size_t start = index > 0 ? rows->key_ends[index - 1] : 0;
    return (struct mcp_bytes){rows->keys.data + start, rows->key_ends[index] - start};
}

bool rows_columns(struct rows *rows, const struct column *columns, size_t count)
{
    size_t start = rows->json->size;
    text_init(&rows->keys, rows->max_size);
    rows->columns = count;
    rows->key_ends = calloc(count + 1, sizeof(rows->key_ends[0]));
    if (rows->key_ends == NULL || !add_keys(rows, columns, count))
        return false;
    text_adds(rows->json, "{\"columns\":[");
    for (size_t i = 0; i < count && !rows->json->failed; i++) {
        struct mcp_bytes key = key_at(rows, i);
        text_adds(rows->json, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_add(rows->json, key.data, key.size - 1); /* without the colon */
        if (columns[i].type != NULL) {
            text_adds(rows->json, ",\"type\":");
            text_add_string(rows->json, columns[i].type, strlen(columns[i].type));
        }
        text_adds(rows->json, "}");
    }
    text_adds(rows->json, "],\"rows\":[");
    /* In a transaction, an earlier result may have taken all the room there is for rows; few
     * columns still get their frame. */
    bool fits = rows->json->size <= rows->max_size || rows->json->size - start <= ROWS_FRAME / 2;
    return !rows->json->failed && fits;
}

bool rows_begin(struct rows *rows)
{
    if (rows->count == rows->max_rows) {
        rows->truncated = truncated_rows;
        return false;
    }
    rows->row_start = rows->json->size;
    rows->column = 0;
    text_adds(rows->json, rows->count > 0 ? ",{" : "{");
    return true;
}

static void next_key(struct rows *rows)
{
    if (rows->column > 0)
        text_adds(rows->json, ",");
    struct mcp_bytes key = key_at(rows, rows->column++);
    text_add(rows->json, key.data, key.size);
}

struct text *rows_value(struct rows *rows)
{
    next_key(rows);
    return rows->json;
}

void rows_value_null(struct rows *rows)
{
    next_key(rows);
    text_adds(rows->json, "null");
}

void rows_value_integer(struct rows *rows, int64_t value)
{
    next_key(rows);
    text_addf(rows->json, "%" PRId64, value);
}

void rows_value_real(struct rows *rows, double value)
{
    next_key(rows);
    if (isfinite(value))
        text_add_real(rows->json, value);
    else
        text_addf(rows->json, "{\"$float\":\"%s\"}",
                  isnan(value) ? "NaN"
                  : value > 0  ? "Infinity"
                               : "-Infinity");
}

static void add_blob(struct rows *rows, const void *data, size_t size)
{
    text_adds(rows->json, "{\"$base64\":\"");
    text_add_base64(rows->json, data, size);
    text_adds(rows->json, "\"}");
}

void rows_value_text(struct rows *rows, const char *data, size_t size)
{
    next_key(rows);
    if (utf8_prefix(data, size) == size)
        text_add_string(rows->json, data, size);
    else
        add_blob(rows, data, size);
}

void rows_value_blob(struct rows *rows, const void *data, size_t size)
{
    next_key(rows);
    add_blob(rows, data, size);
}

bool rows_end(struct rows *rows)
{
    text_adds(rows->json, "}");
    if (rows->json->failed || rows->json->size > rows->max_size) {
        text_cut(rows->json, rows->row_start);
        rows->truncated = truncated_bytes;
        return false;
    }
    rows->count++;
    return true;
}

void rows_finish(struct rows *rows, const struct changes *changes)
{
    text_addf(rows->json, "],\"row_count\":%zu,\"truncated\":%s", rows->count,
              rows->truncated != NULL ? "true" : "false");
    if (rows->truncated != NULL)
        text_addf(rows->json, ",\"truncated_because\":\"%s\"", rows->truncated);
    if (changes->known)
        text_addf(rows->json, ",\"changes\":%" PRId64, changes->rows);
    if (changes->inserted)
        text_addf(rows->json, ",\"last_insert_id\":%" PRId64, changes->last_insert_id);
    text_adds(rows->json, "}");
}

void rows_free(struct rows *rows)
{
    text_free(&rows->keys);
    free(rows->key_ends);
    rows->key_ends = NULL;
}
