/* SPDX-License-Identifier: MIT */
/* What a manifest needs, what the operator says, and what comes of both. */
#include <stdio.h>
#include <stdlib.h>

#include "config_directory.h"
#include "plugin/needs.h"
#include "plugin/sandbox.h"

/* ---- what is asked for ---- */

static struct buf asked;

static void note_path(void *context, enum sandbox_access access, struct bytes name,
                      enum needs_origin origin)
{
    static const char *const marks[] = {
        [NEEDS_NAMED] = "", [NEEDS_CONFIGURED] = "*", [NEEDS_DERIVED] = "+"};
    (void)context;
    buf_addf(&asked, "%c%s%.*s ", access, marks[origin], BYTES_FMT(name));
}

static void note_network(void *context)
{
    (void)context;
    BUF_LIT(&asked, "network ");
}

static void note_unix_sockets(void *context)
{
    (void)context;
    BUF_LIT(&asked, "unix_sockets ");
}

static void note_variable(void *context, struct bytes name)
{
    (void)context;
    buf_addf(&asked, "$%s ", name.data);
}

static const struct needs_reader notes = {note_path, note_network, note_unix_sockets, note_variable,
                                          NULL};

static const char *read_needs(const char *needs, const char *config)
{
    buf_free(&asked);
    buf_init(&asked, 65536);
    if (!needs_read(bytes_of(needs), bytes_of(config), &notes))
        return "failed";
    return asked.data != NULL ? asked.data : "";
}

static const struct {
    const char *needs, *config, *asked;
} cases[] = {
    {"{}", "{}", ""},
    {"{\"network\":true,\"unix_sockets\":true}", "{}", "network unix_sockets "},
    {"{\"network\":false,\"unix_sockets\":1}", "{}", ""},
    {"{\"read\":[\"/usr/a\",\"/b\"],\"write\":[\"/c\"]}", "{}", "r/usr/a r/b w/c "},
    {"{\"read\":[{\"config\":\"/a\"}]}", "{\"a\":\"/x\"}", "r*/x "},
    {"{\"read\":[{\"config\":\"/a/b\"}]}", "{\"a\":{\"b\":[\"/x\",\"/y\",3,\"z\"]}}", "r*/x r*/y "},
    {"{\"read\":[{\"config\":\"/a\"}]}", "{}", ""},
    {"{\"read\":[{\"config\":\"/a\"}]}", "{\"a\":{\"b\":\"/x\"}}", ""},
    {"{\"write\":[{\"config\":\"/a\",\"if_false\":\"/r\"}]}", "{\"a\":\"/x\"}", ""},
    {"{\"write\":[{\"config\":\"/a\",\"if_false\":\"/r\"}]}", "{\"a\":\"/x\",\"r\":true}", ""},
    {"{\"write\":[{\"config\":\"/a\",\"if_false\":\"/r\"}]}", "{\"a\":\"/x\",\"r\":false}",
     "w*/x "},
    {"{\"write\":[{\"config\":\"/a\",\"if_false\":3}]}", "{\"a\":\"/x\",\"r\":false}", ""},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"sqlite://\",\"parent\":true}]}",
     "{\"u\":\"sqlite:///srv/a%20b/x.db\"}", "r+/srv/a b "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"sqlite://\",\"parent\":true}]}",
     "{\"u\":\"sqlite:///x.db\"}", "r+/ "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"sqlite://\"}]}", "{\"u\":\"postgres:///x\"}", ""},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"sqlite://\"}]}", "{\"u\":\"sqlite:/\"}", ""},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"x://\"}]}", "{\"u\":\"x:///a%2\"}", "r*/a%2 "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"x:\"}]}", "{\"u\":\"x:/a%2\"}", "r*/a%2 "},
    /* A piece of a path is none that the operator wrote. */
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"/srv\"}]}", "{\"u\":\"/srv/etc\"}", "r+/etc "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"x://h\"}]}", "{\"u\":\"x://h/etc\"}", "r+/etc "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"/a:\"}]}", "{\"u\":\"/a:/etc\"}", "r+/etc "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"x://h:\"}]}", "{\"u\":\"x://h:/etc\"}", "r+/etc "},
    {"{\"read\":[{\"config\":\"/u\",\"prefix\":\"//\"}]}", "{\"u\":\"///etc\"}", "r+/etc "},
    {"{\"network\":{\"config\":\"/u\",\"prefix\":\"postgres\"}}", "{\"u\":\"postgresql://h/d\"}",
     "network "},
    {"{\"network\":{\"config\":\"/u\",\"prefix\":\"postgres\"}}", "{\"u\":\"sqlite:///d\"}", ""},
    {"{\"unix_sockets\":[{\"config\":\"/u\",\"prefix\":\"a:\"},{\"config\":\"/"
     "u\",\"prefix\":\"b:\"}]}",
     "{\"u\":\"b:x\"}", "unix_sockets "},
    /* Variables are named by the configuration alone. */
    {"{\"environment\":[{\"config\":\"/p/environment\"},\"HOME\"]}",
     "{\"p\":{\"environment\":\"SALES\"}}", "$SALES "},
    {"{\"environment\":[{\"config\":\"/p\"}]}", "{\"p\":[\"A\",\"B=1\",\"\",\"C\\u0000\"]}", "$A "},
    {"{\"environment\":\"HOME\"}", "{}", ""},
    /* What is none of ours, and what has another form. */
    {"{\"levitate\":[1,2],\"read\":\"/x\",\"write\":{\"a\":1},\"network\":\"yes\"}", "{}", ""},
    {"{\"read\":[1,null,\"relative\",\"\",\"/nul\\u0000\",[\"/x\"],{\"config\":7},{}]}", "{}", ""},
    {"[\"/x\"]", "{}", "failed"},
    {"{", "{}", "failed"},
};

START_TEST(test_needs)
{
    ck_assert_str_eq(read_needs(cases[_i].needs, cases[_i].config), cases[_i].asked);
    buf_free(&asked);
}
END_TEST

START_TEST(test_needs_for_people)
{
    struct buf out;
    buf_init(&out, 4096);
    needs_describe(
        BYTES("{\"read\":[\"/usr/a\\n\",{\"config\":\"/u\",\"prefix\":\"s:\",\"parent\":true,"
              "\"if_false\":\"/r\"},7],\"network\":true,\"unix_sockets\":false,\"x\":1}"),
        &out);
    ck_assert_str_eq(out.data, "needs read: \"/usr/a\\n\"\n"
                               "needs read: the directory of what config/u names behind s:, if "
                               "config/r is false\n"
                               "needs network\n");
    buf_free(&out);
}
END_TEST

/* ---- what is granted ---- */

static struct buf remarks;

static void note_remark(void *context, const char *text)
{
    (void)context;
    buf_addf(&remarks, "%s\n", text);
}

static const char *paths_of(const struct sandbox *sandbox)
{
    static char text[1024];
    enum sandbox_access access;
    const char *name;
    size_t used = 0;
    text[0] = '\0';
    for (size_t at = 0; (name = sandbox_next_path(sandbox, &at, &access)) != NULL;)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%c%s ", access, name);
    return text;
}

/* `plugins` and `provider` are members of objects. */
static struct sandbox plan_for(bool bundled, const char *plugins_members, const char *provider,
                               const char *needs)
{
    char text[4096];
    struct sandbox sandbox;
    snprintf(text, sizeof(text), "{\"plugins\":{%s},\"providers\":{\"p\":{%s}}}", plugins_members,
             provider);
    struct config *config = load_text(text);
    ck_assert_msg(config != NULL, "%s", complaints());
    buf_init(&remarks, 65536);
    ck_assert(sandbox_plan(&sandbox, bytes_of(needs), bundled, config, &config->providers[0],
                           note_remark, NULL));
    config_unref(config);
    return sandbox;
}

static struct sandbox plan(const char *plugins_members, const char *provider, const char *needs)
{
    return plan_for(false, plugins_members, provider, needs);
}

static void forget(struct sandbox *sandbox)
{
    sandbox_free(sandbox);
    buf_free(&remarks);
}

START_TEST(test_defaults)
{
    struct sandbox sandbox = plan("", "", "");
    ck_assert(sandbox.enabled && !sandbox.required && !sandbox.network && !sandbox.unix_sockets);
    ck_assert_uint_eq(sandbox.open_files, 256);
    ck_assert_uint_eq(sandbox.file_size_mib, 1024);
    ck_assert_str_eq(paths_of(&sandbox), "");
    forget(&sandbox);
    /* The same without an entry in the configuration. */
    ck_assert(sandbox_plan(&sandbox, BYTES(""), false, NULL, NULL, note_remark, NULL));
    ck_assert(sandbox.enabled && !sandbox.required && !sandbox.network);
    ck_assert_uint_eq(sandbox.open_files, 256);
    sandbox_free(&sandbox);
}
END_TEST

START_TEST(test_the_operator_extends)
{
    struct sandbox sandbox =
        plan("\"require_sandbox\":true",
             "\"sandbox\":{\"read\":[\"/a\",\"/b\"],\"write\":[\"/c\"],\"open_files\":99,"
             "\"file_size_mib\":0},\"config\":{\"d\":\"/d\"}",
             "{\"read\":[{\"config\":\"/d\"},\"/usr/x\",\"/a/y\",\"/c\"],\"write\":[\"/c/z\"]}");
    ck_assert(sandbox.required);
    ck_assert_uint_eq(sandbox.open_files, 99);
    ck_assert_uint_eq(sandbox.file_size_mib, 0);
    ck_assert_str_eq(paths_of(&sandbox), "r/a r/b w/c r/d p/usr/x ");
    ck_assert_ptr_null(remarks.data);
    forget(&sandbox);
}
END_TEST

START_TEST(test_a_manifest_alone_gets_nothing)
{
    struct sandbox sandbox =
        plan("", "\"sandbox\":{\"read\":[\"/a\"]}",
             "{\"read\":[\"/ab\",\"/usr/../etc\",\"/usrlocal\"],\"write\":[\"/usr/x\",\"/a\"],"
             "\"network\":true,\"unix_sockets\":true}");
    ck_assert_str_eq(paths_of(&sandbox), "r/a ");
    ck_assert(!sandbox.network && !sandbox.unix_sockets);
    static const char *const said[] = {
        "read /ab,",    "read /usr/../etc,", "read /usrlocal,",       "write to /usr/x,",
        "write to /a,", "\"network\": true", "\"unix_sockets\": true"};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        ck_assert_msg(strstr(remarks.data, said[i]) != NULL, "%s: %s", said[i], remarks.data);
    forget(&sandbox);
}
END_TEST

#define PARENT_NEEDS                                                                               \
    "{\"write\":[{\"config\":\"/base_path\",\"parent\":true},"                                     \
    "{\"config\":\"/notes\",\"parent\":true}]}"
#define PARENT_CONFIG "\"config\":{\"base_path\":\"/api\",\"notes\":\"/home/alice/notes\"}"

/* The operator has named what is in it, not the directory. */
START_TEST(test_a_directory_is_more_than_was_named)
{
    struct sandbox sandbox = plan("", PARENT_CONFIG, PARENT_NEEDS);
    ck_assert_str_eq(paths_of(&sandbox), "");
    ck_assert_str_eq(remarks.data,
                     "its manifest asks to write to /, which it may not: \"sandbox\": {\"write\": "
                     "[\"/\"]} in its configuration would let it\n"
                     "its manifest asks to write to /home/alice, which it may not: \"sandbox\": "
                     "{\"write\": [\"/home/alice\"]} in its configuration would let it\n");
    forget(&sandbox);
    sandbox = plan("", "\"sandbox\":{\"write\":[\"/home\"]}," PARENT_CONFIG, PARENT_NEEDS);
    ck_assert_str_eq(paths_of(&sandbox), "w/home ");
    ck_assert_ptr_null(strstr(remarks.data, "alice"));
    forget(&sandbox);
    /* mcpd's own plugins know what they ask for, but the root is never meant. */
    sandbox = plan_for(true, "", PARENT_CONFIG, PARENT_NEEDS);
    ck_assert_str_eq(paths_of(&sandbox), "w/home/alice ");
    ck_assert_ptr_nonnull(strstr(remarks.data, "write to /,"));
    forget(&sandbox);
}
END_TEST

START_TEST(test_sockets_take_two)
{
    struct sandbox sandbox =
        plan("", "\"sandbox\":{\"network\":true,\"unix_sockets\":true}", "{\"network\":true}");
    ck_assert(sandbox.network && !sandbox.unix_sockets);
    ck_assert(strstr(remarks.data, "its manifest does not ask") != NULL);
    forget(&sandbox);
}
END_TEST

START_TEST(test_disabled)
{
    struct sandbox sandbox = plan("", "\"sandbox\":{\"enabled\":false}", "{\"network\":true}");
    ck_assert(!sandbox.enabled);
    ck_assert_ptr_null(remarks.data);
    forget(&sandbox);
}
END_TEST

/* ---- the text for the worker ---- */

START_TEST(test_text_there_and_back)
{
    struct sandbox sandbox, read;
    struct buf text;
    sandbox_init(&sandbox);
    sandbox.required = sandbox.network = sandbox.unix_sockets = true;
    sandbox.open_files = 17;
    sandbox.file_size_mib = 0;
    sandbox_add_path(&sandbox, SANDBOX_READ, BYTES("/a b"));
    sandbox_add_path(&sandbox, SANDBOX_WRITE, BYTES("/\xc3\xa9"));
    sandbox_add_path(&sandbox, SANDBOX_READ_PUBLIC, BYTES("/usr"));
    sandbox_add_path(&sandbox, SANDBOX_WRITE, BYTES("relative"));
    sandbox_add_path(&sandbox, SANDBOX_WRITE, BYTES("/nul\0x"));
    buf_init(&text, 4096);
    sandbox_write(&sandbox, &text);
    ck_assert(!text.failed);
    ck_assert(sandbox_read(&read, buf_bytes(&text)));
    ck_assert(read.enabled && read.required && read.network && read.unix_sockets);
    ck_assert_uint_eq(read.open_files, 17);
    ck_assert_uint_eq(read.file_size_mib, 0);
    ck_assert_str_eq(paths_of(&read), "r/a b w/\xc3\xa9 p/usr ");
    sandbox_free(&read);
    /* Nothing shorter is legal but what ends behind a path. */
    for (size_t size = 0; size < text.size; size++) {
        bool whole = size == strlen(text.data) + 1 || size == strlen(text.data) + 7 ||
                     size == strlen(text.data) + 12;
        ck_assert_msg(sandbox_read(&read, (struct bytes){text.data, size}) == whole, "%zu", size);
        sandbox_free(&read);
    }
    sandbox_free(&sandbox);
    buf_free(&text);
}
END_TEST

/* ---- the kernel ---- */

START_TEST(test_what_a_kernel_lacks)
{
    static const struct {
        struct sandbox_kernel kernel;
        bool unix_sockets;
        const char *lacks; /* NULL: nothing */
    } kernels[] = {
        {{7, true}, true, NULL},
        {{3, true}, false, NULL},
        {{0, true}, false, "Landlock (Linux 5.13"},
        {{0, false},
         false,
         "seccomp filters (CONFIG_SECCOMP_FILTER, on a processor that mcpd "
         "knows), and Landlock"},
        {{7, false}, false, "seccomp filters"},
        {{2, true}, false, "truncated (version 3, Linux 6.2; here it is version 2)"},
        {{5, true}, true, "abstract local sockets"},
        {{5, true}, false, NULL},
    };
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        struct sandbox sandbox = {.enabled = true, .unix_sockets = kernels[i].unix_sockets};
        struct error what = {.text = ""};
        bool lacks = sandbox_lacks(&kernels[i].kernel, &sandbox, &what);
        ck_assert_msg(lacks == (kernels[i].lacks != NULL), "%zu", i);
        if (lacks)
            ck_assert_msg(strstr(what.text, kernels[i].lacks) != NULL, "%s", what.text);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sandbox");
    TCase *tc = tcase_create("sandbox");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_needs, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tc, test_needs_for_people);
    tcase_add_test(tc, test_defaults);
    tcase_add_test(tc, test_the_operator_extends);
    tcase_add_test(tc, test_a_manifest_alone_gets_nothing);
    tcase_add_test(tc, test_a_directory_is_more_than_was_named);
    tcase_add_test(tc, test_sockets_take_two);
    tcase_add_test(tc, test_disabled);
    tcase_add_test(tc, test_text_there_and_back);
    tcase_add_test(tc, test_what_a_kernel_lacks);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return suite_run(suite());
}
