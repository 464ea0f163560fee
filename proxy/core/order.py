"""The order of things, written once. `llm-proxy check` prints it; the docs are tested against it.

A name without an implementation yet keeps its place: `build/` says which are built.
"""

ONCE_PER_REQUEST = (
    "trace",  # Identity of the request: W3C trace context.
    "account",  # The record that will be written at the end.
    "auth",  # Whose request it is.
    "catalogue",  # GET /models: answered here.
    "body",  # Read the body; find the model asked for.
    "labels",  # For whom it is made: customer, agent, session, tags.
    "rules",  # Which model is meant.
    "access",  # Whether this caller may use it.
    "limits",  # Requests and tokens per time, concurrency.
    "prompts",  # Templates filled in.
    "guardrails",  # What may not go out.
    "content",  # What is said is kept, where the operator wants that.
    "cache",  # Answers that are known; cost no budget.
    "plan",  # The targets to try, in order.
)

ONCE_PER_ATTEMPT = (
    "breaker",  # Skip a target that is known to be down.
    "vendor limits",  # Keep below the vendor's own limits.
    "hold",  # The most it can cost, in every budget.
    "send",
)
