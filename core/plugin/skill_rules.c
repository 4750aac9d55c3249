/* SPDX-License-Identifier: MIT */
/* What makes a skill legal (SEP-2640): its URI, the front matter that says what it
 * is for, and the list of its files. */
#include "plugin/offers.h"

#include <inttypes.h>

#define SKILL_FILE "/SKILL.md"
#define NAME_MAX_SIZE 64
#define FILES_MAX 512
#define FILES_BYTES_MAX ((int64_t)16 << 20)
#define RESERVED "io.modelcontextprotocol/"

static bool begins(struct bytes text, struct bytes prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

static bool ends(struct bytes text, struct bytes suffix)
{
    return text.size >= suffix.size &&
           memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0;
}

/* ---- the URI and the name ---- */

/* The directory of the skill with the URI of its SKILL.md, without the last '/'. */
static struct bytes directory_of(struct bytes uri)
{
    return (struct bytes){uri.data, uri.size - (sizeof SKILL_FILE - 1)};
}

struct bytes skill_name(struct bytes uri)
{
    struct bytes directory = directory_of(uri);
    size_t start = directory.size;

    while (start > 0 && directory.data[start - 1] != '/')
        start--;
    return (struct bytes){directory.data + start, directory.size - start};
}

static bool name_is_legal(struct bytes name)
{
    if (name.size == 0 || name.size > NAME_MAX_SIZE || name.data[0] == '-' ||
        name.data[name.size - 1] == '-')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (c == '-' ? name.data[i - 1] == '-' : !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

/* RFC 3986, 3.2.2: a registered name; nobody logs in to a skill, at no port. */
static bool is_registered_name(struct bytes name)
{
    static const char others[] = "-._~!$&'()*+,;=%";

    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && memchr(others, c, sizeof others - 1) == NULL)
            return false;
    }
    return name.size > 0;
}

static bool check_uri(struct bytes uri, struct error *err)
{
    const char *colon = memchr(uri.data, ':', uri.size);
    size_t scheme = colon != NULL ? (size_t)(colon - uri.data) : 0;

    if (uri.size > URI_MAX)
        return error_set(err, "\"uri\" must have at most %d bytes (it has %zu)", URI_MAX, uri.size);
    for (size_t i = 0; i < uri.size; i++)
        if ((unsigned char)uri.data[i] <= 0x20 || uri.data[i] == 0x7f || uri.data[i] == '?' ||
            uri.data[i] == '#')
            return error_set(err, "\"uri\" must have no spaces, no query and no fragment");
    if (scheme == 0 || !begins((struct bytes){colon, uri.size - scheme}, BYTES("://")))
        return error_set(err, "\"uri\" must be skill://NAME/SKILL.md, NAME perhaps with "
                              "directories before it");
    if (!ends(uri, BYTES(SKILL_FILE)))
        return error_set(err, "\"uri\" must end in /SKILL.md");
    const char *authority = colon + 3;
    const char *slash = memchr(authority, '/', (size_t)(uri.data + uri.size - authority));
    if (!is_registered_name((struct bytes){authority, (size_t)(slash - authority)}))
        return error_set(err, "what stands behind \"://\" in \"uri\" must be a registered name "
                              "(RFC 3986, 3.2.2), without user and port");
    return true;
}

/* ---- the front matter ---- */

static bool check_metadata(const struct json *json, const struct json_node *metadata,
                           struct arena *arena, struct error *err)
{
    if (metadata == NULL || metadata->type != JSON_OBJECT)
        return true;
    const struct json_node *stop = metadata + metadata->span;
    for (const struct json_node *name = json_first(metadata); name != NULL;
         name = json_next(name + 1, stop)) {
        struct bytes key = json_string(json, name, arena);
        if (key.data != NULL && begins(key, BYTES(RESERVED)))
            return error_set(err,
                             "\"frontmatter.metadata\" must have no names that begin with " RESERVED
                             " (it has %.*s)",
                             BYTES_FMT(key));
    }
    return true;
}

static bool check_front_matter(const struct offer *offer, struct arena *arena, struct error *err)
{
    const struct json *json = &offer->json;
    const struct json_node *front = json_get(json, json->root, "frontmatter");
    struct bytes name = json_string(json, json_get(json, front, "name"), arena);
    struct bytes description = json_string(json, json_get(json, front, "description"), arena);

    if (front == NULL || front->type != JSON_OBJECT)
        return error_set(err, "\"frontmatter\" must be there, an object");
    if (name.data == NULL || !name_is_legal(name))
        return error_set(err,
                         "\"frontmatter.name\" must be 1 to %d of a-z 0-9 -, with no - at the "
                         "ends and no two in a row",
                         NAME_MAX_SIZE);
    if (description.size == 0)
        return error_set(err, "\"frontmatter.description\" must be there, a string that says what "
                              "the skill is for");
    if (!bytes_equal(name, skill_name(offer->name)))
        return error_set(err,
                         "\"frontmatter.name\" is %.*s, and the directory of SKILL.md in \"uri\" "
                         "is %.*s: they must be the same",
                         BYTES_FMT(name), BYTES_FMT(skill_name(offer->name)));
    return check_metadata(json, json_get(json, front, "metadata"), arena, err);
}

/* ---- the files ---- */

/* Below the directory, and so that no other name for it is needed. */
static bool is_inside(struct bytes uri, struct bytes directory)
{
    if (uri.size > URI_MAX || !begins(uri, directory) || uri.size < directory.size + 2 ||
        uri.data[directory.size] != '/')
        return false;
    for (size_t at = directory.size; at < uri.size;) {
        const char *segment = uri.data + at + 1;
        const char *slash = memchr(segment, '/', uri.size - at - 1);
        size_t size = slash != NULL ? (size_t)(slash - segment) : uri.size - at - 1;
        struct bytes name = {segment, size};
        if (size == 0 || bytes_equal(name, BYTES(".")) || bytes_equal(name, BYTES("..")))
            return false;
        at += 1 + size;
    }
    for (size_t i = directory.size; i < uri.size; i++)
        if ((unsigned char)uri.data[i] <= 0x20 || uri.data[i] == 0x7f || uri.data[i] == '?' ||
            uri.data[i] == '#')
            return false;
    return true;
}

static bool digest_is_legal(struct bytes digest)
{
    static const char digits[] = "0123456789abcdef";

    if (digest.size != 7 + 64 || !begins(digest, BYTES("sha256:")))
        return false;
    for (size_t i = 7; i < digest.size; i++)
        if (memchr(digits, digest.data[i], 16) == NULL)
            return false;
    return true;
}

/* One file; *size is its length. */
static bool check_file(const struct offer *offer, const struct json_node *file, struct bytes uri,
                       int64_t *size, struct arena *arena, struct error *err)
{
    const struct json *json = &offer->json;
    struct bytes digest = json_string(json, json_get(json, file, "digest"), arena);

    if (uri.data == NULL)
        return error_set(err, "each of \"resources\" must be an object with a string \"uri\"");
    if (!is_inside(uri, directory_of(offer->name)))
        return error_set(err, "the resource %.*s is not in the skill's directory %.*s",
                         (int)(uri.size > 300 ? 300 : uri.size), uri.data,
                         BYTES_FMT(directory_of(offer->name)));
    if (digest.data == NULL || !digest_is_legal(digest))
        return error_set(err,
                         "the \"digest\" of the resource %.*s must be \"sha256:\" and 64 "
                         "hexadecimal digits in lower case",
                         BYTES_FMT(uri));
    if (!json_int64(json, json_get(json, file, "size"), size) || *size < 0)
        return error_set(err, "the \"size\" of the resource %.*s must be its length in bytes",
                         BYTES_FMT(uri));
    return true;
}

static bool check_files(const struct offer *offer, const struct json_node *files,
                        struct arena *arena, struct error *err)
{
    struct bytes uris[FILES_MAX];
    size_t count = 0;
    int64_t total = 0, size = 0;
    bool has_itself = false;

    if (files->count > FILES_MAX)
        return error_set(err, "a skill may have %d resources, and this one has %" PRIu32, FILES_MAX,
                         files->count);
    const struct json_node *stop = files + files->span;
    for (const struct json_node *file = json_first(files); file != NULL;
         file = json_next(file, stop)) {
        struct bytes uri = json_string(&offer->json, json_get(&offer->json, file, "uri"), arena);
        if (!check_file(offer, file, uri, &size, arena, err))
            return false;
        for (size_t i = 0; i < count; i++)
            if (bytes_equal(uris[i], uri))
                return error_set(err, "the resource %.*s is there twice", BYTES_FMT(uri));
        uris[count++] = uri;
        has_itself = has_itself || bytes_equal(uri, offer->name);
        if (size > FILES_BYTES_MAX || (total += size) > FILES_BYTES_MAX)
            return error_set(err,
                             "its resources have more than %" PRId64 " bytes together, the "
                             "most that a skill may have",
                             FILES_BYTES_MAX);
    }
    return has_itself ||
           error_set(err, "\"resources\" must have %.*s itself, too", BYTES_FMT(offer->name));
}

bool skill_check(struct arena *arena, const struct offer *offer, struct error *err)
{
    const struct json *json = &offer->json;
    const struct json_node *files = json_get(json, json->root, "resources");
    bool ok = check_uri(offer->name, err) && check_front_matter(offer, arena, err);

    if (ok && files != NULL && files->type == JSON_ARRAY)
        ok = check_files(offer, files, arena, err);
    else if (ok && !json_is(json, files, "dynamic"))
        ok = error_set(err, "\"resources\" must be there, an array of all files or \"dynamic\"");
    if (!ok)
        error_prefix(err, "skill \"%.*s\"", (int)(offer->name.size < 200 ? offer->name.size : 200),
                     offer->name.data);
    return ok;
}
