# SPDX-License-Identifier: MIT
# The plugin ABI through the years: tests/abi/1.0 and 1.1 have the headers as they were
# then. Included by the Makefile. The plugins are for the tests of the daemon, too.

abi_flags := -std=c17 -D_DEFAULT_SOURCE -O2 -g -fPIC -shared -pthread -fvisibility=hidden \
             -Wall -Wextra -Wl,-Bsymbolic,-z,defs,-z,now
abi_so := $(B)/tests/abi/frozen.so $(B)/tests/abi/frozen_1_1.so

$(B)/tests/abi/frozen.so: abi_minor := 1.0
$(B)/tests/abi/frozen_1_1.so: abi_minor := 1.1
$(abi_so): $(B)/%.so: %.c $(wildcard tests/abi/1.*/mcp/*.h) tests/abi/abi.mk $(B)/flags
	@mkdir -p $(@D)
	$(call say,SO)$(CC) $(abi_flags) -Itests/abi/$(abi_minor) -o $@ $<

test-plugins: $(abi_so)
check-abi: $(abi_so) $(B)/tests/unit/test_abi plugins ## Old plugins load in today's mcpd, and the other way round
	@B=$(B) tests/abi/run
.PHONY: check-abi
