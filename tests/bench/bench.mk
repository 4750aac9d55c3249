# SPDX-License-Identifier: MIT
# The programs of the bench; read by the Makefile.

bench_programs := $(B)/tests/bench/bare $(B)/tests/bench/streams
bench-programs: $(bench_programs) $(B)/tests/integration/load

$(bench_programs): $(B)/tests/bench/%: tests/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(warnings) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
	    $(if $(filter %/bare,$@),-lmicrohttpd -lcjson) -pthread

.PHONY: bench-programs
