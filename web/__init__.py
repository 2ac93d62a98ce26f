"""What both pages are made of: the modules they share, and Apache ECharts. Data only: there is no Python here."""
