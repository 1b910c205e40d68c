"""The cache on disk: shards, manifests, and entries as their readers see them."""
