"""The supervisor and its children: workers and control."""
