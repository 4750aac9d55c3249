/* SPDX-License-Identifier: MIT */
/* The lines of a key file. No complaint repeats a piece of a key. */
#include "config/seal_keys.h"

#define BASE64_SIZE 44 /* of 32 bytes */

static struct bytes next_line(struct bytes *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct bytes line = {rest->data, size};

    rest->data += size + (end != NULL);
    rest->size -= size + (end != NULL);
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return bytes_trim(line);
}

bool seal_key_id_legal(struct bytes id)
{
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return id.size >= 1 && id.size <= SEAL_KEY_ID_MAX;
}

/* Takes "ID KEY" apart. NULL: done; else what is wrong. */
static const char *read_line(struct bytes line, struct seal_key *key)
{
    char bytes[BASE64_SIZE / 4 * 3];
    size_t size, id_size = 0;

    while (id_size < line.size && line.data[id_size] != ' ' && line.data[id_size] != '\t')
        id_size++;
    struct bytes id = {line.data, id_size};
    struct bytes text = bytes_trim((struct bytes){line.data + id_size, line.size - id_size});
    if (text.size == 0)
        return "expected \"ID KEY\": the name of a key, a space, and 32 bytes in Base64";
    if (!seal_key_id_legal(id))
        return "the name of a key is 1 to 32 of A-Z a-z 0-9 _ -";
    if (text.size != BASE64_SIZE || !base64_decode(text, bytes, &size) || size != CRYPTO_KEY_SIZE)
        return "the key is not 32 bytes in Base64 (44 characters, the last a =)";
    memcpy(key->id, id.data, id.size);
    memcpy(key->key, bytes, sizeof(key->key));
    crypto_wipe(bytes, sizeof(bytes));
    return NULL;
}

struct seal_key *seal_keys_parse(const char *file, struct bytes text, struct arena *arena,
                                 size_t *count, struct error *err)
{
    struct seal_key *keys = arena_calloc(arena, SEAL_KEYS_MAX, sizeof(*keys));
    size_t found = 0, number = 0;

    if (keys == NULL) {
        error_no_memory_for(err, "%s", file);
        return NULL;
    }
    while (text.size > 0) {
        struct bytes line = next_line(&text);
        number++;
        if (line.size == 0 || line.data[0] == '#')
            continue;
        if (found == SEAL_KEYS_MAX) {
            error_set(err, "%s:%zu: more than %d keys: remove the oldest, the last ones", file,
                      number, SEAL_KEYS_MAX);
            return NULL;
        }
        const char *wrong = read_line(line, &keys[found]);
        for (size_t i = 0; i < found && wrong == NULL; i++)
            if (strcmp(keys[i].id, keys[found].id) == 0)
                wrong = "the name of this key is that of an earlier line: each needs its own";
        if (wrong != NULL) {
            error_set(err, "%s:%zu: %s", file, number, wrong);
            return NULL;
        }
        found++;
    }
    if (found == 0) {
        error_set(err, "%s: has no key: expected at least one line \"ID KEY\"", file);
        return NULL;
    }
    *count = found;
    return keys;
}
