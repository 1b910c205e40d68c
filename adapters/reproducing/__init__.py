"""Published tables made anew: what each needs, its runs, ours beside theirs."""
