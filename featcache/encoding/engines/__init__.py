"""One file an engine; `featcache.encoding.spreading` has the contract."""
