"""Cross-entropy of a linear layer whose classes are spread over processes: the loss, who has which, a shard's work."""
