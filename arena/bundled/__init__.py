"""Real data sets that travel with arena; README.md says where each comes from."""
