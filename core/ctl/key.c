/* SPDX-License-Identifier: MIT */
/* mcpctl key new: a line for the file of keys that seal request states. */
#include <stdio.h>
#include <time.h>

#include "config/seal_keys.h"
#include "ctl/ctl.h"

/* The day, to see how old a key is, and a part that two of one day do not share. */
static void make_id(char id[SEAL_KEY_ID_MAX + 1])
{
    time_t now = time(NULL);
    struct tm day;
    unsigned char random[4];

    gmtime_r(&now, &day);
    crypto_random(random, sizeof(random));
    size_t size = strftime(id, SEAL_KEY_ID_MAX + 1, "%Y%m%d-", &day);
    for (size_t i = 0; i < sizeof(random); i++)
        size += (size_t)snprintf(id + size, SEAL_KEY_ID_MAX + 1 - size, "%02x", random[i]);
}

static enum ctl_status key_new(const struct ctl_command *command, int argc, char **argv)
{
    const char *id = NULL;
    const struct ctl_option options[] = {{.name = "--id", .value = &id}, {.name = NULL}};
    char made[SEAL_KEY_ID_MAX + 1], text[(CRYPTO_KEY_SIZE + 2) / 3 * 4 + 1];
    unsigned char key[CRYPTO_KEY_SIZE];

    if (!ctl_read_options(command, &argc, argv, options))
        return CTL_UNUSABLE;
    if (argc > 0)
        return ctl_misuse(command, "unexpected argument \"%s\"", argv[0]);
    if (id != NULL && !seal_key_id_legal(bytes_of(id)))
        return ctl_misuse(command, "--id: expected 1 to %d of A-Z a-z 0-9 _ -, got \"%s\"",
                          SEAL_KEY_ID_MAX, id);
    if (id == NULL)
        make_id(made);
    crypto_random(key, sizeof(key));
    base64_encode(key, sizeof(key), text);
    crypto_wipe(key, sizeof(key));
    printf("%s %s\n", id != NULL ? id : made, text);
    return CTL_YES;
}

const struct ctl_command ctl_key_new = {
    .name = "key new",
    .arguments = "[--id ID]",
    .summary = "make a key for request_state.key_file",
    .help = "Prints one line, \"ID KEY\": 32 random bytes in Base64, for the file that\n"
            "request_state.key_file names. In that file the first key seals, all of them\n"
            "open; mcpd.json(5) says how keys are changed.\n"
            "\n"
            "      --id ID   how the key is called (today's date and a random part)\n"
            "\n"
            "  (umask 077; mcpctl key new >/etc/mcp/request-state.keys)\n",
    .run = key_new,
};
