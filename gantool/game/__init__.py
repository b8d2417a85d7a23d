"""The two-player game on a data set: options, one training step, remedies and sampling that families share."""
