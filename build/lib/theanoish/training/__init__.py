"""Training a network on a data set, and predicting with it."""
