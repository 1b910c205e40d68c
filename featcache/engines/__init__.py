"""What sweeps and encoding share of the engines that work on many machines."""
