/* SPDX-License-Identifier: MIT */
/* main() of mcpctl: which command is meant, and what it is told about its options. */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/similar.h"

static const struct ctl_command *const commands[] = {
    &ctl_schema_validate,
    &ctl_key_new,
    &ctl_plugin_inspect,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* ---- complaints ---- */

void ctl_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

enum ctl_status ctl_misuse(const struct ctl_command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "mcpctl %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'mcpctl %s --help'.\n", command->name);
    return CTL_UNUSABLE;
}

/* ---- did you mean ...? ---- */

/* The name that is nearest so far to what was typed. */
struct nearest {
    struct bytes typed;
    size_t distance; /* from a third of the letters on it is no slip of the finger */
    const char *name; /* NULL: none is near */
};

static struct nearest nearest_to(struct bytes typed)
{
    return (struct nearest){.typed = typed, .distance = typed.size / 3 + 2};
}

static void consider(struct nearest *nearest, const char *name)
{
    struct bytes text = bytes_of(name);
    if (nearest->typed.size > SIMILAR_NAME_MAX || text.size > SIMILAR_NAME_MAX)
        return;
    size_t distance = edit_distance(nearest->typed, text);
    if (distance < nearest->distance && distance < text.size) {
        nearest->distance = distance;
        nearest->name = name;
    }
}

static void complain_unknown(const char *before, struct nearest nearest)
{
    struct bytes typed = nearest.typed;
    if (nearest.name != NULL)
        ctl_complain("%s \"%.*s\" (did you mean \"%s\"?)", before, BYTES_FMT(typed), nearest.name);
    else
        ctl_complain("%s \"%.*s\"", before, BYTES_FMT(typed));
}

/* ---- options ---- */

static enum ctl_status print_help(const struct ctl_command *command)
{
    printf("usage: mcpctl %s %s\n\n%s", command->name, command->arguments, command->help);
    return CTL_YES;
}

static const struct ctl_option *find_option(const struct ctl_option *options, struct bytes name)
{
    for (; options->name != NULL; options++)
        if (bytes_equal(bytes_of(options->name), name))
            return options;
    return NULL;
}

static bool unknown_option(const struct ctl_command *command, const struct ctl_option *options,
                           struct bytes name)
{
    char before[128];
    struct nearest nearest = nearest_to(name);
    for (; options->name != NULL; options++)
        consider(&nearest, options->name);
    consider(&nearest, "--help");
    snprintf(before, sizeof(before), "mcpctl %s: unknown option", command->name);
    complain_unknown(before, nearest);
    ctl_complain("Try 'mcpctl %s --help'.", command->name);
    return false;
}

/* argv[*at] is an option; *at moves on to its last word. */
static bool read_option(const struct ctl_command *command, int argc, char **argv, int *at,
                        const struct ctl_option *options)
{
    const char *word = argv[*at], *equals = strchr(word, '=');
    struct bytes name = {word, equals != NULL ? (size_t)(equals - word) : strlen(word)};
    const struct ctl_option *option = find_option(options, name);

    if (option == NULL)
        return unknown_option(command, options, name);
    if (option->flag != NULL) {
        *option->flag = true;
        return equals == NULL || (ctl_misuse(command, "%s takes no value", option->name), false);
    }
    if (equals != NULL)
        *option->value = equals + 1;
    else if (++*at < argc)
        *option->value = argv[*at];
    else
        return ctl_misuse(command, "%s needs a value", option->name), false;
    return true;
}

bool ctl_read_options(const struct ctl_command *command, int *argc, char **argv,
                      const struct ctl_option *options)
{
    int left = 0, at = 0;

    for (; at < *argc && strcmp(argv[at], "--") != 0; at++) {
        if (argv[at][0] != '-' || argv[at][1] == '\0')
            argv[left++] = argv[at];
        else if (!read_option(command, *argc, argv, &at, options))
            return false;
    }
    for (at++; at < *argc; at++)
        argv[left++] = argv[at];
    *argc = left;
    return true;
}

/* ---- commands ---- */

static void print_usage(FILE *out)
{
    fputs("usage: mcpctl COMMAND [ARGUMENT...]\n"
          "       mcpctl COMMAND --help\n"
          "       mcpctl --version | --help\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-16s  %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nExit status: 0 done or yes, 1 no, 2 no answer. See mcpctl(1).\n", out);
}

/* The command whose words the arguments begin with. */
static const struct ctl_command *find_command(int argc, char **argv)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *second = strchr(commands[i]->name, ' ') + 1;
        size_t size = (size_t)(second - 1 - commands[i]->name);
        if (argc >= 2 && strlen(argv[0]) == size && memcmp(commands[i]->name, argv[0], size) == 0 &&
            strcmp(argv[1], second) == 0)
            return commands[i];
    }
    return NULL;
}

static enum ctl_status unknown_command(int argc, char **argv)
{
    char typed[256];
    bool two = argc > 1 && argv[1][0] != '-';
    snprintf(typed, sizeof(typed), "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
    struct nearest nearest = nearest_to(bytes_of(typed));
    for (size_t i = 0; i < COMMANDS; i++)
        consider(&nearest, commands[i]->name);
    /* "mcpctl schema" or "mcpctl validate": half of a name is near, too. */
    for (size_t i = 0; i < COMMANDS && nearest.name == NULL; i++) {
        const char *space = strchr(commands[i]->name, ' ');
        size_t first = (size_t)(space - commands[i]->name);
        if ((strlen(argv[0]) == first && memcmp(argv[0], commands[i]->name, first) == 0) ||
            strcmp(argv[0], space + 1) == 0)
            nearest.name = commands[i]->name;
    }
    complain_unknown("mcpctl: unknown command", nearest);
    ctl_complain("Try 'mcpctl --help'.");
    return CTL_UNUSABLE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static enum ctl_status run(int argc, char **argv)
{
    if (argc == 0) {
        print_usage(stderr);
        return CTL_UNUSABLE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        puts("mcpctl " MCPD_VERSION);
        return CTL_YES;
    }
    const struct ctl_command *command = find_command(argc, argv);
    if (command == NULL && asks_for_help(argc, argv)) {
        print_usage(stdout);
        return CTL_YES;
    }
    if (command == NULL)
        return unknown_command(argc, argv);
    if (asks_for_help(argc - 2, argv + 2))
        return print_help(command);
    return command->run(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    if (!crypto_init()) {
        ctl_complain("mcpctl: the system gives no random numbers");
        return CTL_UNUSABLE;
    }
    enum ctl_status status = run(argc - 1, argv + 1);
    /* An answer that nobody could read is none. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("mcpctl: standard output");
        return CTL_UNUSABLE;
    }
    return (int)status;
}
