/* SPDX-License-Identifier: MIT */
/* Which skills are legal, whose names clash, and the tree of URIs that
 * resources/directory/read shows. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "fake_provider.h"
#include "mcp/directory.h"

#define DIGEST                                                                                     \
    "\"digest\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""
#define FILE_AT(uri) "{\"uri\":\"" uri "\"," DIGEST ",\"size\":7}"
#define FRONT(name) "\"frontmatter\":{\"name\":\"" name "\",\"description\":\"D\"}"
#define SKILL_AT(uri, name, files) "{\"uri\":\"" uri "\"," FRONT(name) ",\"resources\":" files "}"
#define ONLY_ITSELF(uri) "[" FILE_AT(uri) "]"

static struct error err;
static struct fake_provider *fake, *other;
static struct registry *registry;
static struct registry_reader reader;

static void set_up(void)
{
    fake = fake_new("one", "", 1);
    other = fake_new("two", "", 2);
    registry = registry_new();
    registry_set_hooks(registry, &(struct registry_hooks){0});
    reader = (struct registry_reader){NULL};
}

static void tear_down(void)
{
    registry_reader_close(&reader);
    registry_free(registry);
    provider_unref(&fake->provider);
    provider_unref(&other->provider);
}

static bool add(struct fake_provider *to, enum offer_kind kind, const char *definition)
{
    return offers_add(to->provider.offers, kind,
                      &(struct offer_terms){bytes_of(definition), 0, 0, 0, 0}, &err);
}

/* ---- rules ---- */

START_TEST(legal_skills)
{
    static const char *const skills[] = {
        SKILL_AT("skill://pdf/SKILL.md", "pdf", ONLY_ITSELF("skill://pdf/SKILL.md")),
        SKILL_AT("skill://acme.example/billing/refunds/SKILL.md", "refunds", "\"dynamic\""),
        SKILL_AT("file://local/srv/a-1-b/SKILL.md", "a-1-b",
                 ONLY_ITSELF("file://local/srv/a-1-b/SKILL.md")),
        SKILL_AT("skill://two/SKILL.md", "two",
                 "[" FILE_AT("skill://two/a%20b/..c") "," FILE_AT("skill://two/SKILL.md") "]"),
        "{\"uri\":\"skill://m/SKILL.md\",\"frontmatter\":{\"name\":\"m\",\"description\":\"d\","
        "\"metadata\":{\"author\":1,\"io.modelcontextprotocol\":2},\"x\":null},\"resources\":"
        "\"dynamic\"}",
    };

    for (size_t i = 0; i < sizeof skills / sizeof skills[0]; i++)
        ck_assert_msg(add(fake, OFFER_SKILL, skills[i]), "%s: %s", skills[i], err.text);
}
END_TEST

#define WITH(member, more) "{\"uri\":\"skill://s/SKILL.md\",\"frontmatter\":{" member "}," more "}"
#define GOOD_FRONT "\"name\":\"s\",\"description\":\"d\""
#define DYNAMIC "\"resources\":\"dynamic\""
#define FILES(list) WITH(GOOD_FRONT, "\"resources\":[" list "]")
#define SELF FILE_AT("skill://s/SKILL.md")

START_TEST(illegal_skills)
{
    static const struct {
        const char *definition, *said;
    } cases[] = {
        {SKILL_AT("skill:s/SKILL.md", "s", "\"dynamic\""), "skill://NAME/SKILL.md"},
        {SKILL_AT("s/SKILL.md", "s", "\"dynamic\""), "skill://NAME/SKILL.md"},
        {SKILL_AT("skill://s/skill.md", "s", "\"dynamic\""), "end in /SKILL.md"},
        {SKILL_AT("skill://s/", "s", "\"dynamic\""), "end in /SKILL.md"},
        {SKILL_AT("skill:///SKILL.md", "s", "\"dynamic\""), "registered name"},
        {SKILL_AT("skill://me@s/SKILL.md", "s", "\"dynamic\""), "registered name"},
        {SKILL_AT("skill://s:80/s/SKILL.md", "s", "\"dynamic\""), "registered name"},
        {SKILL_AT("skill://s x/SKILL.md", "s", "\"dynamic\""), "no spaces"},
        {SKILL_AT("skill://a/?/s/SKILL.md", "s", "\"dynamic\""), "no spaces, no query"},
        {WITH("\"description\":\"d\"", DYNAMIC), "\"frontmatter.name\""},
        {WITH("\"name\":5,\"description\":\"d\"", DYNAMIC), "\"frontmatter.name\""},
        {WITH("\"name\":\"s\"", DYNAMIC), "\"frontmatter.description\""},
        {WITH("\"name\":\"s\",\"description\":\"\"", DYNAMIC), "\"frontmatter.description\""},
        {WITH("\"name\":\"t\",\"description\":\"d\"", DYNAMIC), "is t, and the directory"},
        {SKILL_AT("skill://S/SKILL.md", "S", "\"dynamic\""), "a-z 0-9 -"},
        {SKILL_AT("skill://-s/SKILL.md", "-s", "\"dynamic\""), "a-z 0-9 -"},
        {SKILL_AT("skill://s-/SKILL.md", "s-", "\"dynamic\""), "a-z 0-9 -"},
        {SKILL_AT("skill://s--t/SKILL.md", "s--t", "\"dynamic\""), "two in a row"},
        {SKILL_AT("skill://s/"
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/SKILL.md",
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  "\"dynamic\""),
         "1 to 64"},
        {"{\"uri\":\"skill://s/SKILL.md\",\"frontmatter\":[]," DYNAMIC "}", "\"frontmatter\""},
        {"{\"uri\":\"skill://s/SKILL.md\"," DYNAMIC "}", "\"frontmatter\""},
        {WITH(GOOD_FRONT ",\"metadata\":{\"io.modelcontextprotocol/x\":1}", DYNAMIC),
         "it has io.modelcontextprotocol/x"},
        {WITH(GOOD_FRONT, "\"x\":1"), "\"resources\" must be there"},
        {WITH(GOOD_FRONT, "\"resources\":\"static\""), "\"resources\" must be there"},
        {FILES(""), "must have skill://s/SKILL.md itself"},
        {FILES(FILE_AT("skill://s/b")), "must have skill://s/SKILL.md itself"},
        {FILES(SELF "," SELF), "there twice"},
        {FILES(SELF ",5"), "object with a string \"uri\""},
        {FILES(SELF "," FILE_AT("skill://t/b")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://st/b")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/../t")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/a/..")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/./a")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/a//b")), "not in the skill's directory"},
        {FILES(SELF "," FILE_AT("skill://s/a?b")), "not in the skill's directory"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\",\"size\":1}"), "64 hexadecimal"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\",\"size\":1,\"digest\":\"sha256:01\"}"),
         "64 hexadecimal"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\",\"size\":1,\"digest\":\"sha256:"
                    "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}"),
         "lower case"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST "}"), "\"size\" of the resource"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST ",\"size\":-1}"), "\"size\""},
        {FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST ",\"size\":1.5}"), "\"size\""},
        {FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST ",\"size\":16777210}"), "16777216 bytes"},
        {FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST ",\"size\":9223372036854775807}"),
         "16777216 bytes"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(!add(fake, OFFER_SKILL, cases[i].definition), "accepted: %s",
                      cases[i].definition);
        ck_assert_msg(strstr(err.text, cases[i].said) != NULL && strstr(err.text, "skill") != NULL,
                      "%s: %s", cases[i].definition, err.text);
    }
    ck_assert_uint_eq(fake->provider.offers->lists[OFFER_SKILL].count, 0);
    ck_assert(add(fake, OFFER_SKILL,
                  FILES(SELF ",{\"uri\":\"skill://s/b\"," DIGEST ",\"size\":16777209}")));
}
END_TEST

/* A skill with so many files, SKILL.md among them. */
static char *large_skill(int files)
{
    struct buf out;

    buf_init(&out, 1u << 20);
    BUF_LIT(&out, "{\"uri\":\"skill://s/SKILL.md\"," FRONT("s") ",\"resources\":[" SELF);
    for (int i = 1; i < files; i++)
        buf_addf(&out, ",{\"uri\":\"skill://s/%d\"," DIGEST ",\"size\":1}", i);
    BUF_LIT(&out, "]}");
    return buf_detach(&out, &(size_t){0});
}

START_TEST(files_have_a_largest_number)
{
    char *fits = large_skill(512), *does_not = large_skill(513);

    ck_assert(!add(fake, OFFER_SKILL, does_not));
    ck_assert_ptr_nonnull(strstr(err.text, "512"));
    ck_assert_msg(add(fake, OFFER_SKILL, fits), "%s", err.text);
    free(fits);
    free(does_not);
}
END_TEST

/* ---- names ---- */

static const struct snapshot *publish(void)
{
    offers_seal(fake->provider.offers);
    offers_seal(other->provider.offers);
    ck_assert(registry_publish(registry, (struct provider *[]){&fake->provider, &other->provider},
                               2, &err));
    return registry_read(registry, &reader);
}

START_TEST(a_name_is_given_once)
{
    ck_assert(add(fake, OFFER_SKILL, SKILL_AT("skill://a/s/SKILL.md", "s", "\"dynamic\"")));
    ck_assert(!add(fake, OFFER_SKILL, SKILL_AT("skill://b/s/SKILL.md", "s", "\"dynamic\"")));
    ck_assert_ptr_nonnull(strstr(err.text, "already: skill://a/s/SKILL.md"));
    ck_assert(add(other, OFFER_SKILL, SKILL_AT("skill://c/s/SKILL.md", "s", "\"dynamic\"")));
    ck_assert(add(other, OFFER_SKILL, SKILL_AT("skill://a/t/SKILL.md", "t", "\"dynamic\"")));
    const struct snapshot *snapshot = publish();
    ck_assert_uint_eq(snapshot->lists[OFFER_SKILL].count, 2);
    ck_assert_ptr_nonnull(snapshot_find(snapshot, OFFER_SKILL, BYTES("skill://a/s/SKILL.md")));
    ck_assert_ptr_null(snapshot_find(snapshot, OFFER_SKILL, BYTES("skill://c/s/SKILL.md")));
    ck_assert_ptr_nonnull(snapshot_find(snapshot, OFFER_SKILL, BYTES("skill://a/t/SKILL.md")));
}
END_TEST

/* ---- directories ---- */

/* The children of a directory, pages of `page` together: "a b/ c". NULL: none. */
static const char *children(const struct directory *directory, const char *uri, int page)
{
    static char text[2048];
    struct directory_walk walk;
    struct directory_child child;
    struct buf cursor;
    int pages = 0;
    bool more = true;

    text[0] = '\0';
    buf_init(&cursor, 1u << 16);
    while (more) {
        ck_assert_int_lt(pages++, 50);
        if (directory_begin(&walk, directory, bytes_of(uri), buf_bytes(&cursor)) != 1) {
            buf_free(&cursor);
            return NULL;
        }
        more = false;
        for (int i = 0; directory_next(&walk, &child); i++) {
            if (i == page) {
                more = true;
                break;
            }
            ck_assert(child.uri.size > walk.uri.size + 1);
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%.*s%s", used > 0 ? " " : "",
                     (int)(child.uri.size - walk.uri.size - 1), child.uri.data + walk.uri.size + 1,
                     child.is_directory ? "/" : "");
            buf_clear(&cursor);
            directory_cursor(&cursor, &child);
        }
    }
    buf_free(&cursor);
    return text;
}

#define RESOURCE(uri) "{\"uri\":\"" uri "\",\"name\":\"n\"}"

START_TEST(directories)
{
    static const char *const resources[] = {
        RESOURCE("skill://s/SKILL.md"), RESOURCE("skill://s/sub-1"),  RESOURCE("skill://s/sub/x"),
        RESOURCE("skill://s/sub/y/z"),  RESOURCE("skill://s/sub.md"), RESOURCE("skill://s2/q"),
        RESOURCE("skill://s/both"),     RESOURCE("skill://s/both/1"), RESOURCE("skill://s/q?a/b"),
        RESOURCE("test:opaque/a"),      RESOURCE("skill://s//odd"),   RESOURCE("test://one"),
    };
    static const int pages[] = {1, 2, 3, 100};

    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++)
        ck_assert_msg(add(fake, OFFER_RESOURCE, resources[i]), "%s", err.text);
    ck_assert(add(other, OFFER_SKILL,
                  SKILL_AT("skill://s/SKILL.md", "s",
                           "[" FILE_AT("skill://s/SKILL.md") "," FILE_AT(
                               "skill://s/sub/w") "," FILE_AT("skill://s/a\\u0062c/d") "]")));
    ck_assert(add(other, OFFER_SKILL, SKILL_AT("skill://g/d/SKILL.md", "d", "\"dynamic\"")));
    struct directory *directory = directory_new(publish());
    ck_assert_ptr_nonnull(directory);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(children(directory, "skill://s", pages[i]),
                         "SKILL.md abc/ both sub-1 sub.md sub/");
        ck_assert_str_eq(children(directory, "skill://s/", pages[i]),
                         "SKILL.md abc/ both sub-1 sub.md sub/");
        ck_assert_str_eq(children(directory, "skill://s/sub", pages[i]), "w x y/");
        ck_assert_str_eq(children(directory, "skill://s/sub/y", pages[i]), "z");
        ck_assert_str_eq(children(directory, "skill://g", pages[i]), "d/");
        ck_assert_str_eq(children(directory, "skill://g/d", pages[i]), "SKILL.md");
    }
    static const char *const none[] = {
        "skill://s/SKILL.md",
        "skill://none",
        "skill://s/su",
        "skill://",
        "skill:/",
        "skill:",
        "",
        "/",
        "test:opaque",
        "test://one",
        "skill://s/q?a",
        "skill://s/sub//",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_msg(children(directory, none[i], 5) == NULL, "%s", none[i]);
    directory_free(directory);
}
END_TEST

START_TEST(cursors_of_others_are_refused)
{
    static const char *const keys[] = {"", "skill://s", "skill://s/", "skill://t/a", "x"};
    struct directory_walk walk;
    struct directory_child child;
    char cursor[64];

    ck_assert(add(fake, OFFER_RESOURCE, RESOURCE("skill://s/a")));
    ck_assert(add(fake, OFFER_RESOURCE, RESOURCE("skill://s/c")));
    struct directory *directory = directory_new(publish());
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        base64url_encode(keys[i], strlen(keys[i]), cursor);
        ck_assert_int_eq(directory_begin(&walk, directory, BYTES("skill://s"), bytes_of(cursor)),
                         -1);
    }
    ck_assert_int_eq(directory_begin(&walk, directory, BYTES("skill://s"), BYTES("=")), -1);
    /* One whose child has gone goes on where it would have been. */
    base64url_encode("skill://s/b", 11, cursor);
    ck_assert_int_eq(directory_begin(&walk, directory, BYTES("skill://s"), bytes_of(cursor)), 1);
    ck_assert(directory_next(&walk, &child));
    ck_assert(bytes_equal(child.uri, BYTES("skill://s/c")));
    ck_assert(!directory_next(&walk, &child));
    directory_free(directory);
}
END_TEST

START_TEST(a_tree_of_nothing)
{
    struct directory *directory = directory_new(publish());

    ck_assert_ptr_null(children(directory, "skill://s", 5));
    directory_free(directory);
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    Suite *suite = suite_create("skills");
    suite_add(suite,
              &(struct suite_case){"rules", set_up, tear_down, 60,
                                   SUITE_TESTS(legal_skills, illegal_skills,
                                               files_have_a_largest_number, a_name_is_given_once)});
    suite_add(suite, &(struct suite_case){"directories", set_up, tear_down, 60,
                                          SUITE_TESTS(directories, cursors_of_others_are_refused,
                                                      a_tree_of_nothing)});
    return suite_run(suite);
}
