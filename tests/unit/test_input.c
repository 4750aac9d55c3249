/* SPDX-License-Identifier: MIT */
/* What input from clients stands on: sealed states and what they are bound to, the
 * spelling that equal arguments share, key files, single use, capabilities, and
 * whether answers fit. */
#include <stdio.h>
#include <stdlib.h>

#include "mcp/answers.h"
#include "mcp/capabilities.h"
#include "mcp/questions.h"
#include "mcp/redeemed.h"
#include "mcp/request_state.h"
#include "suite.h"

static struct arena arena;

static void setup(void)
{
    ck_assert(crypto_init());
    arena_init(&arena, (size_t)16 << 20);
}

static void teardown(void)
{
    arena_free(&arena);
}

static void parse(struct json *json, const char *text)
{
    struct json_error why;

    ck_assert_msg(json_parse(json, bytes_of(text), &json_default_limits, &arena, &why), "%s: %s",
                  text, why.text);
}

/* ---- one spelling ---- */

static const char *canonical(const char *text)
{
    struct json json;
    struct buf out;

    parse(&json, text);
    buf_init(&out, 1u << 16);
    ck_assert(json_write_canonical(&out, &json, json.root, &arena));
    const char *copy = arena_copy(&arena, buf_bytes(&out)).data;
    buf_free(&out);
    return copy;
}

START_TEST(equal_values_share_a_spelling)
{
    static const char *const equal[][2] = {
        {"{}", " { } "},
        {"{\"a\":1,\"b\":2}", "{ \"b\" : 2.0,\n\"a\":1e0 }"},
        {"{\"a\":{\"y\":[1,2],\"x\":null}}", "{\"a\":{\"x\":null,\"y\":[1.0,0.2e1]}}"},
        {"\"a/b\\u00e9\\n\"", "\"a\\/b\u00e9\\u000a\""},
        {"{\"\\u0061\":1}", "{\"a\":1}"},
        {"[100,0.5,-0,0.0e9,-12.50]", "[1e2,5e-1,0,0,-1250e-2]"},
        {"12345678901234567890123", "1234567890123456789012.3e1"},
    };
    static const char *const different[][2] = {
        {"[1,2]", "[2,1]"},
        {"\"1\"", "1"},
        {"0.1", "0.10000000000000000001"},
        {"9007199254740993", "9007199254740992"},
        {"{\"a\":1}", "{\"A\":1}"},
        {"null", "false"},
        {"{\"a\":{}}", "{\"a\":[]}"},
        {"1", "-1"},
        {"10", "1"},
        {"{\"ab\":1}", "{\"a\":1}"},
    };

    for (size_t i = 0; i < sizeof equal / sizeof equal[0]; i++)
        ck_assert_str_eq(canonical(equal[i][0]), canonical(equal[i][1]));
    for (size_t i = 0; i < sizeof different / sizeof different[0]; i++)
        ck_assert_str_ne(canonical(different[i][0]), canonical(different[i][1]));
    ck_assert_str_eq(canonical("{\"b\":[true,\"x\"],\"a\":20,\"aa\":0}"),
                     "{\"a\":2e1,\"aa\":0,\"b\":[true,\"x\"]}");
}
END_TEST

/* ---- sealed states ---- */

static struct seal_key keys[3];
static struct seal_ring ring;

static const struct request_binding binding = {
    .issuer = {"https://i", 9},
    .subject = {"ada", 3},
    .method = {"tools/call", 10},
    .name = {"\"ask\"", 5},
    .plugin = {"asks", 4},
    .arguments = {"digest", 6},
};

static void make_keys(void)
{
    for (size_t i = 0; i < 3; i++)
        seal_key_generate(&keys[i]);
    ring = (struct seal_ring){.keys = keys, .count = 2};
}

static const char *seal(const struct seal_ring *with, const struct request_binding *to,
                        const char *state)
{
    struct request_state it = {
        .expires_ms = 1000, .round = 7, .awaited = BYTES("{\"a\":{}}"), .state = bytes_of(state)};
    struct buf bound, out;
    struct error err;

    memcpy(it.id, "0123456789abcdef", 16);
    buf_init(&bound, 4096);
    buf_init(&out, 1u << 20);
    request_state_bind(&bound, to);
    ck_assert_msg(request_state_seal(with, buf_bytes(&bound), &it, &out, &err), "%s", err.text);
    const char *text = arena_copy(&arena, buf_bytes(&out)).data;
    buf_free(&bound);
    buf_free(&out);
    return text;
}

static bool opens(const struct seal_ring *with, const struct request_binding *to, struct bytes text,
                  int64_t now_ms, struct request_state *it, struct error *err)
{
    struct buf bound;

    buf_init(&bound, 4096);
    request_state_bind(&bound, to);
    bool ok = request_state_open(with, buf_bytes(&bound), text, now_ms, &arena, it, err);
    buf_free(&bound);
    return ok;
}

/* Whether `secret` can be read in what the client carries. */
static bool shows(const char *text, struct bytes secret)
{
    char bytes[1024];
    size_t size;
    const char *coded = strrchr(text, '.') + 1;

    ck_assert_uint_lt(strlen(coded), sizeof bytes);
    ck_assert(base64url_decode(bytes_of(coded), bytes, &size));
    return memmem(bytes, size, secret.data, secret.size) != NULL;
}

START_TEST(what_is_sealed_comes_back)
{
    struct request_state it;
    struct error err;

    make_keys();
    const char *one = seal(&ring, &binding, "my state"), *two = seal(&ring, &binding, "my state");
    ck_assert_str_ne(one, two);
    ck_assert(!shows(one, BYTES("my state")));
    ck_assert_msg(opens(&ring, &binding, bytes_of(one), 999, &it, &err), "%s", err.text);
    ck_assert(bytes_equal(it.state, BYTES("my state")));
    ck_assert(bytes_equal(it.awaited, BYTES("{\"a\":{}}")));
    ck_assert_int_eq(it.expires_ms, 1000);
    ck_assert_uint_eq(it.round, 7);
    ck_assert_mem_eq(it.id, "0123456789abcdef", 16);
    ck_assert(opens(&ring, &binding, bytes_of(seal(&ring, &binding, "")), 0, &it, &err));
    ck_assert_uint_eq(it.state.size, 0);
    ck_assert(!opens(&ring, &binding, bytes_of(one), 1000, &it, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "expired"));
}
END_TEST

START_TEST(a_state_is_bound_to_its_request)
{
    struct request_binding others[8];
    struct request_state it;
    struct error err;

    make_keys();
    struct bytes text = bytes_of(seal(&ring, &binding, "s"));
    for (size_t i = 0; i < 8; i++)
        others[i] = binding;
    others[0].issuer = BYTES("https://j");
    others[1].subject = BYTES("bob");
    others[2].subject = BYTES("");
    others[3].method = BYTES("prompts/get");
    others[4].name = BYTES("\"asks\"");
    others[5].plugin = BYTES("other");
    others[6].arguments = BYTES("Digest");
    /* The same bytes, divided in another way. */
    others[7].issuer = BYTES("https://iada");
    others[7].subject = BYTES("");
    for (size_t i = 0; i < 8; i++)
        ck_assert_msg(!opens(&ring, &others[i], text, 0, &it, &err), "%zu", i);
    ck_assert(opens(&ring, &binding, text, 0, &it, &err));
}
END_TEST

START_TEST(no_bit_may_differ)
{
    struct request_state it;
    struct error err;

    make_keys();
    const char *text = seal(&ring, &binding, "some state of the plugin's");
    size_t size = strlen(text);
    char *other = arena_alloc(&arena, size + 2);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(other, text, size);
            other[i] = (char)(other[i] ^ 1 << bit);
            ck_assert_msg(!opens(&ring, &binding, (struct bytes){other, size}, 0, &it, &err),
                          "bit %d of byte %zu", bit, i);
        }
    for (size_t cut = 0; cut < size; cut++)
        ck_assert(!opens(&ring, &binding, (struct bytes){text, cut}, 0, &it, &err));
    memcpy(other, text, size);
    other[size] = 'A';
    ck_assert(!opens(&ring, &binding, (struct bytes){other, size + 1}, 0, &it, &err));
    static const char *const none[] = {"",     ".",     "s1",     "s1.",
                                       "s1..", "s1.x.", "s2.x.y", "s1.x.AAAA"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert(!opens(&ring, &binding, bytes_of(none[i]), 0, &it, &err));
}
END_TEST

START_TEST(keys_rotate)
{
    struct request_state it;
    struct error err;

    make_keys();
    struct bytes old = bytes_of(seal(&ring, &binding, "s"));
    struct seal_ring next = {.keys = keys + 1, .count = 2};
    ck_assert(!opens(&next, &binding, old, 0, &it, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "key"));
    struct bytes fresh = bytes_of(seal(&next, &binding, "s"));
    ck_assert(opens(&ring, &binding, fresh, 0, &it, &err)); /* the second of ours */
    struct seal_ring own = {.keys = keys + 1, .count = 1, .own = &keys[0]};
    ck_assert(opens(&own, &binding, old, 0, &it, &err));
    ck_assert_int_eq(strncmp(seal(&own, &binding, "s") + 3, keys[1].id, strlen(keys[1].id)), 0);
    own.count = 0;
    ck_assert_int_eq(strncmp(seal(&own, &binding, "s") + 3, keys[0].id, strlen(keys[0].id)), 0);
    /* Another key under the same name. */
    memcpy(keys[2].id, keys[0].id, sizeof keys[2].id);
    struct seal_ring thief = {.own = &keys[2]};
    ck_assert(!opens(&thief, &binding, old, 0, &it, &err));
}
END_TEST

START_TEST(states_have_a_largest_size)
{
    struct request_state it = {.awaited = BYTES("{}")};
    struct error err;
    struct buf out;

    make_keys();
    char *large = calloc(1, REQUEST_STATE_MAX);
    buf_init(&out, 1u << 20);
    for (size_t size = REQUEST_STATE_MAX / 4 * 3 - 200; size < REQUEST_STATE_MAX / 4 * 3; size++) {
        buf_clear(&out);
        it.state = (struct bytes){large, size};
        bool sealed = request_state_seal(&ring, BYTES(""), &it, &out, &err);
        ck_assert(sealed ? out.size <= REQUEST_STATE_MAX : strstr(err.text, "too large") != NULL);
    }
    ck_assert_uint_eq(out.size, 0);
    buf_free(&out);
    free(large);
}
END_TEST

/* ---- key files ---- */

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

START_TEST(key_files)
{
    static const char text[] = "# the keys\r\n\n  \t\none " KEY "\r\n\ttwo\t  " KEY "  \n#three\n";
    static const char *const broken[][2] = {
        {"", "k: has no key"},
        {"one", "k:1: expected \"ID KEY\""},
        {"\none " KEY " x\n", "k:2: the key is not"},
        {"one " KEY "\none " KEY, "k:2: the name of this key"},
        {"a.b " KEY, "k:1: the name of a key"},
        {"one AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "k:1: the key is not"},
        {"one AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj", "k:1: the key is not"},
    };
    struct error err;
    size_t count;

    struct seal_key *found = seal_keys_parse("k", bytes_of(text), &arena, &count, &err);
    ck_assert_msg(found != NULL, "%s", err.text);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(found[0].id, "one");
    ck_assert_str_eq(found[1].id, "two");
    for (unsigned char i = 0; i < 32; i++)
        ck_assert_uint_eq(found[1].key[i], i);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ck_assert_ptr_null(seal_keys_parse("k", bytes_of(broken[i][0]), &arena, &count, &err));
        ck_assert_msg(strncmp(err.text, broken[i][1], strlen(broken[i][1])) == 0, "%s", err.text);
        ck_assert_ptr_null(strstr(err.text, "AAEC"));
    }
}
END_TEST

/* ---- single use ---- */

START_TEST(an_id_is_taken_once)
{
    struct redeemed *redeemed = redeemed_new();
    unsigned char id[REQUEST_STATE_ID_SIZE] = {0};

    ck_assert_int_eq(redeemed_take(redeemed, id, 100, 0), REDEEMED_NOW);
    ck_assert_int_eq(redeemed_take(redeemed, id, 100, 0), REDEEMED_BEFORE);
    redeemed_give_back(redeemed, id);
    ck_assert_int_eq(redeemed_take(redeemed, id, 100, 0), REDEEMED_NOW);
    /* Until no more can be remembered. */
    unsigned taken = 1;
    enum redeem_result result;
    do {
        id[taken % 8] = (unsigned char)(id[taken % 8] + 1);
        memcpy(id + 8, &taken, sizeof taken);
        result = redeemed_take(redeemed, id, 100, 50);
        taken += result == REDEEMED_NOW;
    } while (result == REDEEMED_NOW);
    ck_assert_int_eq(result, REDEEMED_FULL);
    ck_assert_uint_ge(taken, 10000);
    /* What has expired makes room. */
    ck_assert_int_eq(redeemed_take(redeemed, id, 200, 100), REDEEMED_NOW);
    ck_assert_int_eq(redeemed_take(redeemed, id, 200, 100), REDEEMED_BEFORE);
    redeemed_give_back(redeemed, (const unsigned char *)"never there      ");
    redeemed_free(redeemed);
}
END_TEST

/* ---- capabilities ---- */

START_TEST(capabilities_of_clients)
{
    static const struct {
        enum revision_id revision;
        const char *declared;
        unsigned abilities;
    } cases[] = {
        {REVISION_2026_07_28, "{}", 0},
        {REVISION_2026_07_28, "{\"elicitation\":{}}", ABILITY_FORM},
        {REVISION_2026_07_28, "{\"elicitation\":{\"x\":{}}}", ABILITY_FORM},
        {REVISION_2026_07_28, "{\"elicitation\":{\"url\":{}}}", ABILITY_URL},
        {REVISION_2026_07_28, "{\"elicitation\":{\"url\":{},\"form\":{}}}",
         ABILITY_URL | ABILITY_FORM},
        {REVISION_2026_07_28, "{\"elicitation\":true}", 0},
        {REVISION_2026_07_28, "{\"sampling\":{\"tools\":{}},\"roots\":{}}",
         ABILITY_SAMPLING | ABILITY_SAMPLING_TOOLS | ABILITY_ROOTS},
        {REVISION_2025_06_18,
         "{\"elicitation\":{\"url\":{},\"form\":{}},\"sampling\":{\"tools\":{}}}",
         ABILITY_FORM | ABILITY_SAMPLING},
        {REVISION_2025_03_26, "{\"elicitation\":{},\"sampling\":{},\"roots\":{}}",
         ABILITY_SAMPLING | ABILITY_ROOTS},
    };
    struct buf out;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_uint_eq(
            abilities_declared(&revisions[cases[i].revision], bytes_of(cases[i].declared)),
            cases[i].abilities);
    ck_assert_uint_eq(abilities_declared(REVISION_MODERN, (struct bytes){NULL, 0}), 0);
    buf_init(&out, 4096);
    for (unsigned i = 0; i < 32; i++) {
        buf_clear(&out);
        abilities_write(&out, i);
        unsigned expected = (i & ABILITY_SAMPLING_TOOLS) != 0 ? i | ABILITY_SAMPLING : i;
        ck_assert_uint_eq(abilities_declared(REVISION_MODERN, buf_bytes(&out)), expected);
    }
    buf_free(&out);
}
END_TEST

/* ---- answers ---- */

START_TEST(answers_fit_their_questions)
{
    static const char requests[] =
        "{\"f\":{\"method\":\"elicitation/"
        "create\",\"params\":{\"message\":\"?\",\"requestedSchema\":"
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}}}"
        ","
        "\"u\":{\"method\":\"elicitation/create\",\"params\":{\"mode\":\"url\",\"message\":\"?\","
        "\"url\":\"https://x\"}},\"s\":{\"method\":\"sampling/createMessage\",\"params\":{}},"
        "\"r\":{\"method\":\"roots/list\"}}";
    static const struct {
        const char *key, *answer;
        bool fits;
    } cases[] = {
        {"f", "{\"action\":\"accept\",\"content\":{\"n\":1}}", true},
        {"f", "{\"action\":\"accept\",\"content\":{\"n\":\"1\"}}", false},
        {"f", "{\"action\":\"accept\"}", false},
        {"f", "{\"action\":\"decline\"}", true},
        {"f", "{\"roots\":[]}", false},
        {"u", "{\"action\":\"accept\"}", true},
        {"u", "{\"action\":\"\"}", false},
        {"s",
         "{\"role\":\"assistant\",\"model\":\"m\",\"content\":{\"type\":\"text\",\"text\":\"\"}}",
         true},
        {"s", "{\"action\":\"accept\"}", false},
        {"r", "{\"roots\":[{\"uri\":\"file:\\/\\/\\/a\"}]}", true},
        {"r", "{\"roots\":[{\"uri\":\"File:///a\"}]}", false},
        {"r", "{\"roots\":[{}]}", false},
    };
    struct json asked, awaited, answer;
    struct error why;
    struct buf out;

    parse(&asked, requests);
    buf_init(&out, 4096);
    awaited_write(&out, &asked);
    ck_assert_str_eq(
        out.data, "{\"f\":{\"form\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
                  "\"integer\"}},\"required\":[\"n\"]}},\"u\":{\"url\":{}},\"s\":{\"sampling\":{}},"
                  "\"r\":{\"roots\":{}}}");
    parse(&awaited, out.data);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parse(&answer, cases[i].answer);
        const struct json_node *what = json_get(&awaited, awaited.root, cases[i].key);
        ck_assert_msg(answer_fits(&awaited, what, &answer, answer.root, &why) == cases[i].fits,
                      "%s %s", cases[i].key, cases[i].answer);
    }
    buf_free(&out);
}
END_TEST

/* ---- questions ---- */

static const char *question(enum revision_id revision, const char *text)
{
    struct json json;
    struct buf out;

    parse(&json, text);
    buf_init(&out, 4096);
    question_write(&out, &revisions[revision], "ask-1", &json, json.root);
    const char *copy = arena_copy(&arena, buf_bytes(&out)).data;
    buf_free(&out);
    parse(&json, copy);
    return copy;
}

START_TEST(questions_in_the_form_of_a_revision)
{
    ck_assert_str_eq(question(REVISION_2025_06_18,
                              "{\"method\":\"elicitation/create\",\"params\":{\"mode\":\"form\","
                              "\"message\":\"?\",\"requestedSchema\":{}}}"),
                     "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"elicitation/create\","
                     "\"params\":{\"message\":\"?\",\"requestedSchema\":{}}}");
    ck_assert_str_eq(
        question(REVISION_2025_11_25,
                 "{\"method\":\"elicitation/create\",\"params\":{\"url\":\"https://x\","
                 "\"mode\":\"url\",\"message\":\"?\",\"elicitationId\":\"mine\"}}"),
        "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"elicitation/create\","
        "\"params\":{\"mode\":\"url\",\"message\":\"?\",\"url\":\"https://x\","
        "\"elicitationId\":\"mine\"}}");
    ck_assert_str_eq(
        question(REVISION_2025_03_26, "{\"method\":\"roots/list\"}"),
        "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"roots/list\",\"params\":{}}");
    ck_assert_str_eq(
        question(
            REVISION_2025_03_26,
            "{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[{\"role\":\"user\","
            "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"1\","
            "\"name\":\"x\",\"input\":{}}]}],\"maxTokens\":3,\"temperature\":1}}"),
        "{\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"sampling/createMessage\",\"params\":{"
        "\"maxTokens\":3,\"temperature\":1,\"messages\":[{\"role\":\"user\",\"content\":{\"type\":"
        "\"text\",\"text\":\"a\"}},{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":"
        "\"[tool_use: left out, for MCP 2025-03-26 has no such content]\"}}]}}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("input");

    suite_add(suite, &(struct suite_case){
                         .name = "input",
                         .setup = setup,
                         .teardown = teardown,
                         .seconds = 120,
                         .tests = SUITE_TESTS(
                             equal_values_share_a_spelling, what_is_sealed_comes_back,
                             a_state_is_bound_to_its_request, no_bit_may_differ, keys_rotate,
                             states_have_a_largest_size, key_files, an_id_is_taken_once,
                             capabilities_of_clients, answers_fit_their_questions,
                             questions_in_the_form_of_a_revision)});
    return suite_run(suite);
}
