"""In which order the targets of a model are tried: one strategy per file, all behind one port."""
