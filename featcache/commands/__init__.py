"""The commands of `featcache`: they parse, call the library and print."""
