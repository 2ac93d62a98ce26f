"""Jobs: stored before they are acknowledged, run one at a time, each in a process of its own."""
