"""Terms of the objective beside the cross-entropy."""
