"""Results as tables, figures and one page that opens offline."""
