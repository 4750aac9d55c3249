/* SPDX-License-Identifier: MIT */
/* Media types: by the first bytes of a file, which do not lie, else by its name. */
#include "filesystem.h"

#include <string.h>
#include <strings.h>

struct magic {
    const char *bytes;
    size_t size;
    size_t at;
    const char *type;
};

static const struct magic magics[] = {
    {"\x89PNG\r\n\x1a\n", 8, 0, "image/png"},
    {"\xff\xd8\xff", 3, 0, "image/jpeg"},
    {"GIF87a", 6, 0, "image/gif"},
    {"GIF89a", 6, 0, "image/gif"},
    {"WEBP", 4, 8, "image/webp"},
    {"ftypavif", 8, 4, "image/avif"},
    {"ftypheic", 8, 4, "image/heic"},
    {"II*\0", 4, 0, "image/tiff"},
    {"MM\0*", 4, 0, "image/tiff"},
    {"WAVE", 4, 8, "audio/wav"},
    {"ID3", 3, 0, "audio/mpeg"},
    {"fLaC", 4, 0, "audio/flac"},
    {"OggS", 4, 0, "audio/ogg"},
    {"ftypM4A", 7, 4, "audio/mp4"},
    {"%PDF-", 5, 0, "application/pdf"},
    {"PK\3\4", 4, 0, "application/zip"},
    {"\x1f\x8b", 2, 0, "application/gzip"},
};

static const char *const endings[][2] = {
    {".png", "image/png"},        {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},      {".gif", "image/gif"},
    {".webp", "image/webp"},      {".bmp", "image/bmp"},
    {".svg", "image/svg+xml"},    {".avif", "image/avif"},
    {".heic", "image/heic"},      {".tif", "image/tiff"},
    {".tiff", "image/tiff"},      {".ico", "image/vnd.microsoft.icon"},
    {".mp3", "audio/mpeg"},       {".wav", "audio/wav"},
    {".ogg", "audio/ogg"},        {".oga", "audio/ogg"},
    {".opus", "audio/ogg"},       {".flac", "audio/flac"},
    {".m4a", "audio/mp4"},        {".aac", "audio/aac"},
    {".mp4", "video/mp4"},        {".webm", "video/webm"},
    {".pdf", "application/pdf"},  {".zip", "application/zip"},
    {".gz", "application/gzip"},  {".json", "application/json"},
    {".xml", "application/xml"},  {".yaml", "application/yaml"},
    {".yml", "application/yaml"}, {".toml", "application/toml"},
    {".md", "text/markdown"},     {".html", "text/html"},
    {".css", "text/css"},         {".csv", "text/csv"},
    {".js", "text/javascript"},   {".mjs", "text/javascript"},
    {".py", "text/x-python"},     {".sh", "application/x-sh"},
};

static const char *by_magic(const char *data, size_t size)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        const struct magic *m = &magics[i];
        if (size >= m->at + m->size && memcmp(data + m->at, m->bytes, m->size) == 0 &&
            (m->at != 8 || memcmp(data, "RIFF", 4) == 0))
            return m->type;
    }
    /* A frame of MPEG audio without a tag: layer 3 of version 1 or 2. */
    if (size >= 3 && (unsigned char)data[0] == 0xff && ((unsigned char)data[1] & 0xf6) == 0xf2)
        return "audio/mpeg";
    return NULL;
}

const char *mime_type(const char *name, const char *data, size_t size)
{
    const char *type = by_magic(data, size);
    const char *ending = strrchr(name, '.');
    const char *named = NULL;
    for (size_t i = 0; ending != NULL && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcasecmp(ending, endings[i][0]) == 0)
            named = endings[i][1];
    bool text = is_text(data, size, false);
    if (type != NULL)
        return type;
    /* A text that is called photo.png is none. */
    if (named != NULL && text && size > 0 && strcmp(named, "image/svg+xml") != 0 &&
        (strncmp(named, "image/", 6) == 0 || strncmp(named, "audio/", 6) == 0))
        return "text/plain";
    if (named != NULL)
        return named;
    return text ? "text/plain" : "application/octet-stream";
}
