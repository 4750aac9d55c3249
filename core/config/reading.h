/* SPDX-License-Identifier: MIT */
/*
 * The inside of core/config: how files become a struct config. Nobody else
 * includes this, but tests.
 *
 *   schema_text.c  the published schema, in the program
 *   complaint.c    the lines that tell a person what is wrong, and where
 *   settings.c     the table of plain keys: place, default, when it takes effect
 *   reading.c      a text, checked against the schema, into the struct
 *   config_files.c the files, and who may write them
 *   seal_keys.c    the lines of the key file
 *   rules.c        what a schema cannot say
 *   config.c       the life of a struct config, and what the command line overrides
 */
#ifndef CONFIG_READING_H
#define CONFIG_READING_H

#include <stdatomic.h>

#include "config/config.h"
#include "json/schema.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20)
#define COMPLAINTS_MAX 100

/* One file as it was read; in the arena of the config. */
struct document {
    const char *file; /* as complaints call it */
    struct json json;
};

struct config_private {
    atomic_uint references;
    struct arena arena; /* everything the config points to */
    size_t provider_room;
};

/* config_load while it runs. */
struct reading {
    struct config *config;
    struct arena *arena; /* the config's */
    struct arena scratch;
    struct json schema_json;
    struct schema *schema; /* of mcpd.json */
    struct schema *provider_schema; /* of a file in providers.d */
    const char *before; /* what complaint() begins with; NULL: nothing */
    config_complain *complain;
    void *context;
    size_t complaints;
};

/* ---- schema_text.c ---- */

/* etc/mcpd.schema.json as it was when mcpd was built. */
struct bytes config_schema(void);

/* ---- complaint.c ---- */

void complaint(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "FILE:LINE:COLUMN: PATH: ...", PATH being a JSON Pointer from the root of the
 * document, written as in JavaScript. `value` is where the line and column come
 * from. */
void complaint_at(struct reading *r, const struct document *doc, const struct json_node *value,
                  const char *pointer, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Turns what schema_validate reports into a complaint. `root` is the root of
 * the schema in r->schema_json. */
void complaint_failure(struct reading *r, const struct document *doc, const struct json_node *root,
                       const struct schema_failure *failure);

/* Writes "FILE:LINE:COLUMN". */
void complaint_place(struct buf *out, const char *file, const struct json *json, size_t offset);

/* The same of the value at a JSON Pointer, in the arena. NULL: none is there, or out of
 * memory. */
const char *complaint_place_of(struct reading *r, const struct document *doc, const char *pointer);

/* ---- settings.c ---- */

enum setting_kind { SETTING_NUMBER, SETTING_BOOL, SETTING_STRING, SETTING_STRINGS };
enum setting_when { ON_RELOAD, ON_RESTART };

/* A key whose value goes into the struct as it is. */
struct setting {
    const char *pointer; /* "/http/threads" */
    enum setting_kind kind;
    enum setting_when when; /* it takes effect */
    size_t offset; /* in struct config */
    size_t count_offset; /* SETTING_STRINGS: of the size_t beside it */
    uint32_t number; /* default; of SETTING_BOOL too */
    const char *string; /* default; NULL: none */
};

extern const struct setting config_settings[];
extern const size_t config_setting_count;

uint32_t setting_number(const struct config *config, const struct setting *setting);
bool setting_bool(const struct config *config, const struct setting *setting);
const char *setting_string(const struct config *config, const struct setting *setting);
size_t setting_strings(const struct config *config, const struct setting *setting,
                       const char ***strings);

void settings_default(struct config *config);
/* Values of the wrong type are passed over: the schema has complained. False:
 * out of memory. */
bool settings_read(struct config *config, struct arena *arena, const struct json *json);
/* Same value in both? */
bool setting_equal(const struct setting *setting, const struct config *a, const struct config *b);

/* ---- reading.c ---- */

/* Compiles the schemas and makes r->config. False: complained; call
 * reading_finish all the same. */
bool reading_start(struct reading *r, config_complain *complain, void *context);
/* The config when nothing was wrong. Frees the rest. */
struct config *reading_finish(struct reading *r);

/* mcpd.json, and one file of providers.d. `file` and `text` are in r->arena. */
void config_read_main(struct reading *r, const char *file, struct bytes text);
void config_read_provider(struct reading *r, const char *file, const char *name, struct bytes text);

/* 1 to 64 of A-Z a-z 0-9 _ - . */
bool config_name_legal(struct bytes name);

/* ---- config_files.c ---- */

/* The file of keys that request_state.key_file names. */
void config_read_keys(struct reading *r, const struct document *doc);

/* Reads mcpd.json and providers.d beside it. */
void config_read_files(struct reading *r, const char *path);

/* ---- rules.c ---- */

/* Those of mcpd.json alone, and those over all providers. */
void config_check_main(struct reading *r, const struct document *doc);
void config_check_providers(struct reading *r);

/* The binary form of a numeric address, IPv4 as IPv4-mapped IPv6; false when it
 * is none. */
bool config_address_parse(const char *text, unsigned char address[16]);
bool config_address_is_loopback(const unsigned char address[16]);

/* Why an address that is not loopback is refused, and the ways out. */
#define REMOTE_REFUSED                                                                             \
    "other machines can reach this address, and mcpd does not ask callers who they are: "          \
    "everybody who reaches the port could call every tool, and so could web pages whose names "    \
    "were made to point here (DNS rebinding); listen on 127.0.0.1 or ::1 behind a proxy, "         \
    "or say \"allow_remote\": true (and name the hosts in http.allowed_hosts)"

/* ---- config.c ---- */

struct config *config_new(void);
/* A NUL-terminated copy in the arena; NULL: out of memory. */
const char *config_copy_string(struct arena *arena, struct bytes text);

#endif
