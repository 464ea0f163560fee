"""Usage as vendors say it, among the bytes of an answer."""

USAGES = (
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}',
    b'"usage": {\n "prompt_tokens": 1000,\n "completion_tokens": 50,\n "total_tokens": 1050,\n'
    b' "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},\n'
    b' "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0,\n'
    b' "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}',
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":20}',  # Hidden reasoning.
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,'
    b'"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{}}',
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,'
    b'"prompt_tokens_details":{},"completion_tokens_details":{"reasoning_tokens":3}}',
    b'"usage":{"input_tokens":7,"output_tokens":3,"cache_read_input_tokens":5}',
    b'"usage":{"prompt_tokens":90,"completion_tokens":4,"total_tokens":94,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":20}}',
    b'"usage":null',
    b'"content":"no usage at all"',
)
"""The first is what nearly all say, the second what a model with details says."""
