"""How properties are tried: the same examples in every run, so that a failure stays one until somebody looks."""

from hypothesis import HealthCheck, Phase, settings

_STEADY = settings(derandomize=True, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow])
SHRINKING = settings(_STEADY, phases=[Phase.generate, Phase.shrink])
# For what comes from a seed: a smaller seed makes nothing smaller.
SEEDED = settings(_STEADY, phases=[Phase.generate])
