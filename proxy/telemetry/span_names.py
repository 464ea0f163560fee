"""Names of what each span says anew, their keys encoded once (otlp_bytes.py)."""

from proxy.telemetry.otlp_bytes import Name

SIZE_IN = Name("http.request.body.size")
SIZE_OUT = Name("http.response.body.size")
ID = Name("llm_proxy.request_id")
FIRST_TOKEN = Name("llm_proxy.time_to_first_token")
OVERHEAD = Name("llm_proxy.overhead")
NANO_USD = Name("llm_proxy.cost_nano_usd")
USD = Name("llm_proxy.cost_usd")
METADATA = Name("metadata")
FIRST_CHUNK = Name("gen_ai.response.time_to_first_chunk")
INPUT = Name("gen_ai.usage.input_tokens")
OUTPUT = Name("gen_ai.usage.output_tokens")
PROMPT = Name("llm.token_count.prompt")
COMPLETION = Name("llm.token_count.completion")
TOTAL = Name("llm.token_count.total")
COST_PROMPT = Name("llm.cost.prompt")
COST_COMPLETION = Name("llm.cost.completion")
COST_TOTAL = Name("llm.cost.total")
