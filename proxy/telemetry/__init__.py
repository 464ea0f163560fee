"""What is told to the outside of the records: Prometheus metrics, OTLP traces, access lines."""
