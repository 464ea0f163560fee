"""What counts as a failure of a span, and the word for it (`error.type`).

A request fails when the proxy or its vendors did; what a caller did wrong, or that it went away, is
told as status and outcome. An attempt fails with the vendor's status if it gave one, else with our
word for what happened.
"""

from proxy.wire.record import AttemptRecord, UsageRecord


def of_request(record: UsageRecord) -> str | None:
    """Why the SERVER span has failed, or None."""
    if record.outcome == "upstream_cut" or record.status >= 500:
        return record.error or record.outcome
    return None


def of_attempt(attempt: AttemptRecord) -> str | None:
    """Why the CLIENT span has failed, or None."""
    return str(attempt.status) if attempt.status >= 400 else reason_of(attempt)


def reason_of(attempt: AttemptRecord) -> str | None:
    """The word for it, whatever the status: core/verdicts.py. None: it has not failed."""
    return attempt.reason or attempt.error
