# SPDX-License-Identifier: MIT
# The plugins of the tests, good and broken: tests/plugins/NAME.c becomes
# $(B)/tests/plugins/NAME.so. Included by the Makefile.
#
# Without the instrumentation of SANITIZE and COVERAGE: they stand for foreign
# code, and some of them must crash in their own way.

sample_flags := -std=c17 -D_DEFAULT_SOURCE -O2 -g -fPIC -shared -pthread -fvisibility=hidden -Iplugin-api -Wall -Wextra \
                -Wl,-Bsymbolic,-z,defs,-z,now
samples := $(patsubst %.c,$(B)/%.so,$(wildcard tests/plugins/*.c))
# More builds of versioned.c, to be copied over one another as versioned.so.
versions := $(addprefix $(B)/tests/plugins/versioned-,1.so 2.so extra.so)

build_sample = @mkdir -p $(@D); $(CC) $(sample_flags) $(sample_extra) -o $@ $<

$(samples): $(B)/%.so: %.c tests/plugins/sample.h tests/plugins/plugins.mk $(wildcard plugin-api/mcp/*.h) $(B)/flags
	$(build_sample)
$(versions): $(B)/tests/plugins/versioned-%.so: tests/plugins/versioned.c tests/plugins/plugins.mk $(wildcard plugin-api/mcp/*.h) $(B)/flags
	$(build_sample)

$(B)/tests/plugins/versioned-1.so: sample_extra := -DVERSION_NUMBER=1
$(B)/tests/plugins/versioned-2.so: sample_extra := -DVERSION_NUMBER=2
$(B)/tests/plugins/versioned-extra.so: sample_extra := -DVERSION_NUMBER=3 -DEXTRA_TOOL

# What is wrong with these is in how they are built.
$(B)/tests/plugins/bad_nodelete.so: sample_extra := -Wl,-z,nodelete
$(B)/tests/plugins/bad_stack.so: sample_extra := -Wl,-z,execstack
$(B)/tests/plugins/bad_static_tls.so: sample_extra := -ftls-model=initial-exec
$(B)/tests/plugins/bad_textrel.so: sample_extra := -Wl,-z,notext
$(B)/tests/plugins/bad_undefined.so: sample_extra := -Wl,-z,undefs

# It loads them all, from beside itself.
$(B)/tests/unit/test_load: | $(samples) $(versions)

test-plugins: $(samples) $(versions)
.PHONY: test-plugins
