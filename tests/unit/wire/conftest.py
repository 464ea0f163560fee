"""Properties are judged by what comes out: a busy machine must not fail them by its clock."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
