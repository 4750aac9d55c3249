/* SPDX-License-Identifier: MIT */
/*
 * From a file to a running plugin and back: each broken sample of tests/plugins
 * gets its own sentence, and what is good leaves nothing behind.
 */
#include <check.h>
#include <fcntl.h>
#include <mcp/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "fake_provider.h"
#include "files.h"
#include "plugin/load.h"
#include "plugin/manifest.h"
#include "samples.h"
#include "suite.h"

MCP_PLUGIN_MANIFEST("{\"id\":\"echo\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

#define TRY_MS 20000 /* for what must not hang; much, for valgrind and slow machines */
#define HANG_MS 400 /* for what hangs */

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static char directory[] = "/tmp/test-load-XXXXXX"; /* plugin directory of one test */
static char private_directory[64];
static int directory_fd;
static uint64_t generation;

/* ---- a plugin directory for each test ---- */

static void setup(void)
{
    strcpy(directory, "/tmp/test-load-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(private_directory, sizeof(private_directory), "%s/private", directory);
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory_fd, 0);
}

static void teardown(void)
{
    close(directory_fd);
    files_remove(directory);
}

static void put_file(const char *name, struct bytes content)
{
    int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content.data, content.size), (ssize_t)content.size);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    close(fd);
}

/* Copies tests/plugins/SAMPLE.so into the plugin directory. */
static void put_as(const char *sample, const char *name)
{
    struct buf content = sample_read(sample);
    put_file(name, buf_bytes(&content));
    buf_free(&content);
}

static void put(const char *sample)
{
    char name[100];
    snprintf(name, sizeof(name), "%s.so", sample);
    put_as(sample, name);
}

static struct image *open_file(const char *name, struct error *err)
{
    return image_open(directory_fd, name, private_directory, ++generation, err);
}

static struct image *open_sample(const char *sample)
{
    char name[100];
    struct error err;
    put(sample);
    snprintf(name, sizeof(name), "%s.so", sample);
    struct image *image = open_file(name, &err);
    ck_assert_msg(image != NULL, "%s", err.text);
    return image;
}

static struct provider *load_sample(const char *sample)
{
    struct error err;
    struct provider *provider = inproc_load(open_sample(sample), sample, NULL, NULL, NULL, &err);
    ck_assert_msg(provider != NULL, "%s", err.text);
    return provider;
}

/* ---- what the process holds ---- */

#ifndef MCPD_SANITIZE
static size_t mappings(const char *word)
{
    struct buf maps = file_read("/proc/self/maps");
    size_t count = 0;
    for (const char *at = maps.data; (at = strstr(at, word)) != NULL; at++)
        count++;
    buf_free(&maps);
    return count;
}
#endif

/* ---- broken samples ---- */

enum stage {
    AT_OPEN, /* image_open refuses it */
    AT_TRY, /* image_try, and inproc_load would come to harm */
    AT_BOTH /* image_try and inproc_load, with the same sentence */
};

static const struct broken {
    const char *sample;
    enum stage stage;
    const char *sentence; /* the end of it may be left out with "..." */
} broken[] = {
    {"bad_no_note", AT_OPEN,
     "bad_no_note.so: has no manifest (ELF note .note.mcp): it is no plugin of mcpd, or its source "
     "lacks MCP_PLUGIN_MANIFEST"},
    {"bad_note", AT_OPEN,
     "bad_note.so: has a malformed ELF note (it is longer than its segment): use "
     "MCP_PLUGIN_MANIFEST"},
    {"bad_note_json", AT_OPEN,
     "bad_note_json.so: has a manifest that is not legal JSON (line 1, column 2): ..."},
    {"bad_note_twice", AT_OPEN,
     "bad_note_twice.so: has two manifests: use MCP_PLUGIN_MANIFEST in one source file only"},
    {"bad_requires", AT_OPEN,
     "bad_requires.so: requires the host extension \"test.teleport/1\", which this mcpd does not "
     "have: use a newer mcpd"},
    {"bad_major", AT_OPEN,
     "bad_major.so: built for plugin ABI 2.1, this mcpd serves 1.1: rebuild it with this mcpd's "
     "header"},
    {"bad_name", AT_OPEN,
     "bad_name.so: is the plugin \"another_name\" by its manifest: name the file another_name.so"},
    {"bad_nodelete", AT_OPEN,
     "bad_nodelete.so: forbids to be unloaded (DF_1_NODELETE): link it without -z nodelete"},
    {"bad_stack", AT_OPEN,
     "bad_stack.so: demands an executable stack: link it with -z noexecstack"},
    {"bad_textrel", AT_OPEN, "bad_textrel.so: has text relocations: compile it with -fPIC"},
    {"bad_static_tls", AT_OPEN,
     "bad_static_tls.so: uses static thread-local storage, which a few reloads exhaust: compile it "
     "without -ftls-model=initial-exec"},
    {"bad_major_inside", AT_BOTH,
     "bad_major_inside.so: its struct mcp_plugin says plugin ABI 2.1, which its manifest does "
     "not; this mcpd serves 1.1: rebuild it with this mcpd's header"},
    {"bad_minor", AT_BOTH,
     "bad_minor.so: needs plugin ABI 1.9 or newer, this mcpd serves 1.1: use a newer mcpd"},
    {"bad_magic", AT_BOTH,
     "bad_magic.so: its struct mcp_plugin does not begin with MCP_PLUGIN_MAGIC: begin it with "
     "MCP_PLUGIN_HEADER"},
    {"bad_size_small", AT_BOTH,
     "bad_size_small.so: its struct mcp_plugin claims 40 bytes, at least 120 are needed: begin it "
     "with MCP_PLUGIN_HEADER"},
    {"bad_size_huge", AT_BOTH,
     "bad_size_huge.so: its struct mcp_plugin claims 4000000000 bytes, more than there are: begin "
     "it with MCP_PLUGIN_HEADER"},
    {"bad_symbol", AT_BOTH,
     "bad_symbol.so: does not export mcp_plugin_v1: define it with MCP_EXPORT"},
    {"bad_null", AT_BOTH, "bad_null.so: its mcp_plugin_v1 returned NULL"},
    {"bad_outside", AT_BOTH,
     "bad_outside.so: its mcp_plugin_v1 returned something that lies outside of the plugin: return "
     "a "
     "static struct mcp_plugin"},
    {"bad_members", AT_BOTH,
     "bad_members.so: its struct mcp_plugin lacks call_tool, which is required"},
    {"bad_id", AT_BOTH,
     "bad_id.so: its struct mcp_plugin has the id \"somebody_else\", its manifest \"bad_id\": make "
     "them equal"},
    {"bad_version", AT_BOTH,
     "bad_version.so: its struct mcp_plugin has the version \"1.0.1\", its manifest \"1.0.0\": "
     "make them equal"},
    {"bad_undefined", AT_BOTH,
     "bad_undefined.so: cannot be loaded: undefined symbol: nobody_has_this"},
    {"bad_config_schema", AT_BOTH,
     "bad_config_schema.so: its config_schema is not a legal JSON Schema: ..."},
    {"bad_create_silent", AT_BOTH,
     "bad_create_silent.so: create failed (MCP_EFAIL) and did not say why with host->fail"},
    {"bad_start", AT_BOTH, "bad_start.so: the device does not answer"},
    {"bad_exit_create", AT_BOTH,
     "bad_exit_create.so: called exit(3) in create, which a plugin must not"},
    {"bad_tools_endless", AT_BOTH,
     "bad_tools_endless.so: its get_tools does not end: it goes on after mcpd has no room for more "
     "tools (sink->add returned MCP_ENOMEM)"},
    {"bad_constructor_crash", AT_TRY,
     "bad_constructor_crash.so: crashed in its constructors (SIGSEGV, Segmentation fault)"},
    {"bad_constructor_exit", AT_TRY,
     "bad_constructor_exit.so: ended the process in its constructors (exit status 3), which a "
     "plugin must not"},
    {"bad_create_crash", AT_TRY,
     "bad_create_crash.so: crashed in create (SIGSEGV, Segmentation fault); the last it wrote was: "
     "about to crash"},
    {"bad_stop_crash", AT_TRY, "bad_stop_crash.so: crashed in stop (SIGSEGV, Segmentation fault)"},
};

static void assert_sentence(const char *got, const char *expected)
{
    size_t length = strlen(expected);
    if (length > 3 && strcmp(expected + length - 3, "...") == 0) {
        ck_assert_msg(strncmp(got, expected, length - 3) == 0 && strlen(got) > length - 3,
                      "\"%s\" does not begin as \"%s\"", got, expected);
        return;
    }
    ck_assert_str_eq(got, expected);
}

START_TEST(broken_sample)
{
    const struct broken *sample = &broken[_i];
    char name[100];
    struct error err = {.text = ""};
    snprintf(name, sizeof(name), "%s.so", sample->sample);
    put(sample->sample);

    struct image *image = open_file(name, &err);
    if (sample->stage == AT_OPEN) {
        ck_assert_ptr_null(image);
        assert_sentence(err.text, sample->sentence);
        /* Nothing of it was kept. */
        struct stat st;
        ck_assert(stat(private_directory, &st) != 0 || files_count(private_directory) == 0);
        return;
    }
    ck_assert_msg(image != NULL, "%s", err.text);
    ck_assert(!image_try(image, "tried", NULL, TRY_MS, &err));
    assert_sentence(err.text, sample->sentence);
    if (sample->stage == AT_TRY) {
        image_free(image);
        return;
    }
    memset(&err, 0, sizeof(err));
    ck_assert_ptr_null(inproc_load(image, "loaded", NULL, NULL, NULL, &err));
    assert_sentence(err.text, sample->sentence);
}
END_TEST

static const char *const hanging[][2] = {
    {"bad_constructor_hang", "its constructors"},
    {"bad_tools_hang", "get_tools"},
};

START_TEST(hanging_sample)
{
    char expected[400];
    struct error err;
    struct image *image = open_sample(hanging[_i][0]);
    int64_t start = clock_now();
    ck_assert(!image_try(image, "tried", NULL, HANG_MS, &err));
    ck_assert_int_ge(clock_now() - start, HANG_MS * NS_PER_MS);
    ck_assert_int_lt(clock_now() - start, (HANG_MS + 15000) * NS_PER_MS);
    snprintf(expected, sizeof(expected),
             "%s.so: had not returned from %s after 0.%03d s of its trial: it hangs, or "
             "plugins.start_timeout_ms is too short for it",
             hanging[_i][0], hanging[_i][1], HANG_MS);
    ck_assert_str_eq(err.text, expected);
    image_free(image);
}
END_TEST

/* Tools that are left out do not cost a plugin the others. */
static const char *const left_out[] = {"bad_tool_twice", "bad_tool_schema", "bad_tool_name",
                                       "bad_tool_header", "bad_tool_json"};

START_TEST(tool_left_out)
{
    struct error err;
    struct image *image = open_sample(left_out[_i]);
    ck_assert_msg(image_try(image, "tried", NULL, TRY_MS, &err), "%s", err.text);
    struct provider *provider = inproc_load(image, "tools", NULL, NULL, NULL, &err);
    ck_assert_msg(provider != NULL, "%s", err.text);
    ck_assert_uint_eq(provider->offers->lists[OFFER_TOOL].count, 1);
    ck_assert(
        bytes_equal(provider->offers->lists[OFFER_TOOL].offers[0].name, bytes_of(left_out[_i])));
    ck_assert(provider->ops->stop(provider));
    provider_unref(provider);
}
END_TEST

/* ---- broken files ---- */

static void assert_refused(const char *name, const char *expected)
{
    struct error err = {.text = ""};
    ck_assert_ptr_null(open_file(name, &err));
    assert_sentence(err.text, expected);
}

START_TEST(file_of_another_kind)
{
    struct buf good = sample_read("echo");
    unsigned char hash[32];
    struct error err;

    assert_refused("echo.so", "echo.so: cannot be opened: No such file or directory");
    ck_assert(!image_hash(directory_fd, "echo.so", hash, &err));
    ck_assert_str_eq(err.text, "echo.so: cannot be opened: No such file or directory");
    put_file("echo.so", BYTES(""));
    assert_refused("echo.so", "echo.so: is empty: copy it again");
    put_file("echo.so", BYTES("#!/bin/sh\nexit 0\n"));
    assert_refused("echo.so", "echo.so: is not an ELF shared object");
    put_file("echo.so", (struct bytes){good.data, 20});
    assert_refused("echo.so", "echo.so: is cut off inside its ELF header: copy it again");
    put_file("echo.so", (struct bytes){good.data, good.size - 1});
    assert_refused("echo.so", "echo.so: is shorter than its ELF header says: copy it again");
    put_file("echo.so", (struct bytes){good.data, good.size / 2});
    assert_refused("echo.so", "echo.so: is shorter than its ELF header says: copy it again");

    /* A library that is no plugin may have other faults, too. */
    struct buf library = sample_read("bad_static_tls");
    char *owner = memmem(library.data, library.size, "MCP\0{", 5);
    ck_assert_ptr_nonnull(owner);
    owner[0] = 'X';
    put_file("echo.so", buf_bytes(&library));
    assert_refused("echo.so", "echo.so: has no manifest (ELF note .note.mcp): it is no plugin of "
                              "mcpd, or its source lacks MCP_PLUGIN_MANIFEST");
    buf_free(&library);

    good.data[4] = 1; /* EI_CLASS: ELFCLASS32 */
    put_file("echo.so", buf_bytes(&good));
    assert_refused("echo.so", "echo.so: is an ELF file of 32 bits, this mcpd has 64: build it for "
                              "this machine");
    good.data[4] = 2;
    good.data[18] = 8; /* e_machine: MIPS */
    put_file("echo.so", buf_bytes(&good));
    assert_refused("echo.so", "echo.so: is built for another processor (ELF machine 8, ...");
    buf_free(&good);

    /* What comes of a plugin that is linked without -shared: this has a manifest. */
    struct buf program = file_read("/proc/self/exe");
    put_file("echo.so", buf_bytes(&program));
    assert_refused("echo.so", "echo.so: is a program, not a shared object: link it with -shared");
    buf_free(&program);
}
END_TEST

START_TEST(file_that_is_no_file)
{
    put("echo");
    ck_assert_int_eq(renameat(directory_fd, "echo.so", directory_fd, "real"), 0);
    ck_assert_int_eq(symlinkat("real", directory_fd, "echo.so"), 0);
    assert_refused("echo.so",
                   "echo.so: is a symbolic link: put the file itself into the directory");
    ck_assert_int_eq(unlinkat(directory_fd, "echo.so", 0), 0);
    ck_assert_int_eq(mkdirat(directory_fd, "echo.so", 0755), 0);
    assert_refused("echo.so", "echo.so: is a directory, not a plugin");
    ck_assert_int_eq(unlinkat(directory_fd, "echo.so", AT_REMOVEDIR), 0);
    ck_assert_int_eq(mkfifoat(directory_fd, "echo.so", 0644), 0);
    assert_refused("echo.so", "echo.so: is not a regular file");
    assert_refused("../echo.so", "../echo.so: is not the name of a file in the plugin directory");
}
END_TEST

START_TEST(file_that_others_may_write)
{
    put("echo");
    ck_assert_int_eq(fchmodat(directory_fd, "echo.so", 0664, 0), 0);
    assert_refused("echo.so", "echo.so: users other than its owner may write to it (mode 0664): "
                              "chmod go-w it");
    ck_assert_int_eq(fchmodat(directory_fd, "echo.so", 0644, 0), 0);
    ck_assert_int_eq(fchmod(directory_fd, 0777), 0);
    assert_refused("echo.so", "echo.so: users other than the owner may write to its directory "
                              "(mode 0777): chmod go-w it");
    ck_assert_int_eq(fchmod(directory_fd, 0700), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(fchownat(directory_fd, "echo.so", 12345, 12345, 0), 0);
        assert_refused("echo.so", "echo.so: belongs to user 12345: it must belong to root or to "
                                  "mcpd's own user (chown)");
        ck_assert_int_eq(fchownat(directory_fd, "echo.so", 0, 0, 0), 0);
        ck_assert_int_eq(fchown(directory_fd, 12345, 12345), 0);
        assert_refused("echo.so", "echo.so: its directory belongs to user 12345: it must belong to "
                                  "root or to mcpd's own user (chown)");
        ck_assert_int_eq(fchown(directory_fd, 0, 0), 0);
    }
    ck_assert_int_eq(mkdir(private_directory, 0755), 0);
    ck_assert_int_eq(chmod(private_directory, 0755), 0);
    struct error err;
    ck_assert_ptr_null(open_file("echo.so", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is not mcpd's alone (mode 0755): chmod 0700 it"));
}
END_TEST

START_TEST(file_too_large)
{
    int fd = openat(directory_fd, "large.so", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)PLUGIN_FILE_MAX + 1), 0);
    close(fd);
    assert_refused("large.so", "large.so: is larger than 64 MiB");
}
END_TEST

/* Each prefix of a good file, and the file with each of its first bytes changed. */
START_TEST(manifest_of_damaged_files)
{
    struct buf good = sample_read("echo");
    struct manifest manifest;
    struct error err;
    ck_assert(manifest_read(&manifest, buf_bytes(&good), &err));
    ck_assert_str_eq(manifest.id, "echo");
    ck_assert_str_eq(manifest.version, "1.0.0");
    ck_assert_uint_eq(manifest.abi_major, 1);
    ck_assert_uint_eq(manifest.abi_minor, 0);
    for (size_t size = 0; size < good.size; size += size < 4096 ? 1 : 97) {
        /* Of its own, so that a byte too far is found. */
        char *cut = malloc(size > 0 ? size : 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, good.data, size);
        ck_assert(!manifest_read(&manifest, (struct bytes){cut, size}, &err));
        free(cut);
    }
    for (size_t i = 0; i < 2048; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            good.data[i] = (char)(good.data[i] ^ (1 << bit));
            err.text[0] = '\0';
            ck_assert(manifest_read(&manifest, buf_bytes(&good), &err) || err.text[0] != '\0');
            good.data[i] = (char)(good.data[i] ^ (1 << bit));
        }
    }
    buf_free(&good);
}
END_TEST

/* ---- the copy ---- */

START_TEST(private_copy)
{
    struct stat st;
    unsigned char hash[32];
    char expected[200], hex[17];
    struct error err;
    struct image *image = open_sample("echo");
    ck_assert(image_hash(directory_fd, "echo.so", hash, &err));
    ck_assert_mem_eq(image->hash, hash, sizeof(hash));
    for (size_t i = 0; i < 8; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    snprintf(expected, sizeof(expected), "%s/echo.%ju.%s.so", private_directory,
             (uintmax_t)generation, hex);
    ck_assert_str_eq(image->path, expected);
    ck_assert_int_eq(stat(image->path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0500);
    ck_assert_int_eq(stat(private_directory, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);

    /* What happens to the source does not reach it. */
    put_file("echo.so", BYTES("ruined"));
    struct buf copy = file_read(image->path), source = sample_read("echo");
    ck_assert(bytes_equal(buf_bytes(&copy), buf_bytes(&source)));
    buf_free(&copy);
    buf_free(&source);
    image_free(image);
    ck_assert_int_ne(access(expected, F_OK), 0);
}
END_TEST

/* ---- configuration ---- */

static struct config *load_config(const char *text)
{
    char path[100];
    snprintf(path, sizeof(path), "%s/mcpd.json", directory);
    put_file("mcpd.json", bytes_of(text));
    struct config *config = config_load(path, NULL, NULL);
    ck_assert_ptr_nonnull(config);
    ck_assert_uint_eq(config->provider_count, 1);
    return config;
}

static const struct {
    const char *sample, *config, *sentence; /* @: the path of mcpd.json */
} refused_configs[] = {
    {"bad_create", "{\n \"paths\": [\"a\",\n  \"b\"]\n}",
     "bad_create.so: @:3:3: config.paths[1]: there is no directory of this name"},
    {"bad_create", "{}",
     "bad_create.so: @:1:56: config.paths[1]: there is no directory of this name"},
    {"configured", "{\"url\": \"nope\"}",
     "configured.so: @:1:64: config.url: this is not a URL that answers"},
    {"configured", "{\"size\": 11}", "configured.so: @:1:65: config.size: ..."},
    {"configured", "{\"sice\": 1}", "configured.so: @:1:..."},
    {"configured", "{\"list\": [\"a\", 1]}", "configured.so: @:1:71: config.list[1]: ..."},
};

static void expand(const char *sentence, char *out, size_t size)
{
    const char *at = strchr(sentence, '@');
    snprintf(out, size, "%.*s%s/mcpd.json%s", (int)(at - sentence), sentence, directory, at + 1);
}

START_TEST(refused_config)
{
    char text[400], expected[400];
    struct error err = {.text = ""};
    snprintf(text, sizeof(text), "{\"providers\": {\"p\": {\"plugin\": \"%s\", \"config\": %s}}}",
             refused_configs[_i].sample, refused_configs[_i].config);
    struct config *config = load_config(text);
    expand(refused_configs[_i].sentence, expected, sizeof(expected));
    struct image *image = open_sample(refused_configs[_i].sample);
    ck_assert(!image_try(image, "p", &config->providers[0], TRY_MS, &err));
    assert_sentence(err.text, expected);
    memset(&err, 0, sizeof(err));
    ck_assert_ptr_null(inproc_load(image, "p", config, &config->providers[0], NULL, &err));
    assert_sentence(err.text, expected);
    config_unref(config);
}
END_TEST

START_TEST(large_config_is_tried)
{
    struct buf text;
    struct error err;
    buf_init(&text, 8 << 20);
    buf_addf(&text,
             "{\"providers\": {\"p\": {\"plugin\": \"configured\", \"config\": {\"list\": [");
    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "%s\"a string of some length, number %d\"", i > 0 ? "," : "", i);
    buf_addf(&text, "]}}}}");
    struct config *config = load_config(text.data);
    struct image *image = open_sample("configured");
    ck_assert_msg(image_try(image, "p", &config->providers[0], TRY_MS, &err), "%s", err.text);
    image_free(image);
    config_unref(config);
    buf_free(&text);
}
END_TEST

START_TEST(reconfigured)
{
    struct error err;
    struct config *config = load_config("{\"providers\": {\"p\": {\"plugin\": \"configured\", "
                                        "\"config\": {\"url\": \"one\"}}}}");
    struct provider *provider =
        inproc_load(open_sample("configured"), "p", config, &config->providers[0], NULL, &err);
    ck_assert_msg(provider != NULL, "%s", err.text);
    ck_assert_uint_eq(provider->offers->lists[OFFER_TOOL].count, 3);

    struct config *other = load_config("{\"providers\": {\"p\": {\"plugin\": \"configured\", "
                                       "\"config\": {\"url\": \"two\"}}}}");
    ck_assert_int_eq(provider->ops->reconfigure(provider, &other->providers[0], &err), 1);
    config_unref(other);
    other = load_config("{\"providers\": {\"p\": {\"plugin\": \"configured\", "
                        "\"config\": {\"url\": \"nope\"}}}}");
    char expected[200];
    expand("configured.so: @:1:64: config.url: this is not a URL that answers", expected,
           sizeof(expected));
    ck_assert_int_eq(provider->ops->reconfigure(provider, &other->providers[0], &err), -1);
    ck_assert_str_eq(err.text, expected);
    config_unref(other);

    struct offers *tools = provider->ops->get_offers(provider, &err);
    ck_assert_ptr_nonnull(tools);
    ck_assert_mem_eq(tools->hash, provider->offers->hash, sizeof(tools->hash));
    offers_unref(tools);
    ck_assert(provider->ops->stop(provider));
    provider_unref(provider);
    config_unref(config);
}
END_TEST

/* ---- calls ---- */

/* Calls a tool and waits for the end. */
static enum call_end call_tool(struct registry *registry, const char *tool, const char *arguments,
                               char text[512])
{
    struct arena arena;
    struct json json;
    struct heard heard;
    arena_init(&arena, 1 << 20);
    ck_assert(json_parse(&json, bytes_of(arguments), &json_default_limits, &arena, NULL));
    heard_init(&heard);
    struct call *call = fake_tool_call(registry, tool, &heard, &json, NULL);
    ck_assert_ptr_nonnull(call);
    call_start(call);
    call_unref(call);
    ck_assert(heard_released(&heard));
    memcpy(text, heard.text, sizeof(heard.text));
    heard_free(&heard);
    arena_free(&arena);
    return heard.end;
}

static struct registry *serve(struct provider *const *providers, size_t count)
{
    struct error err;
    struct registry *registry = registry_new();
    ck_assert_ptr_nonnull(registry);
    ck_assert_msg(dispatch_start(4, 100, &err), "%s", err.text);
    ck_assert_msg(registry_publish(registry, providers, count, &err), "%s", err.text);
    return registry;
}

/* Whether each of them could be unloaded is for the caller to expect. */
static void stop_serving(struct registry *registry, struct provider *const *providers, size_t count,
                         const bool *gone)
{
    struct error err;
    ck_assert(registry_publish(registry, NULL, 0, &err));
    for (size_t i = 0; i < count; i++) {
        provider_retire(providers[i]);
        ck_assert(drained(providers[i], clock_now() + 30 * NS_PER_S));
        ck_assert_int_eq(providers[i]->ops->stop(providers[i]), gone[i]);
        provider_unref(providers[i]);
    }
    dispatch_stop(clock_now() + 10 * NS_PER_S);
    registry_free(registry);
}

START_TEST(good_calls)
{
    char text[512];
    struct provider *providers[] = {load_sample("echo"),      load_sample("slow"),
                                    load_sample("versioned"), load_sample("many"),
                                    load_sample("no_tools"),  load_sample("tidy")};
    struct registry *registry = serve(providers, 6);
    ck_assert_uint_eq(providers[3]->offers->lists[OFFER_TOOL].count, 100);
    ck_assert_uint_eq(providers[4]->offers->lists[OFFER_TOOL].count, 0);
    ck_assert_int_eq(call_tool(registry, "echo", "{\"text\": \"a\\u00e9\"}", text), CALL_TEXT);
    ck_assert_str_eq(text, "a\xc3\xa9");
    ck_assert_int_eq(call_tool(registry, "echo", "{}", text), CALL_FAILURE);
    ck_assert_int_eq(call_tool(registry, "sleep", "{\"ms\": 5}", text), CALL_TEXT);
    ck_assert_str_eq(text, "slept 5 ms");
    ck_assert_int_eq(call_tool(registry, "async", "{\"ms\": 5}", text), CALL_TEXT);
    ck_assert_str_eq(text, "slept apart 5 ms");
    ck_assert_int_eq(call_tool(registry, "version", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "1");
    ck_assert_int_eq(call_tool(registry, "tool_042", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "tool_042");
    ck_assert_int_eq(call_tool(registry, "whoami", "{\"a\": 1}", text), CALL_STRUCTURED);
    ck_assert_int_eq(call_tool(registry, "children", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "71 72");
    const bool gone[] = {true, true, true, true, true, true};
    stop_serving(registry, providers, 6, gone);
}
END_TEST

START_TEST(broken_calls)
{
    char text[512];
    unsigned before = inproc_leftover_count();
    struct provider *providers[] = {load_sample("bad_exit_call"), load_sample("bad_refuse"),
                                    load_sample("bad_end_twice"), load_sample("bad_result"),
                                    load_sample("echo")};
    struct registry *registry = serve(providers, 5);
    ck_assert_int_eq(call_tool(registry, "bad_exit_call", "{}", text), CALL_BROKEN);
    ck_assert_str_eq(text,
                     "bad_exit_call/bad_exit_call: the provider has failed and is not available");
    ck_assert(atomic_load(&providers[0]->broken));
    ck_assert_int_eq(call_tool(registry, "bad_exit_call", "{}", text), CALL_BROKEN);
    ck_assert_int_eq(call_tool(registry, "bad_refuse", "{}", text), CALL_BROKEN);
    ck_assert_str_eq(text, "bad_refuse/bad_refuse: it did not take the call (MCP_ENOTSUP)");
    ck_assert_int_eq(call_tool(registry, "bad_end_twice", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "First.");
    ck_assert_int_eq(call_tool(registry, "bad_result", "{}", text), CALL_BROKEN);
    ck_assert_int_eq(call_tool(registry, "echo", "{\"text\": \"x\"}", text), CALL_TEXT);
    const bool gone[] = {false, true, true, true, true};
    stop_serving(registry, providers, 5, gone);
    ck_assert_uint_eq(inproc_leftover_count(), before + 1);
}
END_TEST

#ifndef MCPD_SANITIZE

START_TEST(exit_in_a_thread)
{
    char text[512];
    struct provider *provider = load_sample("bad_exit_thread");
    struct registry *registry = serve(&provider, 1);
    ck_assert_int_eq(call_tool(registry, "bad_exit_thread", "{}", text), CALL_TEXT);
    ck_assert_int_eq(call_tool(registry, "bad_exit_thread", "{}", text), CALL_BROKEN);
    const bool gone = false;
    stop_serving(registry, &provider, 1, &gone);
}
END_TEST

/* A finish function that lets a waiting call in may have to start a worker for it: on
 * the plugin's thread, but not for the plugin. */
START_TEST(a_worker_that_a_plugins_thread_starts_is_not_the_plugins)
{
    struct provider *provider = load_sample("slow");
    struct registry *registry = serve(&provider, 1);
    struct dispatch_stats stats;
    struct heard heard[3];
    struct arena arena;
    struct json ms[2];
    arena_init(&arena, 1 << 20);
    ck_assert(json_parse(&ms[0], BYTES("{\"ms\":200}"), &json_default_limits, &arena, NULL));
    ck_assert(json_parse(&ms[1], BYTES("{\"ms\":600}"), &json_default_limits, &arena, NULL));
    for (int i = 0; i < 3; i++)
        heard_init(&heard[i]);
    struct call *calls[] = {fake_tool_call(registry, "async_alone", &heard[0], &ms[0], NULL),
                            fake_tool_call(registry, "async_alone", &heard[1], &ms[0], NULL),
                            fake_tool_call(registry, "sleep", &heard[2], &ms[1], NULL)};
    call_start(calls[0]);
    do { /* until its call_tool has returned */
        sleep_ms(5);
        dispatch_stats(&stats);
    } while (stats.started == 0 || stats.busy > 0);
    call_start(calls[1]); /* waits until the first ends */
    call_start(calls[2]); /* has the one worker that there is */
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.workers, 1);
    for (int i = 0; i < 3; i++) {
        call_unref(calls[i]);
        ck_assert(heard_released(&heard[i]));
        heard_free(&heard[i]);
    }
    dispatch_stats(&stats);
    ck_assert_uint_eq(stats.workers, 2);
    const bool gone = true;
    stop_serving(registry, &provider, 1, &gone);
    arena_free(&arena);
}
END_TEST

/* ---- unloading ---- */

static const char *const unmappable[] = {"echo", "slow", "tidy", "configured"};

START_TEST(unmapped)
{
    const char *sample = unmappable[_i];
    struct provider *provider = load_sample(sample);
    char name[64];
    snprintf(name, sizeof(name), "/%s.%ju.", sample, (uintmax_t)generation);
    ck_assert_uint_gt(mappings(name), 0);
    ck_assert(provider->ops->stop(provider));
    ck_assert_uint_eq(mappings(name), 0);
    provider_unref(provider);
    ck_assert_int_eq(files_count(private_directory), 0);
}
END_TEST

static const char *const leaving[] = {"bad_thread", "bad_key", "bad_signal", "bad_unique"};

START_TEST(left_behind)
{
    struct error err;
    unsigned before = inproc_leftover_count();
    struct image *image = open_sample(leaving[_i]);
    char name[64];
    snprintf(name, sizeof(name), "/%s.%ju.", leaving[_i], (uintmax_t)generation);
    ck_assert_msg(image_try(image, "leaving", NULL, TRY_MS, &err), "%s", err.text);
    struct provider *provider = inproc_load(image, "leaving", NULL, NULL, NULL, &err);
    ck_assert_msg(provider != NULL, "%s", err.text);
    ck_assert(!provider->ops->stop(provider));
    provider_unref(provider);
    ck_assert_uint_eq(inproc_leftover_count(), before + 1);
    ck_assert_uint_gt(mappings(name), 0);
}
END_TEST

static void round_of(const char *sample)
{
    struct provider *provider = load_sample(sample);
    ck_assert(provider->ops->stop(provider));
    provider_unref(provider);
}

START_TEST(many_rounds)
{
    for (int i = 0; i < 2 * COUNT(unmappable); i++)
        round_of(unmappable[i % COUNT(unmappable)]);
    /* Those of files: malloc may split or join its own. */
    int descriptors_before = files_open();
    size_t mappings_before = mappings("/");
    for (int i = 0; i < 200; i++)
        round_of(unmappable[i % COUNT(unmappable)]);
    ck_assert_int_eq(files_open(), descriptors_before);
    ck_assert_uint_eq(mappings("/"), mappings_before);
    ck_assert_int_eq(files_count(private_directory), 0);
}
END_TEST

#endif

START_TEST(many_trials)
{
    struct error err;
    struct image *image = open_sample("echo");
    int before = files_open();
    for (int i = 0; i < 10; i++)
        ck_assert_msg(image_try(image, "tried", NULL, TRY_MS, &err), "%s", err.text);
    ck_assert_int_eq(files_open(), before);
    image_free(image);
}
END_TEST

/* Two generations and two instances of one plugin, each with its own code. */
START_TEST(side_by_side)
{
    char text[512];
    struct error err;
    put_as("versioned-1", "versioned.so");
    struct image *one = open_file("versioned.so", &err);
    put_as("versioned-2", "versioned.so");
    struct image *two = open_file("versioned.so", &err);
    ck_assert(one != NULL && two != NULL);
    struct provider *providers[] = {inproc_load(one, "one", NULL, NULL, NULL, &err),
                                    inproc_load(two, "two", NULL, NULL, NULL, &err)};
    ck_assert(providers[0] != NULL && providers[1] != NULL);
    ck_assert_str_eq(providers[0]->version, "1.0.1");
    ck_assert_str_eq(providers[1]->version, "1.0.2");
    struct registry *registry = serve(&providers[0], 1);
    ck_assert_int_eq(call_tool(registry, "version", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "1");
    ck_assert(registry_publish(registry, &providers[1], 1, &err));
    ck_assert_int_eq(call_tool(registry, "version", "{}", text), CALL_TEXT);
    ck_assert_str_eq(text, "2");
    const bool gone[] = {true, true};
    stop_serving(registry, providers, 2, gone);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("load");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, file_of_another_kind);
    tcase_add_test(files, file_that_is_no_file);
    tcase_add_test(files, file_that_others_may_write);
    tcase_add_test(files, file_too_large);
    tcase_add_test(files, manifest_of_damaged_files);
    tcase_add_test(files, private_copy);
    suite_add_tcase(s, files);

    TCase *plugins = tcase_create("plugins");
    tcase_add_checked_fixture(plugins, setup, teardown);
    tcase_set_timeout(plugins, 60);
    tcase_add_loop_test(plugins, broken_sample, 0, COUNT(broken));
    tcase_add_loop_test(plugins, hanging_sample, 0, COUNT(hanging));
    tcase_add_loop_test(plugins, tool_left_out, 0, COUNT(left_out));
    tcase_add_loop_test(plugins, refused_config, 0, COUNT(refused_configs));
    tcase_add_test(plugins, large_config_is_tried);
    tcase_add_test(plugins, reconfigured);
    tcase_add_test(plugins, good_calls);
    tcase_add_test(plugins, broken_calls);
    tcase_add_test(plugins, side_by_side);
    tcase_add_test(plugins, many_trials);
#ifndef MCPD_SANITIZE
    tcase_add_test(plugins, exit_in_a_thread);
    tcase_add_test(plugins, a_worker_that_a_plugins_thread_starts_is_not_the_plugins);
    tcase_add_loop_test(plugins, unmapped, 0, COUNT(unmappable));
    tcase_add_loop_test(plugins, left_behind, 0, COUNT(leaving));
    tcase_add_test(plugins, many_rounds);
#endif
    suite_add_tcase(s, plugins);
    return s;
}

int main(int argc, char **argv)
{
    image_try_child(argc, argv);
    if (!crypto_init())
        return 1;
    log_setup(LOG_ERROR, LOG_TEXT);
    return suite_run(suite());
}
