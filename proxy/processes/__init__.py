"""The processes of one proxy: a small supervisor, the workers (data plane) and control."""
