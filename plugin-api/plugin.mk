# SPDX-License-Identifier: MIT
#
# plugin.mk - builds, checks and installs a provider plugin of mcpd. The whole
# Makefile of a plugin:
#
#     PLUGIN = weather
#     SOURCES = weather.c
#     include $(shell pkg-config --variable=pluginmk mcp-plugin)
#
# What a plugin may set before the include:
#
#     PLUGIN         its id, and the name of the file: PLUGIN.so (required)
#     SOURCES        its C (.c) and C++ (.cc .cpp) files, of C99 or C++11 or newer;
#                    PLUGIN.c if not given
#     PLUGIN_CFLAGS  further flags for compiling: -I, -D, $(shell pkg-config ...)
#     PLUGIN_LDLIBS  libraries to link with: -lsqlite3
#     TESTS          programs for `make check`, as .c files; test_*.c if not
#                    given. Each gets the path of PLUGIN.so as its argument.
#
# What the person who builds may set: CC, CXX, CPPFLAGS, CFLAGS, CXXFLAGS,
# LDFLAGS; SANITIZE=address,undefined or thread; OUT, the file to make or the
# directory to make it in; DESTDIR and plugindir, where `make install` puts it;
# V=1, to see the whole commands.
#
# Targets: all, check, install, uninstall, clean.

ifndef PLUGIN
$(error plugin.mk: set PLUGIN, the id of the plugin, before the include)
endif
SOURCES ?= $(PLUGIN).c
OUT ?= .
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
CFLAGS ?= -O2 -g
CXXFLAGS ?= $(CFLAGS)
INSTALL ?= install

# The header: beside this file in mcpd's source, else where pkg-config says.
mcp_here := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ifneq ($(wildcard $(mcp_here)/mcp/plugin.h),)
mcp_include := -I$(mcp_here)
else
mcp_include := $(shell pkg-config --cflags mcp-plugin)
endif
ifndef plugindir
plugindir := $(shell pkg-config --variable=plugindir mcp-plugin 2>/dev/null)
plugindir := $(or $(plugindir),/usr/lib/mcp/plugins)
endif

mcp_so := $(if $(filter %.so,$(OUT)),$(OUT),$(patsubst ./%,%,$(OUT:/=)/$(PLUGIN).so))
mcp_obj := $(mcp_so:.so=.obj)
mcp_objects := $(addprefix $(mcp_obj)/,$(addsuffix .o,$(basename $(notdir $(SOURCES)))))
mcp_cxx := $(filter-out %.c,$(SOURCES))
TESTS ?= $(wildcard test_*.c)
mcp_tests := $(TESTS:%.c=$(mcp_obj)/%)
vpath %.c $(sort $(dir $(SOURCES)))
vpath %.cc $(sort $(dir $(SOURCES)))
vpath %.cpp $(sort $(dir $(SOURCES)))

# One symbol leaves the plugin, and its calls to its own functions, and to
# libraries linked into it, stay inside: two plugins, or a plugin and mcpd,
# may carry different copies of one library. -fno-gnu-unique (clang has not, and
# needs not, that flag) and the version script keep C++ templates from pinning the
# file in memory for ever.
mcp_no_unique := $(if $(mcp_cxx),$(shell $(CXX) -Werror -fno-gnu-unique -c -x c++ -o /dev/null /dev/null \
                                     2>/dev/null && echo -fno-gnu-unique))
mcp_instrument := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
mcp_flags := -fPIC -fvisibility=hidden -fstack-protector-strong -Wall -Wextra $(mcp_include)
# A sanitizer's functions come from the program that loads the plugin.
mcp_defs := $(if $(findstring -fsanitize,$(CFLAGS) $(LDFLAGS) $(mcp_instrument)),,-Wl,-z,defs)
mcp_link := -shared -Wl,-Bsymbolic $(mcp_defs) -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack \
            -Wl,--exclude-libs,ALL -Wl,--as-needed -Wl,--version-script,$(mcp_obj)/exports
mcp_compile_c = $(CC) $(mcp_flags) $(CPPFLAGS) $(CFLAGS) $(PLUGIN_CFLAGS) $(mcp_instrument)
mcp_compile_cxx = $(CXX) $(mcp_flags) -fvisibility-inlines-hidden $(mcp_no_unique) $(CPPFLAGS) \
                  $(CXXFLAGS) $(PLUGIN_CFLAGS) $(mcp_instrument)
mcp_linker = $(if $(mcp_cxx),$(CXX),$(CC))

all: $(mcp_so)

# One short line for each file made; with V=1 the whole command.
mcp_quiet := $(findstring s,$(firstword -$(MAKEFLAGS)))
mcp_say = $(if $(V),,$(if $(mcp_quiet),@,@printf '  %-5s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$@); ))

# Linked elsewhere and then renamed: an mcpd that watches sees a whole file.
$(mcp_so): $(mcp_objects) $(mcp_obj)/exports
	$(call mcp_say,LINK)$(mcp_linker) $(mcp_link) $(LDFLAGS) $(mcp_instrument) -o $(mcp_obj)/linked $(mcp_objects) $(PLUGIN_LDLIBS)
	@mv -f $(mcp_obj)/linked $@

$(mcp_obj)/%.o: %.c $(mcp_obj)/flags
	$(call mcp_say,CC)$(mcp_compile_c) -MMD -MP -c -o $@ $<
$(mcp_obj)/%.o: %.cc $(mcp_obj)/flags
	$(call mcp_say,CXX)$(mcp_compile_cxx) -MMD -MP -c -o $@ $<
$(mcp_obj)/%.o: %.cpp $(mcp_obj)/flags
	$(call mcp_say,CXX)$(mcp_compile_cxx) -MMD -MP -c -o $@ $<

$(mcp_obj)/exports:
	@mkdir -p $(@D)
	@echo '{ global: mcp_plugin_v1; local: *; };' >$@

# Holds the commands; when they change, everything is made again.
$(mcp_obj)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(mcp_compile_c) : $(mcp_linker) $(mcp_link) $(LDFLAGS) $(PLUGIN_LDLIBS))' >$@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi

$(mcp_tests): $(mcp_obj)/%: %.c $(mcp_obj)/flags
	$(call mcp_say,TEST)$(CC) $(mcp_include) $(CPPFLAGS) $(CFLAGS) $(mcp_instrument) -Wall -Wextra -o $@ $< $(LDFLAGS) -ldl -pthread

# What mcpd looks for before it loads the file, then the plugin's own tests.
check: $(mcp_so) $(mcp_tests)
	@nm -D --defined-only $(mcp_so) | grep -q ' mcp_plugin_v1$$' || \
	    { echo "$(mcp_so): mcp_plugin_v1 is not exported: declare it MCP_EXPORT" >&2; exit 1; }
	@readelf -SW $(mcp_so) | grep -q '\.note\.mcp ' || \
	    { echo "$(mcp_so): no manifest: put MCP_PLUGIN_MANIFEST into one source file" >&2; exit 1; }
	@for test in $(mcp_tests); do $$test $(abspath $(mcp_so)) || exit 1; done
	@echo "$(PLUGIN): checked"

install: $(mcp_so)
	$(INSTALL) -d $(DESTDIR)$(plugindir)
	$(INSTALL) -m 0755 $(mcp_so) $(DESTDIR)$(plugindir)/.$(PLUGIN).new
	mv -f $(DESTDIR)$(plugindir)/.$(PLUGIN).new $(DESTDIR)$(plugindir)/$(PLUGIN).so

uninstall:
	rm -f $(DESTDIR)$(plugindir)/$(PLUGIN).so

clean:
	rm -rf $(mcp_so) $(mcp_obj)

FORCE:
.DELETE_ON_ERROR:
.PHONY: all check install uninstall clean FORCE
-include $(mcp_objects:.o=.d)
