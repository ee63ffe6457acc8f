"""From the official files to an HDF5 data set, and back to the windows of its clips."""
