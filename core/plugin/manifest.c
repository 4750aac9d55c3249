/* SPDX-License-Identifier: MIT */
/*
 * Reads a plugin file without running it. The tables that the dynamic linker
 * will follow are checked here, so that a bad file gets a sentence instead of
 * a fault inside dlopen.
 */
#include "plugin/manifest.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>

#include "json/json.h"

#define NOTE_OWNER "MCP" /* with its NUL */
#define NOTE_TYPE 1
#define MANIFEST_MAX 65536 /* bytes of JSON */
#define SEGMENTS_MAX 128

#define REBUILD "build it with plugin.mk, or with its flags"

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OUR_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OUR_MACHINE EM_PPC64
#elif defined(__s390x__)
#define OUR_MACHINE EM_S390
#elif defined(__i386__)
#define OUR_MACHINE EM_386
#elif defined(__arm__)
#define OUR_MACHINE EM_ARM
#else
#error "name this machine's ELF number here"
#endif

#if __ELF_NATIVE_CLASS == 64
#define OUR_CLASS ELFCLASS64
#else
#define OUR_CLASS ELFCLASS32
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_ORDER ELFDATA2LSB
#else
#define OUR_ORDER ELFDATA2MSB
#endif

/* ---- reading foreign bytes ---- */

static bool within(struct bytes file, uint64_t offset, uint64_t size)
{
    return offset <= file.size && size <= file.size - offset;
}

/* Copies, for nothing in a foreign file need be aligned. */
static bool read_at(struct bytes file, uint64_t offset, void *out, size_t size)
{
    if (!within(file, offset, size))
        return false;
    memcpy(out, file.data + offset, size);
    return true;
}

static bool read_segment(struct bytes file, const ElfW(Ehdr) * header, size_t i,
                         ElfW(Phdr) * segment)
{
    /* The table lies in the file: check_tables has seen to it. */
    return read_at(file, header->e_phoff + (uint64_t)i * sizeof(*segment), segment,
                   sizeof(*segment));
}

/* ---- the headers ---- */

static bool check_identity(struct bytes file, ElfW(Ehdr) * header, struct error *err)
{
    if (file.size < EI_NIDENT || memcmp(file.data, ELFMAG, SELFMAG) != 0)
        return error_set(err, "is not an ELF shared object");
    if (file.data[EI_CLASS] != OUR_CLASS)
        return error_set(err,
                         "is an ELF file of %s bits, this mcpd has %zu: build it for this "
                         "machine",
                         file.data[EI_CLASS] == ELFCLASS64 ? "64" : "32", sizeof(void *) * 8);
    if (file.data[EI_DATA] != OUR_ORDER)
        return error_set(err, "is an ELF file of the other byte order: build it for this machine");
    if (!read_at(file, 0, header, sizeof(*header)))
        return error_set(err, "is cut off inside its ELF header: copy it again");
    if (header->e_machine != OUR_MACHINE)
        return error_set(err,
                         "is built for another processor (ELF machine %u, this one is %u): "
                         "build it for this machine",
                         (unsigned)header->e_machine, (unsigned)OUR_MACHINE);
    if (header->e_type != ET_DYN)
        return error_set(err, "is an ELF file, but no shared object: link it with -shared");
    return true;
}

static bool check_tables(struct bytes file, const ElfW(Ehdr) * header, struct error *err)
{
    if (header->e_phnum == 0 || header->e_phnum > SEGMENTS_MAX ||
        header->e_phentsize != sizeof(ElfW(Phdr)))
        return error_set(err, "has a damaged ELF header (%u segments of %u bytes): copy it again",
                         (unsigned)header->e_phnum, (unsigned)header->e_phentsize);
    if (!within(file, header->e_phoff, (uint64_t)header->e_phnum * sizeof(ElfW(Phdr))) ||
        (header->e_shoff != 0 &&
         !within(file, header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize)))
        return error_set(err, "is shorter than its ELF header says: copy it again");
    return true;
}

/* Whether what will be mapped is there. */
static bool check_extent(struct bytes file, const ElfW(Phdr) * segment, struct error *err)
{
    if (segment->p_type != PT_LOAD)
        return true;
    if (!within(file, segment->p_offset, segment->p_filesz))
        return error_set(err, "is shorter than its ELF header says: copy it again");
    if (segment->p_filesz > segment->p_memsz)
        return error_set(err, "has a damaged ELF segment: copy it again");
    return true;
}

static bool check_rights(const ElfW(Phdr) * segment, struct error *err)
{
    if (segment->p_type == PT_LOAD && (segment->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
        return error_set(err, "has a segment that is writable and executable: " REBUILD);
    if (segment->p_type == PT_GNU_STACK && (segment->p_flags & PF_X) != 0)
        return error_set(err, "demands an executable stack: link it with -z noexecstack");
    return true;
}

/* ---- the dynamic section ---- */

static bool check_dynamic_entry(const ElfW(Dyn) * entry, struct error *err)
{
    ElfW(Xword) value = entry->d_un.d_val;
    if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (value & DF_TEXTREL) != 0))
        return error_set(err, "has text relocations: compile it with -fPIC");
    if (entry->d_tag == DT_FLAGS && (value & DF_STATIC_TLS) != 0)
        return error_set(err, "uses static thread-local storage, which a few reloads exhaust: "
                              "compile it without -ftls-model=initial-exec");
    if (entry->d_tag == DT_FLAGS_1 && (value & DF_1_NODELETE) != 0)
        return error_set(err, "forbids to be unloaded (DF_1_NODELETE): link it without "
                              "-z nodelete");
    if (entry->d_tag == DT_FLAGS_1 && (value & DF_1_PIE) != 0)
        return error_set(err, "is a program, not a shared object: link it with -shared");
    return true;
}

static bool check_dynamic(struct bytes file, const ElfW(Phdr) * segment, struct error *err)
{
    ElfW(Dyn) entry;
    for (uint64_t i = 0; (i + 1) * sizeof(entry) <= segment->p_filesz; i++) {
        if (!read_at(file, segment->p_offset + i * sizeof(entry), &entry, sizeof(entry)))
            break;
        if (entry.d_tag == DT_NULL)
            return true;
        if (!check_dynamic_entry(&entry, err))
            return false;
    }
    return error_set(err, "has a dynamic section that does not end: copy or build it again");
}

/* ---- the note ---- */

static uint64_t align_up(uint64_t size, uint64_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

/* Looks for our note in one PT_NOTE segment. False: malformed, or a second one. */
static bool find_note(struct bytes file, const ElfW(Phdr) * segment, struct bytes *note,
                      struct error *err)
{
    if (!within(file, segment->p_offset, segment->p_filesz))
        return error_set(err, "is shorter than its ELF header says: copy it again");
    struct bytes notes = {file.data + segment->p_offset, (size_t)segment->p_filesz};
    uint64_t alignment = segment->p_align == 8 ? 8 : 4, at = 0;
    while (at < notes.size) {
        ElfW(Nhdr) header;
        if (!read_at(notes, at, &header, sizeof(header)))
            return error_set(err, "has a malformed ELF note: " REBUILD);
        uint64_t owner = at + sizeof(header);
        uint64_t text = align_up(owner + header.n_namesz, alignment);
        if (!within(notes, owner, header.n_namesz) || !within(notes, text, header.n_descsz))
            return error_set(err, "has a malformed ELF note (it is longer than its segment): use "
                                  "MCP_PLUGIN_MANIFEST");
        if (header.n_type == NOTE_TYPE && header.n_namesz == sizeof(NOTE_OWNER) &&
            memcmp(notes.data + owner, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0) {
            if (note->data != NULL)
                return error_set(err, "has two manifests: use MCP_PLUGIN_MANIFEST in one source "
                                      "file only");
            *note = (struct bytes){notes.data + text, header.n_descsz};
        }
        at = align_up(text + header.n_descsz, alignment);
    }
    return true;
}

/* ---- the manifest's JSON ---- */

bool plugin_id_legal(struct bytes id)
{
    if (id.size == 0 || id.size > 64)
        return false;
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return text.size > 0;
}

static bool read_abi(struct bytes text, unsigned *major, unsigned *minor)
{
    unsigned *part = major;
    size_t digits = 0;
    *major = *minor = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.' && part == major && digits > 0) {
            part = minor;
            digits = 0;
        } else if (c >= '0' && c <= '9' && digits < 5) {
            *part = *part * 10 + (unsigned)(c - '0');
            digits++;
        } else {
            return false;
        }
    }
    return part == minor && digits > 0;
}

static bool copy_text(char *out, size_t size, struct bytes text)
{
    if (text.data == NULL || text.size >= size)
        return false;
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

/* What has another form than an object is none of ours: manifests are older than this. */
static bool read_needs(struct manifest *manifest, const struct json *json, struct error *err)
{
    const struct json_node *needs = json_get(json, json->root, "needs");
    struct buf text;

    manifest->needs[0] = '\0';
    if (needs == NULL || needs->type != JSON_OBJECT)
        return true;
    buf_init(&text, sizeof(manifest->needs) - 1);
    json_write_compact(&text, json, needs);
    bool fits = copy_text(manifest->needs, sizeof(manifest->needs), buf_bytes(&text));
    buf_free(&text);
    return fits || error_set(err, "has a manifest whose \"needs\" are longer than %d bytes",
                             MANIFEST_NEEDS_MAX - 1);
}

static bool read_members(struct manifest *manifest, const struct json *json, struct arena *arena,
                         struct error *err)
{
    struct bytes id = json_string(json, json_get(json, json->root, "id"), arena);
    if (!plugin_id_legal(id) || !copy_text(manifest->id, sizeof(manifest->id), id))
        return error_set(err, "has a manifest without a legal \"id\": 1 to 64 of a-z 0-9 - _");
    struct bytes version = json_string(json, json_get(json, json->root, "version"), arena);
    if (!is_printable(version) || !copy_text(manifest->version, sizeof(manifest->version), version))
        return error_set(err, "has a manifest without a legal \"version\": 1 to 64 printable ASCII "
                              "characters without spaces, such as \"1.0.0\"");
    struct bytes abi = json_string(json, json_get(json, json->root, "abi"), arena);
    if (!read_abi(abi, &manifest->abi_major, &manifest->abi_minor))
        return error_set(err, "has a manifest without a legal \"abi\": \"MAJOR.MINOR\" such as "
                              "\"1.0\"");

    const struct json_node *requires = json_get(json, json->root, "requires");
    manifest->required[0] = '\0';
    if (requires != NULL && requires->type != JSON_ARRAY)
        return error_set(err, "has a manifest whose \"requires\" is not an array");
    if (requires != NULL && requires->count > 0 &&
        (!copy_text(manifest->required, sizeof(manifest->required),
                    json_string(json, json_first(requires), arena)) ||
         !is_printable(bytes_of(manifest->required))))
        return error_set(err, "has a manifest whose \"requires\" does not hold extension ids");
    return read_needs(manifest, json, err);
}

static bool read_note(struct manifest *manifest, struct bytes note, struct error *err)
{
    static const struct json_limits limits = {
        .max_size = MANIFEST_MAX, .max_depth = 16, .max_nodes = 4096};
    while (note.size > 0 && note.data[note.size - 1] == '\0')
        note.size--; /* of the C string, and up to four bytes */

    struct arena arena;
    struct json json;
    struct json_error refusal;
    arena_init(&arena, 1 << 20);
    bool ok;
    if (!json_parse(&json, note, &limits, &arena, &refusal))
        ok = error_set(err, "has a manifest that is not legal JSON (line %u, column %u): %s",
                       refusal.line, refusal.column, refusal.text);
    else if (json.root->type != JSON_OBJECT)
        ok = error_set(err, "has a manifest that is not a JSON object");
    else
        ok = read_members(manifest, &json, &arena, err);
    arena_free(&arena);
    return ok;
}

/* ---- the whole ---- */

/* Before anything is said of how it was built: a file without a manifest may be no
 * plugin at all. */
static bool find_manifest(struct bytes file, const ElfW(Ehdr) * header, struct bytes *note,
                          struct error *err)
{
    for (size_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_segment(file, header, i, &segment))
            return error_set(err, "is shorter than its ELF header says: copy it again");
        if (!check_extent(file, &segment, err) ||
            (segment.p_type == PT_NOTE && !find_note(file, &segment, note, err)))
            return false;
    }
    if (note->data == NULL)
        return error_set(err, "has no manifest (ELF note .note.mcp): it is no plugin of mcpd, or "
                              "its source lacks MCP_PLUGIN_MANIFEST");
    return true;
}

/* Whether it can be loaded, and unloaded again. */
static bool check_segments(struct bytes file, const ElfW(Ehdr) * header, struct error *err)
{
    bool stack = false, dynamic = false;
    for (size_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_segment(file, header, i, &segment) || !check_rights(&segment, err) ||
            (segment.p_type == PT_DYNAMIC && !check_dynamic(file, &segment, err)))
            return false;
        stack = stack || segment.p_type == PT_GNU_STACK;
        dynamic = dynamic || segment.p_type == PT_DYNAMIC;
    }
    if (!dynamic)
        return error_set(err, "has no dynamic section: link it with -shared");
    if (!stack)
        return error_set(err, "does not forbid an executable stack: link it with -z noexecstack");
    return true;
}

bool manifest_read(struct manifest *manifest, struct bytes file, struct error *err)
{
    ElfW(Ehdr) header = {0};
    struct bytes note = {NULL, 0};
    return check_identity(file, &header, err) && check_tables(file, &header, err) &&
           find_manifest(file, &header, &note, err) && check_segments(file, &header, err) &&
           read_note(manifest, note, err);
}
