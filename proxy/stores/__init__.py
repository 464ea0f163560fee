"""Where things are kept: implementations of the ports in `core/`, one folder per store."""
