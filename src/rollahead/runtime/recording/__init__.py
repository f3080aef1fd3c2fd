"""Records of a run on disk: the run folder, its streams and tables, gauges, histograms."""
