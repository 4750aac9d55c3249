# SPDX-License-Identifier: MIT
# What injects faults into the daemon under test; read by the Makefile.

inject := $(B)/tests/torture/inject.so
test-plugins: $(inject)

# Never instrumented: it stands before a sanitizer's run-time.
$(inject): tests/torture/inject.c tests/torture/inject.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,SO)$(CC) -std=c17 -D_GNU_SOURCE $(warnings) $(CPPFLAGS) -O2 -g -fPIC -fvisibility=hidden -shared \
	    -fno-builtin -fno-strict-aliasing $(LDFLAGS) -o $@ $< -ldl -pthread
