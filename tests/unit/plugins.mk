# SPDX-License-Identifier: MIT
# The tests of the bundled plugins load what was built beside them.
$(filter $(B)/tests/unit/test_plugin_%,$(unit_bin)): | $(plugin_so)
# test_plugins drops the test's own into a directory.
$(B)/tests/unit/test_plugins: | $(samples) $(versions)
# test_worker starts workers, which are looked for beside the program.
$(B)/tests/unit/mcpd-worker: $(B)/mcpd-worker
	@mkdir -p $(@D)
	@ln -sf ../../mcpd-worker $@
$(B)/tests/unit/test_worker: | $(samples) $(B)/tests/unit/mcpd-worker
