"""What happens once per request: one concern per file."""
