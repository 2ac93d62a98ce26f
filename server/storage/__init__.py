"""Files and folders of the agent: whole or not there, held by descriptors, private, and with room kept for them."""
