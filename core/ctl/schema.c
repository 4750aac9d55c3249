/* SPDX-License-Identifier: MIT */
/* mcpctl schema validate: values against a JSON Schema. */
#include "json/schema.h"

#include <stdio.h>

#include "ctl/ctl.h"

/* A JSON text and the memory that it lives in. */
struct document {
    const char *file;
    struct buf text;
    struct arena arena;
    struct json json;
};

static bool document_open(struct document *doc, const char *file)
{
    struct json_error why;

    doc->file = file;
    arena_init(&doc->arena, SIZE_MAX);
    if (!ctl_read_file(file, &doc->text, json_default_limits.max_size))
        return false;
    if (json_parse(&doc->json, buf_bytes(&doc->text), &json_default_limits, &doc->arena, &why))
        return true;
    ctl_complain("%s:%u:%u: %s", ctl_shown(file), why.line, why.column, why.text);
    return false;
}

static void document_close(struct document *doc)
{
    arena_free(&doc->arena);
    buf_free(&doc->text);
}

/* FILE:LINE:COLUMN of a value. */
static void print_place(FILE *out, const struct document *doc, const struct json_node *value)
{
    unsigned line, column;
    json_place(&doc->json, value->start, &line, &column);
    fprintf(out, "%s:%u:%u: ", ctl_shown(doc->file), line, column);
}

/* ---- the schema ---- */

/* Where a sentence of schema_compile points to: it begins with a JSON Pointer in
 * quotes, unless it speaks of the whole or of another document. */
static const struct json_node *place_of(const struct document *doc, const struct error *err)
{
    char pointer[sizeof(err->text)];
    const char *end = err->text[0] == '"' ? strstr(err->text, "\": ") : NULL;
    const struct json_node *found = NULL;

    if (end != NULL) {
        size_t size = (size_t)(end - err->text - 1);
        memcpy(pointer, err->text + 1, size);
        pointer[size] = '\0';
        found = json_at(&doc->json, doc->json.root, pointer);
    }
    return found != NULL ? found : doc->json.root;
}

static struct schema *compile(const struct document *doc, bool assert_format)
{
    const struct schema_options options = {.assert_format = assert_format};
    struct error err = {.text = ""};
    struct schema *schema = schema_compile(&doc->json, doc->json.root, &options, &err);

    if (schema == NULL) {
        print_place(stderr, doc, place_of(doc, &err));
        ctl_complain("not a usable schema: %s", err.text);
    }
    return schema;
}

/* ---- the instances ---- */

/* Both pointers in quotes, as JSON strings: that of the whole is empty. */
static bool print_failure(void *context, const struct schema_failure *failure)
{
    const struct document *doc = context;
    struct buf line;

    buf_init(&line, SIZE_MAX);
    BUF_LIT(&line, "instance ");
    json_write_string(&line, bytes_of(failure->instance));
    BUF_LIT(&line, ", schema ");
    json_write_string(&line, bytes_of(failure->keyword));
    buf_addf(&line, ": %s", failure->text);
    print_place(stdout, doc, failure->value);
    puts(line.failed ? "out of memory" : line.data);
    buf_free(&line);
    return true;
}

static enum ctl_status validate(const struct schema *schema, const char *file)
{
    struct document doc;
    enum ctl_status status = CTL_UNUSABLE;

    if (document_open(&doc, file)) {
        status = CTL_NO;
        if (schema_validate(schema, &doc.json, doc.json.root, print_failure, &doc)) {
            printf("%s: valid\n", ctl_shown(file));
            status = CTL_YES;
        }
    }
    document_close(&doc);
    return status;
}

static enum ctl_status validate_all(int count, char **files, bool assert_format)
{
    struct document doc;
    struct schema *schema = NULL;
    enum ctl_status status = CTL_UNUSABLE;

    if (document_open(&doc, files[0]))
        schema = compile(&doc, assert_format);
    if (schema != NULL)
        status = CTL_YES;
    for (int i = 1; i < count && schema != NULL; i++) {
        enum ctl_status one = validate(schema, files[i]);
        if (one > status)
            status = one;
    }
    schema_free(schema);
    document_close(&doc);
    return status;
}

static enum ctl_status schema_command(const struct ctl_command *command, int argc, char **argv)
{
    bool assert_format = false;
    const struct ctl_option options[] = {{.name = "--format-assertion", .flag = &assert_format},
                                         {.name = NULL}};
    int from_input = 0;

    if (!ctl_read_options(command, &argc, argv, options))
        return CTL_UNUSABLE;
    if (argc < 2)
        return ctl_misuse(command, "expected a schema and at least one instance");
    for (int i = 0; i < argc; i++)
        from_input += strcmp(argv[i], "-") == 0;
    if (from_input > 1)
        return ctl_misuse(command, "standard input (-) can be read only once");
    return validate_all(argc, argv, assert_format);
}

const struct ctl_command ctl_schema_validate = {
    .name = "schema validate",
    .arguments = "[--format-assertion] SCHEMA INSTANCE...",
    .summary = "check JSON files against a JSON Schema",
    .help = "Checks each INSTANCE, a JSON file, against SCHEMA, a JSON Schema of 2020-12 (or\n"
            "draft-07, if its \"$schema\" says so). One file may be -, standard input. Prints\n"
            "\"FILE: valid\", or for each reason why not\n"
            "\n"
            "  FILE:LINE:COLUMN: instance \"POINTER\", schema \"POINTER\": what is wrong\n"
            "\n"
            "      --format-assertion   \"format\" must hold, too, instead of only describing\n"
            "\n"
            "References to other documents are never fetched.\n"
            "Exit status: 0 all valid, 1 one is not, 2 a file or the schema is unusable.\n",
    .run = schema_command,
};
