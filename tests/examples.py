"""How many examples hypothesis tries: few in every run, many in the nightly one.

    @settings(max_examples=examples(60))    # 60, and 1200 with --hypothesis-profile=nightly

No test of ours is failed by its clock: busy machines are slow, not wrong.
"""

from hypothesis import settings

QUICK, NIGHTLY = "quick", "nightly"
_USUAL = 60
_MORE = 20


def register() -> None:
    """Make both profiles known and take the quick one; the command line may take the other."""
    settings.register_profile(QUICK, deadline=None, max_examples=_USUAL)
    settings.register_profile(NIGHTLY, deadline=None, max_examples=_USUAL * _MORE)
    settings.load_profile(QUICK)


def examples(quick: int) -> int:
    """So many in every run, and as many times more at night as of all others."""
    return quick * settings().max_examples // _USUAL
