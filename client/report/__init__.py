"""Reports: what runs found, as one page that needs nothing else."""
