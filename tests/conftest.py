"""Settings of the tests as a whole."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from kafka_fixture import kafka, kafka_server

__all__ = ["kafka", "kafka_server"]

# a continuous integration that fails on one draw in a thousand says nothing about the change; at home the draws stay random
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "home")
