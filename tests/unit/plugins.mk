# SPDX-License-Identifier: MIT
# The tests of the bundled plugins load what was built beside them.
$(filter $(B)/tests/unit/test_plugin_%,$(unit_bin)): | $(plugin_so)
