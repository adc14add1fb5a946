"""Hypothesis settings: every run has the same examples, so that failures are reproducible."""

from hypothesis import HealthCheck, Phase, settings

_STEADY = settings(derandomize=True, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow])
SHRINKING = settings(_STEADY, phases=[Phase.generate, Phase.shrink])
# For operations that are generated from a seed: a smaller seed does not give a smaller operation.
SEEDED = settings(_STEADY, phases=[Phase.generate])
