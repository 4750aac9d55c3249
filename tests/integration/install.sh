#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs, uses what was installed as a stranger would, uninstalls and finds
# nothing left: once below a DESTDIR as packages do, once below a prefix of its
# own. Prints a line for each test and at last "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
work=$(mktemp -d) && chmod 0755 "$work"
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

passed=0 failed=0 skipped=0
test_that() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        sed 's/^/        /' "$work/log"
    fi
}

# Each mode and path below a directory, as one line; directories end with /.
listing() {
    (cd "$1" && find . -mindepth 1 \( -type d -printf '%m %P/\n' -o -printf '%m %P\n' \) | LC_ALL=C sort -k 2)
}

quiet_make() { make --no-print-directory "$@" </dev/null; }

# ---- Below DESTDIR ------------------------------------------------------------

root=$work/root
install_root() { umask 022 && quiet_make B="$B" DESTDIR="$root" "$@"; }

expected_files() {
    local file
    cat <<'LIST'
755 usr/sbin/mcpd
755 usr/bin/mcpctl
755 usr/libexec/mcp/mcpd-worker
755 usr/libexec/mcp/bundled/filesystem.so
755 usr/libexec/mcp/bundled/database.so
755 usr/libexec/mcp/bundled/skills.so
755 usr/libexec/mcp/bundled/git.so
755 usr/libexec/mcp/bundled/http.so
755 usr/lib/mcp/plugins/filesystem.so
755 usr/lib/mcp/plugins/database.so
755 usr/lib/mcp/plugins/skills.so
755 usr/lib/mcp/plugins/git.so
755 usr/lib/mcp/plugins/http.so
644 usr/include/mcp/plugin.h
644 usr/lib/pkgconfig/mcp-plugin.pc
644 usr/share/mcp/plugin.mk
644 usr/share/mcp/mcpd.schema.json
644 usr/share/man/man8/mcpd.8
644 usr/share/man/man1/mcpctl.1
644 usr/share/man/man5/mcpd.json.5
644 usr/share/man/man7/mcp-plugin.7
644 usr/share/man/man7/mcp-filesystem.7
644 usr/share/man/man7/mcp-database.7
644 usr/share/man/man7/mcp-skills.7
644 usr/share/man/man7/mcp-git.7
644 usr/share/mcp/provider.schema.json
644 usr/share/man/man3/mcp_plugin.3
644 usr/lib/systemd/system/mcpd.service
644 usr/lib/systemd/system/mcpd.socket
644 usr/lib/sysusers.d/mcpd.conf
644 usr/lib/tmpfiles.d/mcpd.conf
644 etc/mcp/mcpd.json
755 etc/mcp/providers.d/
LIST
    for file in plugin-api/template/*; do
        [ -f "$file" ] && echo "644 usr/share/mcp/template/${file##*/}"
    done
}

has_all_files() {
    local missing
    missing=$(comm -23 <(expected_files | LC_ALL=C sort) <(listing "$root" | LC_ALL=C sort))
    [ -z "$missing" ] || { echo "not there, or with another mode:"; echo "$missing"; false; }
}

nobody_else_may_write() { [ -z "$(find "$root" -perm /022 ! -type l -print | tee /dev/stderr)" ]; }

change_configuration() {
    echo '{ "server": { "name": "mine" } }' >"$root/etc/mcp/mcpd.json"
    echo '{ "plugin": "filesystem" }' >"$root/etc/mcp/providers.d/mine.json"
}

configuration_is_mine() {
    grep -q '"mine"' "$root/etc/mcp/mcpd.json" && [ -e "$root/etc/mcp/providers.d/mine.json" ]
}

nothing_left() { # DIRECTORY [BUT]
    [ "$(listing "$1" | grep -v '/$' | tee /dev/stderr)" = "${2-}" ]
}
really_nothing_left() { [ -z "$(find "$1" -mindepth 1 | tee /dev/stderr)" ]; }

test_that 'installs below DESTDIR' install_root install
test_that 'installs every file with its mode' has_all_files
test_that 'lets nobody else write what it installed' nobody_else_may_write
listing "$root" >"$work/first"
test_that 'uninstalls' install_root uninstall
test_that 'leaves nothing below DESTDIR' really_nothing_left "$root"
install_root install >/dev/null
test_that 'installs the same again' diff "$work/first" <(listing "$root")
change_configuration
test_that 'installs over a changed configuration' install_root install
test_that 'leaves a changed configuration alone' configuration_is_mine
install_root uninstall >/dev/null
test_that 'keeps only the changed configuration when it uninstalls' \
    nothing_left "$root" $'644 etc/mcp/mcpd.json\n644 etc/mcp/providers.d/mine.json'

# ---- Below a prefix of its own, and used ----------------------------------------

# It ends like the default one, which must not be looked for in it again.
opt=$work/usr
install_opt() {
    umask 022 && quiet_make -j"$(nproc)" B="$work/build" CFLAGS=-O1 prefix="$opt" localstatedir="$work/var" "$@"
}
mcpd=$opt/sbin/mcpd

version_is_ours() { "$mcpd" --version | grep -qF "$(sed -n 's/^VERSION := //p' Makefile)"; }

paths_are_those() {
    ! grep -rnE '(^|[^A-Za-z0-9_./-])/(usr/(sbin|lib|share)/mcp|etc/mcp|var/lib/mcp)' \
        "$opt/lib" "$opt/share" "$opt/etc" --include='*.service' --include='*.socket' --include='*.conf' --include='*.json' \
        --include='*.pc' --include='*.mk'
}

plugin_directory_is_that() {
    [ "$(PKG_CONFIG_PATH=$opt/lib/pkgconfig pkg-config --variable=plugindir mcp-plugin)" = "$opt/lib/mcp/plugins" ]
}

unit_is_sound() {
    # Complaints about documentation come from machines without man.
    systemd-analyze verify "$opt/lib/systemd/system/mcpd.service" "$opt/lib/systemd/system/mcpd.socket" 2>&1 |
        grep -v "Command 'man" | tee /dev/stderr | grep -q . && return 1
    return 0
}

# A third party's plugin, from the installed files only.
build_template() {
    cp -r "$opt/share/mcp/template" "$work/mine" &&
        (cd "$work/mine" && PKG_CONFIG_PATH=$opt/lib/pkgconfig make --no-print-directory) &&
        [ -n "$(find "$work/mine" -name '*.so')" ]
}

# So does the one that the README shows.
build_readme_plugin() {
    mkdir "$work/letters" &&
        awk '/^```c$/ { p = 1; next } /^```$/ { p = 0 } p' README.md >"$work/letters/letters.c" &&
        awk '/^```make$/ { p = 1; next } /^```$/ { p = 0 } p' README.md >"$work/letters/Makefile" &&
        (cd "$work/letters" && PKG_CONFIG_PATH=$opt/lib/pkgconfig make --no-print-directory check CFLAGS='-O2 -Werror') &&
        [ -f "$work/letters/letters.so" ]
}

start_server() {
    "$mcpd" --listen 127.0.0.1:0 >"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/.*listening on .*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/server.log" | head -n 1)
        [ -n "$port" ] && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/server.log"
    return 1
}

tools_list() {
    curl -s -m 10 "http://127.0.0.1:$port/mcp" -H 'Content-Type: application/json' \
        -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \
        -H 'Mcp-Method: tools/list' \
        -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}'
}

# The plugin goes in as its own `make install` puts it, while mcpd serves.
serves_dropped_plugin() {
    local file
    tools_list >"$work/before"
    file=$(find "$work/mine" -name '*.so' | head -n 1)
    (cd "$work/mine" && PKG_CONFIG_PATH=$opt/lib/pkgconfig make --no-print-directory install) || return
    [ -e "$opt/lib/mcp/plugins/${file##*/}" ] || { echo "make install did not install it"; return 1; }
    for _ in $(seq 50); do
        tools_list >"$work/after"
        cmp -s "$work/before" "$work/after" || return 0
        sleep 0.2
    done
    cat "$work/server.log"
    return 1
}

stop_server() {
    kill -TERM "$server" && wait "$server"
    local status=$?
    server=
    [ $status -eq 0 ] || { cat "$work/server.log"; return 1; }
}

keeps_foreign_plugin() {
    nothing_left "$opt" "755 lib/mcp/plugins/$(basename "$(find "$work/mine" -name '*.so' | head -n 1)")"
}

remove_foreign_plugin_and_uninstall() { rm "$opt"/lib/mcp/plugins/*.so && install_opt uninstall; }

test_that 'installs below another prefix' install_opt install
test_that 'the installed mcpd tells its version' version_is_ours
test_that 'the installed configuration passes mcpd --check' "$mcpd" --check
test_that 'the installed files name the paths of this installation' paths_are_those
test_that 'tells plugins where they belong' plugin_directory_is_that
if command -v systemd-analyze >/dev/null; then
    test_that 'systemd finds no fault with the unit' unit_is_sound
else
    skipped=1
    echo "skipped systemd finds no fault with the unit: there is no systemd-analyze"
fi
test_that 'the template builds with the installed files alone' build_template
test_that "the README's plugin builds with the installed files alone" build_readme_plugin
test_that 'the installed mcpd starts' start_server
test_that 'the template, installed while mcpd runs, is served' serves_dropped_plugin
test_that 'the installed mcpd stops cleanly' stop_server
test_that 'uninstalls again' install_opt uninstall
test_that 'leaves a plugin of somebody else alone' keeps_foreign_plugin
test_that 'uninstalls the rest' remove_foreign_plugin_and_uninstall
test_that 'leaves nothing below the prefix' nothing_left "$opt"

echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ]
