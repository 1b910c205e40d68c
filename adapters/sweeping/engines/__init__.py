"""One file an engine; `adapters.sweeping.engine` has the contract."""
