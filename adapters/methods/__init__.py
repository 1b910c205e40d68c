"""One file a method; see `adapters.method` for what a file must hold."""
