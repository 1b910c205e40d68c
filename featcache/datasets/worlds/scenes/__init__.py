"""Pictures drawn from a description, and what can truly be said of them."""
