"""The life of a request, and the ports where the floors above meet."""
