"""Numbers, and what the owner of an app sets."""
