"""A small data set of composed music, in the form of MagnaTagATune."""
