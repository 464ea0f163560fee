"""The directory: keys and scopes of the store, in a file of each host, for its workers to read."""
