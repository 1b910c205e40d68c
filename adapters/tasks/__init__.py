"""One file a task; `adapters.task` has the contract."""
