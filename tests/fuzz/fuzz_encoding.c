/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes UTF-8, Base64, the escapes of JSON and the text writer, which mcpd and the bundled plugins have each
 * of their own: what one takes the other takes, with the same result; what was decoded
 * gives the same text when it is encoded again, and the other way round.
 */
#include <math.h>

#define base64_encode plugin_base64_encode
#define base64_decode plugin_base64_decode
#include "../../plugins/common/encoding.h"
#include "../../plugins/common/text.h"
#undef base64_encode
#undef base64_decode

#include "base/crypto.h"
#include "base/utf8.h"
#include "json/json.h"
#include "must.h"

static void check_decoding(struct bytes text)
{
    size_t size = 0, plugin_size = 0;
    char *out = malloc(text.size + 3), *plugin_out = malloc(text.size + 3);
    char *again = malloc(text.size + 8);
    bool ok = base64_decode(text, out, &size);

    must(plugin_base64_decode(text.data, text.size, plugin_out, &plugin_size) == ok);
    if (ok) {
        must(size == plugin_size && memcmp(out, plugin_out, size) == 0);
        base64_encode(out, size, again);
        must(bytes_equal(bytes_of(again), text));
    }
    if (base64url_decode(text, out, &size)) {
        must(size <= text.size);
        base64url_encode(out, size, again);
        must(bytes_equal(bytes_of(again), text));
    }
    free(out);
    free(plugin_out);
    free(again);
}

static void check_encoding(struct bytes plain)
{
    size_t room = base64_size(plain.size), size = 0;
    char *text = malloc(room + 1), *plugin_text = malloc(room + 1), *out = malloc(room + 3);

    base64_encode(plain.data, plain.size, text);
    plugin_base64_encode(plain.data, plain.size, plugin_text);
    must(strlen(text) == room && memcmp(text, plugin_text, room) == 0);
    must(base64_decode(bytes_of(text), out, &size));
    must(bytes_equal((struct bytes){out, size}, plain));
    base64url_encode(plain.data, plain.size, text);
    must(base64url_decode(bytes_of(text), out, &size));
    must(bytes_equal((struct bytes){out, size}, plain));
    free(text);
    free(plugin_text);
    free(out);
}

static void check_utf8(struct bytes text)
{
    size_t good = utf8_valid_prefix(text);

    must(good <= text.size && good == utf8_prefix(text.data, text.size));
    must(utf8_valid(text) == (good == text.size));
    must(utf8_valid((struct bytes){text.data, good}));
    must(utf8_multibyte_prefix(text) <= good);
    /* What may be completed is not wrong yet, and short. */
    if (utf8_unfinished(text.data + good, text.size - good))
        must(text.size - good < 4 && utf8_character(text.data + good, text.size - good) == 0);
}

/* Whatever is written, it is a JSON string, and the very text where that was UTF-8. */
static void check_writer(struct bytes text, struct arena *arena)
{
    struct text out, plain;
    struct json json;

    text_init(&out, SIZE_MAX / 4);
    text_init(&plain, SIZE_MAX / 4);
    text_add_string(&out, text.data, text.size);
    must(!out.failed);
    struct bytes written = {out.data, out.size};
    must(json_parse(&json, written, &json_default_limits, arena, NULL));
    struct bytes back = json_string(&json, json.root, arena);
    must(!utf8_valid(text) || bytes_equal(back, text));
    text_adds(&plain, "x");
    text_cut(&plain, 0);
    text_add_utf8(&plain, text.data, text.size);
    must(bytes_equal((struct bytes){plain.data, plain.size}, back));
    text_free(&plain);
    text_free(&out);
}

static void check_real(struct bytes text)
{
    struct text out;
    double number, again;

    if (text.size < sizeof(number))
        return;
    memcpy(&number, text.data, sizeof(number));
    if (!isfinite(number))
        return;
    text_init(&out, 100);
    text_add_real(&out, number);
    must(!out.failed && strpbrk(out.data, ".eE") != NULL);
    must(json_check((struct bytes){out.data, out.size}, &json_default_limits, NULL));
    again = strtod(out.data, NULL);
    must(memcmp(&again, &number, sizeof(again)) == 0);
    text_free(&out);
}

/* What is escaped comes back; what can be read as escapes says the same when it is written. */
static void check_percent(struct bytes text)
{
    struct text escaped, back, again;

    text_init(&escaped, SIZE_MAX / 4);
    text_init(&back, SIZE_MAX / 4);
    text_init(&again, SIZE_MAX / 4);
    text_add_percent(&escaped, text.data, text.size, "/");
    must(!escaped.failed && text_add_unescaped(&back, escaped.data, escaped.size));
    must(bytes_equal((struct bytes){back.data, back.size}, text));
    text_cut(&back, 0);
    text_cut(&escaped, 0);
    if (text_add_unescaped(&back, text.data, text.size)) {
        must(back.size <= text.size);
        text_add_percent(&escaped, back.data, back.size, "");
        must(text_add_unescaped(&again, escaped.data, escaped.size));
        must(bytes_equal((struct bytes){again.data, again.size},
                         (struct bytes){back.data, back.size}));
    }
    text_free(&escaped);
    text_free(&back);
    text_free(&again);
}

/* Where a text can stand between quotes, its escapes mean the same to the plugins as to
 * mcpd's own parser. */
static void check_escapes(struct bytes text, struct arena *arena)
{
    char *quoted = malloc(text.size + 2), *plain = malloc(text.size + 1);
    size_t size = 0, used;
    struct json json;

    quoted[0] = quoted[text.size + 1] = '"';
    if (text.size > 0)
        memcpy(quoted + 1, text.data, text.size);
    bool ok =
        (text.size == 0 || memchr(text.data, '"', text.size) == NULL) &&
        json_parse(&json, (struct bytes){quoted, text.size + 2}, &json_default_limits, arena, NULL);
    for (size_t at = 0; at < text.size; at += used) {
        size_t made = json_unescape(text.data + at, text.size - at, plain + size, &used);
        must(made > 0 || !ok || text.data[at] != '\\');
        if (made == 0) {
            plain[size] = text.data[at];
            made = used = 1;
        }
        must(used <= text.size - at && made <= used);
        size += made;
    }
    if (ok) {
        struct bytes back = json_string(&json, json.root, arena);
        must(bytes_equal(back, (struct bytes){plain, size}));
    }
    free(quoted);
    free(plain);
}

/* Past its cap a text fails, and stays within it. */
static void check_cap(struct bytes text)
{
    struct text out;

    text_init(&out, 5);
    text_adds(&out, "ab");
    text_add(&out, text.data, text.size);
    must(out.failed == (text.size > 3));
    text_addf(&out, "%d", 1);
    text_add_base64(&out, text.data, text.size);
    must(out.size <= 5);
    text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct arena arena;
    struct bytes text = {(const char *)data, size};

    if (!ready)
        must(ready = crypto_init());
    arena_init(&arena, SIZE_MAX);
    check_decoding(text);
    check_encoding(text);
    check_utf8(text);
    check_writer(text, &arena);
    check_real(text);
    check_percent(text);
    check_escapes(text, &arena);
    check_cap(text);
    arena_free(&arena);
    return 0;
}
