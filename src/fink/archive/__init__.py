"""Everything ever seen: the index answers in milliseconds, the lake holds every alert whole."""
