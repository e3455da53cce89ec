"""What the whole API has in common, on a control as it runs: who may what, and answers that fit their description."""
