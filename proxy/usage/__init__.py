"""Usage: records, the spool they are written to, what they cost, and how they are shipped."""
