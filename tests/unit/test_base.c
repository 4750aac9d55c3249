/* SPDX-License-Identifier: MIT */
/* core/base: bytes, errors, buffers, arenas, UTF-8, crypto and Base64, the log,
 * threads. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/round.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "suite.h"

#define assert_bytes(actual, literal) assert_bytes_(actual, BYTES(literal), __LINE__)

static void assert_bytes_(struct bytes actual, struct bytes expected, int line)
{
    if (!bytes_equal(actual, expected))
        ck_abort_msg("line %d: \"%.*s\" instead of \"%.*s\"", line, BYTES_FMT(actual),
                     BYTES_FMT(expected));
}

/* ---- bytes ---- */

START_TEST(bytes_are_equal_by_content)
{
    char other[] = "abc";
    ck_assert(bytes_equal(BYTES("abc"), (struct bytes){other, 3}));
    ck_assert(!bytes_equal(BYTES("abc"), BYTES("abd")));
    ck_assert(!bytes_equal(BYTES("abc"), BYTES("ab")));
    ck_assert(!bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    ck_assert(bytes_equal((struct bytes){NULL, 0}, BYTES("")));
    ck_assert_uint_eq(bytes_of(NULL).size, 0);
    ck_assert_uint_eq(bytes_of("four").size, 4);
}
END_TEST

START_TEST(bytes_compare_without_case)
{
    ck_assert(bytes_equal_nocase(BYTES("Content-TYPE"), BYTES("content-type")));
    ck_assert(bytes_equal_nocase(BYTES("AZaz"), BYTES("azAZ")));
    ck_assert(!bytes_equal_nocase(BYTES("abc"), BYTES("abcd")));
    /* The neighbours of the letters are no letters: '@' '`', '[' '{'. */
    ck_assert(!bytes_equal_nocase(BYTES("@"), BYTES("`")));
    ck_assert(!bytes_equal_nocase(BYTES("["), BYTES("{")));
    /* Only ASCII: Latin capital and small a with diaeresis differ. */
    ck_assert(!bytes_equal_nocase(BYTES("\xc3\x84"), BYTES("\xc3\xa4")));
    ck_assert(!bytes_equal_nocase(BYTES("\xc4"), BYTES("\xe4")));
    ck_assert(bytes_equal_nocase((struct bytes){NULL, 0}, BYTES("")));
}
END_TEST

START_TEST(bytes_are_trimmed_of_blanks)
{
    assert_bytes(bytes_trim(BYTES(" \t a b\t ")), "a b");
    assert_bytes(bytes_trim(BYTES("a")), "a");
    assert_bytes(bytes_trim(BYTES("\r\na\n")), "\r\na\n");
    ck_assert_uint_eq(bytes_trim(BYTES(" \t ")).size, 0);
    ck_assert_uint_eq(bytes_trim((struct bytes){NULL, 0}).size, 0);
}
END_TEST

/* ---- error ---- */

START_TEST(error_is_set_and_prefixed)
{
    struct error err;
    ck_assert(!error_set(&err, "no file \"%s\" (%d)", "x.so", 7));
    ck_assert_str_eq(err.text, "no file \"x.so\" (7)");
    ck_assert(!error_prefix(&err, "provider %s", "files"));
    ck_assert_str_eq(err.text, "provider files: no file \"x.so\" (7)");
}
END_TEST

START_TEST(error_may_be_unwanted)
{
    ck_assert(!error_set(NULL, "%s", "nobody reads this"));
    ck_assert(!error_prefix(NULL, "%s", "nor this"));
}
END_TEST

START_TEST(error_may_quote_its_own_text)
{
    struct error err;
    error_set(&err, "inner");
    error_set(&err, "outer (%s)", err.text);
    ck_assert_str_eq(err.text, "outer (inner)");
    error_prefix(&err, "<%s>", err.text);
    ck_assert_str_eq(err.text, "<outer (inner)>: outer (inner)");
}
END_TEST

START_TEST(error_is_cut_between_characters)
{
    static const char *const characters[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9d\x84\x9e"};
    for (size_t kind = 0; kind < 4; kind++) {
        /* Every way the limit can fall into a character. */
        for (size_t shift = 0; shift < 4; shift++) {
            char text[2048] = "";
            memset(text, '.', shift);
            text[shift] = '\0';
            while (strlen(text) < 1500)
                strcat(text, characters[kind]);
            struct error err;
            error_set(&err, "%s", text);
            size_t size = strlen(err.text);
            ck_assert(utf8_valid(bytes_of(err.text)));
            ck_assert_uint_le(size, sizeof(err.text) - 1);
            ck_assert_uint_gt(size, sizeof(err.text) - 1 - 4);
            ck_assert(memcmp(err.text, text, size) == 0);
        }
    }
}
END_TEST

/* ---- buf ---- */

START_TEST(buf_grows_and_ends_with_nul)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    ck_assert_ptr_null(b.data);
    for (int i = 0; i < 1000; i++) {
        buf_add(&b, "0123456789", 10);
        ck_assert_int_eq(b.data[b.size], '\0');
    }
    ck_assert_uint_eq(b.size, 10000);
    for (size_t i = 0; i < b.size; i++)
        ck_assert_int_eq(b.data[i], '0' + (int)(i % 10));
    ck_assert(!b.failed);
    buf_free(&b);
    ck_assert_ptr_null(b.data);
    BUF_LIT(&b, "again");
    assert_bytes(buf_bytes(&b), "again");
    buf_free(&b);
}
END_TEST

START_TEST(buf_add_of_each_kind)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_add(&b, NULL, 0);
    buf_add_bytes(&b, (struct bytes){NULL, 0});
    ck_assert_uint_eq(b.size, 0);
    BUF_LIT(&b, "a");
    buf_add_char(&b, 'b');
    buf_add_bytes(&b, BYTES("c\0d"));
    buf_addf(&b, "[%d %s]", -5, "x");
    buf_addf(&b, "%s", "");
    assert_bytes(buf_bytes(&b), "abc\0d[-5 x]");
    ck_assert_int_eq(b.data[b.size], '\0');
    buf_clear(&b);
    ck_assert_uint_eq(b.size, 0);
    ck_assert_str_eq(b.data, "");
    buf_free(&b);
}
END_TEST

START_TEST(buf_formats_text_of_any_length)
{
    char *text = malloc(5000);
    ck_assert_ptr_nonnull(text);
    /* 63 and 64 are where the first allocation is just full. */
    static const size_t sizes[] = {0, 1, 62, 63, 64, 65, 127, 128, 129, 4999};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        struct buf b;
        buf_init(&b, 10000);
        buf_addf(&b, "%s", text);
        ck_assert_uint_eq(b.size, sizes[i]);
        ck_assert_str_eq(b.data, text);
        buf_addf(&b, "-%s", text);
        ck_assert_uint_eq(b.size, 2 * sizes[i] + 1);
        ck_assert_str_eq(b.data + sizes[i] + 1, text);
        buf_free(&b);
    }
    free(text);
}
END_TEST

START_TEST(buf_refuses_more_than_its_cap_whole)
{
    struct buf b;
    buf_init(&b, 10);
    BUF_LIT(&b, "0123456789");
    ck_assert(!b.failed);
    buf_add_char(&b, 'x');
    ck_assert(b.failed);
    assert_bytes(buf_bytes(&b), "0123456789");

    buf_clear(&b);
    ck_assert(!b.failed);
    BUF_LIT(&b, "01234");
    BUF_LIT(&b, "567890");
    ck_assert(b.failed);
    BUF_LIT(&b, "5"); /* would fit, but comes too late */
    assert_bytes(buf_bytes(&b), "01234");

    buf_clear(&b);
    BUF_LIT(&b, "01234");
    buf_addf(&b, "%d", 567890);
    ck_assert(b.failed);
    assert_bytes(buf_bytes(&b), "01234");
    ck_assert_str_eq(b.data, "01234");
    buf_addf(&b, "%d", 5);
    assert_bytes(buf_bytes(&b), "01234");
    buf_free(&b);
}
END_TEST

START_TEST(buf_reserve_honours_the_cap)
{
    struct buf b;
    buf_init(&b, 100);
    ck_assert(buf_reserve(&b, 100));
    const char *data = b.data;
    for (int i = 0; i < 100; i++)
        buf_add_char(&b, 'x');
    ck_assert_ptr_eq(b.data, data);
    ck_assert(!b.failed);
    ck_assert(!buf_reserve(&b, 1));
    ck_assert(b.failed);
    buf_clear(&b);
    ck_assert(!buf_reserve(&b, SIZE_MAX));
    buf_free(&b);
    buf_init(&b, 0);
    BUF_LIT(&b, "");
    ck_assert(!b.failed);
    BUF_LIT(&b, "x");
    ck_assert(b.failed);
    buf_free(&b);
    buf_init(&b, SIZE_MAX);
    BUF_LIT(&b, "x");
    ck_assert(!buf_reserve(&b, SIZE_MAX - 1));
    assert_bytes(buf_bytes(&b), "x");
    buf_free(&b);
}
END_TEST

START_TEST(buf_hands_its_memory_over)
{
    struct buf b;
    size_t size = 7;
    buf_init(&b, 5);
    ck_assert_ptr_null(buf_detach(&b, &size));
    ck_assert_uint_eq(size, 0);
    BUF_LIT(&b, "abc");
    char *data = buf_detach(&b, &size);
    ck_assert_uint_eq(size, 3);
    ck_assert_str_eq(data, "abc");
    free(data);
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.max, 5);
    BUF_LIT(&b, "abc");
    BUF_LIT(&b, "def");
    ck_assert_ptr_null(buf_detach(&b, &size));
    ck_assert(!b.failed);
    ck_assert_ptr_null(b.data);
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_gives_aligned_memory_that_does_not_overlap)
{
    enum { PIECES = 3000 };
    static struct {
        unsigned char *p;
        size_t size;
    } pieces[PIECES];
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i % 100 == 0 ? i * 7 : i % 61;
        pieces[i].p = arena_alloc(&a, size);
        pieces[i].size = size;
        ck_assert_ptr_nonnull(pieces[i].p);
        ck_assert_uint_eq((uintptr_t)pieces[i].p % 16, 0);
        memset(pieces[i].p, (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = 0; j < pieces[i].size; j++)
            ck_assert_uint_eq(pieces[i].p[j], i & 0xff);
    }
    arena_free(&a);
    ck_assert_uint_eq(a.used, 0);
    ck_assert_ptr_nonnull(arena_alloc(&a, 10));
    arena_free(&a);
}
END_TEST

START_TEST(arena_ends_at_its_cap)
{
    struct arena a;
    arena_init(&a, 100);
    ck_assert_ptr_nonnull(arena_alloc(&a, 100));
    ck_assert_ptr_null(arena_alloc(&a, 1));
    arena_reset(&a, 0);
    ck_assert_ptr_null(arena_alloc(&a, 101));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 8));
    ck_assert_ptr_nonnull(arena_alloc(&a, 60));
    ck_assert_ptr_null(arena_alloc(&a, 60));
    ck_assert_ptr_nonnull(arena_alloc(&a, 30));
    arena_free(&a);

    /* Many pieces of nothing do not slip under the cap. */
    arena_init(&a, 1000);
    int pieces = 0;
    while (pieces < 10000 && arena_alloc(&a, 1) != NULL)
        pieces++;
    ck_assert_int_le(pieces, 1000 / 16 + 1);
    arena_free(&a);

    arena_init(&a, SIZE_MAX);
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_copy(&a, (struct bytes){"x", SIZE_MAX}).data);
    arena_free(&a);
}
END_TEST

START_TEST(arena_calloc_clears_and_minds_overflow)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 4000), 0xff, 4000);
    arena_reset(&a, 1 << 20);
    const unsigned char *p = arena_calloc(&a, 40, 100);
    ck_assert_ptr_nonnull(p);
    for (int i = 0; i < 4000; i++)
        ck_assert_uint_eq(p[i], 0);
    ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(arena_calloc(&a, (size_t)1 << 63, 2));
    ck_assert_ptr_nonnull(arena_calloc(&a, 0, 100));
    ck_assert_ptr_nonnull(arena_calloc(&a, 100, 0));
    arena_free(&a);
}
END_TEST

START_TEST(arena_reset_keeps_one_chunk)
{
    struct arena a;
    arena_init(&a, 1 << 24);
    void *first = arena_alloc(&a, 100);
    ck_assert_ptr_nonnull(arena_alloc(&a, 1 << 20));
    arena_reset(&a, 8192);
    ck_assert_uint_eq(a.used, 0);
    ck_assert_ptr_nonnull(a.chunks);
    ck_assert_ptr_eq(arena_alloc(&a, 100), first); /* the small chunk, from its start */

    ck_assert_ptr_nonnull(arena_alloc(&a, 1 << 20));
    arena_reset(&a, 0);
    ck_assert_ptr_null(a.chunks);

    ck_assert_ptr_nonnull(arena_alloc(&a, 100));
    void *large = arena_alloc(&a, 1 << 20);
    arena_reset(&a, 1 << 21);
    ck_assert_ptr_eq(arena_alloc(&a, 1 << 20), large); /* of two that fit, the larger one */
    arena_free(&a);
}
END_TEST

START_TEST(arena_copies_with_a_nul)
{
    struct arena a;
    arena_init(&a, 1000);
    struct bytes copy = arena_copy(&a, BYTES("a\0b"));
    assert_bytes(copy, "a\0b");
    ck_assert_int_eq(copy.data[3], '\0');
    copy = arena_copy(&a, (struct bytes){NULL, 0});
    ck_assert_ptr_nonnull(copy.data);
    ck_assert_uint_eq(copy.size, 0);
    ck_assert_str_eq(copy.data, "");
    char text[1000];
    memset(text, 'x', sizeof(text));
    ck_assert_ptr_null(arena_copy(&a, (struct bytes){text, sizeof(text)}).data);
    arena_free(&a);
}
END_TEST

static void assert_filled(const char *p, char c, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(p[i], c);
}

START_TEST(arena_resizes_the_last_piece_in_place)
{
    struct arena a;
    arena_init(&a, 10000);
    char *p = arena_resize(&a, NULL, 0, 100);
    memset(p, 'a', 100);
    ck_assert_ptr_eq(arena_resize(&a, p, 100, 1000), p);
    assert_filled(p, 'a', 100);
    memset(p, 'b', 1000);
    ck_assert_ptr_eq(arena_resize(&a, p, 1000, 10), p);
    ck_assert_ptr_eq(arena_alloc(&a, 16), p + 16); /* the rest came back */
    ck_assert_uint_eq(a.used, 32);

    /* No longer the last: growing moves, shrinking leaves it where it is. */
    char *moved = arena_resize(&a, p, 10, 50);
    ck_assert_ptr_ne(moved, p);
    assert_filled(moved, 'b', 10);
    ck_assert_ptr_eq(arena_resize(&a, p, 10, 10), p);
    ck_assert_ptr_eq(arena_resize(&a, p, 10, 5), p);

    /* Past the cap nothing happens. */
    size_t used = a.used;
    ck_assert_ptr_null(arena_resize(&a, moved, 50, 20000));
    ck_assert_ptr_null(arena_resize(&a, moved, 50, SIZE_MAX));
    ck_assert_uint_eq(a.used, used);
    assert_filled(moved, 'b', 10);
    arena_free(&a);
}
END_TEST

START_TEST(arena_resize_of_a_large_piece_wastes_nothing)
{
    struct arena a;
    arena_init(&a, 64 << 20);
    size_t size = 100;
    char *p = arena_alloc(&a, size);
    memset(p, 'x', size);
    while (size < (16 << 20)) {
        p = arena_resize(&a, p, size, size * 2);
        ck_assert_ptr_nonnull(p);
        assert_filled(p, 'x', 100);
        size *= 2;
        p[size - 1] = 'x';
    }
    /* It is the only thing there is. */
    ck_assert_uint_le(a.used, size + 16);
    arena_free(&a);
}
END_TEST

/* ---- UTF-8 ---- */

/* By the definition: decodes one character; 0 when it is not well-formed. */
static size_t reference_character(const unsigned char *s, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t code_point = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (s[i] & 0x3f);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    return code_point < least[length] || code_point > 0x10ffff || surrogate ? 0 : length;
}

static size_t reference_prefix(const unsigned char *s, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = reference_character(s + at, size - at);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

START_TEST(utf8_agrees_with_the_definition)
{
    static const unsigned char tails[] = {0x7f, 0x80, 0xbf, 0xff};
    for (unsigned first = 0x7f; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t i = 0; i < sizeof(tails) * sizeof(tails); i++) {
                unsigned char s[4] = {(unsigned char)first, (unsigned char)second,
                                      tails[i / sizeof(tails)], tails[i % sizeof(tails)]};
                for (size_t size = 1; size <= 4; size++) {
                    struct bytes text = {(const char *)s, size};
                    size_t prefix = reference_prefix(s, size);
                    if (utf8_valid_prefix(text) != prefix || utf8_valid(text) != (prefix == size))
                        ck_abort_msg("%02x %02x %02x %02x, size %zu", s[0], s[1], s[2], s[3], size);
                }
            }
        }
    }
}
END_TEST

START_TEST(utf8_encodes_every_code_point)
{
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c == 0xd800)
            c = 0xe000;
        char out[4];
        size_t size = utf8_encode(c, out);
        const unsigned char *s = (const unsigned char *)out;
        if (size < 1 || size > 4 || reference_character(s, size) != size)
            ck_abort_msg("U+%04X", c);
        uint32_t back = size == 1 ? s[0] : s[0] & (0x7fu >> size);
        for (size_t i = 1; i < size; i++)
            back = back << 6 | (s[i] & 0x3f);
        ck_assert_uint_eq(back, c);
    }
}
END_TEST

START_TEST(utf8_finds_the_fault_wherever_it_is)
{
    char text[64];
    for (size_t size = 0; size < sizeof(text); size++) {
        memset(text, 'x', size);
        ck_assert(utf8_valid((struct bytes){text, size}));
        for (size_t at = 0; at < size; at++) {
            text[at] = '\xff';
            ck_assert_uint_eq(utf8_valid_prefix((struct bytes){text, size}), at);
            text[at] = 'x';
        }
    }
    ck_assert(utf8_valid((struct bytes){NULL, 0}));
    ck_assert(utf8_valid(BYTES("a\0b")));
    ck_assert_uint_eq(utf8_valid_prefix(BYTES("abc\xe2\x82")), 3);
    ck_assert_uint_eq(utf8_valid_prefix(BYTES("\xe2\x82\xac\xe2")), 3);
}
END_TEST

START_TEST(utf8_multibyte_prefix_stops_at_ascii)
{
    ck_assert_uint_eq(utf8_multibyte_prefix(BYTES("\xc3\xa4\xe2\x82\xac!\xc3\xa4")), 5);
    ck_assert_uint_eq(utf8_multibyte_prefix(BYTES("a\xc3\xa4")), 0);
    ck_assert_uint_eq(utf8_multibyte_prefix(BYTES("\xc3\xa4\xff")), 2);
    ck_assert_uint_eq(utf8_multibyte_prefix(BYTES("\xc3")), 0);
    ck_assert_uint_eq(utf8_multibyte_prefix((struct bytes){NULL, 0}), 0);
}
END_TEST

/* ---- crypto ---- */

START_TEST(crypto_hash_key_is_made_at_start)
{
    uint64_t before = bytes_hash(BYTES("name"));
    ck_assert_uint_eq(bytes_hash(BYTES("name")), before);
    ck_assert(crypto_init());
    uint64_t after = bytes_hash(BYTES("name"));
    ck_assert_uint_ne(after, before);
    ck_assert_uint_eq(bytes_hash(BYTES("name")), after);
    ck_assert_uint_ne(bytes_hash(BYTES("namf")), after);
    ck_assert_uint_ne(bytes_hash(BYTES("name\0")), after);
    ck_assert_uint_eq(bytes_hash((struct bytes){NULL, 0}), bytes_hash(BYTES("")));
}
END_TEST

START_TEST(crypto_random_is_not_constant)
{
    unsigned char a[32] = {0}, b[32] = {0}, zero[32] = {0};
    ck_assert(crypto_init());
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    ck_assert_mem_ne(a, b, sizeof(a));
    ck_assert_mem_ne(a, zero, sizeof(a));
    memcpy(b, a, sizeof(a));
    crypto_random(a, 16); /* not a byte more than asked for */
    ck_assert_mem_ne(a, b, 16);
    ck_assert_mem_eq(a + 16, b + 16, 16);
}
END_TEST

static void assert_digest(struct bytes of, const char *hex)
{
    unsigned char digest[CRYPTO_DIGEST_SIZE];
    char text[2 * CRYPTO_DIGEST_SIZE + 1];
    crypto_digest(digest, of.data, of.size);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(text, hex);
}

START_TEST(crypto_digest_is_blake2b_256)
{
    ck_assert(crypto_init());
    assert_digest(BYTES(""), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    assert_digest(BYTES("abc"), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}
END_TEST

START_TEST(crypto_equal_compares_whole_content)
{
    ck_assert(crypto_equal(BYTES("secret"), BYTES("secret")));
    ck_assert(!crypto_equal(BYTES("secret"), BYTES("secreT")));
    ck_assert(!crypto_equal(BYTES("secret"), BYTES("Xecret")));
    ck_assert(!crypto_equal(BYTES("secret"), BYTES("secre")));
    ck_assert(!crypto_equal(BYTES(""), BYTES("x")));
    ck_assert(crypto_equal((struct bytes){NULL, 0}, BYTES("")));
}
END_TEST

/* ---- Base64 ---- */

static const struct {
    const char *plain, *base64, *url;
} rfc4648[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

START_TEST(base64_knows_the_vectors_of_rfc_4648)
{
    for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
        struct bytes plain = bytes_of(rfc4648[i].plain);
        char out[32];
        size_t size = 99;
        base64_encode(plain.data, plain.size, out);
        ck_assert_str_eq(out, rfc4648[i].base64);
        base64url_encode(plain.data, plain.size, out);
        ck_assert_str_eq(out, rfc4648[i].url);
        ck_assert(base64_decode(bytes_of(rfc4648[i].base64), out, &size));
        ck_assert(bytes_equal((struct bytes){out, size}, plain));
        ck_assert(base64url_decode(bytes_of(rfc4648[i].url), out, &size));
        ck_assert(bytes_equal((struct bytes){out, size}, plain));
    }
}
END_TEST

START_TEST(base64_refuses_all_but_the_one_spelling)
{
    static const char
        *const bad[] =
            {
                "Z",      "Zg",    "Zg=",   "Zg===", "Zm8",     "Zm9v=",
                "Zm9vY",  "=",     "==",    "====",  "Z===",    "Zh==",
                "Zm9=", /* bits left over that are not zero */
                "Zm9v\n", "Zm 9v", " Zm9v", "Zm9v ", "Zm8=\n",  "Zg==Zg==",
                "Z=g=",   "Zg=a",  "-__-",  "Zm9*",  "Zm\x80v", "Zm9v\xc3\xa4xx",
            };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[32];
        size_t size;
        ck_assert_msg(!base64_decode(bytes_of(bad[i]), out, &size), "accepted \"%s\"", bad[i]);
    }
    char out[8];
    size_t size;
    ck_assert(!base64_decode(BYTES("Zm\0v"), out, &size));
}
END_TEST

START_TEST(base64url_refuses_all_but_the_one_spelling)
{
    static const char *const bad[] = {"Z",      "Zg==", "Zm8=", "Zm9vY", "Zh", "Zm9", "+//+",
                                      "Zm9v\n", " Zg",  "Z g",  "Zg\n",  "=",  "Zg="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[32];
        size_t size;
        ck_assert_msg(!base64url_decode(bytes_of(bad[i]), out, &size), "accepted \"%s\"", bad[i]);
    }
}
END_TEST

START_TEST(base64_brings_every_byte_and_length_back)
{
    unsigned char data[600];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 151 + i / 256);
    for (size_t size = 0; size <= sizeof(data); size++) {
        /* Buffers of exactly the sizes that the header promises are enough. */
        char *text = malloc((size + 2) / 3 * 4 + 1);
        base64_encode(data, size, text);
        ck_assert_uint_eq(strlen(text), (size + 2) / 3 * 4);
        size_t decoded_size;
        char *decoded = malloc(strlen(text) / 4 * 3 + (size == 0));
        ck_assert(base64_decode(bytes_of(text), decoded, &decoded_size));
        ck_assert(
            bytes_equal((struct bytes){decoded, decoded_size}, (struct bytes){(char *)data, size}));
        free(decoded);
        base64url_encode(data, size, text);
        decoded = malloc(strlen(text) * 3 / 4 + (size == 0));
        ck_assert(base64url_decode(bytes_of(text), decoded, &decoded_size));
        ck_assert(
            bytes_equal((struct bytes){decoded, decoded_size}, (struct bytes){(char *)data, size}));
        free(decoded);
        free(text);
    }
}
END_TEST

START_TEST(base64_has_64_digits)
{
    for (int url = 0; url < 2; url++) {
        int accepted = 0;
        for (int c = 0; c < 256; c++) {
            char text[4] = {'A', 'A', 'A', (char)c}, out[3];
            size_t size;
            struct bytes bytes = {text, 4};
            bool ok = url ? base64url_decode(bytes, out, &size) : base64_decode(bytes, out, &size);
            accepted += ok && size == 3;
        }
        ck_assert_int_eq(accepted, 64);
    }
}
END_TEST

/* ---- log ---- */

static FILE *captured;
static int real_stderr;

/* Standard error into a file, until uncapture gives what was written. */
static void capture(void)
{
    captured = tmpfile();
    ck_assert_ptr_nonnull(captured);
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

static const char *uncapture(void)
{
    static char text[100000];
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(captured);
    text[fread(text, 1, sizeof(text) - 1, captured)] = '\0';
    fclose(captured);
    return text;
}

/* What follows the time and the level: "TIME LEVEL: MESSAGE\n". */
static const char *logged_text(enum log_level level, struct bytes message)
{
    unsetenv("JOURNAL_STREAM");
    capture();
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_at(level, "%.*s", BYTES_FMT(message));
    const char *text = uncapture();
    const char *colon = strstr(text, ": ");
    ck_assert_ptr_nonnull(colon);
    return colon + 2;
}

static void assert_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd')
            ck_assert(text[i] >= '0' && text[i] <= '9');
        else
            ck_assert_int_eq(text[i], form[i]);
    }
}

START_TEST(log_lines_have_time_level_and_message)
{
    unsetenv("JOURNAL_STREAM");
    capture();
    log_setup(LOG_INFO, LOG_TEXT);
    log_warning("%s is %d", "x", 5);
    const char *text = uncapture();
    assert_time(text);
    ck_assert_str_eq(text + 24, " warning: x is 5\n");
}
END_TEST

START_TEST(log_drops_what_is_not_wanted)
{
    capture();
    log_setup(LOG_WARNING, LOG_TEXT);
    ck_assert(log_wants(LOG_ERROR));
    ck_assert(log_wants(LOG_WARNING));
    ck_assert(!log_wants(LOG_NOTICE));
    log_notice("dropped");
    log_info("dropped");
    log_debug("dropped");
    ck_assert_str_eq(uncapture(), "");
}
END_TEST

START_TEST(log_escapes_what_could_forge_a_line)
{
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("a\nb\r\tc")), "a\\nb\\r\\tc\n");
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("\x1b[31m\x7f")), "\\u001b[31m\\u007f\n");
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("\xc2\x9b"
                                                 "1m")),
                     "\\u009b1m\n");
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("\xc2\xa0\xe2\x82\xac\xf0\x9d\x84\x9e")),
                     "\xc2\xa0\xe2\x82\xac\xf0\x9d\x84\x9e\n");
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("C:\\x \"y\"")), "C:\\x \"y\"\n");
    ck_assert_str_eq(logged_text(LOG_INFO, BYTES("a\xff\xe2\x82z\xc2")),
                     "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\n");
}
END_TEST

START_TEST(log_as_json)
{
    unsetenv("JOURNAL_STREAM");
    capture();
    log_setup(LOG_INFO, LOG_JSON);
    log_error("a \"b\" \\ \n\x01\xff");
    const char *text = uncapture();
    ck_assert(strncmp(text, "{\"time\":\"", 9) == 0);
    assert_time(text + 9);
    ck_assert_str_eq(text + 9 + 24, "\",\"level\":\"error\",\"message\":"
                                    "\"a \\\"b\\\" \\\\ \\n\\u0001\xef\xbf\xbd\"}\n");
}
END_TEST

START_TEST(log_under_journald_has_a_prefix_and_no_time)
{
    capture();
    struct stat st;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_setup(LOG_INFO, LOG_TEXT);
    log_error("one");
    log_info("two\nlines");
    log_setup(LOG_INFO, LOG_JSON);
    log_notice("three");
    static const char expected[] = "<3>one\n<6>two\\nlines\n<5>{\"time\":\"";
    ck_assert(strncmp(uncapture(), expected, strlen(expected)) == 0);
}
END_TEST

START_TEST(log_is_not_fooled_by_an_inherited_journal_stream)
{
    capture();
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_setup(LOG_INFO, LOG_TEXT);
    log_error("one");
    const char *text = uncapture();
    assert_time(text);
}
END_TEST

START_TEST(log_cuts_long_lines)
{
    unsetenv("JOURNAL_STREAM");
    char *message = malloc(100001);
    for (int kind = 0; kind < 3; kind++) {
        /* Plain, escaped to six characters, and multi-byte. */
        memset(message, kind == 1 ? '\x01' : 'x', 100000);
        for (int i = 1; kind == 2 && i + 2 < 100000; i += 3)
            memcpy(message + i, "\xe2\x82\xac", 3);
        message[100000] = '\0';
        for (int json = 0; json < 2; json++) {
            capture();
            log_setup(LOG_INFO, json ? LOG_JSON : LOG_TEXT);
            log_info("%s", message);
            log_info("short");
            const char *text = uncapture();
            const char *newline = strchr(text, '\n');
            size_t size = (size_t)(newline + 1 - text);
            ck_assert_uint_le(size, 8192);
            ck_assert_uint_gt(size, 8192 - 16);
            const char *end = json ? "...\"}\n" : "...\n";
            ck_assert(strncmp(newline + 1 - strlen(end), end, strlen(end)) == 0);
            ck_assert(utf8_valid((struct bytes){text, size}));
            ck_assert_ptr_nonnull(strstr(newline + 1, "short"));
        }
    }
    free(message);
}
END_TEST

START_TEST(log_leaves_errno_alone)
{
    capture();
    log_setup(LOG_INFO, LOG_TEXT);
    errno = ENOENT;
    log_error("%s", strerror(errno));
    ck_assert_int_eq(errno, ENOENT);
    uncapture();
    /* Also when nobody listens. */
    capture();
    close(STDERR_FILENO);
    errno = EPERM;
    log_error("lost");
    ck_assert_int_eq(errno, EPERM);
    uncapture();
}
END_TEST

START_TEST(log_does_not_wait_for_a_full_pipe)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    capture();
    dup2(ends[1], STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    for (int i = 0; i < 10000; i++)
        log_info("line %d", i);
    uncapture();
    char first[100] = "";
    ck_assert_int_gt((int)read(ends[0], first, sizeof(first) - 1), 0);
    ck_assert_ptr_nonnull(strstr(first, "info: line 0\n"));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(log_levels_have_names)
{
    static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                        "warning",   "notice", "info",     "debug"};
    for (int i = 0; i < 8; i++) {
        ck_assert_str_eq(log_level_name(i), names[i]);
        ck_assert_int_eq(log_level_from_name(bytes_of(names[i])), i);
    }
    ck_assert_int_eq(log_level_from_name(BYTES("warn")), -1);
    ck_assert_int_eq(log_level_from_name(BYTES("Error")), -1);
    ck_assert_int_eq(log_level_from_name(BYTES("")), -1);
    ck_assert_int_eq(log_level_from_name(BYTES("error\0")), -1);
    ck_assert_str_eq(log_level_name(-1), "emergency");
    ck_assert_str_eq(log_level_name(8), "debug");
}
END_TEST

/* ---- threads and time ---- */

struct seen {
    char name[32];
    bool term_blocked, segv_blocked;
    pthread_barrier_t named;
};

static void *look_around(void *arg)
{
    struct seen *seen = arg;
    sigset_t blocked;
    pthread_barrier_wait(&seen->named);
    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    seen->term_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP) &&
                         sigismember(&blocked, SIGUSR1) && sigismember(&blocked, SIGCHLD);
    seen->segv_blocked = sigismember(&blocked, SIGSEGV) || sigismember(&blocked, SIGBUS);
    return seen;
}

START_TEST(thread_has_a_name_and_no_signals)
{
    struct seen seen = {.segv_blocked = true};
    struct error err;
    pthread_t thread;
    sigset_t before, after;
    void *result;
    pthread_barrier_init(&seen.named, NULL, 2);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    ck_assert(thread_start(&thread, "a-rather-long-name", look_around, &seen, &err));
    pthread_barrier_wait(&seen.named);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &seen);
    ck_assert_str_eq(seen.name, "a-rather-long-n");
    ck_assert(seen.term_blocked);
    ck_assert(!seen.segv_blocked);

    pthread_sigmask(SIG_BLOCK, NULL, &after);
    ck_assert_int_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    ck_assert_int_eq(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    pthread_barrier_destroy(&seen.named);
}
END_TEST

static void count_one(void *data)
{
    ++*(int *)data;
}

static void *without_rounds(void *data)
{
    ck_assert(!round_is_on());
    ck_assert(!round_later(count_one, data));
    return NULL;
}

START_TEST(what_waits_for_the_end_of_a_round)
{
    struct round round;
    pthread_t other;
    int done = 0;

    ck_assert(!round_later(count_one, &done));
    round_join(&round);
    for (int times = 1; times <= 2; times++) {
        ck_assert(!round_waits(count_one, &done));
        for (int i = 0; i < ROUND_MAX; i++)
            ck_assert(round_later(count_one, &done));
        ck_assert(round_waits(count_one, &done));
        ck_assert(!round_waits(count_one, &other));
        ck_assert(!round_later(count_one, &done)); /* no room */
        ck_assert_int_eq(done, (times - 1) * ROUND_MAX);
        round_end(&round);
        ck_assert_int_eq(done, times * ROUND_MAX);
    }
    round_end(&round); /* an empty one */
    ck_assert_int_eq(pthread_create(&other, NULL, without_rounds, &done), 0);
    pthread_join(other, NULL);
    round_join(NULL);
    ck_assert(!round_is_on());
    ck_assert_int_eq(done, 2 * ROUND_MAX);
}
END_TEST

START_TEST(clock_goes_forward)
{
    int64_t before = clock_now();
    int64_t coarse = clock_now_coarse();
    nanosleep(&(struct timespec){0, 2 * NS_PER_MS}, NULL);
    ck_assert_int_ge(clock_now() - before, 2 * NS_PER_MS);
    ck_assert_int_le(llabs(coarse - before), 100 * NS_PER_MS);
}
END_TEST

/* ---- */

#define ADD_CASE(suite, title, ...)                                                                \
    suite_add(suite, &(struct suite_case){                                                         \
                         .name = (title), .seconds = 120, .tests = SUITE_TESTS(__VA_ARGS__)})

int main(void)
{
    Suite *suite = suite_create("base");
    ADD_CASE(suite, "bytes", bytes_are_equal_by_content, bytes_compare_without_case,
             bytes_are_trimmed_of_blanks);
    ADD_CASE(suite, "error", error_is_set_and_prefixed, error_may_be_unwanted,
             error_may_quote_its_own_text, error_is_cut_between_characters);
    ADD_CASE(suite, "buf", buf_grows_and_ends_with_nul, buf_add_of_each_kind,
             buf_formats_text_of_any_length, buf_refuses_more_than_its_cap_whole,
             buf_reserve_honours_the_cap, buf_hands_its_memory_over);
    ADD_CASE(suite, "arena", arena_gives_aligned_memory_that_does_not_overlap,
             arena_ends_at_its_cap, arena_calloc_clears_and_minds_overflow,
             arena_reset_keeps_one_chunk, arena_copies_with_a_nul,
             arena_resizes_the_last_piece_in_place, arena_resize_of_a_large_piece_wastes_nothing);
    ADD_CASE(suite, "utf8", utf8_agrees_with_the_definition, utf8_encodes_every_code_point,
             utf8_finds_the_fault_wherever_it_is, utf8_multibyte_prefix_stops_at_ascii);
    ADD_CASE(suite, "crypto", crypto_hash_key_is_made_at_start, crypto_random_is_not_constant,
             crypto_digest_is_blake2b_256, crypto_equal_compares_whole_content);
    ADD_CASE(suite, "base64", base64_knows_the_vectors_of_rfc_4648,
             base64_refuses_all_but_the_one_spelling, base64url_refuses_all_but_the_one_spelling,
             base64_brings_every_byte_and_length_back, base64_has_64_digits);
    ADD_CASE(suite, "log", log_lines_have_time_level_and_message, log_drops_what_is_not_wanted,
             log_escapes_what_could_forge_a_line, log_as_json,
             log_under_journald_has_a_prefix_and_no_time,
             log_is_not_fooled_by_an_inherited_journal_stream, log_cuts_long_lines,
             log_leaves_errno_alone, log_does_not_wait_for_a_full_pipe, log_levels_have_names);
    ADD_CASE(suite, "threads", thread_has_a_name_and_no_signals, what_waits_for_the_end_of_a_round,
             clock_goes_forward);

    return suite_run(suite);
}
